/* Quantized pooling, elementwise functions and conversions, NEON. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/elementwise_q8/vec_neon.h"

#include "kernels/elementwise_q8/elementwise.tmpl.h"
#include "kernels/elementwise_q8/pool.tmpl.h"
#endif
