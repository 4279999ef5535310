/* Quantized pointwise kernels of x86: a vector is pixels of a group of channels. Included behind x86_finish.tmpl.h with
 * these defined besides:
 *
 *   ROWS, VECTORS     the largest tile of the dense kernel, rows a multiple of 4
 *   VECTORS_1X4, VECTORS_2X4   most vectors of pixels of a sparse tile
 *   X, LOAD_X(p)      a vector of pixels as DOT takes it
 *   W, FOUR, LOAD_W(p)   four weights as DOT takes them; bytes that they are packed in
 *   DOT(sum, x, w)    sum += the four products of each pixel
 *   SETS(sums)        2 if so many sums are too few to hide the latency of DOT, else 1
 *   DENSE_ONLY        there are no sparse kernels; besides, ROWS is 4, and weights are as in packings of halves */

/* More of a tile's inputs than this is too much for L1 while all rows pass. */
enum { NAME(TILE_BYTES) = 72 << 10 };

/* ---- dense ---- */

/* h rows (4 or ROWS) times v vectors. */
SPR_INLINE void NAME(dense_tile)(const uint32_t h, const uint32_t v, const spr_pw_q8_args *a, const spr_pw_q8_packed *p,
                                 const NAME(finish) * f, uint32_t row, uint32_t px) {
    I sum[ROWS][VECTORS], sums[VECTORS][ROWS];
    SPR_UNROLL for (uint32_t r = 0; r < h; r++)
        SPR_UNROLL for (uint32_t j = 0; j < v; j++) sum[r][j] = MM(set1_epi32)(p->bias[row + r] + f->start);
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const int8_t *w = p->w + (size_t)row * p->groups * FOUR;
    const size_t next_quad = (size_t)p->groups * 4 * FOUR;
    for (uint32_t g = 0; g < p->groups; g++, w += 4 * FOUR) {
        const spr_q8 *const at = x + (size_t)p->offset[g] * SPR_Q8_GROUP;
        X pixels[VECTORS];
        SPR_UNROLL for (uint32_t j = 0; j < v; j++) pixels[j] = LOAD_X(at + j * LANES * 4);
        SPR_UNROLL for (uint32_t r = 0; r < h; r++) {
            const W four = LOAD_W(w + (size_t)(r / 4) * next_quad + r % 4 * FOUR);
            SPR_UNROLL for (uint32_t j = 0; j < v; j++) DOT(sum[r][j], pixels[j], four);
        }
    }
#ifdef DENSE_ONLY
    const spr_q8 *const first = a->x + (size_t)px * SPR_Q8_GROUP;
    const uint32_t end = p->ptr[row / 4 + 1];
    for (uint32_t i = p->ptr[row / 4]; i < end; i++) {
        const uint32_t *const offset = p->offset + p->groups + (size_t)i * 4;
        const int8_t *const more = p->w + spr_round_up(a->n, 4) * p->groups * FOUR + (size_t)i * 4 * FOUR;
        SPR_UNROLL for (uint32_t r = 0; r < h; r++) {
            const W four = LOAD_W(more + r * FOUR);
            SPR_UNROLL for (uint32_t j = 0; j < v; j++)
                DOT(sum[r][j], LOAD_X(first + (size_t)offset[r] * SPR_Q8_GROUP + j * LANES * 4), four);
        }
    }
#endif
    SPR_UNROLL for (uint32_t r = 0; r < h; r++)
        SPR_UNROLL for (uint32_t j = 0; j < v; j++) sums[j][r] = sum[r][j];
    for (uint32_t r = 0; r < h; r += 4) NAME(finish_rows)(a, f, v, sums[0] + r, ROWS, p->scale, p->shift, row + r, px);
}

typedef void NAME(tile_fn)(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const NAME(finish) * f, uint32_t row,
                           uint32_t px);
#define DENSE_TILE(name, h, v)                                                                                         \
    static void NAME(name)(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const NAME(finish) * f, uint32_t row,   \
                           uint32_t px) {                                                                              \
        NAME(dense_tile)(h, (v) < VECTORS ? (v) : VECTORS, a, p, f, row, px);                                          \
    }
DENSE_TILE(dense_one_1, 4, 1) DENSE_TILE(dense_one_2, 4, 2) DENSE_TILE(dense_one_3, 4, 3)
DENSE_TILE(dense_1, ROWS, 1) DENSE_TILE(dense_2, ROWS, 2) DENSE_TILE(dense_3, ROWS, 3)

SPR_INLINE void NAME(dense)(const spr_pw_q8_args *a) {
    static NAME(tile_fn) *const one[] = {NAME(dense_one_1), NAME(dense_one_2), NAME(dense_one_3)};
    static NAME(tile_fn) *const all[] = {NAME(dense_1), NAME(dense_2), NAME(dense_3)};
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const NAME(finish) f = NAME(finish_of)(a, p.starts);
    uint32_t vectors = (a->px1 - a->px0 + LANES - 1) / LANES, px = a->px0;
    for (uint32_t left = (vectors + VECTORS - 1) / VECTORS; left > 0; left--) {
        const uint32_t v = (vectors + left - 1) / left;
        uint32_t row = a->row0;
        for (; row + ROWS <= spr_round_up(a->row1, 4); row += ROWS) all[v - 1](a, &p, &f, row, px);
        for (; row < a->row1; row += 4) one[v - 1](a, &p, &f, row, px);
        vectors -= v;
        px += v * LANES;
    }
}

#ifndef DENSE_ONLY
/* ---- sparse ---- */

/* All rows of the call, blocks of h rows, times v vectors. Two blocks at a time: where there are few sums each block
   has its own, as one has to wait for the other. */
SPR_INLINE void NAME(sparse_tile)(const uint32_t h, const uint32_t v, const spr_pw_q8_args *a,
                                  const spr_pw_q8_packed *p, const NAME(finish) * f, uint32_t px) {
    const spr_q8 *const x = a->x + (size_t)px * SPR_Q8_GROUP;
    const uint32_t sets = SETS(h * v);
    for (uint32_t first = a->row0; first < a->row1; first += 4) {
        I sums[VECTORS_1X4][4];
        for (uint32_t row = first; row < first + 4; row += h) {
            I sum[2][2][VECTORS_1X4]; /* [set][row][vector] */
            SPR_UNROLL for (uint32_t r = 0; r < h; r++)
                SPR_UNROLL for (uint32_t j = 0; j < v; j++) {
                    sum[0][r][j] = MM(set1_epi32)(p->bias[row + r] + f->start);
                    sum[1][r][j] = MI(setzero)();
                }
            const uint32_t begin = p->ptr[row / h], end = p->ptr[row / h + 1];
            const int8_t *w = p->w + (size_t)begin * h * FOUR;
            for (uint32_t i = begin; i < end; i += 2, w += 2 * h * FOUR)
                SPR_UNROLL for (uint32_t k = 0; k < 2; k++) {
                    const spr_q8 *const at = x + (size_t)p->offset[i + k] * SPR_Q8_GROUP;
                    const uint32_t set = sets == 2 ? k : 0;
                    const W w_0 = LOAD_W(w + k * h * FOUR), w_1 = LOAD_W(w + (k * h + h - 1) * FOUR);
                    SPR_UNROLL for (uint32_t j = 0; j < v; j++) {
                        const X pixels = LOAD_X(at + j * LANES * 4);
                        DOT(sum[set][0][j], pixels, w_0);
                        if (h == 2) DOT(sum[set][1][j], pixels, w_1);
                    }
                }
            SPR_UNROLL for (uint32_t r = 0; r < h; r++)
                SPR_UNROLL for (uint32_t j = 0; j < v; j++)
                    sums[j][row - first + r] = sets == 2 ? MM(add_epi32)(sum[0][r][j], sum[1][r][j]) : sum[0][r][j];
        }
        NAME(finish_rows)(a, f, v, sums[0], 4, p->scale, p->shift, first, px);
    }
}

typedef void NAME(sparse_fn)(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const NAME(finish) * f, uint32_t px);
#define SPARSE_TILE(h, v)                                                                                              \
    static void NAME(sparse_##h##x##v)(const spr_pw_q8_args *a, const spr_pw_q8_packed *p, const NAME(finish) * f,     \
                                       uint32_t px) {                                                                  \
        NAME(sparse_tile)(h, (v) < VECTORS_##h##X4 ? (v) : VECTORS_##h##X4, a, p, f, px);                              \
    }
#define SPARSE_TILES(h)                                                                                                \
    SPARSE_TILE(h, 1) SPARSE_TILE(h, 2) SPARSE_TILE(h, 3) SPARSE_TILE(h, 4) SPARSE_TILE(h, 5) SPARSE_TILE(h, 6)        \
    SPARSE_TILE(h, 7)                                                                                                  \
    static NAME(sparse_fn) *const NAME(tiles_##h)[] = {NAME(sparse_##h##x1), NAME(sparse_##h##x2),                     \
                                                       NAME(sparse_##h##x3),                                           \
                                                       NAME(sparse_##h##x4), NAME(sparse_##h##x5),                     \
                                                           NAME(sparse_##h##x6),                                       \
                                                       NAME(sparse_##h##x7)};
SPARSE_TILES(1)
SPARSE_TILES(2)

SPR_INLINE void NAME(sparse)(const spr_pw_q8_args *a, NAME(sparse_fn) *const *tiles, uint32_t most) {
    const spr_pw_q8_packed p = spr_pw_q8_packed_of(a->packed);
    const NAME(finish) f = NAME(finish_of)(a, p.starts);
    const uint32_t fit = NAME(TILE_BYTES) / (p.groups * sizeof(I));
    most = fit < 2 ? 2 : fit < most ? fit : most;
    uint32_t vectors = (a->px1 - a->px0 + LANES - 1) / LANES, px = a->px0;
    for (uint32_t left = (vectors + most - 1) / most; left > 0; left--) {
        const uint32_t v = (vectors + left - 1) / left;
        tiles[v - 1](a, &p, &f, px);
        vectors -= v;
        px += v * LANES;
    }
}
#endif
