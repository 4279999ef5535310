/* Functions of one variable by AVX2. */
#include "base/compiler.h"

#if SPR_X86_64

#include "kernels/avx2_store.h"
#include "kernels/unary/act_avx2.h"

SPR_TARGET_PUSH("avx2,fma")

SPR_INLINE void loop(const float *x, float *y, size_t n, spr_act_consts_avx2 c) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, spr_fn_vec_avx2(_mm256_loadu_ps(x + i), &c));
    if (i < n) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n - i)), lane);
        spr_avx2_store_first(y + i, spr_fn_vec_avx2(_mm256_maskload_ps(x + i, mask), &c), n - i);
    }
}

#define NAME spr_unary_f32_avx2
#define ACT spr_act_consts_avx2
#define ACT_LOAD spr_act_load_avx2
#include "kernels/unary/unary.tmpl.h"

SPR_TARGET_POP

#endif
