package kernel

/*
#include "call.h"

#cgo noescape k_activation_backward
#cgo nocallback k_activation_backward
*/
import "C"

// Activation is the function between the two products of an MLP.
type Activation int32

const (
	GELUNew   Activation = C.RLHF_GELU_NEW // x/2 (1 + tanh(sqrt(2/pi) (x + .044715 x^3))), GPT-2's
	GELU      Activation = C.RLHF_GELU     // x times the normal distribution's share below x
	ReLU      Activation = C.RLHF_RELU
	SiLU      Activation = C.RLHF_SILU // x sigmoid(x)
	Tanh      Activation = C.RLHF_TANH
	QuickGELU Activation = C.RLHF_QUICK_GELU // x sigmoid(1.702 x)
)

// ActivationBackward computes dx = dy times a's slope at x, where dx may be dy, and y = a(x) again, the bits of
// MatMul's Activated.
func ActivationBackward(a Activation, dx, y, x, dy []float32) {
	n := len(x)
	C.k_activation_backward(C.int(a), f32("dx", dx, n), f32("y", y, n), f32("x", x, 0), f32("dy", dy, n), i(n))
}
