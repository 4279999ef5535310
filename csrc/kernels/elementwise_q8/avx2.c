/* Quantized pooling, elementwise functions and conversions, AVX2. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/elementwise_q8/vec_avx2.h"

SPR_TARGET_PUSH("avx2,fma")
#include "kernels/elementwise_q8/elementwise.tmpl.h"
#include "kernels/elementwise_q8/pool.tmpl.h"
SPR_TARGET_POP
#endif
