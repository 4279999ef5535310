/* AVX-512 vectors of quantized pixels, see vec.h. */
#ifndef SPR_KERNELS_ELEMENTWISE_Q8_VEC_AVX512_H
#define SPR_KERNELS_ELEMENTWISE_Q8_VEC_AVX512_H

#include <string.h>

#include "kernels/conv/vec_avx512.h"
#include "kernels/elementwise_q8/vec.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")

#define SPR_Q_NAME(x) x##_avx512
#define SPR_MM(op) _mm512_##op

typedef __m512i spr_q;

SPR_INLINE spr_q spr_qload(const void *p) { return _mm512_loadu_si512(p); }
SPR_INLINE void spr_qstore(void *p, spr_q q) { _mm512_storeu_si512(p, q); }
SPR_INLINE spr_q spr_qload_n(const void *p, size_t n, spr_q fill) {
    return _mm512_mask_loadu_epi32(fill, spr_vmask_n(n), p);
}
SPR_INLINE void spr_qstore_n(void *p, spr_q q, size_t n) { _mm512_mask_storeu_epi32(p, spr_vmask_n(n), q); }
SPR_INLINE spr_q spr_qand(spr_q a, spr_q b) { return _mm512_and_si512(a, b); }
SPR_INLINE spr_q spr_qxor(spr_q a, spr_q b) { return _mm512_xor_si512(a, b); }
/* The same four int32 in each 128 bits. */
SPR_INLINE spr_q spr_qlanes(int32_t a, int32_t b, int32_t c, int32_t d) { return _mm512_set4_epi32(d, c, b, a); }
SPR_INLINE spr_q spr_qlane(__m128i four) { return _mm512_broadcast_i32x4(four); }
SPR_INLINE void spr_qsplit(spr_q a, spr_q b, spr_q *even, spr_q *odd) {
    spr_v e, o;
    spr_vsplit(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), &e, &o);
    *even = _mm512_castps_si512(e);
    *odd = _mm512_castps_si512(o);
}
SPR_INLINE void spr_qfold(const spr_q *c, int32_t *sum) {
    __m256i h[4];
    SPR_UNROLL
    for (int i = 0; i < 4; i++)
        h[i] = _mm256_add_epi32(_mm512_castsi512_si256(c[i]), _mm512_extracti64x4_epi64(c[i], 1));
    h[0] = _mm256_hadd_epi32(_mm256_hadd_epi32(h[0], h[1]), _mm256_hadd_epi32(h[2], h[3]));
    _mm_storeu_si128((__m128i *)(void *)sum,
                     _mm_add_epi32(_mm256_castsi256_si128(h[0]), _mm256_extracti128_si256(h[0], 1)));
}
#include "kernels/elementwise_q8/vec_x86.h"

SPR_TARGET_POP

#endif
