/* Activations on AVX2 vectors: spr_act_load_avx2(), spr_act_vec_avx2() ...; see act.tmpl.h. May be included by files
   of any flags; callers are compiled for "avx2,fma" or more. */
#ifndef SPR_KERNELS_UNARY_ACT_AVX2_H
#define SPR_KERNELS_UNARY_ACT_AVX2_H

#include <immintrin.h>

#include "kernels/kernel.h"

SPR_TARGET_PUSH("avx2,fma")

#define V __m256
#define M __m256
#define NAME(x) x##_avx2
#define V_SET(f) _mm256_set1_ps(f)
#define V_LOAD(p) _mm256_loadu_ps(p)
#define V_ADD(a, b) _mm256_add_ps(a, b)
#define V_SUB(a, b) _mm256_sub_ps(a, b)
#define V_MUL(a, b) _mm256_mul_ps(a, b)
#define V_DIV(a, b) _mm256_div_ps(a, b)
#define V_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define V_MAXC(x, c) _mm256_max_ps(c, x) /* the second operand is the result if either is NaN */
#define V_MINC(x, c) _mm256_min_ps(c, x)
#define V_LT(a, b) _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define V_SELECT(m, a, b) _mm256_blendv_ps(b, a, m)
#define V_ABS(x) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x)
#define V_NEG(x) _mm256_xor_ps(_mm256_set1_ps(-0.0f), x)
#define V_SQRT(x) _mm256_sqrt_ps(x)
#define V_FLOOR(x) _mm256_floor_ps(x)
#define V_CEIL(x) _mm256_ceil_ps(x)
#define V_ROUND(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define V_COPYSIGN(m, s) _mm256_or_ps(V_ABS(m), _mm256_and_ps(_mm256_set1_ps(-0.0f), s))
#define V_POW2(t) \
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(t), 23), _mm256_set1_epi32(0x3f800000)))

#include "kernels/unary/act.tmpl.h"

SPR_TARGET_POP

#endif
