/* Depthwise convolution, NEON. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/conv/vec_neon.h"
#include "kernels/dwconv/pack.h"

#define DW_MIN_WIDTH 0
#include "kernels/dwconv/dwconv.tmpl.h"
#endif
