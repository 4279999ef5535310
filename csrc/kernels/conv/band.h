/* A band: the input rows that a few output rows of a convolution need, copied into scratch with zeros where taps
 * fall outside the image, so that the arithmetic knows no borders. Columns are dealt out by their index modulo the
 * horizontal stride (phases), so that neighbouring outputs read neighbouring floats at any stride.
 *
 *   row i of channel c    starts at (c * ni + i) * rs; i counts from the first output row's first tap
 *   tap kx of output ox   stands at spr_band_tap(band, kx) + ox in its row
 *
 * Whole vectors of outputs may be read: beyond a row's last output they hold other rows' numbers, beyond the last
 * row SPR_VL floats are read. Include vec_<isa>.h first; where it says SPR_BAND_SHARED, the functions that copy rows
 * are those of band_<isa>.c. */
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
    uint64_t s = (span + win->sw - 1) / win->sw;
    const uint64_t written = ((uint64_t)b.left + b.n + 1) / win->sw + SPR_VL;
    if (win->sw == 2 && s < written) s = written;
    b.s = spr_round_up(s, SPR_VL);
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

#if SPR_BAND_SHARED
#define SPR_BAND_LINKAGE
#else
#define SPR_BAND_LINKAGE static SPR_NOINLINE
#endif
/* Copies `rows` rows, which lie `step` floats apart at src, to dst at stride 1. Behind a row's columns SPR_VL zeros are
   written, perhaps over the beginning of the next. Vectors are whole where they end at or before `end`. */
SPR_BAND_LINKAGE
void SPR_CONV_NAME(spr_band_rows_1)(const spr_band *b, const float *src, size_t step, const float *end, float *dst,
                                    size_t rows);

/* The same at stride 2: the zeros stand in both phases. */
SPR_BAND_LINKAGE
void SPR_CONV_NAME(spr_band_rows_2)(const spr_band *b, const float *src, size_t step, const float *end, float *dst,
                                    size_t rows);

/* The same at any stride; the margins are zero already. */
SPR_BAND_LINKAGE
void SPR_CONV_NAME(spr_band_rows_any)(const spr_band *b, const float *src, size_t step, float *dst, size_t rows);

#if !SPR_BAND_SHARED || defined(SPR_BAND_HERE)
/* Copies n floats in whole vectors, so up to SPR_VL - 1 more. */
SPR_INLINE void spr_band_copy(const float *src, float *dst, size_t n) {
    size_t i = 0;
    for (; i + 3 * SPR_VL < n; i += 4 * SPR_VL) {
        spr_v v[4];
        SPR_UNROLL
        for (int j = 0; j < 4; j++) v[j] = spr_vload(src + i + j * SPR_VL);
        SPR_UNROLL
        for (int j = 0; j < 4; j++) spr_vstore(dst + i + j * SPR_VL, v[j]);
    }
    for (; i < n; i += SPR_VL) spr_vstore(dst + i, spr_vload(src + i));
}

/* The same for n floats of which every other goes to `even` and the rest to `odd`; reads up to 2 * SPR_VL - 1 more. */
SPR_INLINE void spr_band_deal(const float *src, float *even, float *odd, size_t n) {
    for (size_t i = 0; i < n; i += 2 * SPR_VL) {
        spr_v e, o;
        spr_vsplit(spr_vload(src + i), spr_vload(src + i + SPR_VL), &e, &o);
        spr_vstore(even + i / 2, e);
        spr_vstore(odd + i / 2, o);
    }
}

SPR_BAND_LINKAGE
void SPR_CONV_NAME(spr_band_rows_1)(const spr_band *b, const float *src, size_t step, const float *end, float *dst,
                                    size_t rows) {
    const size_t n = b->n, whole = n - n % SPR_VL, reach = spr_round_up(n, SPR_VL), rs = b->rs;
    dst += b->left;
    for (; rows && (size_t)(end - src) >= reach; rows--, src += step, dst += rs) {
        spr_band_copy(src, dst, n);
        spr_vstore(dst + n, spr_vzero());
    }
    for (; rows; rows--, src += step, dst += rs) {
        spr_band_copy(src, dst, whole);
        spr_vstore(dst + whole, spr_vload_n(src + whole, n - whole));
        spr_vstore(dst + n, spr_vzero());
    }
}

SPR_BAND_LINKAGE
void SPR_CONV_NAME(spr_band_rows_2)(const spr_band *b, const float *src, size_t step, const float *end, float *dst,
                                    size_t rows) {
    const size_t n = b->n, rest = n % (2 * SPR_VL), whole = n - rest, reach = spr_round_up(n, 2 * SPR_VL), rs = b->rs;
    float *even = dst + (b->left & 1) * b->s + b->left / 2, *odd = dst + (~b->left & 1) * b->s + (b->left + 1) / 2;
    for (; rows; rows--, src += step, even += rs, odd += rs) {
        if ((size_t)(end - src) >= reach) {
            spr_band_deal(src, even, odd, n);
        } else {
            spr_band_deal(src, even, odd, whole);
            const size_t first = rest < SPR_VL ? rest : SPR_VL;
            spr_v e = spr_vload_n(src + whole, first), o = spr_vzero();
            if (rest > SPR_VL) o = spr_vload_n(src + whole + SPR_VL, rest - SPR_VL);
            spr_vsplit(e, o, &e, &o);
            spr_vstore(even + whole / 2, e);
            spr_vstore(odd + whole / 2, o);
        }
        spr_vstore(even + (n + 1) / 2, spr_vzero());
        spr_vstore(odd + n / 2, spr_vzero());
    }
}

SPR_BAND_LINKAGE
void SPR_CONV_NAME(spr_band_rows_any)(const spr_band *b, const float *src, size_t step, float *dst, size_t rows) {
    const uint32_t sw = b->win->sw;
    for (; rows; rows--, src += step, dst += b->rs)
        for (uint32_t c = 0; c < b->n; c++) dst[(b->left + c) % sw * b->s + (b->left + c) / sw] = src[c];
}
#endif

/* Rows [i0, i1) of the band at dst, all within the image, of which row `top` is row 0 of the band. The left margins are
   zero. */
SPR_INLINE void spr_band_rows(const spr_band *b, const float *x, int64_t top, float *dst, size_t i0, size_t i1) {
    const spr_window *win = b->win;
    const float *end = x + spr_plane_lanes((size_t)win->ih * win->iw), *src = x + (top + (int64_t)i0) * win->iw + b->c0;
    dst += i0 * b->rs;
    if (win->sw == 1)
        SPR_CONV_NAME(spr_band_rows_1)(b, src, win->iw, end, dst, i1 - i0);
    else if (win->sw == 2)
        SPR_CONV_NAME(spr_band_rows_2)(b, src, win->iw, end, dst, i1 - i0);
    else
        SPR_CONV_NAME(spr_band_rows_any)(b, src, win->iw, dst, i1 - i0);
}

SPR_INLINE void spr_band_zero(const spr_band *b, float *dst, size_t i0, size_t i1) {
    for (size_t i = i0 * b->rs; i < i1 * b->rs; i += SPR_VL) spr_vstore(dst + i, spr_vzero());
}

/* Of rows [0, ni) those within the image, when row 0 is its row `top`. */
SPR_INLINE void spr_band_inside(const spr_window *win, int64_t top, size_t ni, size_t *i0, size_t *i1) {
    const int64_t n = (int64_t)ni, lo = top < 0 ? -top : 0, hi = win->ih - top;
    *i1 = (size_t)(hi < 0 ? 0 : hi > n ? n : hi);
    *i0 = (size_t)lo < *i1 ? (size_t)lo : *i1;
}

/* Fills rows [0, ni) of one channel for output rows from oy; the plane is at x. Rows that no tap reads are left
   alone. */
SPR_INLINE void spr_band_fill(const spr_band *b, const float *x, float *dst, uint32_t oy, uint32_t ni) {
    const spr_window *win = b->win;
    const uint32_t reach = spr_band_rows_in(win, 1);
    const int64_t top = (int64_t)oy * win->sh - win->pt;
    size_t i0, i1;
    spr_band_inside(win, top, ni, &i0, &i1);
    spr_band_zero(b, dst, 0, i0);
    if (reach >= win->sh)
        spr_band_rows(b, x, top, dst, i0, i1);
    else
        for (size_t i = i0; i < i1; i++)
            if (i % win->sh < reach) spr_band_rows(b, x, top, dst, i, i + 1);
    spr_band_zero(b, dst, i1, ni);
}

#endif
