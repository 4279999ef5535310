/* The primitives over which the x86 kernels are written, for AVX-512; x86_avx2.h defines the same. */
#include "kernels/pointwise/x86_keep.h"
#include "kernels/unary/act_avx512.h"

#define ISA(x) x##_avx512
#define ISA_TARGET "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"
#define LANES 16
#define V __m512
#define V_SET(f) _mm512_set1_ps(f)
#define V_LOAD(p) _mm512_loadu_ps(p)
#define V_STORE(p, v) _mm512_storeu_ps(p, v)
#define V_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define V_MAXC(x, c) _mm512_max_ps(c, x) /* NaN where x is NaN */
#define V_ADD(a, b) _mm512_add_ps(a, b)
/* The first n lanes, 0 <= n <= LANES; loads leave 0 in the others. */
#define V_LOADN(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define V_STOREN(p, n, v) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), v)
#define SPARSE_BY_FOURS 0
#define PLANES_AHEAD 1
#define DENSE_UNROLL 1 /* more not measured */
#define DENSE_BY_FOUR(v) 0
/* Up to TAIL pixels that a plane's last vector would be spent on: one vector of 8 rows each. */
#define TAIL 4
#define TAIL_ROOM 0 /* vectors of pixels that a tile gives up for them */
#define R __m256
#define R_LOAD(p) _mm256_loadu_ps(p)
#define R_FMA(a, f, c) _mm256_fmadd_ps(a, _mm256_set1_ps(f), c)
#define R_ADD(a, b) _mm256_add_ps(a, b)

SPR_TARGET_PUSH(ISA_TARGET)
/* at[i]: offset of row `row` + i, those beyond `last` being that one. */
SPR_INLINE void ISA(rows_at)(size_t at[8], uint32_t row, uint32_t last, size_t stride) {
    SPR_UNROLL for (uint32_t i = 0; i < 8; i++) at[i] = (row + i < last ? row + i : last) * stride;
}

/* Vectors of four pixels, each of rows i and i + 4, to vectors of eight rows, and back. */
SPR_INLINE void ISA(rows_transpose)(R r[4]) {
    const R a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpacklo_ps(r[2], r[3]);
    const R c = _mm256_unpackhi_ps(r[0], r[1]), d = _mm256_unpackhi_ps(r[2], r[3]);
    r[0] = _mm256_shuffle_ps(a, b, 0x44);
    r[1] = _mm256_shuffle_ps(a, b, 0xee);
    r[2] = _mm256_shuffle_ps(c, d, 0x44);
    r[3] = _mm256_shuffle_ps(c, d, 0xee);
}

/* rows[j], j < t, t being 1 or 4: pixel j of eight rows from `row` on, those beyond `last` being that one. No gathers
   and scatters, which some cores (Zen 4) take apart into dozens of operations. */
SPR_INLINE void ISA(rows_load)(const int t, R rows[TAIL], const float *p, uint32_t row, uint32_t last, size_t stride) {
    size_t at[8];
    ISA(rows_at)(at, row, last, stride);
    if (t == 1) {
        rows[0] = _mm256_setr_ps(p[at[0]], p[at[1]], p[at[2]], p[at[3]], p[at[4]], p[at[5]], p[at[6]], p[at[7]]);
    } else {
        SPR_UNROLL for (int i = 0; i < 4; i++)
            rows[i] = _mm256_setr_m128(_mm_loadu_ps(p + at[i]), _mm_loadu_ps(p + at[i + 4]));
        ISA(rows_transpose)(rows);
    }
}
SPR_INLINE void ISA(rows_store)(const int t, const R rows[TAIL], float *p, uint32_t row, uint32_t last, size_t stride) {
    size_t at[8];
    ISA(rows_at)(at, row, last, stride);
    if (t == 1) {
        float lane[8];
        _mm256_storeu_ps(lane, rows[0]);
        SPR_UNROLL for (int i = 0; i < 8; i++) p[at[i]] = lane[i];
    } else {
        R r[4] = {rows[0], rows[1], rows[2], rows[3]};
        ISA(rows_transpose)(r);
        SPR_UNROLL for (int i = 0; i < 4; i++) {
            _mm_storeu_ps(p + at[i], _mm256_castps256_ps128(r[i]));
            _mm_storeu_ps(p + at[i + 4], _mm256_extractf128_ps(r[i], 1));
        }
    }
}
SPR_TARGET_POP
