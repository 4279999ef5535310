/* Functions of one variable by NEON. */
#include "base/compiler.h"

#if SPR_AARCH64

#include <string.h>

#include "kernels/unary/act_neon.h"

/* `fn` is a constant, so that the choice of function is made outside the loop. Two vectors at once hide latency. */
SPR_INLINE void loop(const float *x, float *y, size_t n, spr_act_consts_neon c, spr_function fn) {
    size_t i = 0;
    c.fn = fn;
    for (; i + 8 <= n; i += 8) {
        float32x4_t u = spr_fn_vec_neon(vld1q_f32(x + i), &c), v = spr_fn_vec_neon(vld1q_f32(x + i + 4), &c);
        vst1q_f32(y + i, u);
        vst1q_f32(y + i + 4, v);
    }
    for (; i + 4 <= n; i += 4) vst1q_f32(y + i, spr_fn_vec_neon(vld1q_f32(x + i), &c));
    if (i < n) {
        float tail[4] = {0};
        memcpy(tail, x + i, (n - i) * sizeof(float));
        vst1q_f32(tail, spr_fn_vec_neon(vld1q_f32(tail), &c));
        memcpy(y + i, tail, (n - i) * sizeof(float));
    }
}

void spr_unary_f32_neon(const float *x, float *y, size_t n, const spr_act *act) {
    const spr_act_consts_neon c = spr_act_load_neon(act, 0);
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

#endif
