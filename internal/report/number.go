package report

import (
	"math"
	"strconv"
	"strings"
)

// Number formats x with four significant digits, whole numbers with all of theirs,
// a thin space between thousands and a true minus sign; "–" for NaN.
func Number(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	a := math.Abs(x)
	if x == math.Trunc(x) && a < 1e9 {
		return Count(int(x))
	}
	if a != 0 && (a < 1e-4 || a >= 1e9) {
		return strings.Replace(strconv.FormatFloat(x, 'g', 3, 64), "-", "−", 2)
	}
	decimals := 3
	if a >= 1 {
		decimals = max(0, 3-int(math.Log10(a)))
	} else if a != 0 {
		decimals = 3 - int(math.Floor(math.Log10(a)))
		decimals = min(decimals, 6)
	}
	return group(strconv.FormatFloat(x, 'f', decimals, 64))
}

// Fixed formats x with the given number of decimals, as Number does otherwise.
func Fixed(x float64, decimals int) string {
	if math.IsNaN(x) {
		return "–"
	}
	return group(strconv.FormatFloat(x, 'f', decimals, 64))
}

// Count formats a whole number with thin spaces between thousands.
func Count(n int) string { return group(strconv.Itoa(n)) }

// Percent formats a share as a percentage with one decimal.
func Percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return strings.Replace(strconv.FormatFloat(100*share, 'f', 1, 64), "-", "−", 1) + "\u00a0%"
}

// group sets thin spaces between thousands and trims zeros after the point.
func group(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "−", s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 && len(whole) > 4 {
			b.WriteRune('\u2009')
		}
		b.WriteRune(digit)
	}
	if fraction != "" {
		b.WriteString("." + fraction)
	}
	if strings.Trim(b.String(), "0.") == "" {
		sign = ""
	}
	return sign + b.String()
}

// isNumber reports whether a cell reads as a number as this file writes them.
func isNumber(cell string) bool {
	s := strings.NewReplacer("\u2009", "", "−", "-", "\u00a0%", "", " %", "", "–", "0", "<", "", " ", "").Replace(cell)
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// numeric reports whether all cells of column j are numbers.
func (t Table) numeric(j int) bool {
	for _, row := range t.Rows {
		if j < len(row) && row[j] != "" && !isNumber(row[j]) {
			return false
		}
	}
	return true
}
