/* Functions of two variables by AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64

#include <immintrin.h>

#include "kernels/kernel.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq")

/* The instructions give b if either is NaN. */
SPR_INLINE __m512 min_ieee(__m512 a, __m512 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), _mm512_min_ps(a, b), a);
}

SPR_INLINE __m512 max_ieee(__m512 a, __m512 b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), _mm512_max_ps(a, b), a);
}

#define FIRST_LANES(n) ((__mmask16)((1u << (n)) - 1))
#define NAME spr_binary_f32_avx512
#define WIDTH 16
#define V_LOAD _mm512_loadu_ps
#define V_STORE _mm512_storeu_ps
#define V_LOAD_TAIL(p, n) _mm512_maskz_loadu_ps(FIRST_LANES(n), p)
#define V_STORE_TAIL(p, n, v) _mm512_mask_storeu_ps(p, FIRST_LANES(n), v)
#define V_SET _mm512_set1_ps
#define V_ADD _mm512_add_ps
#define V_SUB _mm512_sub_ps
#define V_MUL _mm512_mul_ps
#define V_DIV _mm512_div_ps
#define V_MIN min_ieee
#define V_MAX max_ieee
#include "kernels/binary/binary.tmpl.h"

SPR_TARGET_POP

#endif
