/* Depthwise convolution, AVX2. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx2.h"
#include "kernels/dwconv/pack.h"

SPR_TARGET_PUSH("avx2,fma")
#define DW_MIN_WIDTH 0
#include "kernels/dwconv/dwconv.tmpl.h"
SPR_TARGET_POP
#endif
