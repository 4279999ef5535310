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
/* min(row + {0 .. 7}, last) * stride */
#define R_ROWS(row, last, stride)                                                                                  \
    _mm512_mullo_epi64(                                                                                            \
        _mm512_min_epi64(_mm512_add_epi64(_mm512_set1_epi64(row), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)),      \
                         _mm512_set1_epi64(last)),                                                                 \
        _mm512_set1_epi64((long long)(stride)))
/* Of eight rows from `row` on, those beyond `last` being that one. */
#define R_GATHER(p, row, last, stride) _mm512_i64gather_ps(R_ROWS(row, last, stride), p, sizeof(float))
#define R_SCATTER(p, row, last, stride, v) _mm512_i64scatter_ps(p, R_ROWS(row, last, stride), v, sizeof(float))
