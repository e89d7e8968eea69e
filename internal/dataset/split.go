package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Part is a named share of a data set.
type Part struct {
	Name  string
	Share float64 // above 0; those of a split sum to 1
}

// ParseParts parses parts like train=.9,eval=.1.
func ParseParts(text string) (out []Part, err error) {
	sum := 0.0
	for each := range strings.SplitSeq(text, ",") {
		name, number, found := strings.Cut(each, "=")
		share, err := strconv.ParseFloat(number, 64)
		switch {
		case !found || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "":
			return nil, fmt.Errorf("split: found %q, expected a name of letters and digits and a share, like train=.9", each)
		case err != nil || !(share > 0 && share <= 1):
			return nil, fmt.Errorf("split: share of %s: found %q, expected a number above 0 and at most 1", name, number)
		case slices.ContainsFunc(out, func(p Part) bool { return p.Name == name }):
			return nil, fmt.Errorf("split: found %s twice", name)
		}
		out = append(out, Part{name, share})
		sum += share
	}
	if math.Abs(sum-1) > 1e-6 {
		return nil, fmt.Errorf("split: found shares that sum to %.6g, expected 1", sum)
	}
	return out, nil
}

// Split divides a stream into parts. Where a record goes depends on the seed and its key alone, so the parts of a data
// set do not change when it grows, and its shares hold on average over the keys.
type Split struct {
	Parts []Part
	Seed  uint64
	By    string // "prompt": the opening; "group": the owner; "none": the record's place in the stream

	count uint64
}

// Validate returns an error that names what cannot be.
func (s *Split) Validate() error {
	if !slices.Contains([]string{"prompt", "group", "none"}, s.By) {
		return fmt.Errorf("by: found %q, expected prompt, group or none", s.By)
	}
	return nil
}

// Part returns the index of a record's part. Records with one key go to one part.
func (s *Split) Part(r Record) (int, error) {
	var key string
	switch s.By {
	case "prompt":
		key = r.Opening()
	case "group":
		if key = r.Owner(); key == "" {
			return 0, errors.New("split by group: found a record that belongs to no group")
		}
	default:
		key = strconv.FormatUint(s.count, 10)
	}
	s.count++
	h := hash("split", strconv.FormatUint(s.Seed, 10), key)
	at := float64(binary.LittleEndian.Uint64(h[:])>>11) / (1 << 53)
	for i, p := range s.Parts {
		if at < p.Share {
			return i, nil
		}
		at -= p.Share
	}
	return len(s.Parts) - 1, nil // shares sum to 1 but for their rounding
}
