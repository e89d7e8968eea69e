package compare

import (
	"strings"
	"unicode"
)

// Words returns the words of a text in lower case: runs of letters and digits,
// with the apostrophes inside them ("isn't"). Everything else separates.
func Words(text string) []string {
	fields := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) && r != '\'' && r != '’'
	})
	words := fields[:0]
	for _, f := range fields {
		if w := strings.Trim(strings.ReplaceAll(f, "’", "'"), "'"); w != "" {
			words = append(words, w)
		}
	}
	return words
}

// RepeatsWordPair reports whether two neighbouring words stand next to each other
// again later in the text, the mark of a model that goes in circles.
func RepeatsWordPair(text string) bool {
	words := Words(text)
	seen := map[[2]string]bool{}
	for i := 1; i < len(words); i++ {
		pair := [2]string{words[i-1], words[i]}
		if seen[pair] {
			return true
		}
		seen[pair] = true
	}
	return false
}
