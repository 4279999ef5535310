/* The primitives over which the x86 kernels are written, for AVX-512; x86_avx2.h defines the same. */
#include "kernels/pointwise/x86_unroll.h"
#include "kernels/unary/act_avx512.h"

#define ISA(x) x##_avx512
#define ISA_TARGET "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"
#define LANES 16
#define V __m512
#define V_SET(f) _mm512_set1_ps(f)
#define V_LOAD(p) _mm512_loadu_ps(p)
#define V_STORE(p, v) _mm512_storeu_ps(p, v)
#define V_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define V_ADD(a, b) _mm512_add_ps(a, b)
/* The first n lanes, 0 <= n <= LANES; loads leave 0 in the others. */
#define V_LOADN(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define V_STOREN(p, n, v) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), v)
