/* The ends of rows that are the same for all quantized pointwise kernels with NEON: with residual or activation, of
   numbers that are not narrow, of narrow tiles. Not inlined, as most rows do without. */
#include "base/compiler.h"

#if SPR_NEON
#define ROUND_BY_ADDING
#include "kernels/pointwise_q8/finish_neon.h"
#include "kernels/pointwise_q8/round_neon.h"
#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

/* Residual and activation of v (up to four) vectors of values; floats are stored. */
static SPR_NOINLINE void special(int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px, float32x4_t *value) {
    const spr_q8_finish *f = a->finish;
    if (a->z) {
        const spr_q8 *z = a->z + ((size_t)(row / SPR_Q8_GROUP) * a->z_stride + px) * SPR_Q8_GROUP;
        const int32x4_t up = vdupq_n_s32(24 - (int32_t)(row % SPR_Q8_GROUP) * 8), zero = vdupq_n_s32(f->z_zero);
        for (int j = 0; j < v; j++) {
            const int32x4_t four = vreinterpretq_s32_s8(vld1q_s8(z + j * 16));
            const int32x4_t less = vsubq_s32(vshrq_n_s32(vshlq_s32(four, up), 24), zero);
            value[j] = vaddq_f32(value[j], vmulq_n_f32(vcvtq_f32_s32(less), f->z_scale));
        }
    }
    if (f->act.fn != SPR_FN_NONE) {
        const spr_act_consts_neon c = spr_act_load_neon(&f->act, row < a->n ? row : a->n - 1);
        const float y_inv = f->to_float ? 1 : f->y_inv;
        for (int j = 0; j < v; j++) value[j] = vmulq_n_f32(spr_act_vec_neon(value[j], &c), y_inv);
    }
    if (f->to_float && row < a->n)
        for (int j = 0; j < v; j++) vst1q_f32((float *)a->y + row * a->y_stride + px + j * LANES, value[j]);
}

void spr_q8_finish_row_neon(int v, const spr_pw_q8_args *a, const int32x4_t *sum, float scale, uint32_t row,
                            uint32_t px, int8_t *line) {
    const int plain = is_plain(a);
    const spr_q8_rounding rounding = spr_q8_rounding_of(a->finish);
    for (int j = 0; j < v; j += 4) {
        const int n = v - j < 4 ? v - j : 4;
        float32x4_t value[4];
        SPR_UNROLL for (int i = 0; i < 4; i++) value[i] = vmulq_n_f32(vcvtq_f32_s32(sum[j + (i < n ? i : 0)]), scale);
        if (!plain) {
            float32x4_t memory[4] = {value[0], value[1], value[2], value[3]}; /* so that value stays in registers */
            special(n, a, row, px + (uint32_t)j * LANES, memory);
            SPR_UNROLL for (int i = 0; i < 4; i++) value[i] = memory[i];
        }
        vst1q_s8(line + j * LANES, spr_q8_to_bytes(&rounding, value));
    }
}

SPR_NEON_POP
#endif
