package dataset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // for the reviews
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

//go:embed embed/reviews.pos.txt.gz
var positive []byte

//go:embed embed/reviews.neg.txt.gz
var negative []byte

//go:embed embed/SOURCE.txt
var embeddedSource string

// Licence returns where the embedded data comes from and under which licence.
func Licence() string { return embeddedSource }

// Review is a sentence of a movie review with its human label.
type Review struct {
	Text     string
	Positive bool
}

// Reviews returns the embedded sentences, positive and negative by turns: 10,662
// of Pang and Lee, ACL 2005 (CC BY 4.0).
func Reviews() ([]Review, error) {
	var sides [2][]string
	for i, packed := range [][]byte{positive, negative} {
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, fmt.Errorf("embedded reviews: %w", err)
		}
		raw, err := io.ReadAll(z)
		if err != nil {
			return nil, fmt.Errorf("embedded reviews: %w", err)
		}
		sides[i] = strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	}
	var out []Review
	for i := range sides[0] {
		out = append(out, Review{sides[0][i], true}, Review{sides[1][i], false})
	}
	return out, nil
}

// EmbeddedSources returns the embedded files that Reviews reads.
func EmbeddedSources() []Source {
	var out []Source
	for name, raw := range map[string][]byte{"reviews.neg.txt.gz": negative, "reviews.pos.txt.gz": positive} {
		sum := sha256.Sum256(raw)
		out = append(out, Source{name, hex.EncodeToString(sum[:]), int64(len(raw))})
	}
	slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.Name, b.Name) })
	return out
}
