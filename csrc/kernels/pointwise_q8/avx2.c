/* Quantized pointwise convolution with AVX2, exact: the bytes of a pixel become pairs of 16 bits, the even channels and
   the odd ones, and VPMADDWD multiplies by weights that are packed as such pairs (VPMADDUBSW would saturate). */
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
#define VECTORS_1X4 6
#define VECTORS_2X4 3
#define X pairs
#define LOAD_X(p) load_pairs(p)
#define W pairs
#define FOUR 8
#define LOAD_W(p) weights(p)
#define SETS(sums) 1 /* only an addition has to wait */
#define DOT(sum, x, w) (sum) = dot(sum, &(x), &(w))

typedef struct pairs {
    __m256i even, odd;
} pairs;

SPR_INLINE pairs load_pairs(const spr_q8 *p) {
    const __m256i bytes = _mm256_loadu_si256((const void *)p);
    return (pairs){_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
}

/* Two loads that repeat: of one load gcc 12 would make the halves in other registers. */
SPR_INLINE pairs weights(const int8_t *w) {
    const float *two = (const float *)(const void *)w;
    return (pairs){_mm256_castps_si256(_mm256_broadcast_ss(two)), _mm256_castps_si256(_mm256_broadcast_ss(two + 1))};
}

/* In assembly, as gcc 12 would multiply for all sums first and spill them. */
SPR_INLINE __m256i dot(__m256i sum, const pairs *x, const pairs *w) {
    __m256i product;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0\n\tvpmaddwd %5, %4, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(product)
            : "x"(x->even), "x"(w->even), "x"(x->odd), "x"(w->odd));
    return sum;
}

#include "kernels/pointwise_q8/x86.tmpl.h"

void spr_pw_dense_q8_avx2(const spr_pw_q8_args *a) { dense_avx2(a); }
void spr_pw_1x4_q8_avx2(const spr_pw_q8_args *a) { sparse_avx2(a, tiles_1_avx2, VECTORS_1X4); }
void spr_pw_2x4_q8_avx2(const spr_pw_q8_args *a) { sparse_avx2(a, tiles_2_avx2, VECTORS_2X4); }

SPR_TARGET_POP
#endif
