/* How the NEON depthwise kernels that read the image go through it: see image_neon.h. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <string.h>

#include "kernels/dwconv/image_neon.h"

#include "kernels/conv/band.h"

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
size_t spr_dwconv_image_scratch(const spr_conv_shape *s, uint32_t over) {
    const size_t rows = 2 * img_row_floats(&s->win, over) + SPR_DW_PIECE * (size_t)s->win.ow;
    return img_pointer_bytes(&s->win) + rows * sizeof(float);
}

/* Reads a word of each line of [from, to), in order: blocks go down columns, which prefetchers do not follow. */
static inline void img_touch(const float *from, const float *to) {
    for (; from < to; from += SPR_LINE / sizeof *from) __asm__ volatile("" : : "r"(*(const volatile float *)from));
}

void spr_dwconv_image_run(const spr_conv_args *a, const img_kernel *kernel, const spr_v *mask) {
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
