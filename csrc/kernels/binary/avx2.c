/* Functions of two variables by AVX2. */
#include "base/compiler.h"

#if SPR_X86_64

#include <immintrin.h>

#include "kernels/kernel.h"

SPR_TARGET_PUSH("avx2,fma")

#define WIDTH 8

/* The instructions give b if either is NaN. */
SPR_INLINE __m256 min_ieee(__m256 a, __m256 b) {
    return _mm256_blendv_ps(_mm256_min_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

SPR_INLINE __m256 max_ieee(__m256 a, __m256 b) {
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

#define LOOP(op)                                                                                          \
    for (; i + WIDTH <= n; i += WIDTH)                                                                    \
        _mm256_storeu_ps(y + i, op(_mm256_loadu_ps(a + i * sa), _mm256_loadu_ps(b + i * sb)));            \
    if (i < n) {                                                                                          \
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);                                   \
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n - i)), lane);                   \
        __m256 va = _mm256_maskload_ps(a + i * sa, mask), vb = _mm256_maskload_ps(b + i * sb, mask);      \
        _mm256_maskstore_ps(y + i, mask, op(va, vb));                                                     \
    }                                                                                                     \
    return

void spr_binary_f32_avx2(spr_binary f, const float *a, int a_step, const float *b, int b_step, float *y, size_t n) {
    /* One value for all becomes a vector that is read again and again. */
    float a0[WIDTH], b0[WIDTH];
    const size_t sa = a_step != 0, sb = b_step != 0;
    size_t i = 0;
    if (n == 0) return;
    if (f == SPR_BIN_POW) {
        spr_binary_f32_ref(f, a, a_step, b, b_step, y, n);
        return;
    }
    if (!sa) _mm256_storeu_ps(a0, _mm256_set1_ps(*a)), a = a0;
    if (!sb) _mm256_storeu_ps(b0, _mm256_set1_ps(*b)), b = b0;
    switch (f) {
    case SPR_BIN_ADD: LOOP(_mm256_add_ps);
    case SPR_BIN_SUB: LOOP(_mm256_sub_ps);
    case SPR_BIN_MUL: LOOP(_mm256_mul_ps);
    case SPR_BIN_DIV: LOOP(_mm256_div_ps);
    case SPR_BIN_MIN: LOOP(min_ieee);
    case SPR_BIN_MAX: LOOP(max_ieee);
    default: return;
    }
}

SPR_TARGET_POP

#endif
