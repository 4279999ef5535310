/* Functions of one variable by AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64

#include "kernels/unary/act_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq")

SPR_INLINE void loop(const float *x, float *y, size_t n, spr_act_consts_avx512 c) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, spr_fn_vec_avx512(_mm512_loadu_ps(x + i), &c));
    if (i < n) {
        const __mmask16 mask = (__mmask16)((1u << (n - i)) - 1);
        _mm512_mask_storeu_ps(y + i, mask, spr_fn_vec_avx512(_mm512_maskz_loadu_ps(mask, x + i), &c));
    }
}

#define NAME spr_unary_f32_avx512
#define ACT spr_act_consts_avx512
#define ACT_LOAD spr_act_load_avx512
#include "kernels/unary/unary.tmpl.h"

SPR_TARGET_POP

#endif
