/* From sums of the quantized depthwise kernels to what they store, with NEON. */
#ifndef SPR_KERNELS_DWCONV_Q8_FINISH_NEON_H
#define SPR_KERNELS_DWCONV_Q8_FINISH_NEON_H

#include "base/neon.h"
#include <string.h>

#include "kernels/q8_scalar.h"

SPR_NEON_PUSH

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* What finishing needs of a call, in registers. */
typedef struct finish_consts {
#ifdef ROUND_BY_ADDING
    float32x4_t least, most;
    int8x16_t y_zero_bytes;
#else
    int16x8_t y_zero;
    int8x16_t lo, hi;
#endif
    int plain; /* no residual, no activation */
} finish_consts;

SPR_INLINE finish_consts finish_of(const spr_dw_q8_args *a) {
    const spr_q8_finish *f = a->finish;
    finish_consts c = {.plain = !a->z && f->act.fn == SPR_FN_NONE};
#ifdef ROUND_BY_ADDING
    c.least = vdupq_n_f32((float)(f->lo - f->y_zero));
    c.most = vdupq_n_f32((float)(f->hi - f->y_zero));
    c.y_zero_bytes = vdupq_n_s8((int8_t)f->y_zero);
#else
    c.y_zero = vdupq_n_s16((int16_t)f->y_zero);
    c.lo = vdupq_n_s8((int8_t)f->lo);
    c.hi = vdupq_n_s8((int8_t)f->hi);
#endif
    return c;
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

/* round(v) to bytes, v not yet clamped. ROUND_BY_ADDING, for cores on which conversions are slow: the sum with 1.5 * 2^23 has
   the rounded number in its lower bits. */
SPR_INLINE int8x16_t to_bytes(const finish_consts *f, const float32x4_t *value) {
#ifdef ROUND_BY_ADDING
    int16x8_t q[4];
    UNROLL for (int i = 0; i < 4; i++) {
        const float32x4_t in = vminq_f32(vmaxq_f32(value[i], f->least), f->most);
        q[i] = vreinterpretq_s16_f32(vaddq_f32(in, vdupq_n_f32(12582912.0f)));
    }
    const int8x16_t low = vreinterpretq_s8_s16(vuzp1q_s16(q[0], q[1])), high = vreinterpretq_s8_s16(vuzp1q_s16(q[2], q[3]));
    return vaddq_s8(vuzp1q_s8(low, high), f->y_zero_bytes);
#else
    int32x4_t q[4];
    UNROLL for (int i = 0; i < 4; i++) q[i] = vcvtnq_s32_f32(value[i]); /* saturates */
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(q[0]), q[1]), high = vqmovn_high_s32(vqmovn_s32(q[2]), q[3]);
    const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(vqaddq_s16(low, f->y_zero)), vqaddq_s16(high, f->y_zero));
    return vminq_s8(vmaxq_s8(bytes, f->lo), f->hi);
#endif
}

/* Four times `quads` pixels (one or two) of four channels, from pixel `at` of group g on; n of them, at least one, are stored. */
SPR_INLINE void finish(const int quads, const spr_dw_q8_args *a, const finish_consts *f, const int32x4_t *sum, float32x4_t scale,
                       uint32_t g, size_t at, uint32_t n) {
    float32x4_t value[8];
    spr_q8 *const y = a->y + (g * a->y_stride + at) * SPR_Q8_GROUP;
    UNROLL for (int i = 0; i < 4 * quads; i++) value[i] = vmulq_f32(vcvtq_f32_s32(sum[i]), scale);
    if (!f->plain) {
        float memory[32];
        const uint32_t pixels = n < 4 * (uint32_t)quads ? n : 4 * (uint32_t)quads;
        for (int i = 0; i < 4 * quads; i++) vst1q_f32(memory + i * 4, value[i]);
        special(a, g * SPR_Q8_GROUP, a->z ? a->z + (g * a->z_stride + at) * SPR_Q8_GROUP : NULL, pixels, memory);
        for (int i = 0; i < 4 * quads; i++) value[i] = vld1q_f32(memory + i * 4);
    }
    int8x16_t bytes[2];
    UNROLL for (int i = 0; i < quads; i++) bytes[i] = to_bytes(f, value + 4 * i);
    UNROLL for (int i = 0; i < quads; i++) {
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
