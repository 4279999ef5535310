/* Quantized depthwise convolution with SDOT. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>
#include <string.h>

#include "kernels/q8_scalar.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

#define V int8x16_t
#define S int32x4_t
#define PIXELS 4
#define NAME(x) x##_dotprod
#define LOAD(p) vld1q_s8((const int8_t *)(p))
#define STORE(p, v) vst1q_s8(p, v)
#define LOAD_WEIGHTS(p) vld1q_s8(p)
#define SUMS(p) vld1q_s32(p)
#define DOT(sum, x, w) (sum) = vdotq_s32(sum, x, w)
#define INTERLEAVE(t, out) interleave(t, out)
#define FINISH finish

/* Pixel i becomes out[i]. */
SPR_INLINE void interleave(const int8x16_t *t, int8x16_t *out) {
    const int8x16x2_t ab = vzipq_s8(t[0], t[1]), cd = vzipq_s8(t[2], t[3]);
    for (int i = 0; i < 2; i++) {
        const int16x8x2_t pair = vzipq_s16(vreinterpretq_s16_s8(ab.val[i]), vreinterpretq_s16_s8(cd.val[i]));
        out[2 * i] = vreinterpretq_s8_s16(pair.val[0]);
        out[2 * i + 1] = vreinterpretq_s8_s16(pair.val[1]);
    }
}

/* Values of four channels of four pixels; not inlined, as most layers come without. */
static SPR_NOINLINE void activate(const spr_q8_finish *f, uint32_t c, uint32_t channels, float *value) {
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t row = c + i % 4 < channels ? c + i % 4 : channels - 1;
        value[i] = spr_act_scalar(value[i], &f->act, row) * f->y_inv;
    }
}

SPR_INLINE void finish(const spr_dw_q8_args *a, const int32x4_t *sum, const float *scale, uint32_t c, spr_q8 *y, const spr_q8 *z,
                       uint32_t n) {
    const spr_q8_finish *f = a->finish;
    const float32x4_t s = vld1q_f32(scale);
    float32x4_t value[4];
    int8_t part[16];
    for (int i = 0; i < 4; i++) value[i] = vmulq_f32(vcvtq_f32_s32(sum[i]), s);
    if (z) {
        int8x16_t all;
        if (n == 4) {
            all = vld1q_s8(z);
        } else {
            memset(part, 0, sizeof part);
            memcpy(part, z, n * 4);
            all = vld1q_s8(part);
        }
        const int16x8_t half[2] = {vmovl_s8(vget_low_s8(all)), vmovl_s8(vget_high_s8(all))};
        const int32x4_t zero = vdupq_n_s32(f->z_zero);
        for (int i = 0; i < 4; i++) {
            const int32x4_t four = vmovl_s16(i % 2 ? vget_high_s16(half[i / 2]) : vget_low_s16(half[i / 2]));
            value[i] = vaddq_f32(value[i], vmulq_n_f32(vcvtq_f32_s32(vsubq_s32(four, zero)), f->z_scale));
        }
    }
    if (f->act.fn != SPR_FN_NONE) {
        float memory[16];
        for (int i = 0; i < 4; i++) vst1q_f32(memory + i * 4, value[i]);
        activate(f, c, a->channels, memory);
        for (int i = 0; i < 4; i++) value[i] = vld1q_f32(memory + i * 4);
    }
    const int16x8_t zero = vdupq_n_s16((int16_t)f->y_zero);
    int16x8_t half[2];
    for (int i = 0; i < 2; i++) {
        const int16x4_t low = vqmovn_s32(vcvtnq_s32_f32(value[2 * i])), high = vqmovn_s32(vcvtnq_s32_f32(value[2 * i + 1]));
        half[i] = vqaddq_s16(vcombine_s16(low, high), zero);
    }
    int8x16_t bytes = vcombine_s8(vqmovn_s16(half[0]), vqmovn_s16(half[1]));
    bytes = vminq_s8(vmaxq_s8(bytes, vdupq_n_s8((int8_t)f->lo)), vdupq_n_s8((int8_t)f->hi));
    if (n == 4) {
        vst1q_s8(y, bytes);
    } else {
        vst1q_s8(part, bytes);
        memcpy(y, part, n * 4);
    }
}

#include "kernels/dwconv_q8/rows.tmpl.h"

void spr_dwconv_q8_dotprod(const spr_dw_q8_args *a) { run_dotprod(a); }

SPR_TARGET_POP

const spr_dw_q8_traits spr_dwconv_traits_q8_dotprod = {match_dotprod, size_dotprod, pack_dotprod, scratch_dotprod};
#endif
