/* From values in quanta to bytes, with NEON, and the constants that takes; for pointwise and depthwise kernels.
 * ROUND_BY_ADDING, defined for cores on which conversions are slow: the sum of a number and 1.5 * 2^23 has the rounded
 * number in its lower bits. */
#ifndef SPR_KERNELS_POINTWISE_Q8_ROUND_NEON_H
#define SPR_KERNELS_POINTWISE_Q8_ROUND_NEON_H

#include "base/neon.h"

#include "kernels/kernel.h"

SPR_NEON_PUSH

/* What rounding needs of a call, in registers. */
typedef struct spr_q8_rounding {
#ifdef ROUND_BY_ADDING
    float32x4_t least, most;
    int8x16_t y_zero_bytes;
#else
    int16x8_t y_zero;
    int8x16_t lo, hi;
#endif
} spr_q8_rounding;

SPR_INLINE spr_q8_rounding spr_q8_rounding_of(const spr_q8_finish *f) {
    spr_q8_rounding c;
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

/* clamp(round(v), lo - y_zero, hi - y_zero) + y_zero of four vectors, half to even; v is a number. */
SPR_INLINE int8x16_t spr_q8_to_bytes(const spr_q8_rounding *c, const float32x4_t *value) {
#ifdef ROUND_BY_ADDING
    int16x8_t q[4];
    SPR_UNROLL for (int i = 0; i < 4; i++) {
        const float32x4_t in = vminq_f32(vmaxq_f32(value[i], c->least), c->most);
        q[i] = vreinterpretq_s16_f32(vaddq_f32(in, vdupq_n_f32(12582912.0f)));
    }
    const int8x16_t low = vreinterpretq_s8_s16(vuzp1q_s16(q[0], q[1])),
                    high = vreinterpretq_s8_s16(vuzp1q_s16(q[2], q[3]));
    return vaddq_s8(vuzp1q_s8(low, high), c->y_zero_bytes);
#else
    int32x4_t q[4];
    SPR_UNROLL for (int i = 0; i < 4; i++) q[i] = vcvtnq_s32_f32(value[i]); /* saturates */
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(q[0]), q[1]), high = vqmovn_high_s32(vqmovn_s32(q[2]), q[3]);
    const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(vqaddq_s16(low, c->y_zero)), vqaddq_s16(high, c->y_zero));
    return vminq_s8(vmaxq_s8(bytes, c->lo), c->hi);
#endif
}

SPR_NEON_POP

#endif
