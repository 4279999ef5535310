/* Convolution, AVX2. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx2.h"

SPR_TARGET_PUSH("avx2,fma")
#define CONV_SMALL 0
#define CONV_MR 4
#define CONV_AHEAD 0 /* on Zen 3 it costs more than it saves */
#define CONV_UNROLL SPR_UNROLL_TIMES(2)
#include "kernels/conv/tile_x86.h"
#include "kernels/conv/conv.tmpl.h"
SPR_TARGET_POP
#endif
