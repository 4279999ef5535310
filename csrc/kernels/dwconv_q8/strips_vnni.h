/* 3x3 windows with AVX-512 VNNI, included by window.tmpl.h: PIXELS columns of the output from the top down, so that
 * what is made of a row of the input serves all rows of the output that need it, and weights stay in registers. */

/* Rows of the input that a strip walks down before the next strip begins, which shares lines of memory with it. */
enum { STRIP_ROWS = 32 };

/* PIXELS columns of the output from px on. */
typedef struct strip {
    int64_t rows, pitch; /* of the input; bytes between rows */
    const spr_q8 *x; /* pixel 0 of row 0 of the input, moved to the first column that is read */
    const spr_q8 *outside; /* a row outside, moved likewise */
    __m512i other; /* what pixels outside are */
    __mmask16 mask[4]; /* of the pixels that are loaded in each of the four places of a row */
} strip;

/* Places of a row that are loaded, in pixels from its first. */
SPR_INLINE int64_t place(uint32_t s, uint32_t i) { return s == 1 ? 4 * i : i / 2 * PIXELS + i % 2 * 2; }

SPR_INLINE strip strip_at(uint32_t s, const step_window_vnni *t, uint32_t px) {
    const spr_window *w = t->a->win;
    const int64_t at = (int64_t)px * s - w->pl;
    const uintptr_t move = (uintptr_t)at * SPR_Q8_GROUP;
    strip p = {.rows = w->ih, .pitch = (int64_t)w->iw * SPR_Q8_GROUP, .x = (const spr_q8 *)((uintptr_t)t->x + move),
               .outside = (const spr_q8 *)((uintptr_t)t->a->scratch + move),
               .other = REPEAT((uint8_t)t->a->x_zero * 0x01010101u)};
    SPR_UNROLL for (uint32_t i = 0; i < 4; i++) {
        const int64_t first = at + place(s, i);
        p.mask[i] = MASK_OF(first < 0 ? -first : 0, w->iw - first);
    }
    return p;
}

SPR_INLINE const spr_q8 *row_of(const strip *p, int64_t iy) {
    return iy < 0 || iy >= p->rows ? p->outside : (const spr_q8 *)((uintptr_t)p->x + (uintptr_t)(iy * p->pitch));
}

SPR_INLINE __m512i load_place(uint32_t s, int inside, const strip *p, const spr_q8 *row, uint32_t i) {
    const void *from = (const void *)((uintptr_t)row + (uintptr_t)(place(s, i) * SPR_Q8_GROUP));
    return inside ? LOAD(from) : LOAD_MASKED(from, p->mask[i], p->other);
}

/* A row of the input as dot products take its taps for a stride of 2. */
SPR_INLINE void load_across(int inside, const strip *p, int64_t iy, __m512i *out) {
    const spr_q8 *row = row_of(p, iy);
    SPR_UNROLL for (uint32_t v = 0; v < 4; v++) out[v] = TRANSPOSE(load_place(2, inside, p, row, v));
}

/* Two rows of the input, numbers in turn: those of the pixels from the first on, and of half as many from the fifth. */
typedef struct two_rows {
    __m512i low, high, low_4;
} two_rows;

SPR_INLINE two_rows load_two(int inside, const strip *p, int64_t iy) {
    const spr_q8 *a = row_of(p, iy), *b = row_of(p, iy + 1);
    const __m512i a_0 = load_place(1, inside, p, a, 0), b_0 = load_place(1, inside, p, b, 0);
    const __m512i a_4 = load_place(1, inside, p, a, 1), b_4 = load_place(1, inside, p, b, 1);
    return (two_rows){_mm512_unpacklo_epi8(a_0, b_0), _mm512_unpackhi_epi8(a_0, b_0), _mm512_unpacklo_epi8(a_4, b_4)};
}

/* Two rows of the output, at `in` the pixels of four rows. */
SPR_INLINE void add_two(const __m512i *in, const __m512i *taps, __m512i (*sum)[4]) {
    SPR_UNROLL for (uint32_t kx = 0; kx < 3; kx++)
        SPR_UNROLL for (uint32_t r = 0; r < 2; r++)
            SPR_UNROLL for (uint32_t v = 0; v < 4; v++) DOT(sum[r][v], in[kx + v], taps[kx * 2 + r]);
}

/* The taps of a row of one row of the output. */
SPR_INLINE void add_one(const __m512i (*in)[4], const __m512i *taps, __m512i *sum) {
    SPR_UNROLL for (uint32_t y = 0; y < 3; y++)
        SPR_UNROLL for (uint32_t v = 0; v < 4; v++) DOT(sum[v], in[y][v], taps[y]);
}

SPR_INLINE void walk(const uint32_t s, const int inside, const int saturates, const uint32_t parts,
                     const step_window_vnni *t, uint32_t px, uint32_t oy, uint32_t end) {
    enum { MOST = 6 };
    const spr_dw_q8_args *a = t->a;
    const spr_window *w = a->win;
    const uint32_t rows = s == 1 ? 2 : 1, count = s == 1 ? 6 : 3, n = w->ow - px < PIXELS ? w->ow - px : PIXELS;
    const strip p = strip_at(s, t, px);
    const __m512i bias = SUMS(t->bias);
    finish_consts consts = t->finish;
    float scale[SPR_Q8_GROUP], shift[SPR_Q8_GROUP];
    __m512i taps[MOST], row[3][4];
    two_rows above;
    int64_t iy = (int64_t)oy * s - w->pt;
    const size_t to = (size_t)oy * w->ow + px, pitch = (size_t)w->ow * SPR_Q8_GROUP;
    spr_q8 *y = a->y + (t->g * a->y_stride + to) * SPR_Q8_GROUP;
    const spr_q8 *z = a->z ? a->z + (t->g * a->z_stride + to) * SPR_Q8_GROUP : NULL;
    consts.saturates = saturates;
    memcpy(scale, t->scale, sizeof scale);
    memcpy(shift, t->shift, sizeof shift);
    SPR_UNROLL for (uint32_t i = 0; i < count; i++) taps[i] = LOAD_WEIGHTS(t->weights + i * 16);
    if (s == 1)
        above = load_two(inside, &p, iy);
    else
        load_across(inside, &p, iy, row[2]);
    for (; oy < end; oy += rows, iy += 2) {
        __m512i in[6], sum[2][4];
        SPR_UNROLL for (uint32_t r = 0; r < rows; r++)
            SPR_UNROLL for (uint32_t v = 0; v < 4; v++) sum[r][v] = bias;
        if (s == 1) {
            const two_rows below = load_two(inside, &p, iy + 2);
            in[0] = _mm512_unpacklo_epi16(above.low, below.low);
            in[1] = _mm512_unpackhi_epi16(above.low, below.low);
            in[2] = _mm512_unpacklo_epi16(above.high, below.high);
            in[3] = _mm512_unpackhi_epi16(above.high, below.high);
            in[4] = _mm512_unpacklo_epi16(above.low_4, below.low_4);
            in[5] = _mm512_unpackhi_epi16(above.low_4, below.low_4);
            above = below;
            add_two(in, taps, sum);
        } else {
            SPR_UNROLL for (uint32_t v = 0; v < 4; v++) row[0][v] = row[2][v];
            load_across(inside, &p, iy + 1, row[1]);
            load_across(inside, &p, iy + 2, row[2]);
            add_one((const __m512i(*)[4])row, taps, sum[0]);
        }
        for (uint32_t part = 1; part < parts; part++) {
            __m512i more[MOST];
            SPR_UNROLL for (uint32_t i = 0; i < count; i++)
                more[i] = LOAD_WEIGHTS(t->weights + (part * count + i) * 16);
            if (s == 1)
                add_two(in, more, sum);
            else
                add_one((const __m512i(*)[4])row, more, sum[0]);
        }
        finish(a, &consts, sum[0], scale, shift, SPR_Q8_GROUP * t->g, y, z, n, s);
        if (s == 1 && oy + 1 < end)
            finish(a, &consts, sum[1], scale, shift, SPR_Q8_GROUP * t->g, y + pitch, z ? z + pitch : NULL, n, s);
        y += rows * pitch;
        z = z ? z + rows * pitch : NULL;
    }
}

/* plain: one part, and results that saturate; others are rarer, and take the loads with masks everywhere. */
SPR_INLINE void strips(const uint32_t s, const int plain, const step_window_vnni *t) {
    const spr_window *w = t->a->win;
    const uint32_t reach = s == 1 ? PIXELS + 4 : 2 * PIXELS + 2; /* pixels read from the first on */
    const uint32_t high = STRIP_ROWS / s;
    for (uint32_t oy = t->a->oy0, end; oy < t->a->oy1; oy = end) {
        end = t->a->oy1 - oy < high ? t->a->oy1 : oy + high;
        for (uint32_t px = 0; px < w->ow; px += PIXELS) {
            const int64_t at = (int64_t)px * s - w->pl;
            if (!plain)
                walk(s, 0, t->finish.saturates, t->parts, t, px, oy, end);
            else if (at >= 0 && at + reach <= w->iw)
                walk(s, 1, 1, 1, t, px, oy, end);
            else
                walk(s, 0, 1, 1, t, px, oy, end);
        }
    }
}

#define STRIPS_OF(s)                                                                                 \
    static void wide_3_##s##_window_vnni(const step_window_vnni *t) { strips(s, 0, t); }             \
    static void rows_3_##s##_window_vnni(const step_window_vnni *t) {                                \
        if (t->finish.saturates)                                                                     \
            strips(s, 1, t);                                                                         \
        else                                                                                         \
            wide_3_##s##_window_vnni(t);                                                             \
    }
STRIPS_OF(1)
STRIPS_OF(2)
