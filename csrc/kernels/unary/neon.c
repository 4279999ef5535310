/* Functions of one variable by NEON. */
#include "base/compiler.h"

#if SPR_NEON

#include <string.h>

#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

enum { STEP = 8 };

/* n is a multiple of STEP. Two vectors at once hide latency. */
SPR_INLINE void loop(const float *x, float *y, size_t n, spr_act_consts_neon c) {
    for (const float *const end = x + n; x < end; x += STEP, y += STEP) {
        const float32x4_t u = spr_fn_vec_neon(vld1q_f32(x), &c), v = spr_fn_vec_neon(vld1q_f32(x + 4), &c);
        vst1q_f32(y, u);
        vst1q_f32(y + 4, v);
    }
}

static spr_unary_fn run;
#define NAME run
#define ACT spr_act_consts_neon
#define ACT_LOAD spr_act_load_neon
#include "kernels/unary/unary.tmpl.h"

/* What is left goes through the same loop, so that there is one for each function. */
void spr_unary_f32_neon(const float *x, float *y, size_t n, const spr_act *act) {
    const size_t rest = left_to_libm(act->fn) ? 0 : n % STEP, whole = n - rest;
    run(x, y, whole, act);
    if (!rest) return;
    float tail[STEP] = {0};
    memcpy(tail, x + whole, rest * sizeof *x);
    run(tail, tail, STEP, act);
    memcpy(y + whole, tail, rest * sizeof *y);
}

SPR_NEON_POP

#endif
