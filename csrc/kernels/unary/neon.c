/* Functions of one variable by NEON. */
#include "base/compiler.h"

#if SPR_NEON

#include <string.h>

#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

/* Several vectors at once hide latency: four of functions that are short, two of the others. */
SPR_INLINE void loop(const float *x, float *y, size_t n, spr_act_consts_neon c) {
    size_t i = 0;
    if (SPR_ACT_IN_REGISTERS(c.fn)) {
        for (; i + 16 <= n; i += 16) {
            float32x4_t v[4];
            for (int j = 0; j < 4; j++) v[j] = vld1q_f32(x + i + 4 * j);
            for (int j = 0; j < 4; j++) v[j] = spr_act_vec_neon(v[j], &c);
            for (int j = 0; j < 4; j++) vst1q_f32(y + i + 4 * j, v[j]);
        }
    }
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

#define NAME spr_unary_f32_neon
#define ACT spr_act_consts_neon
#define ACT_LOAD spr_act_load_neon
#include "kernels/unary/unary.tmpl.h"

SPR_NEON_POP

#endif
