/* The primitives over which the x86 kernels are written, for AVX2 and FMA; x86_avx512.h defines the same. */
#include "kernels/avx2_store.h"
#include "kernels/pointwise/x86_keep.h"
#include "kernels/unary/act_avx2.h"

#define ISA(x) x##_avx2
#define ISA_TARGET "avx2,fma"
#define LANES 8
#define V __m256
#define V_SET(f) _mm256_set1_ps(f)
#define V_LOAD(p) _mm256_loadu_ps(p)
#define V_STORE(p, v) _mm256_storeu_ps(p, v)
#define V_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define V_MAXC(x, c) _mm256_max_ps(c, x) /* NaN where x is NaN */
#define V_ADD(a, b) _mm256_add_ps(a, b)
/* The first n lanes, 0 <= n <= LANES; loads leave 0 in the others. */
#define V_MASK(n) \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define V_LOADN(p, n) _mm256_maskload_ps(p, V_MASK(n))
#define V_STOREN(p, n, v) spr_avx2_store_first(p, v, n)
/* Loads limit CSR: its weights are loaded four at a time, and each is spread by a shuffle, on a pipe without FMAs (Zen
   3; Intel's port 5, which with 512 bits is one of FMAs). */
#define SPARSE_BY_FOURS 1
#define V_LOAD4(p) _mm256_broadcast_ps((const __m128 *)(p))
#define V_SET_OF4(four, i) _mm256_permute_ps(four, (i) * 0x55)
#define PLANES_AHEAD 0 /* on Zen 3 prefetching planes costs more than it saves, with one thread and with two */
/* Loops over channels are unrolled so many times, of the tile most layers consist of by four: Zen 3 foretells the end
   of 32 turns always, that of 64 in some processes only (mispredicted, a tile takes 5 % longer). Narrower tiles lose
   2 % by it. */
#define DENSE_UNROLL 2
#define DENSE_BY_FOUR(v) ((v) == 3)
/* Up to TAIL pixels that a plane's last vector would be spent on: one vector of 4 rows each. Their sums take registers
   of a vector of pixels. */
#define TAIL 2
#define TAIL_ROOM 1
#define R __m128
#define R_LOAD(p) _mm_loadu_ps(p)
#define R_FMA(a, f, c) _mm_fmadd_ps(a, _mm_set1_ps(f), c)
#define R_ADD(a, b) _mm_add_ps(a, b)
#define R_ROW(row, i, last) ((size_t)((row) + (i) < (last) ? (row) + (i) : (last)))

SPR_TARGET_PUSH(ISA_TARGET)
/* rows[j], j < t: pixel j of four rows from `row` on, those beyond `last` being that one. */
SPR_INLINE void ISA(rows_load)(const int t, R rows[TAIL], const float *p, uint32_t row, uint32_t last, size_t stride) {
    SPR_UNROLL for (int j = 0; j < t; j++)
        rows[j] = _mm_setr_ps(p[R_ROW(row, 0, last) * stride + j], p[R_ROW(row, 1, last) * stride + j],
                              p[R_ROW(row, 2, last) * stride + j], p[R_ROW(row, 3, last) * stride + j]);
}
SPR_INLINE void ISA(rows_store)(const int t, const R rows[TAIL], float *p, uint32_t row, uint32_t last, size_t stride) {
    SPR_UNROLL for (int j = 0; j < t; j++) {
        float lane[4];
        _mm_storeu_ps(lane, rows[j]);
        for (uint32_t i = 0; i < 4; i++) p[R_ROW(row, i, last) * stride + j] = lane[i];
    }
}
SPR_TARGET_POP
