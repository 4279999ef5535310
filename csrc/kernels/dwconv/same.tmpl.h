/* Depthwise 3x3 and 5x5 at stride 1 with as many output columns as input columns, straight from the image: where a tap
 * stands beyond the left border zeros are shifted in, beyond the right border lanes are masked out, and rows above and
 * below the image are a row of zeros in scratch. Vectors read up to SAME_OVER floats beyond a row; where these do not
 * belong to the plane, its last row is copied to scratch.
 *
 * A block is up to seven output rows by two vectors: each input vector is loaded once for a tap column and used by all
 * output rows it belongs to. */
#include <string.h>

#include "kernels/conv/band.h"
#include "kernels/dwconv/dwconv.h"

#define SAME_ROWS 7
#define SAME_OVER 5

typedef struct same_task {
    const spr_window *win;
    const float *const *rp; /* input rows, from the first of output row oy */
    const float *packed;
    uint32_t oy, n; /* output rows */
    float *y;
    const float *z;
    spr_vact act;
    spr_v mask[2]; /* of the last vector of a row: for the taps one and two columns right of the middle */
} same_task;

/* Inputs of vector v of a block at p for the taps `d` columns right of the middle. */
SPR_INLINE spr_v same_load(const float *p, const int d, const int v, const int nv, int left, int right,
                           const spr_v *mask) {
    if (d < 0 && v == 0 && left) return spr_vshift_in(spr_vload(p), -d);
    const spr_v x = spr_vload(p + v * SPR_VL + d);
    return d > 0 && v == nv - 1 && right ? spr_vand(x, mask[d - 1]) : x;
}

/* `rows` rows by NV vectors at column ox; `rest` columns are left in the last vector. */
SPR_INLINE void same_block(const int k, const int rows, const int nv, const float *const *rp, size_t ox, size_t rest,
                           const spr_w *w, spr_v bias, float *y, const float *z, const same_task *t) {
    const int left = ox == 0, right = rest <= SPR_VL, steps = (rows + k - 1) * k;
    const spr_v mask[2] = {t->mask[0], t->mask[1]};
    spr_v acc[2 * SAME_ROWS], x[2], next[2];
    SPR_UNROLL
    for (int i = 0; i < rows * nv; i++) acc[i] = bias;
    /* Loads run one step ahead of the arithmetic, for cores that issue in order. */
    SPR_UNROLL
    for (int v = 0; v < nv; v++) next[v] = same_load(rp[0] + ox, -(k / 2), v, nv, left, right, mask);
    SPR_UNROLL
    for (int s = 0; s < steps; s++) {
        const int i = s / k, kx = s % k, s1 = s + 1;
        SPR_UNROLL
        for (int v = 0; v < nv; v++) {
            x[v] = next[v];
            if (s1 < steps) next[v] = same_load(rp[s1 / k] + ox, s1 % k - k / 2, v, nv, left, right, mask);
        }
        SPR_UNROLL
        for (int r = 0; r < rows; r++) {
            if (i >= r && i < r + k) {
                SPR_UNROLL
                for (int v = 0; v < nv; v++) acc[r * nv + v] = spr_vfma_w(acc[r * nv + v], x[v], w, (i - r) * k + kx);
            }
        }
    }
    spr_vfinish(acc, rows, nv, y + ox, z ? z + ox : NULL, t->win->ow, rest, &t->act);
}

/* `rows` rows from row r of the task. */
SPR_INLINE void same_rows(const int k, const int rows, const same_task *t, uint32_t r, const spr_w *w, spr_v bias) {
    const size_t ow = t->win->ow;
    const float *const *rp = t->rp + r;
    float *y = t->y + r * ow;
    const float *z = t->z ? t->z + r * ow : NULL;
    size_t ox = 0;
    for (; ox + SPR_VL < ow; ox += 2 * SPR_VL) same_block(k, rows, 2, rp, ox, ow - ox - SPR_VL, w, bias, y, z, t);
    if (ox < ow) same_block(k, rows, 1, rp, ox, ow - ox, w, bias, y, z, t);
}

SPR_INLINE void same_run(const int k, const same_task *t) {
    spr_w w;
    SPR_W_LOAD(w, t->packed, k * k);
    const spr_v bias = spr_vset(t->packed[k * k]);
    for (uint32_t r = 0, rows; r < t->n; r += rows) {
        rows = spr_dwconv_step(t->n - r, 1);
        if (rows == 7)
            same_rows(k, 7, t, r, &w, bias);
        else if (rows == 4)
            same_rows(k, 4, t, r, &w, bias);
        else if (rows == 3)
            same_rows(k, 3, t, r, &w, bias);
        else
            same_rows(k, 1, t, r, &w, bias);
    }
}

static SPR_NOINLINE void same_run_3(const same_task *t) { same_run(3, t); }
static SPR_NOINLINE void same_run_5(const same_task *t) { same_run(5, t); }

/* Scratch: pointers to the input rows, a row of zeros, the last row. */
static size_t same_pointer_bytes(const spr_window *win) {
    return spr_round_up((win->oh - 1 + win->kh) * sizeof(float *), SPR_LINE);
}
static size_t same_row_floats(const spr_window *win) { return spr_round_up(win->iw + SAME_OVER, SPR_PX); }
static size_t same_scratch(const spr_conv_shape *s) {
    return same_pointer_bytes(&s->win) + 2 * same_row_floats(&s->win) * sizeof(float);
}

static int same_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    const uint32_t half = w->kw / 2, last = (w->ow - 1) % SPR_VL + 1;
    return spr_dwconv_match_fixed(s) && w->sw == 1 && w->pl == (int32_t)half && w->ow == w->iw && w->iw >= SAME_OVER &&
           last >= half;
}

void SPR_CONV_NAME(spr_dwconv_same_f32)(const spr_conv_args *a) {
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, hw_in = (size_t)win->ih * win->iw;
    const size_t record = spr_dwconv_record(a->shape);
    const float **rp = a->scratch;
    float *zeros = (float *)((char *)a->scratch + same_pointer_bytes(win)), *last = zeros + same_row_floats(win);
    memset(zeros, 0, 2 * same_row_floats(win) * sizeof *zeros);
    /* What another kernel shall finish is handed over while it is in L1. */
    const uint32_t step = SPR_ACT_IN_REGISTERS(a->act.fn) ? win->oh : (1024 / win->ow + 1) * 4;
    const uint32_t rows_in = a->oy1 - a->oy0 - 1 + win->kh;
    const int64_t top = (int64_t)a->oy0 - win->pt;
    size_t i0, i1; /* the input rows within the image */
    spr_band_inside(win, top, rows_in, &i0, &i1);
    for (size_t i = 0; i < rows_in; i++) rp[i] = zeros;
    const int copy = top + (int64_t)i1 == win->ih && i1 > i0 && hw_in + SAME_OVER > spr_plane_lanes(hw_in);
    same_task t = {.win = win};
    for (int d = 1; d <= 2; d++) t.mask[d - 1] = spr_vmask_below((int)((win->ow - 1) % SPR_VL) + 1 - d);

    for (uint32_t row = a->row0; row < a->row1; row++) {
        const float *x = a->x + row * a->x_stride;
        float *plane = a->y + row * a->y_stride;
        const float *from = x + (top + (int64_t)i0) * win->iw;
        for (size_t i = i0; i < i1; i++, from += win->iw) rp[i] = from;
        if (copy) {
            memcpy(last, rp[i1 - 1], win->iw * sizeof *last);
            rp[i1 - 1] = last;
        }
        t.packed = (const float *)a->packed + row * record;
        t.act = spr_vact_load(&a->act, row);
        for (t.oy = a->oy0; t.oy < a->oy1; t.oy += t.n) {
            const size_t at = (size_t)t.oy * win->ow;
            t.n = a->oy1 - t.oy < step ? a->oy1 - t.oy : step;
            t.rp = rp + (t.oy - a->oy0);
            t.y = plane + at;
            t.z = a->z ? a->z + row * a->z_stride + at : NULL;
            if (win->kh == 3)
                same_run_3(&t);
            else
                same_run_5(&t);
            if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(t.y, t.y, (size_t)t.n * win->ow, &a->act);
        }
        if (a->oy1 == win->oh) memset(plane + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof *plane);
    }
}

const spr_conv_traits SPR_CONV_NAME(spr_dwconv_same_traits) = {
    same_match,
    spr_dwconv_size,
    spr_dwconv_pack,
    same_scratch,
};
