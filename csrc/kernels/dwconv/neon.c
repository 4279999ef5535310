/* Depthwise convolution, NEON. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/conv/vec_neon.h"

#include "kernels/dwconv/any.tmpl.h"
#include "kernels/dwconv/banded.tmpl.h"

#define SAME_INORDER 0
#define SAME_NAME(x) x##_neon
#include "kernels/dwconv/same.tmpl.h"
#endif
