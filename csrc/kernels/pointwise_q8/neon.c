/* Quantized pointwise convolution without dot products (ARMv8.0). */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/pointwise_q8/finish_neon.h"
#include "kernels/pointwise_q8/planar.h"

SPR_NEON_PUSH

/* ---- dense: vectors are two pixels of a group of channels ---- */

enum { DENSE_PIXELS = 8, DENSE_ROWS = SPR_ARM32 ? 2 : 4 }; /* as many as there are registers for */

SPR_INLINE int8x16_t weights_of_row(int32x4_t four, const int r) {
    return vreinterpretq_s8_s32(r == 0   ? vdupq_laneq_s32(four, 0)
                                : r == 1 ? vdupq_laneq_s32(four, 1)
                                : r == 2 ? vdupq_laneq_s32(four, 2)
                                         : vdupq_laneq_s32(four, 3));
}

/* Rows `from` and following of four times eight pixels. The products of two groups add up in 16 bits, as no weight is
   -128. Sums of a pixel are those of its even and of its odd pairs of channels. */
SPR_INLINE void dense_rows(const int from, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f,
                           uint32_t row, uint32_t px, int8_t (*line)[LINE_PIXELS]) {
    int32x4_t sum[DENSE_ROWS][4];
    SPR_UNROLL for (int r = 0; r < DENSE_ROWS; r++)
        SPR_UNROLL for (int j = 0; j < 4; j++) sum[r][j] = vdupq_n_s32(0);
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const int8_t *w = p->w + (size_t)row * p->groups * SPR_Q8_GROUP;
    for (uint32_t g = 0; g < p->groups; g += 2, w += 32) {
        const spr_q8 *const at = x + (size_t)p->offset[g] * SPR_Q8_GROUP;
        const spr_q8 *const next = x + (size_t)p->offset[g + 1] * SPR_Q8_GROUP;
        const int8x16_t pixels[4] = {vld1q_s8(at), vld1q_s8(at + 16), vld1q_s8(next), vld1q_s8(next + 16)};
        const int32x4_t four[2] = {vreinterpretq_s32_s8(vld1q_s8(w)), vreinterpretq_s32_s8(vld1q_s8(w + 16))};
        int8x16_t row_w[2][DENSE_ROWS];
        SPR_UNROLL for (int i = 0; i < 2; i++)
            SPR_UNROLL for (int r = 0; r < DENSE_ROWS; r++) row_w[i][r] = weights_of_row(four[i], from + r);
        SPR_UNROLL for (int r = 0; r < DENSE_ROWS; r++)
            SPR_UNROLL for (int j = 0; j < 2; j++) {
                int16x8_t low = vmull_s8(vget_low_s8(pixels[j]), vget_low_s8(row_w[0][r]));
                int16x8_t high = vmull_high_s8(pixels[j], row_w[0][r]);
                low = vmlal_s8(low, vget_low_s8(pixels[2 + j]), vget_low_s8(row_w[1][r]));
                high = vmlal_high_s8(high, pixels[2 + j], row_w[1][r]);
                sum[r][2 * j] = vpadalq_s16(sum[r][2 * j], low);
                sum[r][2 * j + 1] = vpadalq_s16(sum[r][2 * j + 1], high);
            }
    }
    SPR_UNROLL for (uint32_t r = 0; r < DENSE_ROWS; r++) {
        const uint32_t at = row + (uint32_t)from + r;
        const int32x4_t bias = vdupq_n_s32(p->bias[at]);
        const int32x4_t whole[2] = {vaddq_s32(vpaddq_s32(sum[r][0], sum[r][1]), bias),
                                    vaddq_s32(vpaddq_s32(sum[r][2], sum[r][3]), bias)};
        finish_row(2, a, f, whole, p->scale[at], at, px, line[(uint32_t)from + r]);
    }
}

static void dense_tile(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *call, uint32_t row,
                       uint32_t px) {
    const finish own = *call, *const f = &own; /* nothing stored can change it */
    int8_t line[4][LINE_PIXELS];
    dense_rows(0, a, p, f, row, px, line);
    if (DENSE_ROWS == 2) dense_rows(2, a, p, f, row, px, line);
    store_quad(2, a, row, px, line);
}

void spr_pw_dense_q8_neon(const spr_pw_q8_args *a) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a);
    for (uint32_t px = a->px0; px < a->px1; px += DENSE_PIXELS)
        for (uint32_t row = a->row0; row < a->row1; row += SPR_Q8_GROUP) dense_tile(a, &p, &f, row, px);
}

/* ---- single weights: a vector is sixteen pixels of a channel; products of a quad, or its halves, add up in 16 bits */

/* The products of `terms` (2 or 4) of sixteen pixels, or eight, in 16 bits, to sums of 32 bits. */
SPR_INLINE void add_terms(const int terms, const int sixteen, const int8x16_t *x, const int8x16_t *w, int32x4_t *sum) {
    int16x8_t low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(w[0])), high = low;
    if (sixteen) high = vmull_high_s8(x[0], w[0]);
    SPR_UNROLL for (int i = 1; i < terms; i++) {
        low = vmlal_s8(low, vget_low_s8(x[i]), vget_low_s8(w[i]));
        if (sixteen) high = vmlal_high_s8(high, x[i], w[i]);
    }
    sum[0] = vaddw_s16(sum[0], vget_low_s16(low));
    sum[1] = vaddw_high_s16(sum[1], low);
    if (!sixteen) return;
    sum[2] = vaddw_s16(sum[2], vget_low_s16(high));
    sum[3] = vaddw_high_s16(sum[3], high);
}

SPR_INLINE void add_quad(const int terms, const int h, const int v, int32x4_t (*sum)[16], const int8_t *lines,
                         const uint32_t *at, const int8_t *weights) {
    const int8_t *const line[4] = {lines + at[0], lines + at[1], lines + at[2], lines + at[3]};
    int8x16_t w[2][4];
    SPR_UNROLL for (int r = 0; r < h; r++)
        SPR_UNROLL for (int i = 0; i < 4; i++) w[r][i] = vdupq_n_s8(weights[r * 4 + i]);
    SPR_UNROLL for (int j = 0; j < v; j += 2) {
        const int sixteen = j + 1 < v;
        SPR_UNROLL for (int t = 0; t < 4; t += terms) {
            int8x16_t x[4];
            SPR_UNROLL for (int i = 0; i < terms; i++) {
                const int8_t *from = line[t + i] + j * 8;
                x[i] = sixteen ? vld1q_s8(from) : vcombine_s8(vld1_s8(from), vdup_n_s8(0));
            }
            SPR_UNROLL for (int r = 0; r < h; r++) add_terms(terms, sixteen, x, w[r] + t, sum[r] + 2 * j);
            /* loads that come earlier cost registers that are not there */
            if (h == 2 || (terms == 2 && j % 4 == 2)) __asm__ volatile("" ::: "memory");
        }
    }
}

typedef finish ends;
SPR_INLINE ends ends_of(const spr_pw_q8_args *a, const finish *f, uint32_t narrow) {
    (void)a;
    (void)narrow;
    return *f;
}
SPR_INLINE int32x4_t first_sum(const ends *e, int32_t bias) {
    (void)e;
    return vdupq_n_s32(bias);
}
SPR_INLINE void end_rows(const int h, const int v, const spr_pw_q8_args *a, const ends *e, const int32x4_t *sum0,
                         const int32x4_t *sum1, const float *scale, uint32_t first, uint32_t at, uint32_t px,
                         int8_t (*line)[LINE_PIXELS]) {
    finish_row(v, a, e, sum0, scale[0], first + at, px, line[at]);
    if (h == 2) finish_row(v, a, e, sum1, scale[1], first + at + 1, px, line[at + 1]);
}
SPR_INLINE void end_four(const int h, const int v, const spr_pw_q8_args *a, const ends *e, uint32_t first, uint32_t px,
                         int8_t (*line)[LINE_PIXELS]) {
    (void)h;
    (void)e;
    store_quad(v, a, first, px, line);
}

#define ADD_QUAD(h, v, sum, lines, quad) \
    add_quad(4, h, v, sum, lines, (const uint32_t *)(quad), (const int8_t *)(quad) + 16)
#define ADD_HALVES(h, v, sum, lines, quad) \
    add_quad(2, h, v, sum, lines, (const uint32_t *)(quad), (const int8_t *)(quad) + 16)
#define KERNEL(x) x##_neon
#include "kernels/pointwise_q8/planar.tmpl.h"

SPR_NEON_POP
#endif
