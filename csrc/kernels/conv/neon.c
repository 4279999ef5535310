/* Convolution, NEON. */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/conv/vec_neon.h"

#define CONV_SMALL 1
#define CONV_MR (SPR_AARCH64 ? 8 : 4)

SPR_NEON_PUSH
#include "kernels/conv/tile_neon.h"
#include "kernels/conv/conv.tmpl.h"
SPR_NEON_POP
#endif
