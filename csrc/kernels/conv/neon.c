/* Convolution, NEON. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/conv/vec_neon.h"

#define CONV_MR 8
#include "kernels/conv/tile_neon.h"
#include "kernels/conv/conv.tmpl.h"
#endif
