/* Activations on AVX-512 vectors: spr_act_load_avx512(), spr_act_vec_avx512() ...; see act.tmpl.h. May be included by
   files of any flags; callers are compiled for "avx2,fma,avx512f,avx512dq" or more. */
#ifndef SPR_KERNELS_UNARY_ACT_AVX512_H
#define SPR_KERNELS_UNARY_ACT_AVX512_H

#include <immintrin.h>

#include "kernels/kernel.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq")

#define V __m512
#define M __mmask16
#define NAME(x) x##_avx512
#define V_SET(f) _mm512_set1_ps(f)
#define V_LOAD(p) _mm512_loadu_ps(p)
#define V_ADD(a, b) _mm512_add_ps(a, b)
#define V_SUB(a, b) _mm512_sub_ps(a, b)
#define V_MUL(a, b) _mm512_mul_ps(a, b)
#define V_DIV(a, b) _mm512_div_ps(a, b)
#define V_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define V_MAXC(x, c) _mm512_max_ps(c, x) /* the second operand is the result if either is NaN */
#define V_MINC(x, c) _mm512_min_ps(c, x)
#define V_LT(a, b) _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define V_SELECT(m, a, b) _mm512_mask_blend_ps(m, b, a)
#define V_ABS(x) _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x)
#define V_NEG(x) _mm512_xor_ps(_mm512_set1_ps(-0.0f), x)
#define V_SQRT(x) _mm512_sqrt_ps(x)
#define V_FLOOR(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
#define V_CEIL(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
#define V_ROUND(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define V_COPYSIGN(m, s) _mm512_or_ps(V_ABS(m), _mm512_and_ps(_mm512_set1_ps(-0.0f), s))
#define V_POW2(t) \
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(t), 23), _mm512_set1_epi32(0x3f800000)))

#include "kernels/unary/act.tmpl.h"

SPR_TARGET_POP

#endif
