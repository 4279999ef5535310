/* Quantized pooling for the vectors of one ISA, in the way of pool/pool.tmpl.h: the columns of a window are reduced
 * first, into a line on the stack that has neutral pixels beyond the image's borders and its columns dealt out by their
 * index modulo the stride; then the line is reduced along each window. Lines hold pixels of 32 bits: for a maximum one
 * line of four bytes, for a mean two lines of two sums of 16 bits, in which pixels outside count as the zero of x.
 * Windows that are the whole output (global pooling), those that a line cannot hold, and means of so many taps that 16
 * bits might not do are reduced one by one instead. */
#include "kernels/conv/window.h"

/* Pixels of a line, a multiple of SPR_VL; taps whose sum fits 16 bits. */
enum { POOL_LINE = 1024, POOL_TAPS = 255 };

SPR_INLINE spr_q pool_op(const int max, spr_q acc, spr_q x) { return max ? spr_qmax(acc, x) : spr_qadd16(acc, x); }

/* Pixels that a mean divides by, in one direction. */
SPR_INLINE uint32_t pool_count(spr_pool_kind kind, int64_t start, uint32_t d, uint32_t k, int64_t size, int64_t after) {
    int64_t lo, hi;
    if (kind == SPR_POOL_AVG_INCLUDE_PAD)
        spr_inside(start, d, k, start, size + after, &lo, &hi);
    else
        spr_inside(start, d, k, 0, size, &lo, &hi);
    return (uint32_t)(hi - lo);
}

/* ---- one by one ---- */

/* Adds n pixels to the sums of the four channels. */
SPR_INLINE void pool_sum(const spr_q8 *x, size_t n, int32_t *sum) {
    const spr_q none = spr_qset32(0);
    spr_q total[4] = {none, none, none, none};
    for (size_t p = 0; p < n;) {
        spr_q h[2], acc[2] = {none, none}, c[4];
        for (int i = 0; i < POOL_TAPS && p < n; i++, p += SPR_VL) {
            spr_qhalves(n - p < SPR_VL ? spr_qload_n(x + 4 * p, n - p, none) : spr_qload(x + 4 * p), h);
            acc[0] = spr_qadd16(acc[0], h[0]);
            acc[1] = spr_qadd16(acc[1], h[1]);
        }
        spr_qhalf_channels(acc, c);
        SPR_UNROLL
        for (int i = 0; i < 4; i++) total[i] = spr_qadd32(total[i], c[i]);
    }
    int32_t lanes[4];
    spr_qfold(total, lanes);
    for (int i = 0; i < 4; i++) sum[i] += lanes[i];
}

SPR_INLINE spr_q pool_max(const spr_q8 *x, size_t n, spr_q most) {
    for (size_t p = 0; p < n; p += SPR_VL)
        most = spr_qmax(most, n - p < SPR_VL ? spr_qload_n(x + 4 * p, n - p, most) : spr_qload(x + 4 * p));
    return most;
}

/* `rows` rows of n pixels, dw apart. */
SPR_INLINE void pool_window(const spr_pool_q8_args *a, const spr_q8 *x, size_t rows, size_t n, int32_t *result) {
    const spr_window *w = &a->win;
    const int max = a->kind == SPR_POOL_MAX;
    spr_q most = spr_qbyte(SPR_Q8_MIN);
    if (n == w->iw && w->dw == 1 && w->dh == 1) n *= rows, rows = 1;
    for (int i = 0; i < 4; i++) result[i] = 0;
    for (size_t ky = 0; ky < rows; ky++, x += (size_t)w->dh * w->iw * 4)
        for (size_t kx = 0; kx < (w->dw == 1 ? 1 : n); kx++) {
            const spr_q8 *at = x + kx * w->dw * 4;
            if (max)
                most = pool_max(at, w->dw == 1 ? n : 1, most);
            else
                pool_sum(at, w->dw == 1 ? n : 1, result);
        }
    if (!max) return;
    spr_q8 lanes[4 * SPR_VL];
    spr_qstore(lanes, most);
    for (int i = 0; i < 4; i++) {
        result[i] = lanes[i];
        for (int l = 1; l < SPR_VL; l++) result[i] = lanes[4 * l + i] > result[i] ? lanes[4 * l + i] : result[i];
    }
}

/* Groups innermost: where a window lies takes divisions, more work than a small mean. */
static SPR_NOINLINE void pool_one_by_one(const spr_pool_q8_args *a) {
    const spr_window *w = &a->win;
    for (uint32_t oy = 0; oy < w->oh; oy++) {
        const int64_t top = (int64_t)oy * w->sh - w->pt;
        int64_t ky0, ky1;
        spr_inside(top, w->dh, w->kh, 0, w->ih, &ky0, &ky1);
        const uint32_t ny = pool_count(a->kind, top, w->dh, w->kh, w->ih, w->pb);
        for (uint32_t ox = 0; ox < w->ow; ox++) {
            const int64_t left = (int64_t)ox * w->sw - w->pl;
            int64_t kx0, kx1;
            spr_inside(left, w->dw, w->kw, 0, w->iw, &kx0, &kx1);
            const uint32_t count = ny * pool_count(a->kind, left, w->dw, w->kw, w->iw, w->pr);
            const size_t n = (size_t)(kx1 - kx0), rows = (size_t)(ky1 - ky0);
            const size_t from = (size_t)((top + ky0 * w->dh) * w->iw + left + kx0 * w->dw);
            const int32_t zeros = a->x_zero * (int32_t)(n * rows);
            for (uint32_t g = a->group0; g < a->group1; g++) {
                int32_t result[4];
                pool_window(a, a->x + (g * a->x_stride + from) * 4, rows, n, result);
                for (int i = 0; i < 4; i++) {
                    const float v = a->kind == SPR_POOL_MAX ? (float)(result[i] - a->x_zero)
                                                            : (float)(result[i] - zeros) / (float)count;
                    a->y[(g * a->y_stride + (size_t)oy * w->ow + ox) * 4 + (size_t)i] =
                        spr_q8_round(v * a->scale, a->y_zero, a->lo, a->hi);
                }
            }
        }
    }
}

/* ---- lines ---- */

/* A strip: output columns [ox0, ox1) and the input columns [c0, c1) that they see. */
typedef struct pool_strip {
    uint32_t ox0, ox1, c0, c1;
    uint32_t first; /* line position of column c0, before dealing */
    size_t s;       /* pixels of one phase of a line */
} pool_strip;

typedef struct pool_state {
    int32_t line[2][POOL_LINE + 2 * SPR_VL] SPR_ALIGNED(64);
    float count[POOL_LINE + 2 * SPR_VL] SPR_ALIGNED(64); /* that means divide by, of the columns */
    uint32_t taps[POOL_LINE];                            /* where those of a window lie */
} pool_state;

/* Reduces `rows` rows at x, `step` pixels apart, in columns [c, c + VL), beginning with `start`. */
SPR_INLINE void pool_columns(const int max, spr_q *acc, spr_q start, const spr_q8 *x, size_t step, int64_t rows,
                             size_t rest) {
    const spr_q fill = spr_qset32(0);
    acc[0] = acc[1] = start;
    for (int64_t i = 0; i < rows; i++, x += 4 * step) {
        const spr_q q = rest < SPR_VL ? spr_qload_n(x, rest, fill) : spr_qload(x);
        spr_q h[2] = {q, q};
        if (!max) spr_qhalves(q, h);
        acc[0] = pool_op(max, acc[0], h[0]);
        if (!max) acc[1] = pool_op(max, acc[1], h[1]);
    }
}

/* Stores two vectors of column results into a line from position p on, of which n pixels count. */
SPR_INLINE void pool_deal(spr_q a, spr_q b, int32_t *line, size_t s, uint32_t sw, uint32_t p, size_t n) {
    spr_q even = a, odd = b;
    int32_t *to[2] = {line + p, line + p + SPR_VL};
    size_t count[2] = {n, n > SPR_VL ? n - SPR_VL : 0};
    if (sw == 2) {
        spr_qsplit(a, b, &even, &odd);
        to[0] = line + (p & 1) * s + p / 2;
        to[1] = line + (~p & 1) * s + (p + 1) / 2;
        count[0] = (n + 1) / 2;
        count[1] = n / 2;
    } else if (sw > 2) {
        int32_t flat[2 * SPR_VL];
        spr_qstore(flat, a);
        spr_qstore(flat + SPR_VL, b);
        for (size_t i = 0; i < n; i++) line[(p + i) % sw * s + (p + i) / sw] = flat[i];
        return;
    }
    SPR_UNROLL
    for (int i = 0; i < 2; i++) {
        if (count[i] >= SPR_VL)
            spr_qstore(to[i], i ? odd : even);
        else if (count[i])
            spr_qstore_n(to[i], i ? odd : even, count[i]);
    }
}

/* What finishing needs of a call. */
typedef struct pool_finish {
    int bytes; /* maxima are in quanta of y already */
    spr_q zero, lo, hi;
    spr_v scale;
    spr_qbounds bounds;
} pool_finish;

SPR_INLINE spr_q pool_round(const int max, const spr_q *acc, const pool_finish *f, spr_v count) {
    spr_q c[4];
    spr_v v[4];
    if (max && f->bytes) return spr_qmin(spr_qmax(acc[0], f->lo), f->hi);
    if (max)
        spr_qchannels(acc[0], c);
    else
        spr_qhalf_channels(acc, c);
    SPR_UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = spr_qfloat(spr_qsub32(c[i], f->zero));
        if (!max) v[i] = spr_vdiv(v[i], count);
        v[i] = spr_vmul(v[i], f->scale);
    }
    return spr_qjoin(v, &f->bounds);
}

/* A row of outputs from the lines, to y. */
SPR_INLINE void pool_row(const int max, const spr_pool_q8_args *a, const pool_state *state, const pool_finish *f,
                         float ny, uint32_t outs, spr_q8 *y) {
    for (uint32_t o = 0; o < outs; o += SPR_VL) {
        spr_q acc[2];
        for (int l = 0; l < (max ? 1 : 2); l++) {
            acc[l] = spr_qload(state->line[l] + state->taps[0] + o);
            for (uint32_t kx = 1; kx < a->win.kw; kx++)
                acc[l] = pool_op(max, acc[l], spr_qload(state->line[l] + state->taps[kx] + o));
        }
        const spr_q q = pool_round(max, acc, f, spr_vmul(spr_vload(state->count + o), spr_vset(ny)));
        if (outs - o < SPR_VL)
            spr_qstore_n(y + 4 * o, q, outs - o);
        else
            spr_qstore(y + 4 * o, q);
    }
}

static SPR_NOINLINE void pool_lines(const int max, const spr_pool_q8_args *a, const pool_strip *t) {
    const spr_window *w = &a->win;
    const int32_t taps = (int32_t)(w->kh * w->kw);
    pool_state state;
    const pool_finish f = {.bytes = a->scale == 1 && a->x_zero == a->y_zero,
                           .zero = spr_qset32(max ? a->x_zero : a->x_zero * taps),
                           .lo = spr_qbyte(a->lo), .hi = spr_qbyte(a->hi), .scale = spr_vset(a->scale),
                           .bounds = spr_qbounds_of(a->y_zero, a->lo, a->hi)};
    /* Beyond the borders: the least byte, or in both halves the sum of kh zeros of x. */
    const int32_t neutral = max ? (int32_t)((uint32_t)(uint8_t)SPR_Q8_MIN * 0x01010101u)
                                : (int32_t)((uint32_t)(uint16_t)(a->x_zero * (int32_t)w->kh) * 0x00010001u);
    for (size_t i = 0; i < w->sw * t->s + SPR_VL; i++) {
        state.line[0][i] = state.line[1][i] = neutral;
        state.count[i] = 1;
    }
    for (uint32_t kx = 0; kx < w->kw; kx++) state.taps[kx] = (uint32_t)(kx * w->dw % w->sw * t->s + kx * w->dw / w->sw);
    if (!max)
        for (uint32_t ox = t->ox0; ox < t->ox1; ox++)
            state.count[ox - t->ox0] =
                (float)pool_count(a->kind, (int64_t)ox * w->sw - w->pl, w->dw, w->kw, w->iw, w->pr);
    const uint32_t cols = t->c1 - t->c0;
    const size_t step = (size_t)w->dh * w->iw;
    for (uint32_t g = a->group0; g < a->group1; g++)
        for (uint32_t oy = 0; oy < w->oh; oy++) {
            const int64_t top = (int64_t)oy * w->sh - w->pt;
            int64_t ky0, ky1;
            spr_inside(top, w->dh, w->kh, 0, w->ih, &ky0, &ky1);
            const spr_q8 *x = a->x + (g * a->x_stride + (size_t)((top + ky0 * w->dh) * w->iw) + t->c0) * 4;
            const int32_t missing = a->x_zero * (int32_t)(w->kh - (ky1 - ky0));
            const spr_q start = spr_qset32(max ? neutral : (int32_t)((uint32_t)(uint16_t)missing * 0x00010001u));
            for (uint32_t c = 0; c < cols; c += 2 * SPR_VL) {
                const size_t n = cols - c < 2 * SPR_VL ? cols - c : 2 * SPR_VL;
                spr_q u[2], v[2] = {start, start};
                pool_columns(max, u, start, x + 4 * c, step, ky1 - ky0, n);
                if (n > SPR_VL) pool_columns(max, v, start, x + 4 * (c + SPR_VL), step, ky1 - ky0, n - SPR_VL);
                for (int l = 0; l < (max ? 1 : 2); l++)
                    pool_deal(u[l], v[l], state.line[l], t->s, w->sw, t->first + c, n);
            }
            const float ny = max ? 1 : (float)pool_count(a->kind, top, w->dh, w->kh, w->ih, w->pb);
            pool_row(max, a, &state, &f, ny, t->ox1 - t->ox0,
                     a->y + (g * a->y_stride + (size_t)oy * w->ow + t->ox0) * 4);
        }
}

SPR_INLINE uint32_t pool_clip(int64_t v, uint32_t limit) { return v < 0 ? 0 : v > limit ? limit : (uint32_t)v; }

void SPR_Q_NAME(spr_pool_q8)(const spr_pool_q8_args *a) {
    const spr_window *w = &a->win;
    const int max = a->kind == SPR_POOL_MAX;
    const uint64_t reach = (uint64_t)(w->kw - 1) * w->dw + 1;
    /* A strip of n columns needs (n - 1) * sw + reach positions, dealt out to sw phases of whole vectors. */
    const uint64_t slack = reach + (uint64_t)w->sw * (SPR_VL + 1);
    if (w->oh * w->ow == 1 || slack > POOL_LINE || (!max && w->kh * w->kw > POOL_TAPS)) {
        pool_one_by_one(a);
        return;
    }
    const uint32_t most = (uint32_t)((POOL_LINE - slack) / w->sw) + 1;
    for (uint32_t ox = 0; ox < w->ow; ox += most) {
        pool_strip t = {.ox0 = ox, .ox1 = w->ow - ox < most ? w->ow : ox + most};
        const int64_t left = (int64_t)ox * w->sw - w->pl;
        const uint64_t span = (uint64_t)(t.ox1 - ox - 1) * w->sw + reach;
        t.c0 = pool_clip(left, w->iw);
        t.c1 = pool_clip(left + (int64_t)span, w->iw);
        t.first = (uint32_t)(t.c0 - left);
        t.s = spr_round_up((span + w->sw - 1) / w->sw, SPR_VL);
        if (max)
            pool_lines(1, a, &t);
        else
            pool_lines(0, a, &t);
    }
}
