/* AVX2 vectors, see vec.h. */
#ifndef SPR_KERNELS_CONV_VEC_AVX2_H
#define SPR_KERNELS_CONV_VEC_AVX2_H

#include <immintrin.h>

#include "kernels/avx2_store.h"
#include "kernels/conv/vec.h"
#include "kernels/unary/act_avx2.h"

SPR_TARGET_PUSH("avx2,fma")

#define SPR_VL 8
#define SPR_MIN_WIDTH 0
#define SPR_CONV_NAME(x) x##_avx2

typedef __m256 spr_v;

SPR_INLINE spr_v spr_vzero(void) { return _mm256_setzero_ps(); }
SPR_INLINE spr_v spr_vset(float f) { return _mm256_set1_ps(f); }
SPR_INLINE spr_v spr_vload(const float *p) { return _mm256_loadu_ps(p); }
SPR_INLINE void spr_vstore(float *p, spr_v v) { _mm256_storeu_ps(p, v); }
typedef __m256i spr_vmask;
SPR_INLINE spr_vmask spr_vmask_n(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}
SPR_INLINE spr_vmask spr_vmask_columns(ptrdiff_t c, ptrdiff_t iw) {
    const ptrdiff_t from = c < 0 ? -c : 0, to = iw > c ? iw - c : 0;
    return _mm256_andnot_si256(spr_vmask_n(from < SPR_VL ? (size_t)from : SPR_VL),
                               spr_vmask_n(to < SPR_VL ? (size_t)to : SPR_VL));
}
SPR_INLINE spr_v spr_vload_m(const float *p, const spr_vmask *m) { return _mm256_maskload_ps(p, *m); }
SPR_INLINE spr_v spr_vload_n(const float *p, size_t n) { return _mm256_maskload_ps(p, spr_vmask_n(n)); }
SPR_INLINE void spr_vstore_n(float *p, spr_v v, size_t n) { spr_avx2_store_first(p, v, n); }
SPR_INLINE spr_v spr_vfma(spr_v acc, spr_v a, spr_v b) { return _mm256_fmadd_ps(a, b, acc); }
SPR_INLINE spr_v spr_vadd(spr_v a, spr_v b) { return _mm256_add_ps(a, b); }
SPR_INLINE spr_v spr_vmul(spr_v a, spr_v b) { return _mm256_mul_ps(a, b); }
SPR_INLINE spr_v spr_vdiv(spr_v a, spr_v b) { return _mm256_div_ps(a, b); }
SPR_INLINE spr_v spr_vmaxc(spr_v x, spr_v c) { return _mm256_max_ps(c, x); }
SPR_INLINE spr_v spr_vminc(spr_v x, spr_v c) { return _mm256_min_ps(c, x); }
SPR_INLINE spr_v spr_vmaxn(spr_v acc, spr_v x) { /* max(acc, x) is x if either is NaN */
    return _mm256_blendv_ps(_mm256_max_ps(acc, x), acc, _mm256_cmp_ps(acc, acc, _CMP_UNORD_Q));
}
/* The even (odd = 0) or odd lanes of a and b: 0 2 8 10 4 6 12 14; and from that order to that of memory. */
SPR_INLINE spr_v spr_vhalves(spr_v a, spr_v b, const int odd) {
    return odd ? _mm256_shuffle_ps(a, b, 0xdd) : _mm256_shuffle_ps(a, b, 0x88);
}
SPR_INLINE spr_v spr_vordered(spr_v v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}
SPR_INLINE spr_v spr_veven(spr_v a, spr_v b) {
    return spr_vordered(spr_vhalves(a, b, 0));
}
SPR_INLINE void spr_vsplit(spr_v a, spr_v b, spr_v *even, spr_v *odd) {
    *even = spr_vordered(spr_vhalves(a, b, 0));
    *odd = spr_vordered(spr_vhalves(a, b, 1));
}

#define SPR_ACT(x) x##_avx2
#include "kernels/conv/vec_finish.h"

SPR_TARGET_POP

#endif
