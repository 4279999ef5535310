/* Quantized pooling, elementwise functions and conversions, NEON. */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/elementwise_q8/vec_neon.h"

SPR_NEON_PUSH
#include "kernels/elementwise_q8/elementwise.tmpl.h"
#include "kernels/elementwise_q8/pool.tmpl.h"
SPR_NEON_POP
#endif
