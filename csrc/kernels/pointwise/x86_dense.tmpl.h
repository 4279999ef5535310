/* Dense pointwise convolution over the primitives of x86_<isa>.h. */

/* One panel of weights, channels [k0, k1), as it lies in memory from the group of row 0 on. */
typedef struct ISA(dense_panel) {
    const float *bias, *w;
    uint32_t k0, k1;
} ISA(dense_panel);

/* Where a tile stands: its pixels of the next channel, that channel's weights, and weights to fetch. */
typedef struct ISA(dense_at) {
    const float *x, *w;
    uintptr_t ahead;
} ISA(dense_at);

/* Adds a channel's products to the sums of h rows, v vectors and t pixels. */
SPR_INLINE void ISA(dense_channel)(const int h, const int v, const int t, V acc[8][4], R *tail, ISA(dense_at) *at,
                                   size_t x_stride) {
    V pixels[4];
    SPR_UNROLL for (int i = 0; i < v; i++) pixels[i] = V_LOAD(at->x + i * LANES);
    SPR_UNROLL for (int r = 0; r < h; r++) {
        const V weight = V_SET(at->w[r]);
        SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_FMA(weight, pixels[i], acc[r][i]);
    }
    SPR_UNROLL for (int j = 0; j < t; j++) tail[j] = R_FMA(R_LOAD(at->w), at->x[v * LANES + j], tail[j]);
    __builtin_prefetch((const void *)at->ahead, 0, 2);
    at->ahead += (size_t)h * sizeof(float);
    at->x += x_stride;
    at->w += h;
}

/* Groups of h rows from `row` to `end`, times v vectors of pixels from px on and, with t > 0, t pixels behind them, the
   last of their plane. Rows beyond n - 1 repeat it, and so do their weights. */
SPR_INLINE void ISA(dense_tile)(const int h, const int v, const int t, const spr_pw_args *a, const ISA(dense_panel) *p,
                                uint32_t row, uint32_t end, uint32_t px) {
    const uint32_t channels = p->k1 - p->k0, last_row = a->n - 1;
    const int first = p->k0 == 0, last = p->k1 == a->k;
    /* Read once: stores of vectors might change them, for all that compilers know. */
    const size_t x_stride = a->x_stride, y_stride = a->y_stride;
    const float *const x = a->x + p->k0 * x_stride + px, *w = p->w + (size_t)row * channels;
    float *y_row = a->y + row * y_stride + px;
    const spr_function fn = last ? a->act.fn : SPR_FN_NONE;
    const int relu = fn == SPR_FN_CLIP && a->act.b == __builtin_inff();
    const V low = V_SET(a->act.a);
    for (; row < end; row += (uint32_t)h) {
        V acc[8][4];
        if (first) {
            SPR_UNROLL for (int r = 0; r < h; r++) {
                const V bias = V_SET(p->bias[row + (uint32_t)r]);
                SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = bias;
            }
            if (a->z) {
                SPR_UNROLL for (int r = 0; r < h; r++) {
                    const uint32_t at = row + (uint32_t)r < last_row ? row + (uint32_t)r : last_row;
                    const float *z = a->z + at * a->z_stride + px;
                    SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_ADD(acc[r][i], V_LOAD(z + i * LANES));
                }
            }
        } else {
            const float *y = y_row;
            SPR_UNROLL for (int r = 0; r < h; r++) {
                SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_LOAD(y + i * LANES);
                y += row + (uint32_t)r < last_row ? y_stride : 0;
            }
        }
        const size_t behind = px + (size_t)(v * LANES);
        R tail[TAIL];
        if (t && first) {
            SPR_UNROLL for (int j = 0; j < t; j++) tail[j] = R_LOAD(p->bias + row);
            if (a->z) {
                R z[TAIL];
                ISA(rows_load)(t, z, a->z + behind, row, last_row, a->z_stride);
                SPR_UNROLL for (int j = 0; j < t; j++) tail[j] = R_ADD(tail[j], z[j]);
            }
        } else if (t) {
            ISA(rows_load)(t, tail, a->y + behind, row, last_row, y_stride);
        }
        const float *const next = w + (size_t)h * channels;
        ISA(dense_at) at = {x, w, (uintptr_t)next};
        if (DENSE_BY_FOUR(v)) {
            SPR_UNROLL_TIMES(4) for (uint32_t k = channels; k > 0; k--)
                ISA(dense_channel)(h, v, t, acc, tail, &at, x_stride);
        } else {
            SPR_UNROLL_TIMES(DENSE_UNROLL) for (uint32_t k = channels; k > 0; k--)
                ISA(dense_channel)(h, v, t, acc, tail, &at, x_stride);
        }
        w = next;
        if (t) ISA(rows_store)(t, tail, a->y + behind, row, last_row, y_stride);
        if (relu) {
            SPR_UNROLL for (int r = 0; r < h; r++)
                SPR_UNROLL for (int i = 0; i < v; i++) acc[r][i] = V_MAXC(acc[r][i], low);
        } else if (fn != SPR_FN_NONE && SPR_ACT_IN_REGISTERS(fn)) {
            SPR_UNROLL for (int r = 0; r < h; r++)
                ISA(act_row)(acc[r], v, &a->act, row + (uint32_t)r < last_row ? row + (uint32_t)r : last_row);
        }
        float *y = y_row;
        SPR_UNROLL for (int r = 0; r < h; r++) {
            SPR_UNROLL for (int i = 0; i < v; i++) V_STORE(y + i * LANES, acc[r][i]);
            y += row + (uint32_t)r < last_row ? y_stride : 0;
        }
        if (last && t) {
            for (uint32_t i = row; i < row + (uint32_t)h && i <= last_row; i++) {
                y = y_row + (i - row) * y_stride + v * LANES;
                V line = V_LOADN(y, t);
                ISA(act_row)(&line, 1, &a->act, i);
                V_STORE(y, line);
            }
        }
        y_row += (size_t)h * y_stride;
    }
}

/* Activations that are applied by a call take so many pixels of a row at once. */
#define UNARY_PIXELS 128

typedef void ISA(dense_tile_fn)(const spr_pw_args *a, const ISA(dense_panel) *p, uint32_t row, uint32_t end,
                                uint32_t px);

/* Prefetches planes while rows [row, end) of panel p pass over `count` pixels from px on, the last ones if `over`. far:
   see spr_x86_is_far(). */
SPR_INLINE void ISA(dense_fetch)(const spr_pw_args *a, const ISA(dense_panel) *p, uint32_t row, uint32_t end,
                                 uint32_t px, uint32_t count, int over, int far) {
    if (a->shared) { /* a share of the next panel's planes, or of the next block's first ones */
        const uint64_t rows = a->row1 - a->row0, done = row - a->row0;
        const uint32_t from = (uint32_t)(done * SPR_X86_DENSE_PANEL / rows);
        const uint32_t to = (uint32_t)((done + end - row) * SPR_X86_DENSE_PANEL / rows);
        if (p->k1 < a->k)
            spr_x86_prefetch_planes(a, p->k1 + from, p->k1 + to, px, count);
        else if (!over)
            spr_x86_prefetch_planes(a, from, to, px + count, count);
    }
    if (p->k0 == 0 && far) /* of the next block: these rows, and as many planes of the input */
        for (uint32_t i = row; i < end; i++) {
            if (i < a->n) spr_x86_prefetch(a->y + i * a->y_stride + px + count, count);
            if (i < a->k) spr_x86_prefetch(a->x + i * a->x_stride + px + count, count);
        }
}

/* Blocks of up to `block` vectors of pixels, whose panel stays in L1 while all rows pass; in them tiles of nearly
   equal widths, up to `widest`, over which a group's weights stay in L1. tails: by v, for the last tile of a plane,
   those with 1 pixel more, then from widest + 1 on those with TAIL more (pixels beyond the plane are padding lanes). */
SPR_INLINE void ISA(dense_run)(const spr_pw_args *a, uint32_t height, ISA(dense_tile_fn) *const *tiles,
                               ISA(dense_tile_fn) *const *tails, uint32_t widest, uint32_t block) {
    const size_t rows = spr_round_up(a->n, height);
    const int far = PLANES_AHEAD && spr_x86_is_far(a);
    const uint32_t step = PLANES_AHEAD ? height : a->row1 - a->row0; /* rows between two calls of dense_fetch */
    uint32_t vectors = (uint32_t)(spr_round_up(a->px1 - a->px0, LANES) / LANES), px0 = a->px0, finished = px0;
    const uint32_t rest = (a->px1 - a->px0) % LANES;
    const int tail = rest >= 1 && rest <= TAIL && vectors > 1;
    vectors -= (uint32_t)tail;
    tails += rest > 1 ? widest + 1 : 0;
    for (uint32_t blocks = (vectors + (uint32_t)tail * TAIL_ROOM + block - 1) / block; blocks > 0; blocks--) {
        const uint32_t width = (vectors + blocks - 1) / blocks;
        for (uint32_t k0 = 0; k0 < a->k; k0 += SPR_X86_DENSE_PANEL) {
            const ISA(dense_panel) p = {
                .bias = a->packed,
                .w = (const float *)a->packed + rows * (1 + (size_t)k0),
                .k0 = k0,
                .k1 = a->k - k0 > SPR_X86_DENSE_PANEL ? k0 + SPR_X86_DENSE_PANEL : a->k,
            };
            for (uint32_t row = a->row0, end; row < a->row1; row = end) {
                end = a->row1 - row > step ? row + step : a->row1;
                if (PLANES_AHEAD) ISA(dense_fetch)(a, &p, row, end, px0, width * LANES, blocks == 1, far);
                uint32_t left = width, px = px0;
                const uint32_t room = tail && blocks == 1 ? TAIL_ROOM : 0;
                for (uint32_t n = (width + room + widest - 1) / widest; n > 0; n--) {
                    const uint32_t v = (left + n - 1) / n;
                    (tail && blocks == 1 && n == 1 ? tails : tiles)[v](a, &p, row, end, px);
                    left -= v;
                    px += v * LANES;
                }
            }
        }
        vectors -= width;
        px0 += width * LANES;
        if (!SPR_ACT_IN_REGISTERS(a->act.fn) && (px0 - finished >= UNARY_PIXELS || blocks == 1)) {
            const size_t count = px0 - finished + (blocks == 1 && tail ? LANES : 0);
            for (uint32_t row = a->row0; row < a->row1; row++) {
                float *y = a->y + row * a->y_stride + finished;
                a->unary(y, y, count, &a->act);
            }
            finished = px0;
        }
    }
    ISA(clear_padding)(a);
}

#define DENSE_TILE(h, v, t)                                                                                       \
    static void ISA(dense_tile_##h##x##v##_##t)(const spr_pw_args *a, const ISA(dense_panel) *p, uint32_t row,    \
                                                uint32_t end, uint32_t px) {                                      \
        ISA(dense_tile)(h, v, t, a, p, row, end, px);                                                                  \
    }
