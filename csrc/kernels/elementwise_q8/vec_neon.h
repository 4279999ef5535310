/* NEON vectors of quantized pixels, see vec.h. */
#ifndef SPR_KERNELS_ELEMENTWISE_Q8_VEC_NEON_H
#define SPR_KERNELS_ELEMENTWISE_Q8_VEC_NEON_H

#include <string.h>

#include "kernels/conv/vec_neon.h"
#include "kernels/elementwise_q8/vec.h"

#define SPR_Q_NAME(x) x##_neon

SPR_NEON_PUSH

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
#if SPR_AARCH64
#include "kernels/elementwise_q8/vec_neon64.h"
#else
#include "kernels/elementwise_q8/vec_neon32.h"
#endif

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
/* Every step saturates; a NaN becomes the least. */
SPR_INLINE spr_q spr_qnarrow(const spr_v *v, const spr_qbounds *b) {
    int32x4_t q[4];
    SPR_UNROLL
    for (int i = 0; i < 4; i++) q[i] = spr_qround(v[i], b->least);
    const int16x8_t low = vqaddq_s16(vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1])), b->zero);
    const int16x8_t high = vqaddq_s16(vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3])), b->zero);
    return spr_qmin(spr_qmax(SPR_Q_OF_8(vcombine_s8(vqmovn_s16(low), vqmovn_s16(high))), b->lo), b->hi);
}
SPR_INLINE spr_q spr_qjoin(const spr_v *v, const spr_qbounds *b) { return spr_qturn(spr_qnarrow(v, b)); }

SPR_NEON_POP

#endif
