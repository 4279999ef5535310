/* Dense quantized pointwise convolution with AVX2. VPMADDUBSW adds two products in 16 bits: what a pair of weights is
   too large by, packing sets apart (pack.h), so that nothing saturates and sums are exact. Sparse: avx2_quads.c. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/pointwise_q8/pack.h"
#include "kernels/q8_x86.h"
#include "kernels/unary/act_avx2.h"

SPR_TARGET_PUSH("avx2,fma")

#include "kernels/pointwise_q8/x86_avx2.h"

#define ROWS 4
#define VECTORS 2
#define DENSE_ONLY
#define X __m256i
#define LOAD_X(p) _mm256_loadu_si256((const void *)(p))
#define W __m256i
#define FOUR 4
#define LOAD_W(p) _mm256_castps_si256(_mm256_broadcast_ss((const float *)(const void *)(p)))
#define DOT(sum, x, w) (sum) = dot(sum, x, w)

/* In assembly, as gcc 12 would multiply for all sums first and spill them. */
SPR_INLINE __m256i dot(__m256i sum, __m256i x, __m256i w) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i product;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(product)
            : "x"(x), "x"(w), "x"(ones));
    return sum;
}

#include "kernels/pointwise_q8/x86.tmpl.h"

void spr_pw_dense_q8_avx2(const spr_pw_q8_args *a) { dense_avx2(a); }

SPR_TARGET_POP
#endif
