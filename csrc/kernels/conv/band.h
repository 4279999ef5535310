/* A band: the input rows that a few output rows of a convolution need, copied into scratch with zeros where taps fall outside
 * the image, so that the arithmetic knows no borders. Columns are dealt out by their index modulo the horizontal stride
 * (phases), so that neighbouring outputs read neighbouring floats at any stride.
 *
 *   row i of channel c    starts at (c * ni + i) * rs; i counts from the first output row's first tap
 *   tap kx of output ox   stands at spr_band_tap(band, kx) + ox in its row
 *
 * Lanes of a row beyond the last output's taps hold zeros or numbers of the image. Include vec_<isa>.h first. */
#ifndef SPR_KERNELS_CONV_BAND_H
#define SPR_KERNELS_CONV_BAND_H

#include <string.h>

typedef struct spr_band {
    const spr_window *win;
    uint32_t ni;    /* input rows of a full band */
    uint32_t left;  /* columns of zeros before the first input column */
    uint32_t c0, n; /* input columns [c0, c0 + n) are copied */
    size_t base;    /* floats before padded column 0, which align input columns if there is one phase */
    size_t s, rs;   /* floats of one phase of a row, of a row */
} spr_band;

SPR_INLINE uint32_t spr_band_rows_in(const spr_window *win, uint32_t rows) {
    return (rows - 1) * win->sh + (win->kh - 1) * win->dh + 1;
}

SPR_INLINE spr_band spr_band_make(const spr_window *win, uint32_t rows) {
    spr_band b;
    b.win = win;
    b.ni = spr_band_rows_in(win, rows);
    b.left = win->pl > 0 ? (uint32_t)win->pl : 0;
    b.c0 = win->pl < 0 ? (uint32_t)-win->pl : 0;
    int64_t span = (int64_t)(win->ow - 1) * win->sw + (int64_t)(win->kw - 1) * win->dw + 1 - win->pl; /* end of what is read */
    int64_t end = span < win->iw ? span : win->iw;
    b.n = end > b.c0 ? (uint32_t)(end - b.c0) : 0;
    b.base = win->sw == 1 ? (SPR_VL - b.left % SPR_VL) % SPR_VL : 0;
    size_t read = spr_round_up(win->ow, SPR_VL) + (size_t)(win->kw - 1) * win->dw / win->sw;
    size_t written = (b.left + spr_round_up(b.n, (size_t)SPR_VL * win->sw)) / win->sw + 1;
    b.s = spr_round_up(b.base + (read > written ? read : written), SPR_VL);
    b.rs = b.s * win->sw;
    return b;
}

SPR_INLINE size_t spr_band_tap(const spr_band *b, uint32_t kx) {
    size_t p = (size_t)kx * b->win->dw;
    return b->base + p / b->win->sw + p % b->win->sw * b->s;
}

/* Copies input columns of the row at `src` to the band row at `dst`, whose margins are zero. */
SPR_INLINE void spr_band_copy_row(const spr_band *b, const float *src, float *dst) {
    const uint32_t n = b->n, sw = b->win->sw;
    uint32_t c = 0;
    src += b->c0;
    if (sw == 1) {
        dst += b->base + b->left;
        for (; c + SPR_VL <= n; c += SPR_VL) spr_vstore(dst + c, spr_vload(src + c));
        if (c < n) spr_vstore(dst + c, spr_vload_n(src + c, n - c));
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
            uint32_t rest = n - c, more = rest > SPR_VL ? rest - SPR_VL : 0;
            spr_vsplit(spr_vload_n(src + c, rest - more), more ? spr_vload_n(src + c + SPR_VL, more) : spr_vzero(), &e, &o);
            spr_vstore(even + c / 2, e);
            spr_vstore(odd + c / 2, o);
        }
    } else {
        for (; c < n; c++) dst[(b->left + c) % sw * b->s + (b->left + c) / sw] = src[c];
    }
}

/* Fills rows [0, ni) of one channel for output rows from oy; the plane is at x. */
SPR_INLINE void spr_band_fill(const spr_band *b, const float *x, float *dst, uint32_t oy, uint32_t ni) {
    const spr_window *win = b->win;
    int64_t iy = (int64_t)oy * win->sh - win->pt;
    for (uint32_t i = 0; i < ni; i++, iy++, dst += b->rs) {
        if (iy < 0 || iy >= win->ih)
            memset(dst, 0, b->rs * sizeof *dst);
        else
            spr_band_copy_row(b, x + (size_t)iy * win->iw, dst);
    }
}

#endif
