package rng

import "testing"

// Known answers of the authors' own test vectors (Random123, kat_vectors, philox4x32 10).
func TestPhiloxKnownAnswers(t *testing.T) {
	tests := []struct {
		name string
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{"zeros", [4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{"ones", [4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{"pi", [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	}
	for _, test := range tests {
		if got := philox(test.ctr, test.key); got != test.want {
			t.Errorf("%s: got %x, want %x", test.name, got, test.want)
		}
	}
}

func TestStreamsAreRandomAccess(t *testing.T) {
	r := New(7, "sample", 3)
	s := At(7, "sample")
	for k := range uint64(100) {
		if got, want := s.Float64(3, k), r.Float64(); got != want {
			t.Fatalf("draw %d: got %v, want %v", k, got, want)
		}
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for _, k := range []struct {
		seed    uint64
		purpose string
		index   uint64
	}{{1, "a", 0}, {2, "a", 0}, {1, "b", 0}, {1, "a", 1}, {1 << 40, "a", 0}, {1, "a", 1 << 40}} {
		v := New(k.seed, k.purpose, k.index).Uint64()
		if other, ok := seen[v]; ok {
			t.Errorf("%v draws the same first number as %s", k, other)
		}
		seen[v] = k.purpose
	}
}
