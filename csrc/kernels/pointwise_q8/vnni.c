/* Quantized pointwise convolution with AVX-512 VNNI: a vector is 16 pixels of a group of channels, and VPDPBUSD adds the products
   of the four channels to 16 sums. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/pointwise_q8/pack.h"
#include "kernels/unary/act_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

enum { LANES = 16, DENSE_VECTORS = 3, SPARSE_VECTORS = 7 };

SPR_INLINE __m512i load(const void *p) { return _mm512_loadu_si512(p); }

/* sum += four products; gcc 12 moves and spills the sums if it is left the choice of registers. */
#define DOT(sum, pixels, four) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(pixels), "v"(four))

SPR_INLINE __m512i weights(const int8_t *w) {
    int32_t four;
    memcpy(&four, w, sizeof four);
    return _mm512_set1_epi32(four);
}

/* What finishing needs of a call, in registers. */
typedef struct finish {
    __m512 lo, hi, z_scale;
    __m512i y_zero, z_zero;
} finish;

SPR_INLINE finish finish_of(const spr_q8_finish *f) {
    return (finish){
        .lo = _mm512_set1_ps((float)(f->lo - f->y_zero)), .hi = _mm512_set1_ps((float)(f->hi - f->y_zero)),
        .z_scale = _mm512_set1_ps(f->z_scale),
        .y_zero = _mm512_set1_epi32(f->y_zero), .z_zero = _mm512_set1_epi32(f->z_zero),
    };
}

/* Not inlined, as most layers come without. */
static SPR_NOINLINE void activate(int v, const spr_q8_finish *f, uint32_t row, __m512 *value) {
    const spr_act_consts_avx512 c = spr_act_load_avx512(&f->act, row);
    const __m512 y_inv = _mm512_set1_ps(f->to_float ? 1 : f->y_inv);
    for (int j = 0; j < v; j++) value[j] = _mm512_mul_ps(spr_act_vec_avx512(value[j], &c), y_inv);
}

/* The sums of one row and v vectors of pixels from px on. Quantized outputs move into the upper bytes of `quad`, those of the
   rows before one byte down; float outputs are stored. */
SPR_INLINE void finish_row(const int v, const spr_pw_q8_args *a, const finish *f, __m512i *sum, float scale, uint32_t row,
                           uint32_t px, __m512i *quad) {
    const spr_q8_finish *fin = a->finish;
    const __m512 s = _mm512_set1_ps(scale);
    __m512 value[8];
    UNROLL for (int j = 0; j < v; j++) value[j] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[j]), s);
    if (a->z) {
        const spr_q8 *z = a->z + ((size_t)(row / SPR_Q8_GROUP) * a->z_stride + px) * SPR_Q8_GROUP;
        const __m128i down = _mm_cvtsi32_si128((int)(row % SPR_Q8_GROUP) * 8);
        UNROLL for (int j = 0; j < v; j++) {
            const __m512i byte =
                _mm512_and_si512(_mm512_srl_epi32(load(z + j * 64), down), _mm512_set1_epi32(255));
            const __m512 t = _mm512_cvtepi32_ps(_mm512_sub_epi32(byte, f->z_zero));
            value[j] = _mm512_add_ps(value[j], _mm512_mul_ps(t, f->z_scale));
        }
    }
    if (fin->act.fn != SPR_FN_NONE) {
        __m512 memory[8]; /* so that value stays in registers */
        UNROLL for (int j = 0; j < v; j++) memory[j] = value[j];
        activate(v, fin, row < a->n ? row : a->n - 1, memory);
        UNROLL for (int j = 0; j < v; j++) value[j] = memory[j];
    }
    if (fin->to_float) {
        if (row >= a->n) return;
        float *y = (float *)a->y + row * a->y_stride + px;
        UNROLL for (int j = 0; j < v; j++) _mm512_storeu_ps(y + j * LANES, value[j]);
        return;
    }
    UNROLL for (int j = 0; j < v; j++) {
        const __m512i q = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(value[j], f->lo), f->hi));
        quad[j] = _mm512_or_si512(_mm512_srli_epi32(quad[j], 8), _mm512_slli_epi32(_mm512_add_epi32(q, f->y_zero), 24));
    }
}

SPR_INLINE void store_quad(const int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px, const __m512i *quad) {
    if (a->finish->to_float) return;
    spr_q8 *y = (spr_q8 *)a->y + ((size_t)(row / SPR_Q8_GROUP) * a->y_stride + px) * SPR_Q8_GROUP;
    UNROLL for (int j = 0; j < v; j++) _mm512_storeu_si512(y + j * 64, quad[j]);
}

/* ---- dense ---- */

/* h rows (4 or 8) times v vectors. */
SPR_INLINE void dense_tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f,
                           uint32_t row, uint32_t px) {
    __m512i sum[8][DENSE_VECTORS];
    UNROLL for (int r = 0; r < h; r++)
        UNROLL for (int j = 0; j < v; j++) sum[r][j] = _mm512_set1_epi32(p->bias[row + (uint32_t)r]);
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const int8_t *w = p->w + (size_t)row * p->groups * SPR_Q8_GROUP;
    const size_t next_quad = (size_t)p->groups * 16;
    for (uint32_t g = 0; g < p->groups; g++, w += 16) {
        const spr_q8 *const at = x + (size_t)p->offset[g] * SPR_Q8_GROUP;
        __m512i pixels[DENSE_VECTORS];
        UNROLL for (int j = 0; j < v; j++) pixels[j] = load(at + j * 64);
        UNROLL for (int r = 0; r < h; r++) {
            const __m512i four = weights(w + (size_t)(r / 4) * next_quad + r % 4 * 4);
            UNROLL for (int j = 0; j < v; j++) DOT(sum[r][j], pixels[j], four);
        }
    }
    UNROLL for (int q = 0; q < h; q += 4) {
        __m512i quad[DENSE_VECTORS];
        UNROLL for (int j = 0; j < v; j++) quad[j] = _mm512_setzero_si512();
        UNROLL for (int r = q; r < q + 4; r++)
            finish_row(v, a, f, sum[r], p->scale[row + (uint32_t)r], row + (uint32_t)r, px, quad);
        store_quad(v, a, row + (uint32_t)q, px, quad);
    }
}

#define DENSE_TILE(h, v)                                                                                                        \
    static void dense_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f, uint32_t row, uint32_t px) { \
        dense_tile(h, v, a, p, f, row, px);                                                                                     \
    }
DENSE_TILE(4, 1) DENSE_TILE(4, 2) DENSE_TILE(4, 3) DENSE_TILE(8, 1) DENSE_TILE(8, 2) DENSE_TILE(8, 3)

void spr_pw_dense_q8_vnni(const spr_pw_q8_args *a) {
    static void (*const tiles[2][DENSE_VECTORS])(const spr_pw_q8_args *, const spr_pw_q8_packed *, const finish *, uint32_t,
                                                 uint32_t) = {{dense_4x1, dense_4x2, dense_4x3}, {dense_8x1, dense_8x2, dense_8x3}};
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a->finish);
    uint32_t vectors = (a->px1 - a->px0 + LANES - 1) / LANES, px = a->px0;
    for (uint32_t left = (vectors + DENSE_VECTORS - 1) / DENSE_VECTORS; left > 0; left--) {
        const uint32_t v = (vectors + left - 1) / left;
        uint32_t row = a->row0;
        for (; row + 4 < a->row1; row += 8) tiles[1][v - 1](a, &p, &f, row, px);
        if (row < a->row1) tiles[0][v - 1](a, &p, &f, row, px);
        vectors -= v;
        px += v * LANES;
    }
}

/* ---- sparse ---- */

/* All rows of the call, blocks of h rows, times v vectors. */
SPR_INLINE void sparse_tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f,
                            uint32_t px) {
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    for (uint32_t quad_row = a->row0; quad_row < a->row1; quad_row += 4) {
        __m512i quad[SPARSE_VECTORS];
        UNROLL for (int j = 0; j < v; j++) quad[j] = _mm512_setzero_si512();
        for (uint32_t row = quad_row; row < quad_row + 4; row += (uint32_t)h) {
            __m512i sum[2][SPARSE_VECTORS];
            UNROLL for (int r = 0; r < h; r++)
                UNROLL for (int j = 0; j < v; j++) sum[r][j] = _mm512_set1_epi32(p->bias[row + (uint32_t)r]);
            const uint32_t end = p->ptr[row / (uint32_t)h + 1];
            const int8_t *w = p->w + (size_t)p->ptr[row / (uint32_t)h] * (size_t)h * 4;
            for (uint32_t i = p->ptr[row / (uint32_t)h]; i < end; i++, w += h * 4) {
                const spr_q8 *const at = x + (size_t)p->offset[i] * SPR_Q8_GROUP;
                const __m512i w_0 = weights(w), w_1 = weights(w + (h - 1) * 4);
                UNROLL for (int j = 0; j < v; j++) {
                    const __m512i pixels = load(at + j * 64);
                    DOT(sum[0][j], pixels, w_0);
                    if (h == 2) DOT(sum[1][j], pixels, w_1);
                }
            }
            UNROLL for (int r = 0; r < h; r++)
                finish_row(v, a, f, sum[r], p->scale[row + (uint32_t)r], row + (uint32_t)r, px, quad);
        }
        store_quad(v, a, quad_row, px, quad);
    }
}

typedef void sparse_fn(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f, uint32_t px);
#define SPARSE_TILE(h, v)                                                                                             \
    static void sparse_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const finish *f, uint32_t px) {  \
        sparse_tile(h, v, a, p, f, px);                                                                               \
    }
#define SPARSE_TILES(h)                                                                                                     \
    SPARSE_TILE(h, 1) SPARSE_TILE(h, 2) SPARSE_TILE(h, 3) SPARSE_TILE(h, 4) SPARSE_TILE(h, 5) SPARSE_TILE(h, 6)             \
    SPARSE_TILE(h, 7)                                                                                                       \
    static sparse_fn *const tiles_##h[] = {sparse_##h##x1, sparse_##h##x2, sparse_##h##x3, sparse_##h##x4, sparse_##h##x5, \
                                           sparse_##h##x6, sparse_##h##x7};
SPARSE_TILES(1)
SPARSE_TILES(2)

SPR_INLINE void sparse_run(const spr_pw_q8_args *a, sparse_fn *const *tiles) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const finish f = finish_of(a->finish);
    uint32_t vectors = (a->px1 - a->px0 + LANES - 1) / LANES, px = a->px0;
    for (uint32_t left = (vectors + SPARSE_VECTORS - 1) / SPARSE_VECTORS; left > 0; left--) {
        const uint32_t v = (vectors + left - 1) / left;
        tiles[v - 1](a, &p, &f, px);
        vectors -= v;
        px += v * LANES;
    }
}

void spr_pw_1x4_q8_vnni(const spr_pw_q8_args *a) { sparse_run(a, tiles_1); }
void spr_pw_2x4_q8_vnni(const spr_pw_q8_args *a) { sparse_run(a, tiles_2); }

SPR_TARGET_POP
#endif
