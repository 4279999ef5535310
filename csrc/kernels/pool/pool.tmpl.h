/* Pooling for the vectors of one ISA. The columns of a window are reduced first, straight from the image, into a
 * line on the stack that has neutral elements beyond the image's borders and its columns dealt out by their index
 * modulo the stride; then the line is reduced along each window. So a kh x kw window costs kh + kw steps. Windows of
 * whole rows (global pooling) and those that a line cannot hold are reduced one by one instead. */
#include <math.h>
#include <string.h>

#include "kernels/conv/window.h"

#define POOL_LINE 1024  /* floats; a multiple of SPR_VL */
#define POOL_PIECE 4096 /* floats: a longer sum of equal numbers drifts, as all its steps round the same way */

SPR_INLINE spr_v pool_op(const int max, spr_v acc, spr_v x) { return max ? spr_vmaxn(acc, x) : spr_vadd(acc, x); }
SPR_INLINE float pool_op1(const int max, float acc, float x) { return max ? (x > acc || x != x ? x : acc) : acc + x; }
SPR_INLINE float pool_neutral(const int max) { return max ? -INFINITY : 0; }

/* Reduces n floats. */
SPR_INLINE float pool_run(const int max, float so_far, const float *x, size_t n) {
    spr_v acc[4];
    SPR_UNROLL
    for (int v = 0; v < 4; v++) acc[v] = spr_vset(pool_neutral(max));
    size_t i = 0;
    for (; i + 4 * SPR_VL <= n; i += 4 * SPR_VL) {
        SPR_UNROLL
        for (int v = 0; v < 4; v++) acc[v] = pool_op(max, acc[v], spr_vload(x + i + v * SPR_VL));
    }
    for (; i + SPR_VL <= n; i += SPR_VL) acc[0] = pool_op(max, acc[0], spr_vload(x + i));
    acc[0] = pool_op(max, pool_op(max, acc[0], acc[1]), pool_op(max, acc[2], acc[3]));
    float lanes[SPR_VL];
    spr_vstore(lanes, acc[0]);
    SPR_UNROLL
    for (int h = SPR_VL / 2; h; h /= 2)
        for (int l = 0; l < h; l++) lanes[l] = pool_op1(max, lanes[l], lanes[l + h]);
    so_far = pool_op1(max, so_far, lanes[0]);
    for (; i < n; i++) so_far = pool_op1(max, so_far, x[i]);
    return so_far;
}

/* Pixels that an average divides by, in one direction. */
SPR_INLINE uint32_t pool_count(spr_pool_kind kind, int64_t start, uint32_t d, uint32_t k, int64_t before, int64_t size,
                               int64_t after) {
    const int64_t pad = kind == SPR_POOL_AVG_INCLUDE_PAD;
    int64_t lo, hi;
    spr_inside(start, d, k, pad * -before, size + pad * after, &lo, &hi);
    return hi > lo ? (uint32_t)(hi - lo) : 0;
}

/* Channels go innermost, as the divisions that find a window cost more than a small window. */
static SPR_NOINLINE void pool_one_by_one(const int max, const spr_pool_args *a) {
    const spr_window *w = &a->win;
    for (uint32_t oy = 0; oy < w->oh; oy++) {
        const int64_t top = (int64_t)oy * w->sh - w->pt;
        int64_t ky0, ky1;
        spr_inside(top, w->dh, w->kh, 0, w->ih, &ky0, &ky1);
        const uint32_t ny = pool_count(a->kind, top, w->dh, w->kh, w->pt, w->ih, w->pb);
        for (uint32_t ox = 0; ox < w->ow; ox++) {
            const int64_t left = (int64_t)ox * w->sw - w->pl;
            int64_t kx0, kx1;
            spr_inside(left, w->dw, w->kw, 0, w->iw, &kx0, &kx1);
            size_t n = kx1 > kx0 ? (size_t)(kx1 - kx0) : 0, rows = ky1 > ky0 ? (size_t)(ky1 - ky0) : 0;
            const int64_t at = n && rows ? (top + ky0 * w->dh) * w->iw + left + kx0 * w->dw : 0;
            const uint64_t count = (uint64_t)ny * pool_count(a->kind, left, w->dw, w->kw, w->pl, w->iw, w->pr);
            if (n == w->iw && w->dw == 1 && w->dh == 1) n *= rows, rows = rows != 0;
            for (uint32_t c = a->c0; c < a->c1; c++) {
                const float *x = a->x + c * a->x_stride + at;
                float r = pool_neutral(max);
                for (size_t ky = 0; ky < rows; ky++, x += (size_t)w->dh * w->iw) {
                    for (size_t kx = 0; w->dw == 1 && kx < n; kx += POOL_PIECE)
                        r = pool_run(max, r, x + kx, n - kx < POOL_PIECE ? n - kx : POOL_PIECE);
                    for (size_t kx = 0; w->dw != 1 && kx < n; kx++) r = pool_op1(max, r, x[kx * w->dw]);
                }
                if (!max) r = count ? r / (float)count : 0;
                a->y[c * a->y_stride + (size_t)oy * w->ow + ox] = r;
            }
        }
    }
}

/* A strip: output columns [ox0, ox1) and the input columns [c0, c1) that they see. */
typedef struct pool_strip {
    uint32_t ox0, ox1, c0, c1;
    uint32_t first; /* line position of column c0, before dealing */
    size_t s;       /* floats of one phase of the line */
} pool_strip;

/* Reduces `rows` rows at x, `step` floats apart, in columns [c, c + NV vectors), the last vector of `rest` lanes. */
SPR_INLINE void pool_columns(const int max, const int nv, spr_v *acc, const float *x, size_t step, int64_t rows,
                             size_t rest) {
    SPR_UNROLL
    for (int v = 0; v < nv; v++) acc[v] = spr_vset(pool_neutral(max));
    for (int64_t i = 0; i < rows; i++, x += step) {
        SPR_UNROLL
        for (int v = 0; v < nv; v++) {
            const float *p = x + v * SPR_VL;
            acc[v] = pool_op(max, acc[v], v == nv - 1 && rest < SPR_VL ? spr_vload_n(p, rest) : spr_vload(p));
        }
    }
}

/* Stores NV vectors of column results into the line from position p on, the last of `rest` lanes. */
SPR_INLINE void pool_deal(const int nv, const spr_v *v, float *line, size_t s, uint32_t sw, uint32_t p, size_t rest) {
    const size_t n = (nv - 1) * SPR_VL + rest;
    if (sw == 1) {
        SPR_UNROLL
        for (int i = 0; i < nv; i++) {
            if (i == nv - 1)
                spr_vstore_n(line + p + i * SPR_VL, v[i], rest);
            else
                spr_vstore(line + p + i * SPR_VL, v[i]);
        }
    } else if (sw == 2) {
        float *even = line + (p & 1) * s + p / 2, *odd = line + (~p & 1) * s + (p + 1) / 2;
        SPR_UNROLL
        for (int i = 0; i < nv; i += 2) {
            const size_t left = n - i * SPR_VL;
            spr_v e, o;
            spr_vsplit(v[i], i + 1 < nv ? v[i + 1] : spr_vzero(), &e, &o);
            if (left >= 2 * SPR_VL) {
                spr_vstore(even + i / 2 * SPR_VL, e);
                spr_vstore(odd + i / 2 * SPR_VL, o);
            } else {
                spr_vstore_n(even + i / 2 * SPR_VL, e, (left + 1) / 2);
                spr_vstore_n(odd + i / 2 * SPR_VL, o, left / 2);
            }
        }
    } else {
        float flat[4 * SPR_VL];
        SPR_UNROLL
        for (int i = 0; i < nv; i++) spr_vstore(flat + i * SPR_VL, v[i]);
        for (size_t i = 0; i < n; i++) line[(p + i) % sw * s + (p + i) / sw] = flat[i];
    }
}

/* One row of outputs at y (of the strip's first column) from NV vectors of the line; count and ny as in
   pool_lines(). */
SPR_INLINE void pool_row(const int max, const int nv, const float *line, const uint32_t *taps, uint32_t kw,
                         const float *count, float ny, float *y, size_t rest) {
    spr_v acc[4];
    SPR_UNROLL
    for (int v = 0; v < nv; v++) acc[v] = spr_vset(pool_neutral(max));
    for (uint32_t kx = 0; kx < kw; kx++) {
        SPR_UNROLL
        for (int v = 0; v < nv; v++) acc[v] = pool_op(max, acc[v], spr_vload(line + taps[kx] + v * SPR_VL));
    }
    SPR_UNROLL
    for (int v = 0; v < nv; v++) {
        if (!max) acc[v] = spr_vdiv(acc[v], spr_vmul(spr_vload(count + v * SPR_VL), spr_vset(ny)));
        if (v == nv - 1)
            spr_vstore_n(y + v * SPR_VL, acc[v], rest);
        else
            spr_vstore(y + v * SPR_VL, acc[v]);
    }
}

static SPR_NOINLINE void pool_lines(const int max, const spr_pool_args *a, const pool_strip *t) {
    const spr_window *w = &a->win;
    float line[POOL_LINE + 4 * SPR_VL] SPR_ALIGNED(64), count[POOL_LINE + 4 * SPR_VL] SPR_ALIGNED(64);
    uint32_t taps[POOL_LINE];
    for (uint32_t i = 0; i < SPR_COUNTOF(line); i++) line[i] = pool_neutral(max), count[i] = 1;
    for (uint32_t kx = 0; kx < w->kw; kx++) taps[kx] = (uint32_t)(kx * w->dw % w->sw * t->s + kx * w->dw / w->sw);
    if (!max)
        for (uint32_t ox = t->ox0; ox < t->ox1; ox++) {
            const uint32_t n = pool_count(a->kind, (int64_t)ox * w->sw - w->pl, w->dw, w->kw, w->pl, w->iw, w->pr);
            if (n) count[ox - t->ox0] = (float)n;
        }
    const uint32_t cols = t->c1 - t->c0, outs = t->ox1 - t->ox0;
    for (uint32_t ch = a->c0; ch < a->c1; ch++)
        for (uint32_t oy = 0; oy < w->oh; oy++) {
            const int64_t top = (int64_t)oy * w->sh - w->pt;
            int64_t ky0, ky1;
            spr_inside(top, w->dh, w->kh, 0, w->ih, &ky0, &ky1);
            const int64_t rows = ky1 > ky0 ? ky1 - ky0 : 0;
            const float *x = a->x + ch * a->x_stride + (rows ? (top + ky0 * w->dh) * w->iw : 0) + t->c0;
            const uint32_t count_y = pool_count(a->kind, top, w->dh, w->kh, w->pt, w->ih, w->pb);
            const float ny = count_y ? (float)count_y : 1;
            const size_t step = (size_t)w->dh * w->iw;
            spr_v v[4];
            uint32_t c = 0;
            for (; c + 4 * SPR_VL <= cols; c += 4 * SPR_VL) {
                pool_columns(max, 4, v, x + c, step, rows, SPR_VL);
                pool_deal(4, v, line, t->s, w->sw, t->first + c, SPR_VL);
            }
            for (; c < cols; c += SPR_VL) {
                const size_t rest = cols - c < SPR_VL ? cols - c : SPR_VL;
                pool_columns(max, 1, v, x + c, step, rows, rest);
                pool_deal(1, v, line, t->s, w->sw, t->first + c, rest);
            }
            float *y = a->y + ch * a->y_stride + (size_t)oy * w->ow + t->ox0;
            uint32_t o = 0;
            for (; o + 4 * SPR_VL <= outs; o += 4 * SPR_VL)
                pool_row(max, 4, line + o, taps, w->kw, count + o, ny, y + o, SPR_VL);
            for (; o < outs; o += SPR_VL) {
                const size_t rest = outs - o < SPR_VL ? outs - o : SPR_VL;
                pool_row(max, 1, line + o, taps, w->kw, count + o, ny, y + o, rest);
            }
        }
}

SPR_INLINE uint32_t pool_clip(int64_t v, uint32_t limit) { return v < 0 ? 0 : v > limit ? limit : (uint32_t)v; }

SPR_INLINE void pool_run_all(const int max, const spr_pool_args *a) {
    const spr_window *w = &a->win;
    const size_t hw = (size_t)w->oh * w->ow;
    const uint64_t reach = (uint64_t)(w->kw - 1) * w->dw + 1;
    /* A strip of n columns needs (n - 1) * sw + reach positions, dealt out to sw phases of whole vectors. */
    const uint64_t slack = reach + (uint64_t)w->sw * (SPR_VL + 1);
    if (hw == 1 || slack > POOL_LINE) {
        pool_one_by_one(max, a);
    } else {
        const uint32_t most = (uint32_t)((POOL_LINE - slack) / w->sw) + 1;
        for (uint32_t ox = 0; ox < w->ow; ox += most) {
            pool_strip t = {.ox0 = ox, .ox1 = w->ow - ox < most ? w->ow : ox + most};
            const int64_t left = (int64_t)ox * w->sw - w->pl;
            const uint64_t span = (uint64_t)(t.ox1 - ox - 1) * w->sw + reach;
            t.c0 = pool_clip(left, w->iw);
            t.c1 = pool_clip(left + (int64_t)span, w->iw);
            t.first = (uint32_t)(t.c0 - left < (int64_t)span ? t.c0 - left : 0);
            t.s = spr_round_up((span + w->sw - 1) / w->sw, SPR_VL);
            pool_lines(max, a, &t);
        }
    }
    for (uint32_t c = a->c0; c < a->c1; c++)
        memset(a->y + c * a->y_stride + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof *a->y);
}

void SPR_CONV_NAME(spr_pool_f32)(const spr_pool_args *a) {
    if (a->kind == SPR_POOL_MAX)
        pool_run_all(1, a);
    else
        pool_run_all(0, a);
}
