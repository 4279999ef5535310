/* Functions of one variable by AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64

#include "kernels/unary/act_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq")

/* `fn` is a constant, so that the choice of function is made outside the loop. */
SPR_INLINE void loop(const float *x, float *y, size_t n, spr_act_consts_avx512 c, spr_function fn) {
    size_t i = 0;
    c.fn = fn;
    for (; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, spr_fn_vec_avx512(_mm512_loadu_ps(x + i), &c));
    if (i < n) {
        const __mmask16 mask = (__mmask16)((1u << (n - i)) - 1);
        _mm512_mask_storeu_ps(y + i, mask, spr_fn_vec_avx512(_mm512_maskz_loadu_ps(mask, x + i), &c));
    }
}

void spr_unary_f32_avx512(const float *x, float *y, size_t n, const spr_act *act) {
    const spr_act_consts_avx512 c = spr_act_load_avx512(act, 0);
    if (act->fn == SPR_FN_LOG) {
        spr_unary_f32_ref(x, y, n, act);
        return;
    }
    switch (act->fn) {
#define F(id, name, formula) \
    case SPR_FN_##id: loop(x, y, n, c, SPR_FN_##id); break;
        SPR_FUNCTIONS(F)
#undef F
    default: break;
    }
}

SPR_TARGET_POP

#endif
