/* Depthwise 3x3 and 5x5 at stride 1 and 2 straight from the image, for ISAs with masked loads: lanes beyond the left
 * and the right border are masked out, rows above and below the image are a row of zeros in scratch.
 *
 * A block is a few output rows by one or two vectors, up to eight sums in all, to hide the latency of FMA. Tap
 * column by tap column, each input vector is loaded once and used by all output rows it belongs to, so that few
 * multipliers are in registers at a time. Packed weights: see dwconv.h. */
#include <string.h>

#include "kernels/dwconv/dwconv.h"

typedef struct dw_direct {
    const spr_window *win;
    const spr_vmask *masks; /* [vector of a row][dw_loads()] */
    const float *w;         /* a record of dwconv.h */
    float *y;
    const float *z; /* NULL if none */
    const spr_vact *act;
    uintptr_t x; /* what rows of the input are told from */
} dw_direct;

/* Loads, and masks, of a vector: one for each tap at stride 1. At stride 2 two for each pair of taps, which get the
   even and the odd lanes. */
SPR_INLINE int dw_loads(const int k, const int st) { return st == 1 ? k : (k + 1) / 2 * 2; }

/* Which loads of a block have masks: none, those that may reach beyond an end of the row if it is but for the last
   vector whole and padded by at most half a window, or all. */
enum { DW_INSIDE, DW_ENDS, DW_ANY };

SPR_INLINE int dw_masked(const int k, const int nv, const int ends, const int kx, const int v) {
    return ends == DW_ANY || (ends == DW_ENDS && (v == nv - 1 || (v == 0 && kx < k / 2)));
}

SPR_INLINE spr_v dw_load(const float *p, const int masked, const spr_vmask *mask) {
    return masked ? spr_vload_m(p, mask) : spr_vload(p);
}

/* Adds tap column kx of input row i to the output rows it belongs to. w[]: of the column. */
SPR_INLINE void dw_add(const int k, const int st, const int rows, const int nv, const int i, const int v, spr_v x,
                       const spr_v *w, spr_v *acc) {
    __asm__("" : "+x"(x)); /* or it would be loaded again for every use */
    SPR_UNROLL
    for (int r = 0; r < rows; r++) {
        const int ky = i - r * st;
        if (ky >= 0 && ky < k) acc[r * nv + v] = spr_vfma(acc[r * nv + v], x, w[ky]);
    }
}

/* `rows` rows by NV vectors from row oy, column ox. Input row i of the block lies rp[i] bytes behind x. At stride 2
   sums are in the order of spr_vhalves() until the end. */
SPR_INLINE void dw_block(const int k, const int st, const int rows, const int nv, const int ends, const dw_direct *d,
                         const uintptr_t *rp, size_t oy, size_t ox) {
    const size_t ow = d->win->ow, at = oy * ow + ox;
    const uintptr_t left = d->x + (ox * st - (size_t)d->win->pl) * sizeof(float);
    const spr_vmask *masks = d->masks + ox / SPR_VL * dw_loads(k, st);
    spr_v acc[8];
    const spr_v bias = spr_vset(d->w[k * k]);
    SPR_UNROLL
    for (int i = 0; i < rows * nv; i++) acc[i] = bias;
    SPR_UNROLL
    for (int kx = 0; kx < k; kx += st) {
        const int pair = st == 2 && kx + 1 < k;
        spr_v w[2][5];
        SPR_UNROLL
        for (int ky = 0; ky < k; ky++) {
            w[0][ky] = spr_vset(d->w[ky * k + kx]);
            if (pair) w[1][ky] = spr_vset(d->w[ky * k + kx + 1]);
        }
        SPR_UNROLL
        for (int i = 0; i < (rows - 1) * st + k; i++) {
            SPR_UNROLL
            for (int v = 0; v < nv; v++) {
                const int masked = dw_masked(k, nv, ends, kx, v);
                const float *p = (const float *)(rp[i] + left) + kx + v * st * SPR_VL;
                const spr_vmask *m = masks + v * dw_loads(k, st) + kx;
                spr_v x = dw_load(p, masked, m);
                if (st == 2) {
                    const spr_v more = dw_load(p + SPR_VL, masked, m + 1);
                    if (pair) dw_add(k, st, rows, nv, i, v, spr_vhalves(x, more, 1), w[1], acc);
                    x = spr_vhalves(x, more, 0);
                }
                dw_add(k, st, rows, nv, i, v, x, w[0], acc);
            }
        }
    }
    if (st == 2) {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) acc[i] = spr_vordered(acc[i]);
    }
    spr_vfinish(acc, rows, nv, d->y + at, d->z ? d->z + at : NULL, ow, ow - ox - (nv - 1) * SPR_VL, d->act);
}

/* What masks a block of two vectors at column ox needs. Where ends alone gain little, all loads have them: less code. */
SPR_INLINE int dw_ends(const int k, const int st, const spr_window *win, size_t ox) {
    const ptrdiff_t first = (ptrdiff_t)(ox * st) - win->pl, reach = (k - 1) / st * st + st * SPR_VL;
    if (first >= 0 && first + st * SPR_VL + reach <= (ptrdiff_t)win->iw) return DW_INSIDE;
    return first >= -(k / 2) && first + reach <= (ptrdiff_t)win->iw ? DW_ENDS : DW_ANY;
}

/* `rows` output rows from oy. */
SPR_INLINE void dw_rows(const int k, const int st, const int rows, const dw_direct *d, const uintptr_t *rp,
                        size_t oy) {
    const size_t ow = d->win->ow;
    size_t ox = 0;
    for (; ox + SPR_VL < ow; ox += 2 * SPR_VL) {
        const int ends = dw_ends(k, st, d->win, ox);
        if (ends == DW_INSIDE && rows > 1)
            dw_block(k, st, rows, 2, DW_INSIDE, d, rp, oy, ox);
        else if (ends == DW_ENDS && rows > 1 && k == 3 && st == 2) /* stride 1: mostly avx2_rows.c */
            dw_block(k, st, rows, 2, DW_ENDS, d, rp, oy, ox);
        else
            dw_block(k, st, rows, 2, DW_ANY, d, rp, oy, ox);
    }
    if (ox < ow) dw_block(k, st, rows, 1, DW_ANY, d, rp, oy, ox);
}

/* Output rows [oy, end); rp[i] is of input row i of those. */
SPR_INLINE void dw_channel(const int k, const int st, const dw_direct *d, const uintptr_t *rp, uint32_t oy,
                           uint32_t end) {
    while (oy < end) {
        const uint32_t n = end - oy;
        const uint32_t rows = spr_dwconv_step(n, 0); /* sevens would be of use where rows are short: see avx2_lanes.c */
        if (rows == 4)
            dw_rows(k, st, 4, d, rp, oy);
        else if (rows == 3)
            dw_rows(k, st, 3, d, rp, oy);
        else
            dw_rows(k, st, 1, d, rp, oy);
        oy += rows;
        rp += rows * st;
    }
}

typedef void dw_channel_fn(const dw_direct *d, const uintptr_t *rp, uint32_t oy, uint32_t end);
#define CHANNEL(k, st)                                                                                        \
    static SPR_NOINLINE void dw_channel_##k##_##st(const dw_direct *d, const uintptr_t *rp, uint32_t oy,  \
                                                   uint32_t end) {                                            \
        dw_channel(k, st, d, rp, oy, end);                                                                    \
    }
CHANNEL(3, 1) CHANNEL(3, 2) CHANNEL(5, 1) CHANNEL(5, 2)
#undef CHANNEL

/* Scratch: where the input rows lie, masks, a row of zeros. */
static size_t dw_row_bytes(const spr_window *win) {
    return spr_round_up(((size_t)(win->oh - 1) * win->sh + win->kh) * sizeof(uintptr_t), SPR_LINE);
}
static size_t dw_mask_bytes(const spr_window *win) {
    const size_t vectors = (win->ow + SPR_VL - 1) / SPR_VL, loads = (size_t)dw_loads((int)win->kw, (int)win->sw);
    return spr_round_up(vectors * loads * sizeof(spr_vmask), SPR_LINE);
}
static size_t dw_scratch(const spr_conv_shape *s) {
    return dw_row_bytes(&s->win) + dw_mask_bytes(&s->win) + s->win.iw * sizeof(float);
}

void SPR_CONV_NAME(spr_dwconv_f32)(const spr_conv_args *a) {
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, record = spr_dwconv_record(a->shape);
    const int k = (int)win->kw, st = (int)win->sw;
    uintptr_t *rp = a->scratch;
    spr_vmask *masks = (spr_vmask *)((char *)a->scratch + dw_row_bytes(win));
    float *zeros = (float *)((char *)masks + dw_mask_bytes(win));
    for (size_t ox = 0, i = 0; ox < win->ow; ox += SPR_VL)
        for (int t = 0; t < dw_loads(k, st); t++, i++) {
            ptrdiff_t c = (ptrdiff_t)(ox * st) - win->pl + (st == 1 ? t : t / 2 * 2 + t % 2 * SPR_VL);
            masks[i] = spr_vmask_columns(c, win->iw);
        }
    dw_channel_fn *fn = k == 5 ? st == 2 ? dw_channel_5_2 : dw_channel_5_1 : st == 2 ? dw_channel_3_2 : dw_channel_3_1;
    /* What another kernel shall finish is handed over while it is in L1. */
    const uint32_t step = SPR_ACT_IN_REGISTERS(a->act.fn) ? win->oh : (1024 / win->ow + 1) * 4;
    const spr_dw_rows rows = spr_dw_rows_make(a, rp, zeros);
    spr_vact act = spr_vact_load(&a->act, a->row0);

    for (uint32_t row = a->row0; row < a->row1; row++) {
        const float *x = a->x + row * a->x_stride;
        if (a->act.fn == SPR_FN_PRELU) act = spr_vact_load(&a->act, row);
        float *plane = a->y + row * a->y_stride;
        const dw_direct d = {win, masks, (const float *)a->packed + row * record, plane,
                             a->z ? a->z + row * a->z_stride : NULL, &act, (uintptr_t)x};
        spr_dw_rows_begin(&rows, (uintptr_t)x);
        for (uint32_t oy = a->oy0, end; oy < a->oy1; oy = end) {
            end = a->oy1 - oy > step ? oy + step : a->oy1;
            fn(&d, rp + (size_t)(oy - a->oy0) * st, oy, end);
            float *y = plane + (size_t)oy * win->ow;
            if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, (size_t)(end - oy) * win->ow, &a->act);
        }
        if (a->oy1 == win->oh) {
            size_t at = hw;
            for (const size_t lanes = spr_plane_lanes(hw); at + SPR_VL <= lanes; at += SPR_VL)
                spr_vstore(plane + at, spr_vzero());
            spr_vstore_n(plane + at, spr_vzero(), spr_plane_lanes(hw) - at);
        }
    }
}

static int dw_match(const spr_conv_shape *s) { return spr_dwconv_match_fixed(s) && s->win.ow > SPR_MIN_WIDTH; }

const spr_conv_traits SPR_CONV_NAME(spr_dwconv_traits) = {dw_match, spr_dwconv_size, spr_dwconv_pack, dw_scratch};
