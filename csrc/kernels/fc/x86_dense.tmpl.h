/* Dense FC over the primitives of pointwise/x86_<isa>.h. */

enum { ISA(VECTORS) = SPR_FC_SLICE / LANES }; /* of a slice */

/* Residual, activation and store of the first `count` channels from `row` on, of batch row m. */
SPR_INLINE void ISA(fc_finish)(const spr_fc_args *a, uint32_t m, uint32_t row, uint32_t count, V acc) {
    float *y = a->y + m * a->y_stride + row;
    if (a->z) acc = V_ADD(acc, V_LOADN(a->z + m * a->z_stride + row, count));
    ISA(spr_act_consts) c = {a->act.fn, V_SET(a->act.a), V_SET(a->act.b)};
    if (a->act.fn == SPR_FN_PRELU) c.a = V_LOADN(a->act.slope + row, count);
    V_STOREN(y, count, ISA(spr_act_vec)(acc, &c));
    if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, count, &a->act);
}

/* h rows of the batch from m on, times the channels of s slices from `row` on. */
SPR_INLINE void ISA(fc_tile)(const int h, const int s, const spr_fc_args *a, uint32_t m, uint32_t row) {
    const int v = s * ISA(VECTORS);
    const float *const bias = a->packed;
    const size_t slice = (size_t)a->k * SPR_FC_SLICE;
    const float *w = bias + spr_round_up(a->n, SPR_FC_SLICE) + row / SPR_FC_SLICE * slice;
    const float *x = a->x + m * a->x_stride;
    V acc[6][8];
    SPR_UNROLL for (int r = 0; r < h; r++)
        SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_LOAD(bias + row + (uint32_t)i * LANES);
    for (uint32_t k = a->k; k > 0; k--) {
        V input[6];
        SPR_UNROLL for (int r = 0; r < h; r++) input[r] = V_SET(x[(size_t)r * a->x_stride]);
        SPR_UNROLL for (int i = 0; i < v; i++) {
            V weight = V_LOAD(w + (size_t)(i / ISA(VECTORS)) * slice + (size_t)(i % ISA(VECTORS)) * LANES);
            if (h > 1) KEEP_VECTOR(weight);
            SPR_UNROLL for (int r = 0; r < h; r++) acc[r][i] = V_FMA(weight, input[r], acc[r][i]);
        }
        x++;
        w += SPR_FC_SLICE;
    }
    float sums[6][8 * LANES]; /* through memory, for one copy of the code that finishes a vector instead of h * v */
    SPR_UNROLL for (int r = 0; r < h; r++)
        SPR_UNROLL for (int i = 0; i < v; i++) V_STORE(&sums[r][i * LANES], acc[r][i]);
    const uint32_t end = a->row1 - row < (uint32_t)v * LANES ? a->row1 - row : (uint32_t)v * LANES;
    for (uint32_t r = 0; r < (uint32_t)h; r++)
        for (uint32_t i = 0; i < end; i += LANES)
            ISA(fc_finish)(a, m + r, row + i, end - i < LANES ? end - i : LANES, V_LOAD(&sums[r][i]));
}

typedef void ISA(fc_tile_fn)(const spr_fc_args *a, uint32_t m, uint32_t row);

/* Tiles of one number of batch rows: over `slices` slices, and over one for what remains. */
typedef struct ISA(fc_tiles) {
    ISA(fc_tile_fn) *wide, *narrow;
    uint32_t slices;
} ISA(fc_tiles);

/* Blocks of four slices, whose weights stay in L2 for all batch rows. tiles[h - 1] are those of h rows, up to
   `most`. */
SPR_INLINE void ISA(fc_run)(const spr_fc_args *a, const ISA(fc_tiles) *tiles, uint32_t most) {
    enum { BLOCK = 4 * SPR_FC_SLICE };
    for (uint32_t row0 = a->row0; row0 < a->row1; row0 += BLOCK) {
        const uint32_t row1 = a->row1 - row0 > BLOCK ? row0 + BLOCK : a->row1;
        for (uint32_t m = 0; m < a->m;) {
            const uint32_t h = a->m - m < most ? a->m - m : most;
            const ISA(fc_tiles) *t = &tiles[h - 1];
            const uint32_t wide = t->slices * SPR_FC_SLICE;
            uint32_t row = row0;
            for (; row + wide - SPR_FC_SLICE < row1; row += wide) t->wide(a, m, row);
            for (; row < row1; row += SPR_FC_SLICE) t->narrow(a, m, row);
            m += h;
        }
    }
}

#define FC_TILE(h, s)                                                                    \
    static void ISA(fc_tile_##h##x##s)(const spr_fc_args *a, uint32_t m, uint32_t row) { \
        ISA(fc_tile)(h, s, a, m, row);                                                   \
    }
