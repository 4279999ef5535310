/* Depthwise convolution, NEON. */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/conv/vec_neon.h"

#define DW_APART SPR_AARCH64
SPR_NEON_PUSH
#include "kernels/dwconv/any.tmpl.h"
#include "kernels/dwconv/banded.tmpl.h"
SPR_NEON_POP

#if SPR_AARCH64
#define SAME_INORDER 0
#define SAME_NAME(x) x##_neon
#include "kernels/dwconv/same.tmpl.h"
#endif
#endif
