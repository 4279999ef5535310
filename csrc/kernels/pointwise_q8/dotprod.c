/* Quantized pointwise convolution with SDOT: a vector is 4 pixels of a group of channels, and SDOT adds the products of
   the four channels to 4 sums. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/pointwise_q8/finish_dotprod.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

/* Vectors of a sparse tile and of a dense one. */
enum { SPARSE_VECTORS = 8, DENSE_VECTORS = 4 };

/* ---- dense ---- */

/* Four rows times v vectors. */
SPR_INLINE void dense_tile(const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *call,
                           uint32_t row, uint32_t px) {
    const ends own = *call, *const e = &own; /* nothing stored can change it */
    int32x4_t sum[4][DENSE_VECTORS];
    SPR_UNROLL for (int r = 0; r < 4; r++)
        SPR_UNROLL for (int j = 0; j < v; j++) sum[r][j] = first_sum(e, p->bias[row + (uint32_t)r]);
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
DENSE_TILE(1) DENSE_TILE(2) DENSE_TILE(3) DENSE_TILE(4)

void spr_pw_dense_q8_dotprod(const spr_pw_q8_args *a) {
    static void (*const tiles[DENSE_VECTORS])(const spr_pw_q8_args *, const spr_pw_q8_packed *, const ends *, uint32_t,
                                              uint32_t) = {dense_1, dense_2, dense_3, dense_4};
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a);
    const ends e = ends_of(a, &f, p.narrow);
    for (uint32_t px = a->px0; px < a->px1; px += DENSE_VECTORS * LANES) {
        uint32_t v = (a->px1 - px + LANES - 1) / LANES;
        if (v > DENSE_VECTORS) v = DENSE_VECTORS;
        for (uint32_t row = a->row0; row < a->row1; row += 4) tiles[v - 1](a, &p, &e, row, px);
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
    const ends own = *call, *const e = &own;
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP, *at;
    for (uint32_t quad_row = a->row0; quad_row < a->row1; quad_row += 4) {
        int8_t line[4][LINE_PIXELS];
        for (uint32_t row = quad_row; row < quad_row + 4; row += (uint32_t)h) {
            int32x4_t sum[2][SPARSE_VECTORS];
            SPR_UNROLL for (int r = 0; r < h; r++)
                SPR_UNROLL for (int j = 0; j < v; j++) sum[r][j] = first_sum(e, p->bias[row + (uint32_t)r]);
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
            end_rows(h, v, a, e, sum[0], sum[1], p->scale + row, quad_row, row - quad_row, px, line);
        }
        end_four(h, v, a, e, quad_row, px, line);
    }
}

typedef void sparse_fn(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, uint32_t px);
#define SPARSE_TILE(h, v)                                                                                              \
    static void sparse_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, uint32_t px) {     \
        sparse_tile(h, v, a, p, e, px);                                                                                \
    }
#define SPARSE_TILES(h)                                                                                                \
    SPARSE_TILE(h, 1) SPARSE_TILE(h, 2) SPARSE_TILE(h, 3) SPARSE_TILE(h, 4) SPARSE_TILE(h, 5) SPARSE_TILE(h, 6)        \
    SPARSE_TILE(h, 7) SPARSE_TILE(h, 8)                                                                                \
    static sparse_fn *const tiles_##h[] = {sparse_##h##x1, sparse_##h##x2, sparse_##h##x3, sparse_##h##x4,             \
                                           sparse_##h##x5, sparse_##h##x6, sparse_##h##x7, sparse_##h##x8};
SPARSE_TILES(1)
SPARSE_TILES(2)

/* Tiles of 32 pixels; only the last is narrower, as whole 16 pixels are stored. */
SPR_INLINE void sparse_run(const spr_pw_q8_args *a, sparse_fn *const *tiles) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a);
    const ends e = ends_of(a, &f, p.narrow);
    for (uint32_t px = a->px0; px < a->px1; px += SPARSE_VECTORS * LANES) {
        uint32_t v = (a->px1 - px + LANES - 1) / LANES;
        if (v > SPARSE_VECTORS) v = SPARSE_VECTORS;
        tiles[v - 1](a, &p, &e, px);
    }
}

void spr_pw_1x4_q8_dotprod(const spr_pw_q8_args *a) { sparse_run(a, tiles_1); }
void spr_pw_2x4_q8_dotprod(const spr_pw_q8_args *a) { sparse_run(a, tiles_2); }

SPR_TARGET_POP
#endif
