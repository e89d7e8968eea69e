package dataset

import (
	"errors"
	"iter"
)

// deliver yields records and counts them. The first error ends it, unless it is a bad record's and the options say to
// skip those. It reports whether more is wanted.
func deliver[T any](o Options, seq iter.Seq2[T, error], yield func(T, error) bool) bool {
	for v, err := range seq {
		if err == nil {
			if o.Report != nil && whole(v) {
				o.Report.Read++
			}
			if !yield(v, nil) {
				return false
			}
			continue
		}
		if bad := new(Bad); o.SkipBad && errors.As(err, &bad) {
			o.Report.skip(err)
			continue
		}
		var zero T
		yield(zero, err)
		return false
	}
	return true
}

// whole reports whether a record ends with v; only documents come in pieces.
func whole(v any) bool {
	d, ok := v.(Document)
	return !ok || d.Last
}
