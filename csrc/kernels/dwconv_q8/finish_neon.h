/* From sums of the quantized depthwise kernels to what they store, with NEON. */
#ifndef SPR_KERNELS_DWCONV_Q8_FINISH_NEON_H
#define SPR_KERNELS_DWCONV_Q8_FINISH_NEON_H

#include <string.h>

#include "kernels/pointwise_q8/round_neon.h"
#include "kernels/q8_scalar.h"

SPR_NEON_PUSH

/* What finishing needs of a call, in registers. */
typedef struct finish_consts {
    spr_q8_rounding rounding;
    int plain; /* no residual, no activation */
} finish_consts;

SPR_INLINE finish_consts finish_of(const spr_dw_q8_args *a) {
    const spr_q8_finish *f = a->finish;
    return (finish_consts){spr_q8_rounding_of(f), !a->z && f->act.fn == SPR_FN_NONE};
}

/* Residual and activation of n pixels of four channels from c on; not inlined, as most layers come without. */
static SPR_NOINLINE void special(const spr_dw_q8_args *a, uint32_t c, const spr_q8 *z, uint32_t n, float *value) {
    const spr_q8_finish *f = a->finish;
    for (uint32_t i = 0; i < n * 4; i++) {
        if (z) value[i] += (float)((int32_t)z[i] - f->z_zero) * f->z_scale;
        if (f->act.fn == SPR_FN_NONE) continue;
        const uint32_t row = c + i % 4 < a->channels ? c + i % 4 : a->channels - 1;
        value[i] = spr_act_scalar(value[i], &f->act, row) * f->y_inv;
    }
}

/* Four times `quads` pixels (one or two) of four channels, from pixel `at` of group g on; n of them, at least one, are
   stored. */
SPR_INLINE void finish(const int quads, const spr_dw_q8_args *a, const finish_consts *f, const int32x4_t *sum,
                       float32x4_t scale, uint32_t g, size_t at, uint32_t n) {
    float32x4_t value[8];
    spr_q8 *const y = a->y + (g * a->y_stride + at) * SPR_Q8_GROUP;
    SPR_UNROLL for (int i = 0; i < 4 * quads; i++) value[i] = vmulq_f32(vcvtq_f32_s32(sum[i]), scale);
    if (!f->plain) {
        float memory[32];
        const uint32_t pixels = n < 4 * (uint32_t)quads ? n : 4 * (uint32_t)quads;
        for (int i = 0; i < 4 * quads; i++) vst1q_f32(memory + i * 4, value[i]);
        special(a, g * SPR_Q8_GROUP, a->z ? a->z + (g * a->z_stride + at) * SPR_Q8_GROUP : NULL, pixels, memory);
        for (int i = 0; i < 4 * quads; i++) value[i] = vld1q_f32(memory + i * 4);
    }
    int8x16_t bytes[2];
    SPR_UNROLL for (int i = 0; i < quads; i++) bytes[i] = spr_q8_to_bytes(&f->rounding, value + 4 * i);
    SPR_UNROLL for (int i = 0; i < quads; i++) {
        if (n >= 4 * (uint32_t)i + 4) {
            vst1q_s8(y + 16 * i, bytes[i]);
        } else if (n > 4 * (uint32_t)i) {
            int8_t part[16];
            vst1q_s8(part, bytes[i]);
            for (uint32_t j = 0; j < n - 4 * (uint32_t)i; j++) memcpy(y + 16 * i + j * 4, part + j * 4, 4);
        }
    }
}

SPR_NEON_POP

#endif
