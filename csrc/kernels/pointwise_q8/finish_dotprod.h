/* From sums of the quantized pointwise kernels to what they store, with dot products: two rows at once where the
 * packing found values to be narrow, any others by finish_neon.h. Conversions run on one pipe of the cores that execute
 * out of order, hence none where sums are narrow too: they begin at NARROW_START more than the bias, and are then the
 * bits of a float that is 1.5 * 2^23 more than the sum. The same number, added to the value in quanta, leaves the
 * rounded value in the lower bits. */
#ifndef SPR_KERNELS_POINTWISE_Q8_FINISH_DOTPROD_H
#define SPR_KERNELS_POINTWISE_Q8_FINISH_DOTPROD_H

#include "kernels/pointwise_q8/finish_neon.h"

SPR_NEON_PUSH

#define NARROW_START 0x4b400000

/* What finishing needs of a call, in registers. */
typedef struct ends {
    int narrow;        /* values, without residual or activation */
    int32_t start;     /* of a sum, besides its bias: NARROW_START or 0 */
    int16x8_t y_zero;
    int8x16_t lo, hi;
} ends;

SPR_INLINE ends ends_of(const spr_pw_q8_args *a, uint32_t narrow) {
    const spr_q8_finish *f = a->finish;
    ends e;
    e.narrow = (narrow & SPR_Q8_NARROW_VALUES) && is_plain(a);
    e.start = e.narrow && (narrow & SPR_Q8_NARROW_SUMS) ? NARROW_START : 0;
    e.y_zero = vdupq_n_s16((int16_t)f->y_zero);
    e.lo = vdupq_n_s8((int8_t)f->lo);
    e.hi = vdupq_n_s8((int8_t)f->hi);
    return e;
}

/* fast: see end_rows. In assembly, as compilers broadcast once and copy, which takes the pipes that sums need. */
SPR_INLINE int32x4_t first_sum(const int fast, const ends *e, int32_t bias) {
    int32x4_t sum;
    __asm__ volatile("dup %0.4s, %w1" : "=w"(sum) : "r"(bias + (fast ? e->start : 0)));
    return sum;
}

#define MORE vdupq_n_f32(12582912.0f) /* 1.5 * 2^23 */

SPR_INLINE void to_floats(const int v, const ends *e, const int32x4_t *sum, float32x4_t *out) {
    if (e->start) {
        SPR_UNROLL for (int j = 0; j < v; j++) out[j] = vsubq_f32(vreinterpretq_f32_s32(sum[j]), MORE);
    } else {
        SPR_UNROLL for (int j = 0; j < v; j++) out[j] = vcvtq_f32_s32(sum[j]);
    }
}

SPR_INLINE int16x8_t rounded(float32x4_t sum, float scale) {
    return vreinterpretq_s16_f32(vaddq_f32(vmulq_n_f32(sum, scale), MORE));
}

/* Two vectors of values in 16 bits to bytes. */
SPR_INLINE int8x16_t narrowed(const ends *e, int16x8_t low, int16x8_t high) {
    const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(vaddq_s16(low, e->y_zero)), vaddq_s16(high, e->y_zero));
    return vminq_s8(vmaxq_s8(bytes, e->lo), e->hi);
}

/* v vectors of sums of two rows, narrow values, to pixels of two bytes, two vectors of sums to one of those. */
SPR_INLINE void finish_two(const int v, const ends *e, const int32x4_t *sum0, const int32x4_t *sum1, const float *scale,
                           int16x8_t *out) {
    float32x4_t value[2][16];
    to_floats(v, e, sum0, value[0]);
    to_floats(v, e, sum1, value[1]);
    SPR_UNROLL for (int j = 0; j < v; j += 2) {
        const int k = j + 1 < v ? j + 1 : j;
        const int16x8_t low = vtrn1q_s16(rounded(value[0][j], scale[0]), rounded(value[1][j], scale[1]));
        const int16x8_t high =
            k == j ? low : vtrn1q_s16(rounded(value[0][k], scale[0]), rounded(value[1][k], scale[1]));
        out[j / 2] = vreinterpretq_s16_s8(narrowed(e, low, high));
    }
}

/* Pixels of two bytes of the first and of the last two rows of a group, which `row` begins, to memory. */
SPR_INLINE void store_two(const int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px, const int16x8_t *first,
                          const int16x8_t *last) {
    spr_q8 *const y = (spr_q8 *)a->y + ((size_t)(row / SPR_Q8_GROUP) * a->y_stride + px) * SPR_Q8_GROUP;
    SPR_UNROLL for (int j = 0; j < v; j += 2)
        vst2q_s16((int16_t *)(void *)(y + j * 16), ((int16x8x2_t){{first[j / 2], last[j / 2]}}));
}

/* v vectors of sums of h rows from row first + at on; `first` begins a group, whose outputs wait in `line`. fast: the
   sums may be narrow; then those of two rows wait as pixels of two bytes. */
SPR_INLINE void end_rows(const int h, const int v, const int fast, const spr_pw_q8_args *a, const ends *e,
                         const int32x4_t *sum0, const int32x4_t *sum1, const float *scale, uint32_t first, uint32_t at,
                         uint32_t px, int8_t (*line)[LINE_PIXELS]) {
    if (!fast || !e->narrow) {
        end_any(h, v, a, sum0, sum1, scale, first + at, px, line + at);
    } else if (h == 2) {
        int16x8_t two[8], before[8];
        finish_two(v, e, sum0, sum1, scale, two);
        int16_t *const waiting = (int16_t *)(void *)line;
        if (at) { /* the group is complete */
            SPR_UNROLL for (int j = 0; j < v; j += 2) before[j / 2] = vld1q_s16(waiting + j * 4);
            store_two(v, a, first, px, before, two);
        } else {
            SPR_UNROLL for (int j = 0; j < v; j += 2) vst1q_s16(waiting + j * 4, two[j / 2]);
        }
    } else {
        float32x4_t value[16];
        int16x8_t eight[8];
        to_floats(v, e, sum0, value);
        SPR_UNROLL for (int j = 0; j < v; j += 2)
            eight[j / 2] = vuzp1q_s16(rounded(value[j], scale[0]), rounded(value[j + 1 < v ? j + 1 : j], scale[0]));
        SPR_UNROLL for (int j = 0; j < v; j += 4)
            vst1q_s8(line[at] + j * LANES, narrowed(e, eight[j / 2], eight[j + 2 < v ? j / 2 + 1 : j / 2]));
    }
}

/* After the rows of a group: stores what waits. */
SPR_INLINE void end_four(const int h, const int v, const int fast, const spr_pw_q8_args *a, const ends *e,
                         uint32_t first, uint32_t px, int8_t (*line)[LINE_PIXELS]) {
    if (h == 1 && fast)
        store_lines(v, a, first, px, line);
    else if (!fast || !e->narrow)
        spr_q8_store_lines_neon(v, a, first, px, line);
}

/* v vectors of sums of the four rows of a group. */
SPR_INLINE void end_group(const int v, const spr_pw_q8_args *a, const ends *e, const int32x4_t *sum0,
                          const int32x4_t *sum1, const int32x4_t *sum2, const int32x4_t *sum3, const float *scale,
                          uint32_t row, uint32_t px) {
    if (!e->narrow) {
        int8_t line[SPR_Q8_GROUP][LINE_PIXELS];
        end_any(2, v, a, sum0, sum1, scale, row, px, line);
        end_any(2, v, a, sum2, sum3, scale + 2, row + 2, px, line + 2);
        spr_q8_store_lines_neon(v, a, row, px, line);
        return;
    }
    int16x8_t two[2][8];
    finish_two(v, e, sum0, sum1, scale, two[0]);
    finish_two(v, e, sum2, sum3, scale + 2, two[1]);
    store_two(v, a, row, px, two[0], two[1]);
}

SPR_NEON_POP

#endif
