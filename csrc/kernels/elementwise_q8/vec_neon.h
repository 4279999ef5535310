/* NEON vectors of quantized pixels, see vec.h. */
#ifndef SPR_KERNELS_ELEMENTWISE_Q8_VEC_NEON_H
#define SPR_KERNELS_ELEMENTWISE_Q8_VEC_NEON_H

#include <string.h>

#include "kernels/conv/vec_neon.h"
#include "kernels/elementwise_q8/vec.h"

#define SPR_Q_NAME(x) x##_neon

typedef int32x4_t spr_q;
#define SPR_Q_8(q) vreinterpretq_s8_s32(q)
#define SPR_Q_16(q) vreinterpretq_s16_s32(q)
#define SPR_Q_OF_8(q) vreinterpretq_s32_s8(q)
#define SPR_Q_OF_16(q) vreinterpretq_s32_s16(q)

SPR_INLINE spr_q spr_qload(const void *p) { return SPR_Q_OF_8(vld1q_s8(p)); }
SPR_INLINE void spr_qstore(void *p, spr_q q) { vst1q_s8(p, SPR_Q_8(q)); }
SPR_INLINE spr_q spr_qload_n(const void *p, size_t n, spr_q fill) {
    int32_t pixels[4];
    vst1q_s32(pixels, fill);
    memcpy(pixels, p, 4 * n);
    return vld1q_s32(pixels);
}
SPR_INLINE void spr_qstore_n(void *p, spr_q q, size_t n) {
    int32_t pixels[4];
    vst1q_s32(pixels, q);
    memcpy(p, pixels, 4 * n);
}
SPR_INLINE spr_q spr_qbyte(int32_t b) { return SPR_Q_OF_8(vdupq_n_s8((int8_t)b)); }
SPR_INLINE spr_q spr_qset32(int32_t i) { return vdupq_n_s32(i); }
SPR_INLINE spr_q spr_qpixel(const spr_q8 *p) {
    int32_t pixel;
    memcpy(&pixel, p, sizeof pixel);
    return vdupq_n_s32(pixel);
}
SPR_INLINE spr_q spr_qmax(spr_q a, spr_q b) { return SPR_Q_OF_8(vmaxq_s8(SPR_Q_8(a), SPR_Q_8(b))); }
SPR_INLINE spr_q spr_qmin(spr_q a, spr_q b) { return SPR_Q_OF_8(vminq_s8(SPR_Q_8(a), SPR_Q_8(b))); }
SPR_INLINE spr_q spr_qadd16(spr_q a, spr_q b) { return SPR_Q_OF_16(vaddq_s16(SPR_Q_16(a), SPR_Q_16(b))); }
SPR_INLINE spr_q spr_qadd32(spr_q a, spr_q b) { return vaddq_s32(a, b); }
SPR_INLINE spr_q spr_qsub32(spr_q a, spr_q b) { return vsubq_s32(a, b); }
SPR_INLINE void spr_qsplit(spr_q a, spr_q b, spr_q *even, spr_q *odd) {
    *even = vuzp1q_s32(a, b);
    *odd = vuzp2q_s32(a, b);
}
SPR_INLINE void spr_qhalves(spr_q q, spr_q *h) {
    h[0] = SPR_Q_OF_16(vshrq_n_s16(vshlq_n_s16(SPR_Q_16(q), 8), 8));
    h[1] = SPR_Q_OF_16(vshrq_n_s16(SPR_Q_16(q), 8));
}
SPR_INLINE void spr_qhalf_channels(const spr_q *h, spr_q *c) {
    for (int i = 0; i < 2; i++) {
        c[i] = vshrq_n_s32(vshlq_n_s32(h[i], 16), 16);
        c[i + 2] = vshrq_n_s32(h[i], 16);
    }
}
SPR_INLINE void spr_qfold(const spr_q *c, int32_t *sum) {
    vst1q_s32(sum, vpaddq_s32(vpaddq_s32(c[0], c[1]), vpaddq_s32(c[2], c[3])));
}
SPR_INLINE void spr_qwiden(spr_q q, spr_q *c) {
    const int16x8_t low = vmovl_s8(vget_low_s8(SPR_Q_8(q))), high = vmovl_high_s8(SPR_Q_8(q));
    c[0] = vmovl_s16(vget_low_s16(low));
    c[1] = vmovl_high_s16(low);
    c[2] = vmovl_s16(vget_low_s16(high));
    c[3] = vmovl_high_s16(high);
}
/* Four pixels of four channels to four channels of four pixels, and back. */
SPR_INLINE spr_q spr_qturn(spr_q q) {
    const uint8x16_t from = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    return SPR_Q_OF_8(vqtbl1q_s8(SPR_Q_8(q), from));
}
SPR_INLINE void spr_qchannels(spr_q q, spr_q *c) { spr_qwiden(spr_qturn(q), c); }
SPR_INLINE spr_v spr_qfloat(spr_q c) { return vcvtq_f32_s32(c); }

typedef struct spr_qbounds {
    spr_v least;
    int16x8_t zero;
    spr_q lo, hi;
} spr_qbounds;
SPR_INLINE spr_qbounds spr_qbounds_of(int32_t zero, int32_t lo, int32_t hi) {
    return (spr_qbounds){spr_vset((float)(lo - zero)), vdupq_n_s16((int16_t)zero), spr_qbyte(lo), spr_qbyte(hi)};
}
/* Every step saturates; of a maximum with NaN, the number is the result. */
SPR_INLINE spr_q spr_qnarrow(const spr_v *v, const spr_qbounds *b) {
    int32x4_t q[4];
    SPR_UNROLL
    for (int i = 0; i < 4; i++) q[i] = vcvtnq_s32_f32(vmaxnmq_f32(v[i], b->least));
    const int16x8_t low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(q[0]), q[1]), b->zero);
    const int16x8_t high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(q[2]), q[3]), b->zero);
    return spr_qmin(spr_qmax(SPR_Q_OF_8(vqmovn_high_s16(vqmovn_s16(low), high)), b->lo), b->hi);
}
SPR_INLINE spr_q spr_qjoin(const spr_v *v, const spr_qbounds *b) { return spr_qturn(spr_qnarrow(v, b)); }

typedef struct spr_qtable {
    uint8x16x4_t quarter[4];
} spr_qtable;
SPR_INLINE spr_qtable spr_qtable_of(const spr_q8 *p) {
    spr_qtable t;
    for (int i = 0; i < 4; i++) t.quarter[i] = vld1q_u8_x4((const uint8_t *)p + 64 * i);
    return t;
}
/* An index beyond a quarter leaves what the quarters before it gave. */
SPR_INLINE spr_q spr_qlookup(spr_q q, const spr_qtable *t) {
    const uint8x16_t step = vdupq_n_u8(64);
    uint8x16_t at = vreinterpretq_u8_s32(q), y = vqtbl4q_u8(t->quarter[0], at);
    SPR_UNROLL
    for (int i = 1; i < 4; i++) {
        at = vsubq_u8(at, step);
        y = vqtbx4q_u8(y, t->quarter[i], at);
    }
    return vreinterpretq_s32_u8(y);
}

#endif
