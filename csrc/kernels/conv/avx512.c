/* Convolution, AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")
#define CONV_SMALL 0
#define CONV_MR 8
#define CONV_AHEAD 1 /* MobileNetV1: the first layer 4 to 6 % faster */
#include "kernels/conv/tile_x86.h"
#include "kernels/conv/conv.tmpl.h"
SPR_TARGET_POP
#endif
