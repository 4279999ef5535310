/* What copies rows into bands, NEON: for convolutions and depthwise ones. */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/conv/vec_neon.h"

#define SPR_BAND_HERE
SPR_NEON_PUSH
#include "kernels/conv/band.h"
SPR_NEON_POP
#endif
