/* From sums of the quantized pointwise kernels to what they store, with NEON. Rows go in fours, as channels do in
   memory. */
#ifndef SPR_KERNELS_POINTWISE_Q8_FINISH_NEON_H
#define SPR_KERNELS_POINTWISE_Q8_FINISH_NEON_H

#include "kernels/pointwise_q8/pack.h"
#include "kernels/pointwise_q8/round_neon.h"
#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

/* Pixels of a vector of sums, and of the widest tile. */
enum { LANES = 4, LINE_PIXELS = 64 };

/* What finishing needs of a call, in registers. */
typedef struct finish {
    spr_q8_rounding rounding;
    int plain; /* quantized, no residual, no activation */
} finish;

SPR_INLINE finish finish_of(const spr_pw_q8_args *a) {
    const spr_q8_finish *f = a->finish;
    return (finish){spr_q8_rounding_of(f), !f->to_float && !a->z && f->act.fn == SPR_FN_NONE};
}

/* Four vectors of values, of which v count: residual and activation; floats are stored. Not inlined, as most layers
   come without. */
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

/* v (up to four) vectors of sums of a row from px on to sixteen bytes. */
SPR_INLINE int8x16_t finish_four(const int v, const spr_pw_q8_args *a, const finish *f, const int32x4_t *sum,
                                 float scale, uint32_t row, uint32_t px) {
    float32x4_t value[4];
    SPR_UNROLL for (int i = 0; i < 4; i++) value[i] = vmulq_n_f32(vcvtq_f32_s32(sum[i < v ? i : v - 1]), scale);
    if (!f->plain) {
        float32x4_t memory[4] = {value[0], value[1], value[2], value[3]}; /* so that value stays in registers */
        special(v, a, row, px, memory);
        SPR_UNROLL for (int i = 0; i < 4; i++) value[i] = memory[i];
    }
    return spr_q8_to_bytes(&f->rounding, value);
}

/* The sums of a row and v vectors of pixels: quantized outputs go to line[0 ... 4 v), rounded up to sixteen, floats to
   y. */
SPR_INLINE void finish_row(const int v, const spr_pw_q8_args *a, const finish *f, const int32x4_t *sum, float scale,
                           uint32_t row, uint32_t px, int8_t *line) {
    SPR_UNROLL for (int j = 0; j < v; j += 4)
        vst1q_s8(line + j * LANES,
                 finish_four(v - j < 4 ? v - j : 4, a, f, sum + j, scale, row, px + (uint32_t)j * LANES));
}

/* Four lines of bytes to pixels of four channels; v vectors, rounded up to eight pixels. */
SPR_INLINE void store_quad(const int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px,
                           int8_t (*line)[LINE_PIXELS]) {
    if (a->finish->to_float) return;
    spr_q8 *y = (spr_q8 *)a->y + ((size_t)(row / SPR_Q8_GROUP) * a->y_stride + px) * SPR_Q8_GROUP;
    SPR_UNROLL for (int j = 0; j < v; j += 4) {
        const int8_t *const l = line[0] + j * LANES;
        if (v - j > 2) {
            const int8x16x4_t rows = {
                {vld1q_s8(l), vld1q_s8(l + LINE_PIXELS), vld1q_s8(l + 2 * LINE_PIXELS), vld1q_s8(l + 3 * LINE_PIXELS)}};
            vst4q_s8(y + j * 16, rows);
        } else {
            const int8x8x4_t rows = {
                {vld1_s8(l), vld1_s8(l + LINE_PIXELS), vld1_s8(l + 2 * LINE_PIXELS), vld1_s8(l + 3 * LINE_PIXELS)}};
            vst4_s8(y + j * 16, rows);
        }
    }
}

SPR_NEON_POP

#endif
