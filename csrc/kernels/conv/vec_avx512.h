/* AVX-512 vectors, see vec.h. */
#ifndef SPR_KERNELS_CONV_VEC_AVX512_H
#define SPR_KERNELS_CONV_VEC_AVX512_H

#include <immintrin.h>

#include "kernels/conv/vec.h"
#include "kernels/unary/act_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")

#define SPR_VL 16
#define SPR_MIN_WIDTH 8
#define SPR_CONV_NAME(x) x##_avx512

typedef __m512 spr_v;

SPR_INLINE spr_v spr_vzero(void) { return _mm512_setzero_ps(); }
SPR_INLINE spr_v spr_vset(float f) { return _mm512_set1_ps(f); }
SPR_INLINE spr_v spr_vload(const float *p) { return _mm512_loadu_ps(p); }
SPR_INLINE void spr_vstore(float *p, spr_v v) { _mm512_storeu_ps(p, v); }
SPR_INLINE __mmask16 spr_vmask_n(size_t n) { return (__mmask16)((1u << n) - 1); }
SPR_INLINE spr_v spr_vload_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(spr_vmask_n(n), p); }
SPR_INLINE void spr_vstore_n(float *p, spr_v v, size_t n) { _mm512_mask_storeu_ps(p, spr_vmask_n(n), v); }
SPR_INLINE spr_v spr_vfma(spr_v acc, spr_v a, spr_v b) { return _mm512_fmadd_ps(a, b, acc); }
SPR_INLINE spr_v spr_vadd(spr_v a, spr_v b) { return _mm512_add_ps(a, b); }
SPR_INLINE spr_v spr_vmul(spr_v a, spr_v b) { return _mm512_mul_ps(a, b); }
SPR_INLINE spr_v spr_vdiv(spr_v a, spr_v b) { return _mm512_div_ps(a, b); }
SPR_INLINE spr_v spr_vmaxc(spr_v x, spr_v c) { return _mm512_max_ps(c, x); }
SPR_INLINE spr_v spr_vminc(spr_v x, spr_v c) { return _mm512_min_ps(c, x); }
SPR_INLINE spr_v spr_vmaxn(spr_v acc, spr_v x) { /* max(acc, x) is x if either is NaN */
    return _mm512_mask_max_ps(acc, _mm512_cmp_ps_mask(acc, acc, _CMP_ORD_Q), acc, x);
}
SPR_INLINE void spr_vsplit(spr_v a, spr_v b, spr_v *even, spr_v *odd) {
    const __m512i e = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    *even = _mm512_permutex2var_ps(a, e, b);
    *odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(e, _mm512_set1_epi32(1)), b);
}

#define SPR_ACT(x) x##_avx512
#include "kernels/conv/vec_finish.h"

SPR_TARGET_POP

#endif
