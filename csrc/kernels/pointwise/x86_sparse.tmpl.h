/* Sparse pointwise convolution, CSR and 2x1, over the primitives of x86_<isa>.h. */

/* With each group of rows prefetches planes of the input. Where they are from beyond L2, as many of the next tile, and
   the rows' output too; where other cores wrote them, a share of the next panel, or of the next tile's first. */
static SPR_NOINLINE void ISA(sparse_ahead)(uint32_t h, uint32_t v, const spr_pw_args *a, const spr_x86_sparse *s,
                                           uint32_t px, uint32_t panel, uint32_t row) {
    const uint32_t count = v * LANES, next = px + count;
    const uint32_t at = ((row - a->row0) >> (h - 1)) * s->ahead; /* h is 1 or 2, and a division takes long */
    if (panel == 0 && spr_x86_is_far(a)) {
        for (uint32_t i = row; i < row + h && i < a->n; i++) spr_x86_prefetch(a->y + i * a->y_stride + next, count);
        spr_x86_prefetch_planes(a, row, row + h, next, count);
    }
    if (!a->shared || at >= s->panel) return;
    const uint32_t plane = (panel + 1) * s->panel + at;
    if (panel + 1 < s->panels)
        spr_x86_prefetch_planes(a, plane, plane + s->ahead, px, count);
    else if (next < a->px1)
        spr_x86_prefetch_planes(a, at, at + s->ahead, next, count);
}

/* Fetches the sums of a group of rows to which prefetchers do not see the way. */
SPR_INLINE void ISA(sparse_fetch)(const int h, const int v, const float *y, size_t y_stride) {
    for (int r = 0; r < h; r++, y += y_stride)
        SPR_UNROLL for (int i = 0; i < v * LANES; i += SPR_PX) __builtin_prefetch(y + i);
}

/* One tile of v vectors of pixels from px on, one panel of channels, all rows of the call; h rows to a group. */
SPR_INLINE void ISA(sparse_tile)(const int h, const int v, const spr_pw_args *a, const spr_x86_sparse *s, uint32_t px,
                                 uint32_t panel) {
    const int first = panel == 0, last = panel + 1 == s->panels;
    const int ahead = PLANES_AHEAD && (a->shared || (first && spr_x86_is_far(a)));
    const size_t column = sizeof(uint32_t) + (size_t)h * sizeof(float);
    const char *x = (const char *)(a->x + (size_t)panel * s->panel * a->x_stride + px);
    KEEP_ADDRESS(x);
    /* Read once: stores of vectors might change them, for all that compilers know. */
    const uint32_t group1 = (a->row1 + (uint32_t)h - 1) / (uint32_t)h;
    const size_t y_stride = a->y_stride;
    const float *const bias = s->bias, *const z0 = first ? a->z : NULL;
    const spr_function fn = last ? a->act.fn : SPR_FN_NONE;
    const enum { STORE, RELU, OTHER } finish =
        fn == SPR_FN_NONE ? STORE : fn == SPR_FN_CLIP && a->act.b == __builtin_inff() ? RELU : OTHER;
    const V low = V_SET(a->act.a);
    const uint32_t *const ptr = s->ptr + (size_t)panel * s->groups;
    const uint32_t *const order = s->order ? s->order + (size_t)panel * s->groups : NULL;
    const char *const columns = s->columns, *c = columns + ptr[a->row0 / (uint32_t)h] * column;
    float *const y0 = a->y + px, *y_next = y0 + a->row0 * y_stride;
    for (uint32_t group = a->row0 / (uint32_t)h; group < group1; group++) {
        const char *const end = columns + ptr[group + 1] * column;
        uint32_t row = group * (uint32_t)h;
        if (order) {
            row = order[group];
            y_next = y0 + row * y_stride;
            ISA(sparse_fetch)(h, v, y0 + order[group + 1] * y_stride, y_stride);
        }
        float *const y[2] = {y_next, h > 1 && row + 1 < a->n ? y_next + y_stride : y_next};
        y_next += (size_t)h * y_stride;
        if (c == end && !first && !last) continue;
        if (ahead) ISA(sparse_ahead)(h, v, a, s, px, panel, row);
        V acc[2][16];
        SPR_UNROLL for (int r = 0; r < h; r++) {
            if (first) {
                const V start = V_SET(bias[row + (uint32_t)r]);
                SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = start;
                if (z0) {
                    const float *z = z0 + (r && row + 1 < a->n ? row + 1 : row) * a->z_stride + px;
                    SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_ADD(acc[r][i], V_LOAD(z + i * LANES));
                }
            } else {
                SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_LOAD(y[r] + i * LANES);
            }
        }
#if SPARSE_BY_FOURS
#define COLUMN_OF_FOUR(k)                                                                                          \
    do {                                                                                                           \
        uint32_t offset;                                                                                           \
        memcpy(&offset, c + (k) * sizeof offset, sizeof offset);                                                   \
        const float *p = (const float *)(x + offset);                                                              \
        KEEP_ADDRESS(p);                                                                                           \
        const V w = V_SET_OF4(four, k);                                                                            \
        SPR_UNROLL for (int i = 0; i < v; i++) acc[0][i] = V_FMA(w, V_LOAD(p + i * LANES), acc[0][i]);             \
    } while (0)
        if (h == 1) {
            const char *const fours = c + (size_t)(end - c) / (4 * column) * (4 * column);
            for (; c != fours; c += 4 * column) {
                const V four = V_LOAD4((const float *)(c + 4 * sizeof(uint32_t)));
                COLUMN_OF_FOUR(0);
                COLUMN_OF_FOUR(1);
                COLUMN_OF_FOUR(2);
                COLUMN_OF_FOUR(3);
            }
        }
#undef COLUMN_OF_FOUR
#endif
        for (; c != end; c += column) {
            uint32_t offset;
            memcpy(&offset, c, sizeof offset);
            const float *const w = (const float *)(c + sizeof offset), *p = (const float *)(x + offset);
            KEEP_ADDRESS(p);
            const V w_0 = V_SET(w[0]), w_1 = V_SET(w[h - 1]);
            SPR_UNROLL for (int i = 0; i < v; i++) {
                V pixels = V_LOAD(p + i * LANES);
                if (h == 2) KEEP_VECTOR(pixels);
                acc[0][i] = V_FMA(w_0, pixels, acc[0][i]);
                if (h == 2) acc[1][i] = V_FMA(w_1, pixels, acc[1][i]);
            }
        }
        SPR_UNROLL for (int r = 0; r < h; r++) {
            if (finish == RELU)
                SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_MAXC(acc[r][i], low);
            else if (finish == OTHER)
                ISA(act_row)(acc[r], v, &a->act, r && row + 1 < a->n ? row + 1 : row);
            SPR_UNROLL for (int i = 0; i < v; i++) V_STORE(y[r] + i * LANES, acc[r][i]);
        }
        if (finish == OTHER && !SPR_ACT_IN_REGISTERS(fn)) {
            a->unary(y[0], y[0], (size_t)v * LANES, &a->act);
            if (y[1] != y[0]) a->unary(y[1], y[1], (size_t)v * LANES, &a->act);
        }
    }
}

typedef void ISA(sparse_tile_fn)(const spr_pw_args *a, const spr_x86_sparse *s, uint32_t px, uint32_t panel);

/* Tiles of nearly equal widths, up to `widest` vectors. */
SPR_INLINE void ISA(sparse_run)(const spr_pw_args *a, uint32_t height, ISA(sparse_tile_fn) *const *tiles,
                                uint32_t widest) {
    spr_x86_sparse s = spr_x86_sparse_of(a->packed, a->n, height);
    const uint32_t groups = (a->row1 - a->row0 + height - 1) / height;
    const uint32_t share = groups ? (s.panel + groups - 1) / groups : 0;
    s.ahead = share > height ? share : height;
    uint32_t vectors = (uint32_t)(spr_round_up(a->px1 - a->px0, LANES) / LANES), px = a->px0;
    for (uint32_t left = (vectors + widest - 1) / widest; left > 0; left--) {
        const uint32_t v = (vectors + left - 1) / left;
        if (PLANES_AHEAD && a->shared && px == a->px0) spr_x86_prefetch_planes(a, 0, s.panel, px, v * LANES);
        for (uint32_t panel = 0; panel < s.panels; panel++) tiles[v](a, &s, px, panel);
        vectors -= v;
        px += v * LANES;
    }
    ISA(clear_padding)(a);
}

#define SPARSE_TILE(h, v)                                                                                         \
    static void ISA(sparse_tile_##h##x##v)(const spr_pw_args *a, const spr_x86_sparse *s, uint32_t px,            \
                                           uint32_t panel) {                                                      \
        ISA(sparse_tile)(h, v, a, s, px, panel);                                                                  \
    }
