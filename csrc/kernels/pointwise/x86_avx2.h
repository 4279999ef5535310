/* The primitives over which the x86 kernels are written, for AVX2 and FMA; x86_avx512.h defines the same. */
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
#define V_STOREN(p, n, v) _mm256_maskstore_ps(p, V_MASK(n), v)
#define TAIL 0 /* rows do not fill a vector */
