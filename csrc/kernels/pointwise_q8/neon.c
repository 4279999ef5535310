/* Quantized pointwise convolution without dot products (ARMv8.0). */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/pointwise_q8/finish_neon.h"
#include "kernels/pointwise_q8/quads_neon64.h"
#include "kernels/pointwise_q8/round_neon.h"

SPR_NEON_PUSH

/* What finishing needs of a call, in registers. */
typedef struct ends {
    spr_q8_rounding rounding;
    int plain;
} ends;

SPR_INLINE ends ends_of(const spr_pw_q8_args *a, uint32_t narrow) {
    (void)narrow;
    return (ends){spr_q8_rounding_of(a->finish), is_plain(a)};
}

/* v vectors of sums of a row, without residual or activation, to its line. */
SPR_INLINE void finish_plain(const int v, const ends *e, const int32x4_t *sum, float scale, int8_t *line) {
    SPR_UNROLL for (int j = 0; j < v; j += 4) {
        float32x4_t value[4];
        SPR_UNROLL for (int i = 0; i < 4; i++)
            value[i] = vmulq_n_f32(vcvtq_f32_s32(sum[j + i < v ? j + i : v - 1]), scale);
        vst1q_s8(line + j * LANES, spr_q8_to_bytes(&e->rounding, value));
    }
}

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
SPR_INLINE void dense_rows(const int from, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *call,
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
        int32x4_t four[2] = {vreinterpretq_s32_s8(vld1q_s8(w)), vreinterpretq_s32_s8(vld1q_s8(w + 16))};
        SPR_UNROLL for (int r = 0; r < DENSE_ROWS; r++) {
            const int8x16_t w0 = weights_of_row(four[0], from + r), w1 = weights_of_row(four[1], from + r);
            int16x8_t low[2], high[2];
            SPR_UNROLL for (int j = 0; j < 2; j++) {
                low[j] = vmull_s8(vget_low_s8(pixels[j]), vget_low_s8(w0));
                high[j] = vmull_high_s8(pixels[j], w0);
            }
            SPR_UNROLL for (int j = 0; j < 2; j++) {
                low[j] = vmlal_s8(low[j], vget_low_s8(pixels[2 + j]), vget_low_s8(w1));
                high[j] = vmlal_high_s8(high[j], pixels[2 + j], w1);
            }
            /* the weights of the next row not before: there are no registers for them */
            __asm__ volatile("" : "+w"(four[0]), "+w"(four[1]), "+w"(low[0]));
            SPR_UNROLL for (int j = 0; j < 2; j++) {
                sum[r][2 * j] = vpadalq_s16(sum[r][2 * j], low[j]);
                sum[r][2 * j + 1] = vpadalq_s16(sum[r][2 * j + 1], high[j]);
            }
        }
    }
    const ends own = *call, *const e = &own; /* nothing stored can change it; sums take all registers until here */
    int32x4_t whole[DENSE_ROWS][2];
    SPR_UNROLL for (uint32_t r = 0; r < DENSE_ROWS; r++) {
        const int32x4_t bias = vdupq_n_s32(p->bias[row + (uint32_t)from + r]);
        whole[r][0] = vaddq_s32(vpaddq_s32(sum[r][0], sum[r][1]), bias);
        whole[r][1] = vaddq_s32(vpaddq_s32(sum[r][2], sum[r][3]), bias);
    }
    row += (uint32_t)from;
    SPR_UNROLL for (uint32_t r = 0; r < DENSE_ROWS; r += 2) {
        if (e->plain) {
            finish_plain(2, e, whole[r], p->scale[row + r], line[(uint32_t)from + r]);
            finish_plain(2, e, whole[r + 1], p->scale[row + r + 1], line[(uint32_t)from + r + 1]);
        } else {
            end_any(2, 2, a, whole[r], whole[r + 1], p->scale + row + r, row + r, px, line + from + r);
        }
    }
}

static void dense_tile(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, uint32_t row,
                       uint32_t px) {
    int8_t line[4][LINE_PIXELS];
    dense_rows(0, a, p, e, row, px, line);
    if (DENSE_ROWS == 2) dense_rows(2, a, p, e, row, px, line);
    store_lines(2, a, row, px, line);
}

void spr_pw_dense_q8_neon(const spr_pw_q8_args *a) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const ends e = ends_of(a, p.narrow);
    for (uint32_t px = a->px0; px < a->px1; px += DENSE_PIXELS)
        for (uint32_t row = a->row0; row < a->row1; row += SPR_Q8_GROUP) dense_tile(a, &p, &e, row, px);
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

SPR_INLINE int32x4_t first_sum(const int fast, const ends *e, int32_t bias) {
    (void)fast;
    (void)e;
    return vdupq_n_s32(bias);
}
SPR_INLINE void end_rows(const int h, const int v, const int fast, const spr_pw_q8_args *a, const ends *e,
                         const int32x4_t *sum0, const int32x4_t *sum1, const float *scale, uint32_t first, uint32_t at,
                         uint32_t px, int8_t (*line)[LINE_PIXELS]) {
    if (!fast || !e->plain) {
        end_any(h, v, a, sum0, sum1, scale, first + at, px, line + at);
        return;
    }
    finish_plain(v, e, sum0, scale[0], line[at]);
    if (h == 2) finish_plain(v, e, sum1, scale[1], line[at + 1]);
}
SPR_INLINE void end_four(const int h, const int v, const int fast, const spr_pw_q8_args *a, const ends *e,
                         uint32_t first, uint32_t px, int8_t (*line)[LINE_PIXELS]) {
    (void)h;
    (void)e;
    (fast ? store_lines : spr_q8_store_lines_neon)(v, a, first, px, line);
}

#define ADD_QUAD(h, v, sum, lines, quad) \
    add_quad(4, h, v, sum, lines, (const uint32_t *)(quad), (const int8_t *)(quad) + 16)
#define ADD_HALVES(h, v, sum, lines, quad) \
    add_quad(2, h, v, sum, lines, (const uint32_t *)(quad), (const int8_t *)(quad) + 16)
#if SPR_AARCH64
#define EARLY(h) ((h) == 1 ? 8 : 4)
#endif
#define KERNEL(x) x##_neon
#include "kernels/pointwise_q8/planar.tmpl.h"

#if SPR_AARCH64
void spr_pw_csr_q8_neon_inorder(const spr_pw_q8_args *a) { csr(a, EARLY(1)); }
void spr_pw_2x1_q8_neon_inorder(const spr_pw_q8_args *a) { pairs(a, EARLY(2)); }
#endif

SPR_NEON_POP
#endif
