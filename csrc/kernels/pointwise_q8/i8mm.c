/* Quantized dense pointwise convolution with SMMLA, which adds the products of two pixels and two rows, of eight
 * channels each, to 2 x 2 sums. Pairs of groups are zipped to pixels of eight channels once for all rows, tile by tile,
 * into the scratch memory: [tile of 8 pixels][pair of groups][8 pixels][8 channels]. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/pointwise_q8/finish_dotprod.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod+i8mm")

/* Pixels of a tile, vectors of 4 of them, and bytes of a pair of groups in it. */
enum { TILE = SPR_Q8_EIGHTS_TILE, TILE_VECTORS = TILE / LANES, PAIR = TILE * 2 * SPR_Q8_GROUP };

/* A tile of all groups. */
SPR_INLINE void zip_tile(const spr_pw_q8_packed *p, const spr_q8 *x, int8_t *out) {
    for (uint32_t g = 0; g < p->groups; g += 2, out += PAIR) {
        const spr_q8 *const first = x + (size_t)p->offset[g] * SPR_Q8_GROUP,
                     *const second = x + (size_t)p->offset[g + 1] * SPR_Q8_GROUP;
        SPR_UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
            const int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(first + j * 16)),
                            b = vreinterpretq_s32_s8(vld1q_s8(second + j * 16));
            vst1q_s8(out + j * 32, vreinterpretq_s8_s32(vzip1q_s32(a, b)));
            vst1q_s8(out + j * 32 + 16, vreinterpretq_s8_s32(vzip2q_s32(a, b)));
        }
    }
}

/* Two sums of each of two pixels, with the biases of both rows. */
SPR_INLINE int32x4_t first_sums(const ends *e, const int32_t *bias) {
    const int32x2_t two = vadd_s32(vld1_s32(bias), vdup_n_s32(e->start));
    return vcombine_s32(two, two);
}

/* A tile of two rows, narrow values, to pixels of two bytes. sum[i]: of pixels 2 i and 2 i + 1, of each
   both rows. */
SPR_INLINE int16x8_t finish_pairs(const ends *e, const int32x4_t *sum, const float *scale) {
    const float32x4_t scales = vcombine_f32(vld1_f32(scale), vld1_f32(scale));
    float32x4_t value[TILE / 2];
    int16x8_t four[2];
    to_floats(2 * TILE_VECTORS, e, sum, value);
    SPR_UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
        const float32x4_t low = vaddq_f32(vmulq_f32(value[2 * j], scales), MORE);
        const float32x4_t high = vaddq_f32(vmulq_f32(value[2 * j + 1], scales), MORE);
        four[j] = vuzp1q_s16(vreinterpretq_s16_f32(low), vreinterpretq_s16_f32(high));
    }
    return vreinterpretq_s16_s8(narrowed(e, four[0], four[1]));
}

/* The rows of a group. */
SPR_INLINE void end_pairs(const spr_pw_q8_args *a, const ends *e, int32x4_t (*sum)[TILE / 2], const float *scale,
                          uint32_t row, uint32_t px) {
    if (e->narrow) {
        const int16x8_t first = finish_pairs(e, sum[0], scale), last = finish_pairs(e, sum[1], scale + 2);
        store_two(TILE_VECTORS, a, row, px, &first, &last);
        return;
    }
    int32x4_t of_row[SPR_Q8_GROUP][TILE_VECTORS];
    SPR_UNROLL for (int r = 0; r < SPR_Q8_GROUP; r += 2)
        SPR_UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
            of_row[r][j] = vuzp1q_s32(sum[r / 2][2 * j], sum[r / 2][2 * j + 1]);
            of_row[r + 1][j] = vuzp2q_s32(sum[r / 2][2 * j], sum[r / 2][2 * j + 1]);
        }
    end_group(TILE_VECTORS, a, e, of_row[0], of_row[1], of_row[2], of_row[3], scale, row, px);
}

/* One or two groups of rows times a tile; x: zipped. */
SPR_INLINE void tile(const int h, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *call,
                     const int8_t *x, uint32_t row, uint32_t px) {
    const ends own = *call, *const e = &own; /* nothing stored can change it */
    int32x4_t sum[4][TILE / 2];
    SPR_UNROLL for (int r = 0; r < 2 * h; r++) {
        const int32x4_t first = first_sums(e, p->bias + row + 2 * r);
        SPR_UNROLL for (int j = 0; j < 2 * TILE_VECTORS; j++) sum[r][j] = first;
    }
    const int8_t *w = p->w + (size_t)row * p->groups * SPR_Q8_GROUP;
    const size_t next = (size_t)p->groups * SPR_Q8_GROUP * SPR_Q8_GROUP; /* group of rows */
    for (uint32_t g = 0; g < p->groups; g += 2, w += 32, x += PAIR) {
        int8x16_t rows[4];
        SPR_UNROLL for (int r = 0; r < 2 * h; r++) rows[r] = vld1q_s8(w + (size_t)(r / 2) * next + r % 2 * 16);
        SPR_UNROLL for (int j = 0; j < 2 * TILE_VECTORS; j++) {
            const int8x16_t pixels = vld1q_s8(x + j * 16);
            SPR_UNROLL for (int r = 0; r < 2 * h; r++) sum[r][j] = vmmlaq_s32(sum[r][j], pixels, rows[r]);
        }
    }
    SPR_UNROLL for (int i = 0; i < h; i++)
        end_pairs(a, e, sum + 2 * i, p->scale + row + 4 * i, row + 4 * (uint32_t)i, px);
}

#define TILE_FN(h)                                                                                                    \
    static void tile_##h(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const ends *e, const int8_t *x,           \
                         uint32_t row, uint32_t px) {                                                                  \
        tile(h, a, p, e, x, row, px);                                                                                 \
    }
TILE_FN(1) TILE_FN(2)

void spr_pw_dense_q8_i8mm(const spr_pw_q8_args *a) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const ends e = ends_of(a, p.narrow);
    const uint32_t some = spr_pw_q8_eights_pixels(p.groups);
    const size_t bytes = (size_t)p.groups * TILE * SPR_Q8_GROUP; /* of a tile */
    for (uint32_t px0 = a->px0, px1; px0 < a->px1; px0 = px1) {
        px1 = a->px1 - px0 < some ? a->px1 : px0 + some;
        int8_t *x = a->scratch;
        for (uint32_t px = px0; px < px1; px += TILE, x += bytes) zip_tile(&p, a->x + (size_t)px * SPR_Q8_GROUP, x);
        for (uint32_t row = a->row0, h; row < a->row1; row += h * SPR_Q8_GROUP) {
            h = a->row1 - row > SPR_Q8_GROUP ? 2 : 1;
            x = a->scratch;
            for (uint32_t px = px0; px < px1; px += TILE, x += bytes) (h == 2 ? tile_2 : tile_1)(a, &p, &e, x, row, px);
        }
    }
}

SPR_TARGET_POP
#endif
