/* Quantized pointwise convolution with SDOT: a vector is 4 pixels of a group of channels, and SDOT adds the products of the four
   channels to 4 sums. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/pointwise_q8/pack.h"
#include "kernels/unary/act_neon.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

/* Vectors of a sparse tile and of a dense one. */
enum { LANES = 4, SPARSE_VECTORS = 8, DENSE_VECTORS = 4 };

/* What finishing needs of a call, in registers. */
typedef struct finish {
    float32x4_t z_scale;
    int16x8_t y_zero, z_zero;
    int8x16_t lo, hi;
    int to_float;
} finish;

SPR_INLINE finish finish_of(const spr_q8_finish *f) {
    return (finish){
        .z_scale = vdupq_n_f32(f->z_scale),
        .y_zero = vdupq_n_s16((int16_t)f->y_zero), .z_zero = vdupq_n_s16((int16_t)f->z_zero),
        .lo = vdupq_n_s8((int8_t)f->lo), .hi = vdupq_n_s8((int8_t)f->hi), .to_float = f->to_float,
    };
}

/* Adds the residual of one row to its values; v is rounded up to whole 16 pixels. */
SPR_INLINE void add_residual(const int v, const spr_pw_q8_args *a, const finish *f, uint32_t row, uint32_t px,
                             float32x4_t *value) {
    const spr_q8 *z = a->z + ((size_t)(row / SPR_Q8_GROUP) * a->z_stride + px) * SPR_Q8_GROUP;
    const int32x4_t up = vdupq_n_s32(24 - (int32_t)(row % SPR_Q8_GROUP) * 8);
    UNROLL for (int j = 0; j < v; j++) {
        const int32x4_t four = vreinterpretq_s32_s8(vld1q_s8(z + j * 16));
        const int32x4_t byte = vshrq_n_s32(vshlq_s32(four, up), 24);
        const int32x4_t less = vsubw_s16(byte, vget_low_s16(f->z_zero));
        value[j] = vaddq_f32(value[j], vmulq_f32(vcvtq_f32_s32(less), f->z_scale));
    }
}

/* Not inlined, as most layers come without. */
static SPR_NOINLINE void activate(int v, const spr_q8_finish *f, uint32_t row, float32x4_t *value) {
    const spr_act_consts_neon c = spr_act_load_neon(&f->act, row);
    const float y_inv = f->to_float ? 1 : f->y_inv;
    for (int j = 0; j < v; j++) value[j] = vmulq_n_f32(spr_act_vec_neon(value[j], &c), y_inv);
}

/* The sums of one row and v vectors of pixels from px on: quantized outputs go to line[0 ... 4 v), float outputs to y. */
SPR_INLINE void finish_row(const int v, const spr_pw_q8_args *a, const finish *f, const int32x4_t *sum, float scale, uint32_t row,
                           uint32_t px, int8_t *line) {
    float32x4_t value[SPARSE_VECTORS];
    UNROLL for (int j = 0; j < v; j++) value[j] = vmulq_n_f32(vcvtq_f32_s32(sum[j]), scale);
    if (a->z) add_residual(v, a, f, row, px, value);
    if (a->finish->act.fn != SPR_FN_NONE) {
        float32x4_t memory[SPARSE_VECTORS]; /* so that value stays in registers */
        UNROLL for (int j = 0; j < v; j++) memory[j] = value[j];
        activate(v, a->finish, row < a->n ? row : a->n - 1, memory);
        UNROLL for (int j = 0; j < v; j++) value[j] = memory[j];
    }
    if (f->to_float) {
        if (row >= a->n) return;
        float *y = (float *)a->y + row * a->y_stride + px;
        UNROLL for (int j = 0; j < v; j++) vst1q_f32(y + j * LANES, value[j]);
        return;
    }
    UNROLL for (int j = 0; j < v; j += 4) {
        int32x4_t q[4];
        UNROLL for (int i = 0; i < 4; i++) q[i] = vcvtnq_s32_f32(value[j + i < v ? j + i : v - 1]); /* saturates */
        const int16x8_t low = vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1]));
        const int16x8_t high = vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3]));
        const int8x16_t bytes =
            vcombine_s8(vqmovn_s16(vqaddq_s16(low, f->y_zero)), vqmovn_s16(vqaddq_s16(high, f->y_zero)));
        vst1q_s8(line + j * LANES, vminq_s8(vmaxq_s8(bytes, f->lo), f->hi));
    }
}

/* Four lines of bytes to pixels of four channels. */
SPR_INLINE void store_quad(const int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px, int8_t (*line)[32]) {
    spr_q8 *y = (spr_q8 *)a->y + ((size_t)(row / SPR_Q8_GROUP) * a->y_stride + px) * SPR_Q8_GROUP;
    UNROLL for (int j = 0; j < v; j += 4) {
        const int8x16x4_t rows = {{vld1q_s8(line[0] + j * LANES), vld1q_s8(line[1] + j * LANES), vld1q_s8(line[2] + j * LANES),
                                   vld1q_s8(line[3] + j * LANES)}};
        vst4q_s8(y + j * 16, rows);
    }
}

/* ---- dense ---- */

/* Four rows times v vectors. */
SPR_INLINE void dense_tile(const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *call, uint32_t row,
                           uint32_t px) {
    const finish own = *call, *const f = &own; /* nothing stored can change it */
    int32x4_t sum[4][DENSE_VECTORS];
    UNROLL for (int r = 0; r < 4; r++)
        UNROLL for (int j = 0; j < v; j++) sum[r][j] = vdupq_n_s32(p->bias[row + (uint32_t)r]);
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const int8_t *w = p->w + (size_t)row * p->groups * SPR_Q8_GROUP;
    for (uint32_t g = 0; g < p->groups; g++, w += 16) {
        const spr_q8 *const at = x + (size_t)p->offset[g] * SPR_Q8_GROUP;
        const int8x16_t four = vld1q_s8(w);
        UNROLL for (int j = 0; j < v; j++) {
            const int8x16_t pixels = vld1q_s8(at + j * 16);
            sum[0][j] = vdotq_laneq_s32(sum[0][j], pixels, four, 0);
            sum[1][j] = vdotq_laneq_s32(sum[1][j], pixels, four, 1);
            sum[2][j] = vdotq_laneq_s32(sum[2][j], pixels, four, 2);
            sum[3][j] = vdotq_laneq_s32(sum[3][j], pixels, four, 3);
        }
    }
    int8_t line[4][32];
    UNROLL for (uint32_t r = 0; r < 4; r++) finish_row(v, a, f, sum[r], p->scale[row + r], row + r, px, line[r]);
    if (!f->to_float) store_quad(v, a, row, px, line);
}

#define DENSE_TILE(v)                                                                                                         \
    static void dense_##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f, uint32_t row, uint32_t px) {   \
        dense_tile(v, a, p, f, row, px);                                                                                      \
    }
DENSE_TILE(1) DENSE_TILE(2) DENSE_TILE(3) DENSE_TILE(4)

void spr_pw_dense_q8_dotprod(const spr_pw_q8_args *a) {
    static void (*const tiles[DENSE_VECTORS])(const spr_pw_q8_args *, const spr_pw_q8_packed *, const finish *, uint32_t,
                                              uint32_t) = {dense_1, dense_2, dense_3, dense_4};
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a->finish);
    for (uint32_t px = a->px0; px < a->px1; px += DENSE_VECTORS * LANES) {
        uint32_t v = (a->px1 - px + LANES - 1) / LANES;
        if (v > DENSE_VECTORS) v = DENSE_VECTORS;
        for (uint32_t row = a->row0; row < a->row1; row += 4) tiles[v - 1](a, &p, &f, row, px);
    }
}

/* ---- sparse ---- */

#define DOT(r, lane)                                                                                            \
    UNROLL for (int j = 0; j < v; j++) sum[r][j] = vdotq_laneq_s32(sum[r][j], vld1q_s8(at + j * 16), four, lane);
#define DOT_PAIR(lane)                                                                \
    UNROLL for (int j = 0; j < v; j++) {                                              \
        const int8x16_t pixels = vld1q_s8(at + j * 16);                               \
        sum[0][j] = vdotq_laneq_s32(sum[0][j], pixels, four, lane);                   \
        sum[1][j] = vdotq_laneq_s32(sum[1][j], pixels, four, lane + 1);               \
    }
#define BLOCK(i) (x + (size_t)p->offset[i] * SPR_Q8_GROUP)

/* All rows of the call, blocks of h rows, times v vectors. */
SPR_INLINE void sparse_tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *call,
                            uint32_t px) {
    const finish own = *call, *const f = &own;
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP, *at;
    for (uint32_t quad_row = a->row0; quad_row < a->row1; quad_row += 4) {
        int8_t line[4][32];
        for (uint32_t row = quad_row; row < quad_row + 4; row += (uint32_t)h) {
            int32x4_t sum[2][SPARSE_VECTORS];
            UNROLL for (int r = 0; r < h; r++)
                UNROLL for (int j = 0; j < v; j++) sum[r][j] = vdupq_n_s32(p->bias[row + (uint32_t)r]);
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
            UNROLL for (int r = 0; r < h; r++)
                finish_row(v, a, f, sum[r], p->scale[row + (uint32_t)r], row + (uint32_t)r, px, line[row % 4 + (uint32_t)r]);
        }
        if (!f->to_float) store_quad(v, a, quad_row, px, line);
    }
}

typedef void sparse_fn(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f, uint32_t px);
#define SPARSE_TILE(h, v)                                                                                             \
    static void sparse_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f, uint32_t px) {  \
        sparse_tile(h, v, a, p, f, px);                                                                               \
    }
#define SPARSE_TILES(h)                                                                                                     \
    SPARSE_TILE(h, 1) SPARSE_TILE(h, 2) SPARSE_TILE(h, 3) SPARSE_TILE(h, 4) SPARSE_TILE(h, 5) SPARSE_TILE(h, 6)             \
    SPARSE_TILE(h, 7) SPARSE_TILE(h, 8)                                                                                     \
    static sparse_fn *const tiles_##h[] = {sparse_##h##x1, sparse_##h##x2, sparse_##h##x3, sparse_##h##x4,                  \
                                           sparse_##h##x5, sparse_##h##x6, sparse_##h##x7, sparse_##h##x8};
SPARSE_TILES(1)
SPARSE_TILES(2)

/* Tiles of 32 pixels; only the last is narrower, as whole 16 pixels are stored. */
SPR_INLINE void sparse_run(const spr_pw_q8_args *a, sparse_fn *const *tiles) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a->finish);
    for (uint32_t px = a->px0; px < a->px1; px += SPARSE_VECTORS * LANES) {
        uint32_t v = (a->px1 - px + LANES - 1) / LANES;
        if (v > SPARSE_VECTORS) v = SPARSE_VECTORS;
        tiles[v - 1](a, &p, &f, px);
    }
}

void spr_pw_1x4_q8_dotprod(const spr_pw_q8_args *a) { sparse_run(a, tiles_1); }
void spr_pw_2x4_q8_dotprod(const spr_pw_q8_args *a) { sparse_run(a, tiles_2); }

SPR_TARGET_POP
#endif
