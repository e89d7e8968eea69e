// Vectors of four floats without a fused multiply-add, for any machine.
#define LANES 4
#define TILE 4
#define ISA_NAME "portable"
#define ISA_TABLE rlhf_kernels_portable
#define FMA(a, b, c) ((a) * (b) + (c))
#define VMAX(a, b) choose((a) > (b), (a), (b))
#define VMIN(a, b) choose((a) < (b), (a), (b))
#define VSQRT(a) ((vf){sqrtf((a)[0]), sqrtf((a)[1]), sqrtf((a)[2]), sqrtf((a)[3])})
#include "body.h"
