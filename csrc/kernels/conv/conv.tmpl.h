/* Convolution over bands (see band.h): any kernel, stride, dilation, padding and group. No im2col: a tap of an input
 * channel is an offset into the band, and the vectors of a tile may lie in different output rows.
 *
 * A tile is CONV_MR output channels by three vectors of pixels, summed up in registers over all of K = ic / group *
 * kh * kw in ascending order. Packed weights: for each block of CONV_MR channels of a group, bias[CONV_MR] and then
 * w[K][CONV_MR]; missing channels are zero.
 *
 * Defined before: CONV_SMALL, whether code shall rather be small than fast where there are less than three vectors, or
 * ends of tiles that are not common; CONV_AHEAD, whether input rows are fetched before they are copied; CONV_UNROLL,
 * how the loop over K is unrolled, if it is. */
#include "kernels/conv/band.h"

#ifndef CONV_UNROLL
#define CONV_UNROLL
#endif

#define CONV_NV 3

typedef struct conv_tile {
    const float *x[CONV_NV]; /* first output's first tap of each vector */
    size_t at[CONV_NV];      /* first output in its plane */
    size_t lanes[CONV_NV];
} conv_tile;

#if CONV_SMALL
/* Ends rows [r0, r1) of a tile whose sums are at `sums`. */
static SPR_NOINLINE void conv_end_rows(const spr_v *sums, const conv_tile *t, uint32_t r0, uint32_t r1, size_t row,
                                       const spr_conv_args *a) {
    for (uint32_t r = r0; r < r1 && r < CONV_MR; r++) {
        const spr_vact act = spr_vact_load(&a->act, row + r);
        for (int v = 0; v < CONV_NV; v++) {
            spr_v out = sums[r * CONV_NV + v];
            if (a->z) out = spr_vadd(out, spr_vload_n(a->z + (row + r) * a->z_stride + t->at[v], t->lanes[v]));
            spr_vact_each(&out, 1, &act);
            spr_vstore_n(a->y + (row + r) * a->y_stride + t->at[v], out, t->lanes[v]);
        }
    }
}

SPR_INLINE void conv_swish(spr_v *acc, const spr_vact *act) {
    SPR_UNROLL
    for (int i = 0; i < CONV_MR * CONV_NV; i += 4) {
        SPR_UNROLL
        for (int j = i; j < i + 4; j++) acc[j] = SPR_ACT(spr_hard_swish)(acc[j], &act->consts);
        /* Or compilers would start all at once and run out of registers. */
        SPR_UNROLL
        for (int j = 0; j < CONV_MR * CONV_NV; j++) __asm__ volatile("" : "+w"(acc[j]));
    }
}

/* What is common is code of its own, the rest goes through memory. */
SPR_INLINE void conv_end_small(spr_v *acc, const conv_tile *t, uint32_t r0, uint32_t r1, size_t row,
                               const spr_conv_args *a) {
    const spr_function fn = a->act.fn;
    if (a->z || r0 || r1 < CONV_MR || t->lanes[0] + t->lanes[1] + t->lanes[2] < CONV_NV * SPR_VL ||
        (fn != SPR_FN_CLIP && fn != SPR_FN_HARD_SWISH)) {
        spr_v sums[CONV_MR * CONV_NV]; /* in memory; the others stay in registers */
        SPR_UNROLL
        for (int i = 0; i < CONV_MR * CONV_NV; i++) sums[i] = acc[i];
        conv_end_rows(sums, t, r0, r1, row, a);
        return;
    }
    const spr_vact act = spr_vact_load(&a->act, row);
    float *y = a->y + row * a->y_stride;
    if (fn == SPR_FN_CLIP) {
        SPR_UNROLL
        for (int i = 0; i < CONV_MR * CONV_NV; i++) acc[i] = spr_vmaxc(acc[i], act.consts.a);
        if (!act.relu) {
            SPR_UNROLL
            for (int i = 0; i < CONV_MR * CONV_NV; i++) acc[i] = spr_vminc(acc[i], act.consts.b);
        }
    }
    if (fn == SPR_FN_HARD_SWISH) conv_swish(acc, &act);
    SPR_UNROLL
    for (int r = 0; r < CONV_MR; r++, y += a->y_stride) {
        SPR_UNROLL
        for (int v = 0; v < CONV_NV; v++) spr_vstore(y + t->at[v], acc[r * CONV_NV + v]);
    }
}
#endif

/* Rows [r0, r1) of a block, of which row 0 has the planes y and z. */
SPR_INLINE void conv_tile_run(const int nv, const conv_tile *t, const uint32_t *taps, size_t k, const float *packed,
                              uint32_t r0, uint32_t r1, size_t row, const spr_conv_args *a) {
    spr_v acc[CONV_MR * CONV_NV];
    SPR_UNROLL
    for (int i = 0; i < CONV_MR * nv; i++) acc[i] = spr_vset(packed[i / nv]);
    const float *x0 = t->x[0], *x1 = nv > 1 ? t->x[1] : x0, *x2 = nv > 2 ? t->x[2] : x0, *w = packed + CONV_MR;
    CONV_UNROLL for (size_t i = 0; i < k; i++, w += CONV_MR) {
        const size_t tap = taps[i];
        spr_v x[CONV_NV];
        x[0] = spr_vload(x0 + tap);
        if (nv > 1) x[1] = spr_vload(x1 + tap);
        if (nv > 2) x[2] = spr_vload(x2 + tap);
        conv_step(acc, x, nv, w);
    }
#if CONV_SMALL
    conv_end_small(acc, t, r0, r1, row, a);
#else
    int full = 1;
    for (int v = 0; v < nv; v++) full &= t->lanes[v] == SPR_VL;
    if (CONV_WHOLE && full && r0 == 0 && r1 >= CONV_MR && !a->z && a->act.fn != SPR_FN_PRELU) { /* one branch for all */
        const spr_vact act = spr_vact_load(&a->act, row);
        spr_vact_each(acc, CONV_MR * nv, &act);
        const size_t stride = a->y_stride; /* read once: the stores might change it, for all that compilers know */
        float *y[CONV_NV];
        SPR_UNROLL
        for (int v = 0; v < nv; v++) y[v] = a->y + row * stride + t->at[v];
        SPR_UNROLL
        for (int r = 0; r < CONV_MR; r++) {
            SPR_UNROLL
            for (int v = 0; v < nv; v++) spr_vstore(y[v] + (size_t)r * stride, acc[r * nv + v]);
        }
        return;
    }
    SPR_UNROLL
    for (uint32_t r = 0; r < CONV_MR; r++) {
        if (r < r0 || r >= r1) continue;
        spr_v *out = acc + r * nv;
        float *y = a->y + (row + r) * a->y_stride;
        const spr_vact act = spr_vact_load(&a->act, row + r);
        if (a->z) {
            const float *z = a->z + (row + r) * a->z_stride;
            SPR_UNROLL
            for (int v = 0; v < nv; v++) out[v] = spr_vadd(out[v], spr_vload_n(z + t->at[v], t->lanes[v]));
        }
        spr_vact_each(out, nv, &act);
        if (full) {
            SPR_UNROLL
            for (int v = 0; v < nv; v++) spr_vstore(y + t->at[v], out[v]);
        } else {
            SPR_UNROLL
            for (int v = 0; v < nv; v++) spr_vstore_n(y + t->at[v], out[v], t->lanes[v]);
        }
    }
#endif
}

#if !CONV_SMALL
typedef void conv_tile_fn(const conv_tile *t, const uint32_t *taps, size_t k, const float *packed, uint32_t r0,
                          uint32_t r1, size_t row, const spr_conv_args *a);
#endif
#define TILE(nv)                                                                                                       \
    static SPR_NOINLINE void conv_tile_##nv(const conv_tile *t, const uint32_t *taps, size_t k, const float *packed,   \
                                            uint32_t r0, uint32_t r1, size_t row, const spr_conv_args *a) {            \
        conv_tile_run(nv, t, taps, k, packed, r0, r1, row, a);                                                         \
    }
#if !CONV_SMALL
TILE(1) TILE(2)
#endif
TILE(3)
#undef TILE

SPR_INLINE size_t conv_k(const spr_conv_shape *s) { return (size_t)(s->ic / s->group) * s->win.kh * s->win.kw; }

static size_t conv_size(const spr_conv_shape *s) {
    return s->group * spr_round_up(s->oc / s->group, CONV_MR) * (conv_k(s) + 1) * sizeof(float);
}

static SPR_COLD void conv_pack(const spr_conv_shape *s, const float *w, const float *bias, void *dst) {
    const size_t k = conv_k(s), ocg = s->oc / s->group;
    float *to = dst;
    for (size_t g = 0; g < s->group; g++)
        for (size_t block = 0; block < ocg; block += CONV_MR, to += (k + 1) * CONV_MR)
            for (size_t r = 0; r < CONV_MR; r++) {
                const size_t row = g * ocg + block + r;
                const int there = block + r < ocg;
                to[r] = there && bias ? bias[row] : 0;
                for (size_t i = 0; i < k; i++) to[(i + 1) * CONV_MR + r] = there ? w[row * k + i] : 0;
            }
}

/* The band: as many rows as L1 holds if these are a few tiles, else what a modest L2 holds, but at least two tiles.
   A number of vectors that makes whole tiles, if it can be had by taking a row or two less. */
typedef struct conv_plan {
    spr_band band;
    uint32_t rows, vectors; /* output rows of a band, vectors of a row */
    size_t tap_bytes;       /* of the table in front of the band */
} conv_plan;

static SPR_NOINLINE conv_plan conv_make_plan(const spr_conv_shape *s) {
    const spr_window *win = &s->win;
    const size_t icg = s->ic / s->group;
    conv_plan p;
    p.vectors = (win->ow + SPR_VL - 1) / SPR_VL;
    p.rows = spr_band_fit(win, 6144 / icg);
    if ((size_t)p.rows * p.vectors < 3 * CONV_NV) p.rows = spr_band_fit(win, 32768 / icg);
    const uint32_t least = (2 * CONV_NV + p.vectors - 1) / p.vectors;
    if (p.rows < least) p.rows = least < win->oh ? least : win->oh;
    for (uint32_t less = 0; less < CONV_NV && less < p.rows && p.rows < win->oh; less++)
        if ((size_t)(p.rows - less) * p.vectors % CONV_NV == 0) {
            p.rows -= less;
            break;
        }
    p.band = spr_band_make(win, p.rows);
    p.tap_bytes = spr_round_up(conv_k(s) * sizeof(uint32_t), SPR_LINE);
    return p;
}

SPR_INLINE size_t conv_band_floats(const spr_conv_shape *s, const conv_plan *p) {
    return s->ic / s->group * p->band.ni * p->band.rs + SPR_VL;
}

static size_t conv_scratch(const spr_conv_shape *s) {
    const conv_plan p = conv_make_plan(s);
    return p.tap_bytes + conv_band_floats(s, &p) * sizeof(float);
}

/* Input rows that the next band adds to this one, of which each tile fetches some lines. */
typedef struct conv_ahead {
    const float *x;
    size_t floats, at; /* of a channel, and where in it */
    size_t channels, each;
} conv_ahead;

SPR_INLINE conv_ahead conv_ahead_of(const spr_window *win, const float *x, size_t channels, uint32_t oy, uint32_t rows,
                                    size_t tiles) {
    const int64_t top = (int64_t)oy * win->sh - win->pt + spr_band_rows_in(win, rows);
    size_t i0, i1;
    spr_band_inside(win, top, (size_t)rows * win->sh, &i0, &i1);
    conv_ahead f = {.floats = (i1 - i0) * win->iw};
    if (!f.floats) return f;
    f.x = x + (top + (int64_t)i0) * win->iw;
    f.channels = channels;
    f.each = channels * (f.floats / SPR_PX + 1) / tiles + 1;
    return f;
}

SPR_INLINE void conv_fetch(conv_ahead *f, size_t stride) {
    for (size_t i = 0; i < f->each && f->channels; i++) {
        __builtin_prefetch(f->x + f->at);
        f->at += SPR_PX;
        if (f->at < f->floats) continue;
        f->at = 0;
        if (--f->channels) f->x += stride;
    }
}

static int conv_match(const spr_conv_shape *s) {
    if (s->win.ow <= SPR_MIN_WIDTH) return 0;
    const conv_plan p = conv_make_plan(s);
    return conv_band_floats(s, &p) <= UINT32_MAX; /* taps are 32-bit offsets */
}

void SPR_CONV_NAME(spr_conv_f32)(const spr_conv_args *a) {
#if !CONV_SMALL
    static conv_tile_fn *const fn[CONV_NV + 1] = {NULL, conv_tile_1, conv_tile_2, conv_tile_3};
#endif
    const spr_conv_shape *s = a->shape;
    const spr_window *win = &s->win;
    const conv_plan p = conv_make_plan(s);
    const size_t icg = s->ic / s->group, ocg = s->oc / s->group, k = conv_k(s), hw = (size_t)win->oh * win->ow;
    const size_t group = a->row0 / ocg, first = group * ocg; /* the group's first row */
    const float *packed = (const float *)a->packed + group * spr_round_up(ocg, CONV_MR) * (k + 1);
    const float *x = a->x + group * icg * a->x_stride;
    uint32_t *taps = a->scratch;
    float *band = (float *)((char *)a->scratch + p.tap_bytes);

    memset(band, 0, conv_band_floats(s, &p) * sizeof *band);
    for (size_t c = 0, i = 0; c < icg; c++)
        for (uint32_t ky = 0; ky < win->kh; ky++)
            for (uint32_t kx = 0; kx < win->kw; kx++, i++)
                taps[i] = (uint32_t)((c * p.band.ni + ky * win->dh) * p.band.rs + spr_band_tap(&p.band, kx));

    for (uint32_t oy = a->oy0, rows; oy < a->oy1; oy += rows) {
        rows = a->oy1 - oy < p.rows ? a->oy1 - oy : p.rows;
        for (size_t c = 0; c < icg; c++)
            spr_band_fill(&p.band, x + c * a->x_stride, band + c * p.band.ni * p.band.rs, oy,
                          spr_band_rows_in(win, rows));
        const size_t tiles = ((size_t)rows * p.vectors + CONV_NV - 1) / CONV_NV;
        conv_ahead ahead = conv_ahead_of(win, x, icg, oy, rows, tiles * ((a->row1 - a->row0 + CONV_MR - 1) / CONV_MR));
        for (size_t block = (a->row0 - first) / CONV_MR * CONV_MR; first + block < a->row1; block += CONV_MR) {
            const size_t row = first + block;
            const uint32_t r0 = a->row0 > row ? (uint32_t)(a->row0 - row) : 0, r1 = (uint32_t)(a->row1 - row);
            uint32_t r = 0, v = 0;
            while (r < rows) {
#if CONV_SMALL
                conv_tile t = {{band, band, band}, {0}, {0}}; /* vectors that are missing have no lanes */
#else
                conv_tile t;
#endif
                int nv = 0;
                for (; nv < CONV_NV && r < rows; nv++) {
                    const size_t ox = (size_t)v * SPR_VL;
                    t.x[nv] = band + (size_t)r * win->sh * p.band.rs + ox;
                    t.at[nv] = (size_t)(oy + r) * win->ow + ox;
                    t.lanes[nv] = win->ow - ox < SPR_VL ? win->ow - ox : SPR_VL;
                    if (++v == p.vectors) v = 0, r++;
                }
                if (CONV_AHEAD) conv_fetch(&ahead, a->x_stride);
#if CONV_SMALL
                conv_tile_3(&t, taps, k, packed + block * (k + 1), r0, r1, row, a);
#else
                fn[nv](&t, taps, k, packed + block * (k + 1), r0, r1, row, a);
#endif
            }
        }
        if (!SPR_ACT_IN_REGISTERS(a->act.fn))
            for (uint32_t row = a->row0; row < a->row1; row++) {
                float *y = a->y + row * a->y_stride + (size_t)oy * win->ow;
                a->unary(y, y, (size_t)rows * win->ow, &a->act);
            }
    }
    if (a->oy1 == win->oh)
        for (uint32_t row = a->row0; row < a->row1; row++)
            memset(a->y + row * a->y_stride + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof *a->y);
}

const spr_conv_traits SPR_CONV_NAME(spr_conv_traits) = {conv_match, conv_size, conv_pack, conv_scratch};
