/* Quantized pooling, elementwise functions and conversions, AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/elementwise_q8/vec_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")
#include "kernels/elementwise_q8/elementwise.tmpl.h"
#include "kernels/elementwise_q8/pool.tmpl.h"
SPR_TARGET_POP
#endif
