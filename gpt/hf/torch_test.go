package hf_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rlhf/gpt/hf"
)

// files returns the files of a directory of testdata.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join("testdata", dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

const bin, index = "pytorch_model.bin", "model.safetensors.index.json"

func TestBadWeightsFiles(t *testing.T) {
	tests := []struct {
		name, dir, file string
		change          func([]byte) []byte
		want            string
	}{
		{"a command in the zip format", "evil_zip", bin, nil, `pytorch_model.bin: data.pkl: refused: it names "posix.system", which is no class of tensors`},
		{"a command in the older format", "evil_legacy", bin, nil, `pytorch_model.bin: refused: it names "posix.system"`},
		{"cut zip", "bin_f16", bin, func(b []byte) []byte { return b[:len(b)/2] }, "zip: not a valid zip file"},
		{"cut pickles", "bin_legacy", bin, func(b []byte) []byte { return b[:len(b)-7] }, "the file ends at"},
		{"longer", "bin_legacy", bin, func(b []byte) []byte { return append(b, 0, 0) }, "2 bytes after the last storage"},
		{"damaged numbers", "bin_f16", bin, func(b []byte) []byte {
			at := bytes.Index(b, []byte("/data/1")) // the storage begins after what fills up to its place
			for at += bytes.IndexByte(b[at:], 'Z'); b[at] == 'Z'; {
				at++
			}
			b[at] ^= 1
			return b
		}, "damaged: zip: checksum error"},
		{"tar", "bin_legacy", bin, func(b []byte) []byte {
			copy(b[257:], "ustar")
			b[0] = 'a'
			return b
		}, "a tar file of torch"},
		{"text", "bin_legacy", bin, func([]byte) []byte { return []byte("hello") }, `begins with "hello", expected a zip file or the pickles of torch.save`},
		{"empty", "bin_legacy", bin, func([]byte) []byte { return nil }, `begins with ""`},
		{"pointer", "bin_legacy", bin, func([]byte) []byte { return []byte("version https://git-lfs.github.com/spec/v1\noid sha256:1\n") }, "a pointer of Git LFS"},
		{"magic number", "bin_legacy", bin, replaced("\x8a\x0a\x6c", "\x8a\x0a\x6d"), "magic number: found *big.Int, expected 0x1950a86a20f9469cfc6c"},
		{"version", "bin_legacy", bin, replaced("M\xe9\x03.", "M\xe8\x03."), "version: found int, expected 1001"},
		{"big-endian", "bin_legacy", bin, replaced("little_endianq\x02\x88", "little_endianq\x02\x89"), "little_endian: found none that is true"},
		{"protocol", "bin_legacy", bin, replaced("\x80\x02", "\x80\x04"), "pickle protocol 4, expected 2"},
		{"another class", "bin_legacy", bin, replaced("torch\nFloatStorage", "torch\nQUInt8Storag"), `refused: it names "torch.QUInt8Storag"`},
		{"dtype", "bin_legacy", bin, replaced("torch\nFloatStorage", "torch\nIntStorage"), "dtype I32, expected F32, F16, BF16 or F64"},
		{"no tensor", "bin_legacy", "config.json", replaced(`"n_positions": 8`, `"n_positions": 9`), "pytorch_model.bin: tensor transformer.wpe.weight: found shape [8 8], expected [9 8]"},

		{"index syntax", "sharded", index, func(b []byte) []byte { return b[:90] }, "index.json:6: unexpected end of JSON input"},
		{"index type", "sharded", index, replaced(`"model-00001-of-00003.safetensors"`, "5"), "weight_map: found number, expected string"},
		{"no map", "sharded", index, replaced("weight_map", "weight_mop"), "weight_map: missing or empty"},
		{"outside", "sharded", index, replaced(`"model-00001-of-00003.safetensors"`, `"../model.safetensors"`), `found "../model.safetensors", expected the name of a file beside the index`},
		{"gone", "sharded", index, replaced(`"model-00001-of-00003.safetensors"`, `"other.safetensors"`), "other.safetensors: no such file"},
		{"wrong shard", "sharded", index, replaced(`"model-00001-of-00003.safetensors"`, `"model-00002-of-00003.safetensors"`), "expects it in model-00002-of-00003.safetensors"},
		{"unlisted", "sharded", index, replaced(`"transformer.ln_f.bias": "model-00003-of-00003.safetensors",`, ""), "model-00003-of-00003.safetensors: tensor transformer.ln_f.bias: not in the weight_map"},
		{"listed only", "sharded", index, replaced(`"transformer.ln_f.bias"`, `"extra": "model-00003-of-00003.safetensors", "transformer.ln_f.bias"`), "weight_map: tensor extra: expected in model-00003-of-00003.safetensors, which does not hold it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := files(t, test.dir)
			if test.change != nil {
				before := bytes.Clone(all[test.file])
				if all[test.file] = test.change(all[test.file]); bytes.Equal(before, all[test.file]) {
					t.Fatal("nothing changed")
				}
			}
			_, err := hf.Load(write(t, all))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// A file of a few bytes that speaks of large things is refused without memory for them.
func TestLargeClaimsTakeNoMemory(t *testing.T) {
	safetensors := func(header string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	}
	legacy := files(t, "bin_legacy")[bin]
	shape := files(t, "like_dialogpt")["config.json"]
	large, err := json.Marshal(map[string]any{"vocab_size": 1 << 30, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2})
	if err != nil {
		t.Fatal(err)
	}
	const wte = "K\x0dK\x08\x86" // the size (13, 8) of wte
	tests := map[string]map[string][]byte{
		"header":     {"config.json": shape, "model.safetensors": safetensors(`{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`)},
		"no length":  {"config.json": shape, "model.safetensors": binary.LittleEndian.AppendUint64(nil, 1<<40)},
		"string":     {"config.json": shape, bin: append([]byte("\x80\x02X\xff\xff\xff\xff"), legacy...)},
		"number":     {"config.json": shape, bin: append([]byte("\x80\x02\x8a\xff"), legacy[:40]...)},
		"marks":      {"config.json": shape, bin: append([]byte("\x80\x02"), bytes.Repeat([]byte{'('}, 1<<20)...)},
		"expanded":   {"config.json": large, bin: bytes.Replace(legacy, []byte(wte), []byte("J\x00\x00\x00\x40K\x08\x86"), 1)},
		"one config": {"config.json": large, bin: legacy},
	}
	for name, all := range tests {
		t.Run(name, func(t *testing.T) {
			dir := write(t, all)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := hf.Load(dir)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("no error")
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d bytes allocated: %v", n, err)
			}
		})
	}
}

func FuzzLoadTorch(f *testing.F) {
	for _, dir := range []string{"bin_legacy", "bin_f16", "bin_views", "evil_zip", "evil_legacy"} {
		f.Add(files(f, dir)[bin])
	}
	config := files(f, "bin_legacy")["config.json"]
	f.Fuzz(func(t *testing.T, raw []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := hf.Load(write(t, map[string][]byte{"config.json": config, bin: raw}))
		runtime.ReadMemStats(&after)
		if err == nil && len(m.Theta) != m.Config.NumParams() {
			t.Errorf("%d parameters, expected %d", len(m.Theta), m.Config.NumParams())
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(64<<20+1000*len(raw)) {
			t.Errorf("%d bytes allocated for a file of %d", n, len(raw))
		}
	})
}

func FuzzLoadIndex(f *testing.F) {
	all := files(f, "sharded")
	f.Add(all[index])
	f.Fuzz(func(t *testing.T, raw []byte) {
		all[index] = raw
		if m, err := hf.Load(write(t, all)); err == nil && len(m.Theta) != m.Config.NumParams() {
			t.Errorf("%d parameters, expected %d", len(m.Theta), m.Config.NumParams())
		}
	})
}
