/* Functions of two variables by AVX2. */
#include "base/compiler.h"

#if SPR_X86_64

#include "kernels/avx2_store.h"
#include "kernels/kernel.h"

SPR_TARGET_PUSH("avx2,fma")

/* The instructions give b if either is NaN. */
SPR_INLINE __m256 min_ieee(__m256 a, __m256 b) {
    return _mm256_blendv_ps(_mm256_min_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

SPR_INLINE __m256 max_ieee(__m256 a, __m256 b) {
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

SPR_INLINE __m256i first_lanes(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define NAME spr_binary_f32_avx2
#define WIDTH 8
#define V_LOAD _mm256_loadu_ps
#define V_STORE _mm256_storeu_ps
#define V_LOAD_TAIL(p, n) _mm256_maskload_ps(p, first_lanes(n))
#define V_STORE_TAIL(p, n, v) spr_avx2_store_first(p, v, n)
#define V_SET _mm256_set1_ps
#define V_ADD _mm256_add_ps
#define V_SUB _mm256_sub_ps
#define V_MUL _mm256_mul_ps
#define V_DIV _mm256_div_ps
#define V_MIN min_ieee
#define V_MAX max_ieee
#include "kernels/binary/binary.tmpl.h"

SPR_TARGET_POP

#endif
