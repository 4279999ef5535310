/* What the NEON depthwise kernels share that read the image itself, not a copy with borders. They work on blocks of
 * one, two, four or seven output rows by one or two vectors. Rows above and below the image are a row of zeros in
 * scratch; what stands beyond the left or the right border is shifted in or masked out in the blocks at the border,
 * which are code of their own. The last block of a row or column goes back over outputs that are there already, so that
 * all are whole: each kind of block is a kilobyte of code. Vectors read some floats beyond a row; where these do not
 * belong to the plane, its last row is copied to scratch. */
#ifndef SPR_KERNELS_DWCONV_IMAGE_NEON_H
#define SPR_KERNELS_DWCONV_IMAGE_NEON_H

#include <string.h>

#include "kernels/conv/vec_neon.h"

#include "kernels/conv/band.h"
#include "kernels/dwconv/dwconv.h"

#define IMG_ROWS 7
/* Activations that blocks apply. Others, and residuals, are left to a pass over rows that are still in L1. */
#define IMG_IN_REGISTERS(fn) ((fn) <= SPR_FN_HARD_SWISH)

typedef struct img_task {
    const spr_window *win;
    const float *const *rp; /* input rows, from the first of output row oy */
    const float *packed;
    uint32_t oy, n; /* output rows */
    float *y;
    spr_vact act;
    spr_v bias;
    spr_v mask[2]; /* of the last vector of a row, as the kernel needs them */
} img_task;

/* Where a block lies in its rows. */
enum { IMG_INSIDE = 0, IMG_LEFT = 1, IMG_RIGHT = 2, IMG_NARROW = IMG_LEFT | IMG_RIGHT };

/* A load from `at` floats behind p, a constant that becomes part of the instruction. Compilers keep these in order. */
typedef float32x4_t img_q __attribute__((may_alias, aligned(4)));
#define IMG_LOAD(x, p, at) __asm__ volatile("ldr %q0, %1" : "=w"(x) : "m"(*(const img_q *)((p) + (at))))

/* What does not change within a block: K x K taps, `rows` rows by NV vectors. */
typedef struct img_block {
    int k, rows, nv, edge;
} img_block;

/* Applies the activation to the sums of a block and stores them at y; where there are two vectors in a row, the second
   lies `gap` floats behind the first. */
SPR_INLINE void img_finish(const img_block b, spr_v *acc, float *y, const size_t gap, const img_task *t) {
    const size_t ow = t->win->ow;
    /* All at once would not leave registers for hard_swish. */
    const int half = b.rows * b.nv > 8 ? b.rows * b.nv / 2 : 0;
    if (!IMG_IN_REGISTERS(t->act.consts.fn)) __builtin_unreachable();
    spr_vact_each(acc, half, &t->act);
    spr_vact_each(acc + half, b.rows * b.nv - half, &t->act);
    SPR_UNROLL
    for (int r = 0; r < b.rows; r++, y += ow) {
        __asm__("" : "+r"(y)); /* one addition a row, not an index for each */
        spr_vstore(y, acc[r * b.nv]);
        if (b.nv == 2) spr_vstore(y + gap, acc[r * b.nv + 1]);
    }
}

/* Computes output rows from row r of the task. */
typedef void img_rows_fn(const img_task *t, uint32_t r);
/* How a kernel reads: rows of n >= SPR_VL floats, up to `over` beyond them. */
typedef struct img_kernel {
    img_rows_fn *rows[4]; /* one, two (NULL: not worth it), four and seven output rows at once */
    uint32_t over;
} img_kernel;

/* Output rows to compute at once of `n`: fours, and sevens if with some of them nothing is left over. */
SPR_INLINE uint32_t img_rows_of(uint32_t n) {
    const uint32_t sevens = (0 - n) % 4;
    return n % 7 == 0 || (sevens && 7 * sevens <= n) ? 7 : n >= 4 ? 4 : 1;
}

/* Copies a row of n >= SPR_VL floats. */
SPR_INLINE void img_copy(const float *src, float *dst, size_t n) {
    for (size_t i = 0; i + SPR_VL < n; i += SPR_VL) spr_vstore(dst + i, spr_vload(src + i));
    spr_vstore(dst + n - SPR_VL, spr_vload(src + n - SPR_VL));
}

/* Zeroes [from, to), `to` a multiple of SPR_VL. */
SPR_INLINE void img_zero(float *plane, size_t from, size_t to) {
    for (; from % SPR_VL; from++) plane[from] = 0;
    for (; from < to; from += SPR_VL) spr_vstore(plane + from, spr_vzero());
}

/* Scratch: pointers to the input rows, a row of zeros, the last row, SPR_DW_PIECE output rows. */
static inline size_t img_pointer_bytes(const spr_window *win) {
    return spr_round_up(((size_t)(win->oh - 1) * win->sh + win->kh) * sizeof(float *), SPR_LINE);
}
static inline size_t img_row_floats(const spr_window *win, uint32_t over) {
    return spr_round_up(win->iw + over, SPR_PX);
}
static inline size_t img_scratch(const spr_conv_shape *s, uint32_t over) {
    const size_t rows = 2 * img_row_floats(&s->win, over) + SPR_DW_PIECE * (size_t)s->win.ow;
    return img_pointer_bytes(&s->win) + rows * sizeof(float);
}

/* Reads a word of each line of [from, to), in order: blocks go down columns, which prefetchers do not follow. */
static inline void img_touch(const float *from, const float *to) {
    for (; from < to; from += SPR_LINE / sizeof *from) __asm__ volatile("" : : "r"(*(const volatile float *)from));
}

/* Runs a kernel; mask[2] is for the tasks. */
static SPR_NOINLINE void img_run(const spr_conv_args *a, const img_kernel *kernel, const spr_v *mask) {
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, hw_in = (size_t)win->ih * win->iw;
    const size_t record = spr_dwconv_record(a->shape), row_floats = img_row_floats(win, kernel->over);
    const float **rp = a->scratch;
    float *zeros = (float *)((char *)a->scratch + img_pointer_bytes(win)), *last = zeros + row_floats;
    float *const piece = last + row_floats;
    memset(zeros, 0, 2 * row_floats * sizeof *zeros);
    /* What is finished in a pass of its own is so while it is in L1. */
    const int apart = a->z || !IMG_IN_REGISTERS(a->act.fn);
    const uint32_t step = a->z ? SPR_DW_PIECE : !apart ? win->oh : (1024 / win->ow + 1) * 4;
    const uint32_t rows_in = (a->oy1 - a->oy0 - 1) * win->sh + win->kh;
    const int64_t top = (int64_t)a->oy0 * win->sh - win->pt;
    size_t i0, i1; /* the input rows within the image */
    spr_band_inside(win, top, rows_in, &i0, &i1);
    for (size_t i = 0; i < rows_in; i++) rp[i] = zeros;
    const int copy = top + (int64_t)i1 == win->ih && i1 > i0 && hw_in + kernel->over > spr_plane_lanes(hw_in);
    const int far = win->iw > 2 * SPR_PX; /* narrower rows lie within few lines anyway */
    const spr_act none = {.fn = SPR_FN_NONE};
    img_task t = {.win = win, .mask = {mask[0], mask[1]}};

    for (uint32_t row = a->row0; row < a->row1; row++) {
        const float *x = a->x + row * a->x_stride;
        float *plane = a->y + row * a->y_stride;
        const float *const from0 = x + (top + (int64_t)i0) * win->iw, *from = from0;
        for (size_t i = i0; i < i1; i++, from += win->iw) rp[i] = from;
        if (copy) {
            img_copy(rp[i1 - 1], last, win->iw);
            rp[i1 - 1] = last;
        }
        const float *touched = from0, *const end = x + hw_in;
        t.packed = (const float *)a->packed + row * record;
        t.act = spr_vact_load(apart ? &none : &a->act, row);
        t.bias = spr_vset(t.packed[win->kh * win->kw]);
        for (t.oy = a->oy0; t.oy < a->oy1; t.oy += t.n) {
            const size_t at = (size_t)t.oy * win->ow;
            t.n = a->oy1 - t.oy < step ? a->oy1 - t.oy : step;
            t.rp = rp + (size_t)(t.oy - a->oy0) * win->sh;
            t.y = a->z ? piece : plane + at;
            for (uint32_t r = 0, rows; r < t.n; r += rows) {
                rows = img_rows_of(t.n - r);
                if (rows == 1 && r + 1 < t.n && kernel->rows[1]) {
                    rows = 2;
                } else if (t.n - r == 3 && t.n >= 4) { /* cheaper than three single rows */
                    rows = 4;
                    r = t.n - 4;
                }
                if (far) {
                    const int64_t below = (int64_t)(t.oy + r + rows - 1) * win->sh - win->pt + win->kh;
                    const float *to = below < win->ih ? x + below * win->iw : end;
                    img_touch(touched, to);
                    if (to > touched) touched = to;
                }
                kernel->rows[rows / 2](&t, r);
            }
            const float *z = a->z ? a->z + row * a->z_stride + at : NULL;
            if (apart) spr_dwconv_finish(a, row, t.y, z, plane + at, (size_t)t.n * win->ow);
        }
        if (a->oy1 == win->oh) img_zero(plane, hw, spr_plane_lanes(hw));
    }
}

#endif
