/* Functions of two variables by AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64

#include <immintrin.h>

#include "kernels/kernel.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq")

#define WIDTH 16

/* The instructions give b if either is NaN. */
SPR_INLINE __m512 min_ieee(__m512 a, __m512 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), _mm512_min_ps(a, b), a);
}

SPR_INLINE __m512 max_ieee(__m512 a, __m512 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), _mm512_max_ps(a, b), a);
}

#define LOOP(op)                                                                                          \
    for (; i + WIDTH <= n; i += WIDTH)                                                                    \
        _mm512_storeu_ps(y + i, op(_mm512_loadu_ps(a + i * sa), _mm512_loadu_ps(b + i * sb)));            \
    if (i < n) {                                                                                          \
        const __mmask16 mask = (__mmask16)((1u << (n - i)) - 1);                                          \
        __m512 va = _mm512_maskz_loadu_ps(mask, a + i * sa), vb = _mm512_maskz_loadu_ps(mask, b + i * sb); \
        _mm512_mask_storeu_ps(y + i, mask, op(va, vb));                                                   \
    }                                                                                                     \
    return

void spr_binary_f32_avx512(spr_binary f, const float *a, int a_step, const float *b, int b_step, float *y, size_t n) {
    /* One value for all becomes a vector that is read again and again. */
    float a0[WIDTH], b0[WIDTH];
    const size_t sa = a_step != 0, sb = b_step != 0;
    size_t i = 0;
    if (n == 0) return;
    if (f == SPR_BIN_POW) {
        spr_binary_f32_ref(f, a, a_step, b, b_step, y, n);
        return;
    }
    if (!sa) _mm512_storeu_ps(a0, _mm512_set1_ps(*a)), a = a0;
    if (!sb) _mm512_storeu_ps(b0, _mm512_set1_ps(*b)), b = b0;
    switch (f) {
    case SPR_BIN_ADD: LOOP(_mm512_add_ps);
    case SPR_BIN_SUB: LOOP(_mm512_sub_ps);
    case SPR_BIN_MUL: LOOP(_mm512_mul_ps);
    case SPR_BIN_DIV: LOOP(_mm512_div_ps);
    case SPR_BIN_MIN: LOOP(min_ieee);
    case SPR_BIN_MAX: LOOP(max_ieee);
    default: return;
    }
}

SPR_TARGET_POP

#endif
