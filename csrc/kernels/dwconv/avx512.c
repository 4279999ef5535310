/* Depthwise convolution, AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx512.h"
#include "kernels/dwconv/pack.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")
/* Narrower images are no faster than with AVX2. */
#define DW_MIN_WIDTH 8
#include "kernels/dwconv/dwconv.tmpl.h"
SPR_TARGET_POP
#endif
