/* The ends of pixels that are the same for all quantized depthwise kernels with NEON: with residual or activation, and
   parts of vectors. */
#include "base/compiler.h"

#if SPR_NEON
#include <string.h>

#define ROUND_BY_ADDING
#include "kernels/dwconv_q8/finish_neon.h"
#include "kernels/q8_scalar.h"

SPR_NEON_PUSH

/* Residual and activation of n pixels of four channels from c on. */
static SPR_NOINLINE void special(const spr_dw_q8_args *a, uint32_t c, const spr_q8 *z, uint32_t n, float *value) {
    const spr_q8_finish *f = a->finish;
    for (uint32_t i = 0; i < n * 4; i++) {
        if (z) value[i] += (float)((int32_t)z[i] - f->z_zero) * f->z_scale;
        if (f->act.fn == SPR_FN_NONE) continue;
        const uint32_t row = c + i % 4 < a->channels ? c + i % 4 : a->channels - 1;
        value[i] = spr_act_scalar(value[i], &f->act, row) * f->y_inv;
    }
}

void spr_dw_q8_finish_neon(const spr_dw_q8_args *a, const int32x4_t *sum, float32x4_t scale, uint32_t g, size_t at,
                           uint32_t n) {
    const finish_consts f = finish_of(a);
    for (uint32_t i = 0; i < n; i += 4, sum += 4) {
        const uint32_t pixels = n - i < 4 ? n - i : 4;
        spr_q8 *const y = a->y + (g * a->y_stride + at + i) * SPR_Q8_GROUP;
        float memory[16];
        float32x4_t value[4];
        int8_t bytes[16];
        SPR_UNROLL for (int j = 0; j < 4; j++) value[j] = vmulq_f32(vcvtq_f32_s32(sum[j]), scale);
        if (!f.plain) {
            SPR_UNROLL for (int j = 0; j < 4; j++) vst1q_f32(memory + 4 * j, value[j]);
            special(a, g * SPR_Q8_GROUP, a->z ? a->z + (g * a->z_stride + at + i) * SPR_Q8_GROUP : NULL, pixels,
                    memory);
            SPR_UNROLL for (int j = 0; j < 4; j++) value[j] = vld1q_f32(memory + 4 * j);
        }
        vst1q_s8(bytes, spr_q8_to_bytes(&f.rounding, value));
        memcpy(y, bytes, pixels * SPR_Q8_GROUP);
    }
}

SPR_NEON_POP
#endif
