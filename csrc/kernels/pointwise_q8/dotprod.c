/* Quantized pointwise convolution with SDOT: a vector is 4 pixels of a group of channels, and SDOT adds the products of
   the four channels to 4 sums. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/pointwise_q8/finish_dotprod.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

/* Vectors of a sparse tile and of a dense one. Two are stored at a time. What is left is rounded up to a width for
   which there is a tile, as planes are padded to four vectors. */
enum { SPARSE_VECTORS = 8, DENSE_VECTORS = 4 };

/* ---- dense ---- */

/* Four rows times v vectors. */
SPR_INLINE void dense_tile(const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *call,
                           uint32_t row, uint32_t px) {
    const ends own = *call, *const e = &own; /* nothing stored can change it */
    int32x4_t sum[4][DENSE_VECTORS];
    SPR_UNROLL for (int r = 0; r < 4; r++)
        SPR_UNROLL for (int j = 0; j < v; j++) sum[r][j] = first_sum(1, e, p->bias[row + (uint32_t)r]);
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const int8_t *w = p->w + (size_t)row * p->groups * SPR_Q8_GROUP;
    for (uint32_t g = 0; g < p->groups; g++, w += 16) {
        const spr_q8 *const at = x + (size_t)p->offset[g] * SPR_Q8_GROUP;
        const int8x16_t four = vld1q_s8(w);
        SPR_UNROLL for (int j = 0; j < v; j++) {
            const int8x16_t pixels = vld1q_s8(at + j * 16);
            sum[0][j] = vdotq_laneq_s32(sum[0][j], pixels, four, 0);
            sum[1][j] = vdotq_laneq_s32(sum[1][j], pixels, four, 1);
            sum[2][j] = vdotq_laneq_s32(sum[2][j], pixels, four, 2);
            sum[3][j] = vdotq_laneq_s32(sum[3][j], pixels, four, 3);
        }
    }
    end_group(v, a, e, sum[0], sum[1], sum[2], sum[3], p->scale + row, row, px);
}

#define DENSE_TILE(v)                                                                                                  \
    static void dense_##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, uint32_t row,             \
                          uint32_t px) {                                                                               \
        dense_tile(v, a, p, e, row, px);                                                                               \
    }
DENSE_TILE(1) DENSE_TILE(4)

void spr_pw_dense_q8_dotprod(const spr_pw_q8_args *a) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const ends e = ends_of(a, p.narrow);
    for (uint32_t px = a->px0, v; px < a->px1; px += v * LANES) {
        v = a->px1 - px > LANES ? 4 : 1;
        for (uint32_t row = a->row0; row < a->row1; row += 4) (v == 4 ? dense_4 : dense_1)(a, &p, &e, row, px);
    }
}

/* ---- sparse ---- */

#define DOT(r, lane)                                                                                            \
    SPR_UNROLL for (int j = 0; j < v; j++) sum[r][j] = vdotq_laneq_s32(sum[r][j], vld1q_s8(at + j * 16), four, lane);
#define DOT_PAIR(lane)                                                                \
    SPR_UNROLL for (int j = 0; j < v; j++) {                                          \
        const int8x16_t pixels = vld1q_s8(at + j * 16);                               \
        sum[0][j] = vdotq_laneq_s32(sum[0][j], pixels, four, lane);                   \
        sum[1][j] = vdotq_laneq_s32(sum[1][j], pixels, four, lane + 1);               \
    }
#define BLOCK(i) (x + (size_t)p->offset[i] * SPR_Q8_GROUP)

/* All rows of the call, blocks of h rows, times v vectors. */
SPR_INLINE void sparse_tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p,
                            const ends *call, uint32_t px) {
    const int fast = v > 4; /* others are rare */
    const ends own = *call, *const e = &own;
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP, *at;
    for (uint32_t quad_row = a->row0; quad_row < a->row1; quad_row += 4) {
        int8_t line[4][LINE_PIXELS];
        for (uint32_t row = quad_row; row < quad_row + 4; row += (uint32_t)h) {
            int32x4_t sum[2][SPARSE_VECTORS];
            SPR_UNROLL for (int r = 0; r < h; r++)
                SPR_UNROLL for (int j = 0; j < v; j++) sum[r][j] = first_sum(fast, e, p->bias[row + (uint32_t)r]);
            uint32_t i = p->ptr[row / (uint32_t)h];
            const uint32_t end = p->ptr[row / (uint32_t)h + 1];
            const int8_t *w = p->w + (size_t)i * (size_t)h * 4;
            for (; i + 4 / (uint32_t)h <= end; i += 4 / (uint32_t)h, w += 16) {
                const int8x16_t four = vld1q_s8(w);
                if (h == 1) {
                    at = BLOCK(i);
                    DOT(0, 0)
                    at = BLOCK(i + 1);
                    DOT(0, 1)
                    at = BLOCK(i + 2);
                    DOT(0, 2)
                    at = BLOCK(i + 3);
                    DOT(0, 3)
                } else {
                    at = BLOCK(i);
                    DOT_PAIR(0)
                    at = BLOCK(i + 1);
                    DOT_PAIR(2)
                }
            }
            for (; i < end; i++, w += h * 4) {
                at = BLOCK(i);
                if (h == 1) {
                    const int8x16_t four = vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)w));
                    DOT(0, 0)
                } else {
                    const int8x16_t four = vcombine_s8(vld1_s8(w), vdup_n_s8(0));
                    DOT_PAIR(0)
                }
            }
            end_rows(h, v, fast, a, e, sum[0], sum[1], p->scale + row, quad_row, row - quad_row, px, line);
        }
        end_four(h, v, fast, a, e, quad_row, px, line);
    }
}

typedef void sparse_fn(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, uint32_t px);
#define SPARSE_TILE(h, v)                                                                                              \
    static void sparse_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, uint32_t px) {     \
        sparse_tile(h, v, a, p, e, px);                                                                                \
    }
SPARSE_TILE(1, 1) SPARSE_TILE(1, 4) SPARSE_TILE(1, 5) SPARSE_TILE(1, 8)
SPARSE_TILE(2, 1) SPARSE_TILE(2, 4) SPARSE_TILE(2, 5) SPARSE_TILE(2, 8)

/* Of 7 x 7, 14 x 14 and other images 5 or 1 are left. */
enum { WIDTHS = 4 };
static const uint32_t widths[WIDTHS] = {1, 4, 5, SPARSE_VECTORS};
static sparse_fn *const tiles_1[WIDTHS] = {sparse_1x1, sparse_1x4, sparse_1x5, sparse_1x8};
static sparse_fn *const tiles_2[WIDTHS] = {sparse_2x1, sparse_2x4, sparse_2x5, sparse_2x8};

static SPR_NOINLINE void sparse_run(const spr_pw_q8_args *a, sparse_fn *const *tiles) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const ends e = ends_of(a, p.narrow);
    for (uint32_t px = a->px0, i; px < a->px1; px += widths[i] * LANES) {
        for (i = 0; i < WIDTHS - 1 && a->px1 - px > widths[i] * LANES;) i++;
        tiles[i](a, &p, &e, px);
    }
}

void spr_pw_1x4_q8_dotprod(const spr_pw_q8_args *a) { sparse_run(a, tiles_1); }
void spr_pw_2x4_q8_dotprod(const spr_pw_q8_args *a) { sparse_run(a, tiles_2); }

SPR_TARGET_POP
#endif
