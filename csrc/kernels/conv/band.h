/* A band: the input rows that a few output rows of a convolution need, copied into scratch with zeros where taps
 * fall outside the image, so that the arithmetic knows no borders. Columns are dealt out by their index modulo the
 * horizontal stride (phases), so that neighbouring outputs read neighbouring floats at any stride.
 *
 *   row i of channel c    starts at (c * ni + i) * rs; i counts from the first output row's first tap
 *   tap kx of output ox   stands at spr_band_tap(band, kx) + ox in its row
 *
 * Whole vectors of outputs may be read: beyond a row's last output they hold other rows' numbers, beyond the last
 * row SPR_VL floats are read. Include vec_<isa>.h first. */
#ifndef SPR_KERNELS_CONV_BAND_H
#define SPR_KERNELS_CONV_BAND_H

#include <string.h>

typedef struct spr_band {
    const spr_window *win;
    uint32_t ni;    /* input rows of a full band */
    uint32_t left;  /* columns of zeros before the first input column */
    uint32_t c0, n; /* input columns [c0, c0 + n) are copied */
    size_t s, rs;   /* floats of one phase of a row, of a row */
} spr_band;

/* Input rows of `rows` output rows. */
SPR_INLINE uint32_t spr_band_rows_in(const spr_window *win, uint32_t rows) {
    return (rows - 1) * win->sh + (win->kh - 1) * win->dh + 1;
}

SPR_INLINE spr_band spr_band_make(const spr_window *win, uint32_t rows) {
    spr_band b;
    b.win = win;
    b.ni = spr_band_rows_in(win, rows);
    b.left = win->pl > 0 ? (uint32_t)win->pl : 0;
    b.c0 = win->pl < 0 ? (uint32_t)-win->pl : 0;
    /* Columns [0, span) of the padded image are read. */
    const uint64_t span = (uint64_t)(win->ow - 1) * win->sw + (uint64_t)(win->kw - 1) * win->dw + 1;
    const uint64_t inside = win->iw > b.c0 ? win->iw - b.c0 : 0, wanted = span > b.left ? span - b.left : 0;
    b.n = (uint32_t)(inside < wanted ? inside : wanted);
    b.s = spr_round_up((span + win->sw - 1) / win->sw, SPR_VL);
    b.rs = b.s * win->sw;
    return b;
}

/* How many output rows have bands of at most `floats` floats a channel; 0 if not even one has. */
SPR_INLINE uint32_t spr_band_fit(const spr_window *win, size_t floats) {
    const size_t ni = floats / spr_band_make(win, 1).rs, reach = spr_band_rows_in(win, 1);
    if (ni < reach) return 0;
    const size_t rows = (ni - reach) / win->sh + 1;
    return rows < win->oh ? (uint32_t)rows : win->oh;
}

SPR_INLINE size_t spr_band_tap(const spr_band *b, uint32_t kx) {
    const size_t p = (size_t)kx * b->win->dw;
    return p / b->win->sw + p % b->win->sw * b->s;
}

/* Copies input columns of the row at `src` to the band row at `dst`, whose margins are zero. */
SPR_INLINE void spr_band_copy_row(const spr_band *b, const float *src, float *dst) {
    const uint32_t n = b->n, sw = b->win->sw;
    uint32_t c = 0;
    src += b->c0;
    if (sw == 1) {
        dst += b->left;
        for (; c + SPR_VL <= n; c += SPR_VL) spr_vstore(dst + c, spr_vload(src + c));
        if (c < n) spr_vstore_n(dst + c, spr_vload_n(src + c, n - c), n - c);
    } else if (sw == 2) {
        float *even = dst + (b->left & 1) * b->s + b->left / 2;
        float *odd = dst + (~b->left & 1) * b->s + (b->left + 1) / 2;
        spr_v e, o;
        for (; c + 2 * SPR_VL <= n; c += 2 * SPR_VL) {
            spr_vsplit(spr_vload(src + c), spr_vload(src + c + SPR_VL), &e, &o);
            spr_vstore(even + c / 2, e);
            spr_vstore(odd + c / 2, o);
        }
        if (c < n) {
            const uint32_t rest = n - c, more = rest > SPR_VL ? rest - SPR_VL : 0;
            const spr_v second = more ? spr_vload_n(src + c + SPR_VL, more) : spr_vzero();
            spr_vsplit(spr_vload_n(src + c, rest - more), second, &e, &o);
            spr_vstore_n(even + c / 2, e, (rest + 1) / 2);
            spr_vstore_n(odd + c / 2, o, rest / 2);
        }
    } else {
        for (; c < n; c++) dst[(b->left + c) % sw * b->s + (b->left + c) / sw] = src[c];
    }
}

/* Fills rows [0, ni) of one channel for output rows from oy; the plane is at x. Rows that no tap reads are left
   alone. */
SPR_INLINE void spr_band_fill(const spr_band *b, const float *x, float *dst, uint32_t oy, uint32_t ni) {
    const spr_window *win = b->win;
    const uint32_t reach = spr_band_rows_in(win, 1), gap = reach < win->sh ? win->sh : 0;
    int64_t iy = (int64_t)oy * win->sh - win->pt;
    for (uint32_t i = 0; i < ni; i++, iy++, dst += b->rs) {
        if (gap && i % gap >= reach) continue;
        if (iy < 0 || iy >= win->ih)
            memset(dst, 0, b->rs * sizeof *dst);
        else
            spr_band_copy_row(b, x + (size_t)iy * win->iw, dst);
    }
}

#endif
