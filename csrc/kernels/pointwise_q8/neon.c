/* Quantized pointwise convolution without dot products (ARMv8.0). */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/pointwise_q8/finish_neon.h"
#include "kernels/pointwise_q8/planar.h"

/* ---- dense: vectors are two pixels of a group of channels ---- */

enum { DENSE_PIXELS = 8 };

/* Four rows times eight pixels. The products of two groups add up in 16 bits, as no weight is -128. Sums of a pixel are those of its
   even and of its odd pairs of channels. */
static void dense_tile(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *call, uint32_t row, uint32_t px) {
    const finish own = *call, *const f = &own; /* nothing stored can change it */
    int32x4_t sum[4][4];
    UNROLL for (int r = 0; r < 4; r++)
        UNROLL for (int j = 0; j < 4; j++) sum[r][j] = vdupq_n_s32(0);
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const int8_t *w = p->w + (size_t)row * p->groups * SPR_Q8_GROUP;
    for (uint32_t g = 0; g < p->groups; g += 2, w += 32) {
        const spr_q8 *const at = x + (size_t)p->offset[g] * SPR_Q8_GROUP, *const next = x + (size_t)p->offset[g + 1] * SPR_Q8_GROUP;
        const int8x16_t pixels[4] = {vld1q_s8(at), vld1q_s8(at + 16), vld1q_s8(next), vld1q_s8(next + 16)};
        const int32x4_t four[2] = {vreinterpretq_s32_s8(vld1q_s8(w)), vreinterpretq_s32_s8(vld1q_s8(w + 16))};
        int8x16_t row_w[2][4];
        UNROLL for (int i = 0; i < 2; i++) {
            row_w[i][0] = vreinterpretq_s8_s32(vdupq_laneq_s32(four[i], 0));
            row_w[i][1] = vreinterpretq_s8_s32(vdupq_laneq_s32(four[i], 1));
            row_w[i][2] = vreinterpretq_s8_s32(vdupq_laneq_s32(four[i], 2));
            row_w[i][3] = vreinterpretq_s8_s32(vdupq_laneq_s32(four[i], 3));
        }
        UNROLL for (int r = 0; r < 4; r++)
            UNROLL for (int j = 0; j < 2; j++) {
                int16x8_t low = vmull_s8(vget_low_s8(pixels[j]), vget_low_s8(row_w[0][r]));
                int16x8_t high = vmull_high_s8(pixels[j], row_w[0][r]);
                low = vmlal_s8(low, vget_low_s8(pixels[2 + j]), vget_low_s8(row_w[1][r]));
                high = vmlal_high_s8(high, pixels[2 + j], row_w[1][r]);
                sum[r][2 * j] = vpadalq_s16(sum[r][2 * j], low);
                sum[r][2 * j + 1] = vpadalq_s16(sum[r][2 * j + 1], high);
            }
    }
    int8_t line[4][LINE_PIXELS];
    UNROLL for (uint32_t r = 0; r < 4; r++) {
        const int32x4_t bias = vdupq_n_s32(p->bias[row + r]);
        const int32x4_t whole[2] = {vaddq_s32(vpaddq_s32(sum[r][0], sum[r][1]), bias),
                                    vaddq_s32(vpaddq_s32(sum[r][2], sum[r][3]), bias)};
        finish_row(2, a, f, whole, p->scale[row + r], row + r, px, line[r]);
    }
    store_quad(2, a, row, px, line);
}

void spr_pw_dense_q8_neon(const spr_pw_q8_args *a) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a);
    for (uint32_t px = a->px0; px < a->px1; px += DENSE_PIXELS)
        for (uint32_t row = a->row0; row < a->row1; row += SPR_Q8_GROUP) dense_tile(a, &p, &f, row, px);
}

/* ---- single weights: a vector is sixteen pixels of a channel. The products of a quad add up in 16 bits, see planar.h ---- */

SPR_INLINE void add_quad(const int h, const int v, int32x4_t *sum_0, int32x4_t *sum_1, const int8_t *lines, const uint32_t *at,
                         const int8_t *w) {
    int32x4_t *const sum[2] = {sum_0, sum_1};
    const int8_t *const line[4] = {lines + at[0], lines + at[1], lines + at[2], lines + at[3]};
    int8x16_t weight[2][4];
    UNROLL for (int r = 0; r < h; r++)
        UNROLL for (int i = 0; i < 4; i++) weight[r][i] = vld1q_dup_s8(w + r * 4 + i);
    UNROLL for (int j = 0; j + 1 < v; j += 2) {
        int16x8_t low[2], high[2];
        UNROLL for (int i = 0; i < 4; i++) {
            const int8x16_t x = vld1q_s8(line[i] + j * 8);
            UNROLL for (int r = 0; r < h; r++) {
                low[r] = i ? vmlal_s8(low[r], vget_low_s8(x), vget_low_s8(weight[r][i])) : vmull_s8(vget_low_s8(x), vget_low_s8(weight[r][i]));
                high[r] = i ? vmlal_high_s8(high[r], x, weight[r][i]) : vmull_high_s8(x, weight[r][i]);
            }
        }
        UNROLL for (int r = 0; r < h; r++) {
            sum[r][2 * j] = vaddw_s16(sum[r][2 * j], vget_low_s16(low[r]));
            sum[r][2 * j + 1] = vaddw_high_s16(sum[r][2 * j + 1], low[r]);
            sum[r][2 * j + 2] = vaddw_s16(sum[r][2 * j + 2], vget_low_s16(high[r]));
            sum[r][2 * j + 3] = vaddw_high_s16(sum[r][2 * j + 3], high[r]);
        }
    }
    if (v % 2) {
        int16x8_t products[2];
        UNROLL for (int i = 0; i < 4; i++) {
            const int8x8_t x = vld1_s8(line[i] + (v - 1) * 8);
            UNROLL for (int r = 0; r < h; r++)
                products[r] = i ? vmlal_s8(products[r], x, vget_low_s8(weight[r][i])) : vmull_s8(x, vget_low_s8(weight[r][i]));
        }
        UNROLL for (int r = 0; r < h; r++) {
            sum[r][2 * v - 2] = vaddw_s16(sum[r][2 * v - 2], vget_low_s16(products[r]));
            sum[r][2 * v - 1] = vaddw_high_s16(sum[r][2 * v - 1], products[r]);
        }
    }
}

#define ADD_QUAD1(v, sum, lines, quad) add_quad(1, v, sum, NULL, lines, (quad)->at, (quad)->w)
#define ADD_QUAD2(v, sum_0, sum_1, lines, quad) add_quad(2, v, sum_0, sum_1, lines, (quad)->at, (quad)->w)
#define NAME(x) x##_neon
#include "kernels/pointwise_q8/planar.tmpl.h"

#endif
