/* Quantized pointwise kernels over single weights, NEON: the tiles. Included with ADD_QUAD1 and ADD_QUAD2 defined:
 *
 *   ADD_QUAD1(v, sum, lines, quad)           adds a quad to the sums of one row and v times 8 pixels, int32x4_t sum[2 v]
 *   ADD_QUAD2(v, sum_0, sum_1, lines, quad)  to those of two rows
 *   NAME(x)                                  x with the suffix of the instruction set */

/* Lines of a group's channels over v times 8 pixels. */
SPR_INLINE void to_lines(const int v, const spr_q8 *x, size_t stride, int8_t *line) {
    UNROLL for (int j = 0; j + 1 < v; j += 2) {
        const int8x16x4_t c = vld4q_s8(x + j * 32);
        UNROLL for (int i = 0; i < 4; i++) vst1q_s8(line + (size_t)i * stride + j * 8, c.val[i]);
    }
    if (v % 2) {
        const int8x8x4_t c = vld4_s8(x + (v - 1) * 32);
        UNROLL for (int i = 0; i < 4; i++) vst1_s8(line + (size_t)i * stride + (v - 1) * 8, c.val[i]);
    }
}

SPR_INLINE void all_lines(const int v, const spr_pw_q8_args *a, const spr_pw_q8_planar *p, uint32_t px) {
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    int8_t *line = a->scratch;
    for (uint32_t g = 0; g < p->groups; g++, line += p->stride * SPR_Q8_GROUP)
        to_lines(v, x + (size_t)p->offset[g] * SPR_Q8_GROUP, p->stride, line);
}

/* All rows of the call times v times 8 pixels. */
SPR_INLINE void csr_tile(const int v, const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const finish *call, uint32_t px) {
    const finish own = *call, *const f = &own; /* nothing stored can change it */
    const int8_t *const lines = a->scratch;
    all_lines(v, a, p, px);
    const spr_q8_quad1 *quad = (const spr_q8_quad1 *)p->quads + p->ptr[a->row0];
    for (uint32_t first = a->row0; first < a->row1; first += SPR_Q8_GROUP) {
        int8_t line[SPR_Q8_GROUP][LINE_PIXELS];
        for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) {
            int32x4_t sum[16];
            UNROLL for (int j = 0; j < 2 * v; j++) sum[j] = vdupq_n_s32(p->bias[first + r]);
            for (uint32_t left = p->ptr[first + r + 1] - p->ptr[first + r]; left; left--, quad++) ADD_QUAD1(v, sum, lines, quad);
            finish_row(2 * v, a, f, sum, p->scale[first + r], first + r, px, line[r]);
        }
        store_quad(2 * v, a, first, px, line);
    }
}

SPR_INLINE void pair_tile(const int v, const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const finish *call, uint32_t px) {
    const finish own = *call, *const f = &own;
    const int8_t *const lines = a->scratch;
    all_lines(v, a, p, px);
    const spr_q8_quad2 *quad = (const spr_q8_quad2 *)p->quads + p->ptr[a->row0 / 2];
    for (uint32_t first = a->row0; first < a->row1; first += SPR_Q8_GROUP) {
        int8_t line[SPR_Q8_GROUP][LINE_PIXELS];
        for (uint32_t r = 0; r < SPR_Q8_GROUP; r += 2) {
            const uint32_t row = first + r;
            int32x4_t sum[2][8];
            UNROLL for (int i = 0; i < 2; i++)
                UNROLL for (int j = 0; j < 2 * v; j++) sum[i][j] = vdupq_n_s32(p->bias[row + (uint32_t)i]);
            for (uint32_t left = p->ptr[row / 2 + 1] - p->ptr[row / 2]; left; left--, quad++)
                ADD_QUAD2(v, sum[0], sum[1], lines, quad);
            UNROLL for (uint32_t i = 0; i < 2; i++) finish_row(2 * v, a, f, sum[i], p->scale[row + i], row + i, px, line[r + i]);
        }
        store_quad(2 * v, a, first, px, line);
    }
}

typedef void tile_fn(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const finish *f, uint32_t px);
#define TILE(of, v)                                                                                                 \
    static void of##_##v(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const finish *f, uint32_t px) {        \
        of##_tile(v, a, p, f, px);                                                                                  \
    }
TILE(csr, 1) TILE(csr, 2) TILE(csr, 3) TILE(csr, 4) TILE(csr, 5) TILE(csr, 6) TILE(csr, 7) TILE(csr, 8)
TILE(pair, 1) TILE(pair, 2) TILE(pair, 3) TILE(pair, 4)

/* Tiles as even as can be. */
SPR_INLINE void run_tiles(const spr_pw_q8_args *a, tile_fn *const *tiles) {
    const spr_pw_q8_planar p = spr_pw_q8_planar_of(a->packed);
    const finish f = finish_of(a);
    uint32_t eights = (a->px1 - a->px0 + 7) / 8, px = a->px0, most = p.stride / 8;
    for (uint32_t left = (eights + most - 1) / most; left > 0; left--) {
        const uint32_t v = (eights + left - 1) / left;
        tiles[v - 1](a, &p, &f, px);
        eights -= v;
        px += v * 8;
    }
}

void NAME(spr_pw_csr_q8)(const spr_pw_q8_args *a) {
    static tile_fn *const tiles[] = {csr_1, csr_2, csr_3, csr_4, csr_5, csr_6, csr_7, csr_8};
    run_tiles(a, tiles);
}

void NAME(spr_pw_2x1_q8)(const spr_pw_q8_args *a) {
    static tile_fn *const tiles[] = {pair_1, pair_2, pair_3, pair_4};
    run_tiles(a, tiles);
}
