/* Depthwise 3x3 and 5x5 at stride 1 and 2, AVX-512: every input vector is loaded once, aligned as its row is, and the
 * columns beside it are shifted in from its neighbours, as loads from every column would mostly straddle two lines.
 * Lanes beyond a row's ends are zeroed by the masks of the loads; rows above and below the image are a row of zeros
 * in scratch. */
#ifndef SPR_KERNELS_DWCONV_AVX512_SHIFT_H
#define SPR_KERNELS_DWCONV_AVX512_SHIFT_H

#include <string.h>

#include "kernels/dwconv/dwconv.h"

typedef struct shift_task {
    const spr_window *win;
    const float *w; /* a record of dwconv.h */
    float *y;       /* row 0 of the channel */
    const float *z; /* NULL if none */
    const spr_vact *act;
    uintptr_t x; /* what rows of the input are told from */
} shift_task;

/* Where a block stands in its rows. Masks of the lanes that are columns of the image: */
typedef struct shift_place {
    ptrdiff_t column;    /* input column of the first lane */
    __mmask16 here[6];   /* vectors from there on */
    __mmask16 prev, next; /* of the vectors before and behind; at stride 2 the one column beside */
    __mmask16 next_odd;
} shift_place;

SPR_INLINE __mmask16 lanes_below(ptrdiff_t n) {
    return (__mmask16)(n <= 0 ? 0 : n >= SPR_VL ? 0xffff : (1 << n) - 1);
}

SPR_INLINE shift_place shift_place_at(const int st, const int nv, size_t ox, size_t iw) {
    const ptrdiff_t column = (ptrdiff_t)ox * st, left = (ptrdiff_t)iw - column, behind = left - nv * st * SPR_VL;
    shift_place p = {.column = column};
    SPR_UNROLL
    for (int i = 0; i < nv * st; i++) p.here[i] = lanes_below(left - i * SPR_VL);
    if (st == 1) {
        p.prev = ox ? 0xffff : 0;
        p.next = lanes_below(behind);
    } else {
        p.prev = ox ? 0x8000 : 0;
        p.next = behind > 0;
        p.next_odd = behind > 1;
    }
    return p;
}

/* A row's columns in vectors: [vector before, NV vectors, vector behind], at stride 2 the even and the odd ones. */
typedef struct shift_row {
    spr_v v[2][5];
} shift_row;

/* whole: there are no columns beside the vector (of outputs). */
SPR_INLINE shift_row shift_load(const int st, const int nv, const int whole, const float *row, const shift_place *at) {
    shift_row r;
    const float *p = row + at->column, *behind = p + nv * st * SPR_VL;
    if (whole) {
        r.v[0][0] = r.v[1][0] = r.v[0][2] = r.v[1][2] = spr_vzero();
        if (st == 1)
            r.v[0][1] = _mm512_maskz_loadu_ps(at->here[0], p);
        else
            spr_vsplit(_mm512_maskz_loadu_ps(at->here[0], p), _mm512_maskz_loadu_ps(at->here[1], p + SPR_VL),
                       &r.v[0][1], &r.v[1][1]);
    } else if (st == 1) {
        r.v[0][0] = _mm512_maskz_loadu_ps(at->prev, p - SPR_VL);
        SPR_UNROLL
        for (int i = 0; i < nv; i++) r.v[0][i + 1] = _mm512_maskz_loadu_ps(at->here[i], p + i * SPR_VL);
        r.v[0][nv + 1] = _mm512_maskz_loadu_ps(at->next, behind);
    } else { /* only one lane of the outer vectors is looked at */
        r.v[0][0] = _mm512_maskz_loadu_ps(at->prev, p - 2 - (SPR_VL - 1));
        r.v[1][0] = _mm512_maskz_loadu_ps(at->prev, p - 1 - (SPR_VL - 1));
        SPR_UNROLL
        for (int i = 0; i < nv; i++)
            spr_vsplit(_mm512_maskz_loadu_ps(at->here[2 * i], p + 2 * i * SPR_VL),
                       _mm512_maskz_loadu_ps(at->here[2 * i + 1], p + (2 * i + 1) * SPR_VL), &r.v[0][i + 1],
                       &r.v[1][i + 1]);
        r.v[0][nv + 1] = _mm512_maskz_loadu_ps(at->next, behind);
        r.v[1][nv + 1] = _mm512_maskz_loadu_ps(at->next_odd, behind + 1);
    }
    return r;
}

SPR_INLINE spr_v lanes_from(spr_v low, spr_v high, const int first) {
    const __m512i a = _mm512_castps_si512(high), b = _mm512_castps_si512(low);
    __m512i r = b;
    switch (first) { /* an immediate operand, whatever the optimization */
    case 1: r = _mm512_alignr_epi32(a, b, 1); break;
    case 2: r = _mm512_alignr_epi32(a, b, 2); break;
    case SPR_VL - 2: r = _mm512_alignr_epi32(a, b, SPR_VL - 2); break;
    case SPR_VL - 1: r = _mm512_alignr_epi32(a, b, SPR_VL - 1); break;
    }
    return _mm512_castsi512_ps(r);
}

/* The inputs of output vector v for the taps `d` columns right of the window's anchor. */
SPR_INLINE spr_v shift_tap(const int st, const shift_row *r, const int v, const int d) {
    const int odd = st == 2 && (d & 1), by = st == 2 ? (d - odd) / 2 : d;
    const spr_v *s = &r->v[odd][v];
    return by == 0 ? s[1] : by < 0 ? lanes_from(s[0], s[1], SPR_VL + by) : lanes_from(s[1], s[2], by);
}

/* Adds the taps of columns [kx0, kx1), of all rows. Input row i of the block lies
   rp[i] bytes behind x. */
SPR_INLINE void shift_taps(const int k, const int st, const int pl, const int rows, const int nv, const int whole,
                           const int kx0, const int kx1, const float *weights, uintptr_t x0, const uintptr_t *rp,
                           const shift_place *at, spr_v *acc) {
    spr_v w[9];
    SPR_UNROLL
    for (int j = 0; j < (kx1 - kx0) * k; j++) w[j] = spr_vset(weights[j % k * k + kx0 + j / k]);
    SPR_UNROLL
    for (int i = 0; i < (rows - 1) * st + k; i++) {
        const shift_row in = shift_load(st, nv, whole, (const float *)(x0 + rp[i]), at);
        SPR_UNROLL
        for (int j = 0; j < (kx1 - kx0) * nv; j++) {
            const int kx = kx0 + j / nv, v = j % nv;
            const spr_v x = shift_tap(st, &in, v, kx - pl);
            SPR_UNROLL
            for (int r = 0; r < rows; r++) {
                const int ky = i - r * st;
                if (ky >= 0 && ky < k) acc[r * nv + v] = spr_vfma(acc[r * nv + v], x, w[(kx - kx0) * k + ky]);
            }
        }
    }
}

/* `rows` rows by NV vectors from row oy, column ox. */
SPR_INLINE void shift_block(const int k, const int st, const int pl, const int rows, const int nv, const int whole,
                            const shift_task *t, const uintptr_t *rp, size_t oy, size_t ox) {
    const size_t ow = t->win->ow, start = oy * ow + ox;
    const shift_place at = shift_place_at(st, nv, ox, t->win->iw);
    spr_v acc[12];
    const spr_v bias = spr_vset(t->w[k * k]);
    SPR_UNROLL
    for (int i = 0; i < rows * nv; i++) acc[i] = bias;
    if (k == 3) { /* all multipliers fit into registers, and a row is loaded once */
        shift_taps(k, st, pl, rows, nv, whole, 0, 3, t->w, t->x, rp, &at, acc);
    } else { /* the rows are gone over for every column of taps */
        shift_taps(k, st, pl, rows, nv, whole, 0, 1, t->w, t->x, rp, &at, acc);
        shift_taps(k, st, pl, rows, nv, whole, 1, 2, t->w, t->x, rp, &at, acc);
        shift_taps(k, st, pl, rows, nv, whole, 2, 3, t->w, t->x, rp, &at, acc);
        shift_taps(k, st, pl, rows, nv, whole, 3, 4, t->w, t->x, rp, &at, acc);
        shift_taps(k, st, pl, rows, nv, whole, 4, 5, t->w, t->x, rp, &at, acc);
    }
    spr_vfinish(acc, rows, nv, t->y + start, t->z ? t->z + start : NULL, ow, ow - ox - (nv - 1) * SPR_VL, t->act);
}

/* `rows` output rows from oy. Fewer than seven or eight sums at a time would wait for each other, so a vector is not
   left alone. */
SPR_INLINE void shift_rows(const int k, const int st, const int pl, const int rows, const shift_task *t,
                           const uintptr_t *rp, size_t oy) {
    const size_t ow = t->win->ow;
    size_t ox = 0;
    for (; ox + 3 * SPR_VL < ow; ox += 2 * SPR_VL) shift_block(k, st, pl, rows, 2, 0, t, rp, oy, ox);
    if (ox + 2 * SPR_VL < ow)
        shift_block(k, st, pl, rows, 3, 0, t, rp, oy, ox);
    else if (ox + SPR_VL < ow)
        shift_block(k, st, pl, rows, 2, 0, t, rp, oy, ox);
    else
        shift_block(k, st, pl, rows, 1, 0, t, rp, oy, ox);
}

typedef void shift_fn(const shift_task *t, const uintptr_t *rp, uint32_t oy, uint32_t end);
/* Output rows [oy, end); rp[i] is of input row i of those. Images of one vector's width take seven rows at a time, of
   which some are computed again where the last would be fewer, but not over a residual that may lie in the output. */
#define SHIFT(k, st, pl)                                                                                        \
    static SPR_NOINLINE void shift_##k##_##st##_##pl(const shift_task *t, const uintptr_t *rp, uint32_t oy,     \
                                                     uint32_t end) {                                            \
        const uint32_t n = end - oy;                                                                            \
        const int sevens = t->win->ow <= SPR_VL && t->win->iw <= st * SPR_VL && n >= 7 && !t->z;                \
        for (uint32_t r = 0, rows; r < n; r += rows) {                                                          \
            rows = sevens ? 7 : spr_dwconv_step(n - r, 0);                                                      \
            if (r + rows > n) r = n - rows;                                                                     \
            const uintptr_t *in = rp + (size_t)r * st;                                                          \
            if (rows == 7)                                                                                      \
                shift_block(k, st, pl, 7, 1, 1, t, in, oy + r, 0);                                                 \
            else if (rows == 4)                                                                                 \
                shift_rows(k, st, pl, 4, t, in, oy + r);                                                        \
            else if (rows == 3)                                                                                 \
                shift_rows(k, st, pl, 3, t, in, oy + r);                                                        \
            else                                                                                                \
                shift_rows(k, st, pl, 1, t, in, oy + r);                                                        \
        }                                                                                                       \
    }
SHIFT(3, 1, 1) SHIFT(5, 1, 2) SHIFT(3, 2, 0) SHIFT(3, 2, 1) SHIFT(5, 2, 1) SHIFT(5, 2, 2)
#undef SHIFT

/* Scratch: where the input rows lie, a row of zeros. */
static size_t shift_pointer_bytes(const spr_window *win) {
    return spr_round_up(((size_t)(win->oh - 1) * win->sh + win->kh) * sizeof(float *), SPR_LINE);
}
static size_t shift_scratch(const spr_conv_shape *s) {
    return shift_pointer_bytes(&s->win) + spr_round_up(s->win.iw, SPR_PX) * sizeof(float);
}

void spr_dwconv_f32_avx512(const spr_conv_args *a) {
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, record = spr_dwconv_record(a->shape);
    uintptr_t *rp = a->scratch;
    float *zeros = (float *)((char *)a->scratch + shift_pointer_bytes(win));
    const int same = win->pl == (int32_t)win->kw / 2;
    shift_fn *fn = win->kw == 3 ? win->sw == 1 ? shift_3_1_1 : same ? shift_3_2_1 : shift_3_2_0
                   : win->sw == 1 ? shift_5_1_2 : same ? shift_5_2_2 : shift_5_2_1;
    /* What another kernel shall finish is handed over while it is in L1. */
    const uint32_t step = SPR_ACT_IN_REGISTERS(a->act.fn) ? win->oh : (1024 / win->ow + 1) * 4;
    /* To make pointers for each channel took a tenth of the time of 14x14 and 28x28. */
    const spr_dw_rows rows = spr_dw_rows_make(a, rp, zeros);

    for (uint32_t row = a->row0; row < a->row1; row++) {
        const float *x = a->x + row * a->x_stride;
        const spr_vact act = spr_vact_load(&a->act, row);
        float *plane = a->y + row * a->y_stride;
        const shift_task t = {win, (const float *)a->packed + row * record, plane,
                              a->z ? a->z + row * a->z_stride : NULL, &act, (uintptr_t)x};
        spr_dw_rows_begin(&rows, (uintptr_t)x);
        for (uint32_t oy = a->oy0, end; oy < a->oy1; oy = end) {
            end = a->oy1 - oy > step ? oy + step : a->oy1;
            fn(&t, rp + (size_t)(oy - a->oy0) * win->sh, oy, end);
            float *y = plane + (size_t)oy * win->ow;
            if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, (size_t)(end - oy) * win->ow, &a->act);
        }
        if (a->oy1 == win->oh) spr_vstore_n(plane + hw, spr_vzero(), spr_plane_lanes(hw) - hw);
    }
}

static int shift_match(const spr_conv_shape *s) {
    const int32_t half = (int32_t)s->win.kw / 2;
    return spr_dwconv_match_fixed(s) && (s->win.sw == 1 ? s->win.pl == half && s->win.ow > SPR_MIN_WIDTH
                                                        : s->win.pl == half || s->win.pl == half - 1);
}

const spr_conv_traits spr_dwconv_traits_avx512 = {shift_match, spr_dwconv_size, spr_dwconv_pack, shift_scratch};

#endif
