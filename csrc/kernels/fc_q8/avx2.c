/* Quantized fully connected layers with AVX2. Its products of unsigned and signed bytes come as sums of two in 16 bits,
   which hold them only if the unsigned byte is below 128: inputs are taken as twice a number of seven bits plus a
   bit. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/fc_q8/pack.h"

SPR_TARGET_PUSH("avx2,fma")

typedef struct fc_sums {
    __m256i sum[2], bits[2]; /* int32 of 8 rows each; int16, two to a row, of the lowest bits of inputs */
} fc_sums;

typedef struct fc_input {
    __m256i high, bit;
} fc_input;

SPR_INLINE void fc_begin(fc_sums *s) {
    for (int i = 0; i < 2; i++) s->sum[i] = s->bits[i] = _mm256_setzero_si256();
}
SPR_INLINE fc_input fc_input_of(const spr_q8 *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    const __m256i v = _mm256_set1_epi32(four);
    return (fc_input){_mm256_and_si256(_mm256_srli_epi32(v, 1), _mm256_set1_epi8(127)),
                      _mm256_and_si256(v, _mm256_set1_epi8(1))};
}
SPR_INLINE void fc_dot(fc_sums *s, const int8_t *w, const fc_input *x) {
    SPR_UNROLL for (int i = 0; i < 2; i++) {
        const __m256i rows = _mm256_loadu_si256((const __m256i *)(const void *)(w + 32 * i));
        const __m256i twos = _mm256_madd_epi16(_mm256_maddubs_epi16(x->high, rows), _mm256_set1_epi16(2));
        s->sum[i] = _mm256_add_epi32(s->sum[i], twos);
        s->bits[i] = _mm256_add_epi16(s->bits[i], _mm256_maddubs_epi16(x->bit, rows));
    }
}
SPR_INLINE void fc_settle(fc_sums *s) {
    for (int i = 0; i < 2; i++) {
        s->sum[i] = _mm256_add_epi32(s->sum[i], _mm256_madd_epi16(s->bits[i], _mm256_set1_epi16(1)));
        s->bits[i] = _mm256_setzero_si256();
    }
}
SPR_INLINE void fc_store(int32_t *sum, const fc_sums *s) {
    for (int i = 0; i < 2; i++) _mm256_storeu_si256((__m256i *)(void *)(sum + 8 * i), s->sum[i]);
}

/* A step adds at most 256 to the 16 bits. */
#define FC_STEPS 127
#define FC_BLOCKS 2
#define FC_NAME spr_fc_dense_q8_avx2
#include "kernels/fc_q8/dense.tmpl.h"

SPR_TARGET_POP
#endif
