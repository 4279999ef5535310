/* Depthwise convolution at stride 1, NEON, for cores that issue in order. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/conv/vec_neon.h"

#define SAME_INORDER 1
#define SAME_NAME(x) x##_neon_inorder
#include "kernels/dwconv/same.tmpl.h"
#endif
