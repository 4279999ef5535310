/* AVX2 vectors of quantized pixels, see vec.h. */
#ifndef SPR_KERNELS_ELEMENTWISE_Q8_VEC_AVX2_H
#define SPR_KERNELS_ELEMENTWISE_Q8_VEC_AVX2_H

#include <string.h>

#include "kernels/conv/vec_avx2.h"
#include "kernels/elementwise_q8/vec.h"

SPR_TARGET_PUSH("avx2,fma")

#define SPR_Q_NAME(x) x##_avx2
#define SPR_MM(op) _mm256_##op

typedef __m256i spr_q;

SPR_INLINE spr_q spr_qload(const void *p) { return _mm256_loadu_si256(p); }
SPR_INLINE void spr_qstore(void *p, spr_q q) { _mm256_storeu_si256(p, q); }
SPR_INLINE spr_q spr_qload_n(const void *p, size_t n, spr_q fill) {
    const __m256i first = spr_vmask_n(n);
    return _mm256_blendv_epi8(fill, _mm256_maskload_epi32(p, first), first);
}
SPR_INLINE void spr_qstore_n(void *p, spr_q q, size_t n) { _mm256_maskstore_epi32(p, spr_vmask_n(n), q); }
SPR_INLINE spr_q spr_qand(spr_q a, spr_q b) { return _mm256_and_si256(a, b); }
SPR_INLINE spr_q spr_qxor(spr_q a, spr_q b) { return _mm256_xor_si256(a, b); }
/* The same four int32 in each 128 bits. */
SPR_INLINE spr_q spr_qlanes(int32_t a, int32_t b, int32_t c, int32_t d) {
    return _mm256_setr_epi32(a, b, c, d, a, b, c, d);
}
SPR_INLINE spr_q spr_qlane(__m128i four) { return _mm256_broadcastsi128_si256(four); }
SPR_INLINE void spr_qsplit(spr_q a, spr_q b, spr_q *even, spr_q *odd) {
    spr_v e, o;
    spr_vsplit(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), &e, &o);
    *even = _mm256_castps_si256(e);
    *odd = _mm256_castps_si256(o);
}
SPR_INLINE void spr_qfold(const spr_q *c, int32_t *sum) {
    const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(c[0], c[1]), _mm256_hadd_epi32(c[2], c[3]));
    _mm_storeu_si128((__m128i *)(void *)sum,
                     _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}
#include "kernels/elementwise_q8/vec_x86.h"

SPR_TARGET_POP

#endif
