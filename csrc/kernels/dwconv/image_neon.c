#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/dwconv/image_neon.h"

#include <string.h>

#include "kernels/conv/band.h"

/* Copies a row of n >= SPR_VL floats. */
static void img_copy(const float *src, float *dst, size_t n) {
    for (size_t i = 0; i + SPR_VL < n; i += SPR_VL) spr_vstore(dst + i, spr_vload(src + i));
    spr_vstore(dst + n - SPR_VL, spr_vload(src + n - SPR_VL));
}

/* Zeroes [from, to), `to` a multiple of SPR_VL. */
static void img_zero(float *plane, size_t from, size_t to) {
    for (; from % SPR_VL; from++) plane[from] = 0;
    for (; from < to; from += SPR_VL) spr_vstore(plane + from, spr_vzero());
}

/* Scratch: pointers to the input rows, those of SPR_DW_PIECE output rows more than there are; a row of zeros, the last
   row, SPR_DW_PIECE output rows. */
static size_t img_pointer_bytes(const spr_window *win) {
    return spr_round_up(((size_t)(win->oh + SPR_DW_PIECE) * win->sh + win->kh) * sizeof(float *), SPR_LINE);
}
static size_t img_row_floats(const spr_window *win, uint32_t over) { return spr_round_up(win->iw + over, SPR_PX); }
size_t spr_dwconv_image_scratch(const spr_conv_shape *s, uint32_t over) {
    const size_t rows = 2 * img_row_floats(&s->win, over) + SPR_DW_PIECE * (size_t)s->win.ow;
    return img_pointer_bytes(&s->win) + rows * sizeof(float);
}

/* Reads a word of each line of [from, to), in order: strips go down columns, which prefetchers do not follow. */
static void img_touch(const float *from, const float *to) {
    for (; from < to; from += SPR_LINE / sizeof *from) __asm__ volatile("" : : "r"(*(const volatile float *)from));
}

/* Whether all weights are finite, of whole vectors. */
static int img_finite(const float *w, size_t n) {
    spr_v sum = spr_vzero();
    for (size_t i = 0; i < n; i += SPR_VL) sum = spr_vfma(sum, spr_vload(w + i), spr_vzero());
    return vminvq_u32(vceqq_f32(sum, sum)) != 0;
}

/* Of rows [from, to), at most half a window. */
static uint32_t img_zeros(size_t from, size_t to, uint32_t kh) {
    return from >= to ? 0 : to - from < kh / 2 ? (uint32_t)(to - from) : kh / 2;
}

void spr_dwconv_image_run(const spr_conv_args *a, const void *kernel_of, const void *masks) {
    const img_kernel *const kernel = kernel_of;
    const spr_v *const mask = masks;
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, hw_in = (size_t)win->ih * win->iw;
    const size_t record = spr_dwconv_record(a->shape), row_floats = img_row_floats(win, kernel->over);
    const float **rp = a->scratch;
    float *zeros = (float *)((char *)a->scratch + img_pointer_bytes(win)), *last = zeros + row_floats;
    float *const piece = last + row_floats;
    memset(zeros, 0, 2 * row_floats * sizeof *zeros);
    /* What is finished in a pass of its own is so while it is in L1; and strips go down no further than that the lines
       they share with the next ones stay there. */
    const int apart = a->z || !IMG_IN_REGISTERS(a->act.fn);
    const uint32_t rows = a->oy1 - a->oy0, most = a->z ? SPR_DW_PIECE : 3136 / win->ow + 4;
    const uint32_t pieces = (rows + most - 1) / most, step = (rows + pieces - 1) / pieces;
    const uint32_t rows_in = (rows - 1) * win->sh + win->kh;
    const int64_t top = (int64_t)a->oy0 * win->sh - win->pt;
    size_t i0, i1; /* the input rows within the image */
    spr_band_inside(win, top, rows_in, &i0, &i1);
    for (size_t i = 0; i < rows_in + kernel->least * win->sh; i++) rp[i] = zeros;
    const int copy = top + (int64_t)i1 == win->ih && i1 > i0 && hw_in + kernel->over > spr_plane_lanes(hw_in);
    const spr_act none = {.fn = SPR_FN_NONE};
    img_task t = {.win = win, .act = spr_vact_load(apart ? &none : &a->act, 0), .mask = {mask[0], mask[1]}};

    for (uint32_t row = a->row0; row < a->row1; row++) {
        const float *x = a->x + row * a->x_stride;
        float *plane = a->y + row * a->y_stride;
        const float *const from0 = x + (top + (int64_t)i0) * win->iw, *from = from0;
        for (size_t i = i0; i < i1; i++, from += win->iw) rp[i] = from;
        if (copy) {
            img_copy(rp[i1 - 1], last, win->iw);
            rp[i1 - 1] = last;
        }
        const float *touched = from0;
        t.packed = (const float *)a->packed + row * record;
        /* Never -0, so that rows of zeros change nothing, whether they are multiplied or not. */
        t.bias = spr_vset(t.packed[win->kh * win->kw] + 0.0f);
        const int finite = img_finite(t.packed, record);
        for (uint32_t oy = a->oy0, n; oy < a->oy1; oy += n) {
            float *const y = plane + (size_t)oy * win->ow;
            n = a->oy1 - oy < step ? a->oy1 - oy : step;
            t.n = n < kernel->least ? kernel->least : n;
            t.y = a->z || n < t.n ? piece : y;
            const size_t first = (size_t)(oy - a->oy0) * win->sh, end = first + (t.n - 1) * win->sh + win->kh;
            t.rp = rp + first;
            t.top = finite ? img_zeros(first, i0, win->kh) : 0;
            t.bottom = finite ? img_zeros(i1, end, win->kh) : 0;
            const float *to = x + (top + (int64_t)(end < i1 ? end : i1)) * win->iw;
            if (win->iw > 2 * SPR_PX) img_touch(touched, to);
            if (to > touched) touched = to;
            kernel->run(&t);
            const float *z = a->z ? a->z + row * a->z_stride + (size_t)oy * win->ow : NULL;
            if (!z && t.y == piece) memcpy(y, piece, n * win->ow * sizeof *y);
            if (apart) spr_dwconv_finish(a, row, z ? piece : y, z, y, (size_t)n * win->ow);
        }
        if (a->oy1 == win->oh) img_zero(plane, hw, spr_plane_lanes(hw));
    }
}
#endif
