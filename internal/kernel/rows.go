package kernel

/*
#include "call.h"

#cgo noescape k_layernorm
#cgo nocallback k_layernorm
#cgo noescape k_layernorm_backward
#cgo nocallback k_layernorm_backward
#cgo noescape k_layernorm_backward_params
#cgo nocallback k_layernorm_backward_params
#cgo noescape k_embed
#cgo nocallback k_embed
#cgo noescape k_embed_backward
#cgo nocallback k_embed_backward
#cgo noescape k_dot
#cgo nocallback k_dot
#cgo noescape k_dot_backward
#cgo nocallback k_dot_backward
#cgo noescape k_adamw
#cgo nocallback k_adamw
#cgo noescape k_sum_squares
#cgo nocallback k_sum_squares
*/
import "C"

// LayerNorm computes y (rows, c) and the rows' mean and reciprocal standard deviation.
func LayerNorm(y, mean, rstd, x, gain, bias []float32, rows, c int, eps float32) {
	C.k_layernorm(f32("y", y, rows*c), f32("mean", mean, rows), f32("rstd", rstd, rows), f32("x", x, rows*c),
		f32("gain", gain, c), f32("bias", bias, c), i(rows), i(c), C.float(eps))
}

// LayerNormBackward sets dx (rows, c) to plus (rows, c), which may be dx, and the gradient of x.
func LayerNormBackward(dx, plus, dy, x, mean, rstd, gain []float32, rows, c int) {
	C.k_layernorm_backward(f32("dx", dx, rows*c), f32("plus", plus, rows*c), f32("dy", dy, rows*c), f32("x", x, rows*c),
		f32("mean", mean, rows), f32("rstd", rstd, rows), f32("gain", gain, c), i(rows), i(c))
}

// LayerNormBackwardParams adds the gradients of gain and bias for the columns c0 to c1.
func LayerNormBackwardParams(dgain, dbias, dy, x, mean, rstd []float32, rows, c, c0, c1 int) {
	C.k_layernorm_backward_params(f32("dgain", dgain, c1), f32("dbias", dbias, c1), f32("dy", dy, rows*c), f32("x", x, rows*c),
		f32("mean", mean, rows), f32("rstd", rstd, rows), i(rows), i(c), i(c0), i(c1))
}

// Embed computes x (rows, c) = wte[token] + wpe[position].
func Embed(x []float32, tokens, positions []int32, wte, wpe []float32, c int) {
	rows := len(tokens)
	C.k_embed(f32("x", x, rows*c), i32("tokens", tokens, rows), i32("positions", positions, rows),
		f32("wte", wte, 0), f32("wpe", wpe, 0), i(rows), i(c))
}

// EmbedBackward adds dx (rows, c) to the rows of dwte and dwpe it came from, for the columns c0 to c1.
func EmbedBackward(dwte, dwpe, dx []float32, tokens, positions []int32, c, c0, c1 int) {
	rows := len(tokens)
	C.k_embed_backward(f32("dwte", dwte, 0), f32("dwpe", dwpe, 0), f32("dx", dx, rows*c),
		i32("tokens", tokens, rows), i32("positions", positions, rows), i(rows), i(c), i(c0), i(c1))
}

// Dot computes y (rows) = x (rows, c) times w (c).
func Dot(y, x, w []float32, rows, c int) {
	C.k_dot(f32("y", y, rows), f32("x", x, rows*c), f32("w", w, c), i(rows), i(c))
}

// DotBackward adds dy (rows) times w (c) to dx (rows, c).
func DotBackward(dx, dy, w []float32, rows, c int) {
	C.k_dot_backward(f32("dx", dx, rows*c), f32("dy", dy, rows), f32("w", w, c), i(rows), i(c))
}

// AdamWStep holds the scalars of one optimizer step over a range.
type AdamWStep struct {
	GradScale    float32 // multiplies the gradient first: clipping
	Beta1, Beta2 float32
	StepSize     float32 // lr / (1 - beta1^t)
	RsqrtBias2   float32 // 1 / sqrt(1 - beta2^t)
	Eps          float32
	Keep         float32 // 1 - lr*weight_decay
}

// AdamW updates theta and the moments m and v from the gradient g, element by element, as torch.optim.AdamW, and
// leaves g zero: the line is at hand, and a pass of its own over all gradients is saved.
func AdamW(theta, m, v, g []float32, s AdamWStep) {
	n := len(theta)
	C.k_adamw(f32("theta", theta, n), f32("m", m, n), f32("v", v, n), f32("g", g, n), i(n), C.float(s.GradScale),
		C.float(s.Beta1), C.float(s.Beta2), C.float(s.StepSize), C.float(s.RsqrtBias2), C.float(s.Eps), C.float(s.Keep))
}

// SumSquares returns the sum of the squares of x in float64, always added in the same order.
func SumSquares(x []float32) float64 {
	return float64(C.k_sum_squares(f32("x", x, 0), i(len(x))))
}
