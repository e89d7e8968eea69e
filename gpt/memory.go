package gpt

// grow returns x resized to n, reusing its memory where it is large enough; old
// contents are not kept.
func grow[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n)
	}
	return x[:n]
}

// zeros is grow with all elements zero.
func zeros(x []float32, n int) []float32 {
	x = grow(x, n)
	clear(x)
	return x
}
