/* Depthwise convolution, AVX2. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx2.h"

#define DW_APART 0
SPR_TARGET_PUSH("avx2,fma")
#include "kernels/dwconv/any.tmpl.h"
#include "kernels/dwconv/direct.tmpl.h"
SPR_TARGET_POP
#endif
