/* What the depthwise kernels share.
 *
 * Packed weights: a record for each output channel, its kh * kw weights and then the bias, padded with
   zeros to whole groups of four floats. */
#ifndef SPR_KERNELS_DWCONV_DWCONV_H
#define SPR_KERNELS_DWCONV_DWCONV_H

#include <string.h>

#include "base/tailor.h"
#include "kernels/kernel.h"

/* Floats of a record. */
SPR_INLINE size_t spr_dwconv_record(const spr_conv_shape *s) {
    return spr_round_up((size_t)s->win.kh * s->win.kw + 1, 4);
}

/* spr_conv_traits.size and .pack */
size_t spr_dwconv_size(const spr_conv_shape *s);
void spr_dwconv_pack(const spr_conv_shape *s, const float *w, const float *bias, void *dst);

/* For kernels that leave residuals and activations to passes of their own over rows in L1: y = act(x + z), of the
   channel `row`. z is NULL if there is none; x, y and z may be the same. n floats. */
void spr_dwconv_finish(const spr_conv_args *a, uint32_t row, const float *x, const float *z, float *y, size_t n);
#define SPR_DW_PIECE 4 /* output rows at a time, in scratch, if there is a residual: it may be what is written over */

/* NEON kernels that read the image itself, see image_neon.h, whose types are a file's own: scratch for a kernel that
   reads `over` floats beyond a row, and running it, an img_kernel, over rows of more than SPR_VL outputs; mask is
   spr_v[2], for the tasks. */
size_t spr_dwconv_image_scratch(const spr_conv_shape *s, uint32_t over);
void spr_dwconv_image_run(const spr_conv_args *a, const void *kernel, const void *mask);

/* For kernels that read the image itself: where the input rows of a call's output rows lie. Those above and below the
   image, all but [i0, i1), are a row of zeros. */
typedef struct spr_dw_rows {
    uintptr_t *at; /* bytes behind the channel's plane; inside of the image the same for every channel */
    const float *zeros;
    uint32_t i0, i1, count;
} spr_dw_rows;

/* at: as many as output rows need input rows; zeros: win->iw floats, which it clears. */
SPR_INLINE spr_dw_rows spr_dw_rows_make(const spr_conv_args *a, uintptr_t *at, float *zeros) {
    const spr_window *win = &a->shape->win;
    const uint32_t count = (a->oy1 - a->oy0 - 1) * win->sh + win->kh;
    const int64_t top = (int64_t)a->oy0 * win->sh - win->pt, below = win->ih - top;
    const uint32_t i1 = (uint32_t)(below < 0 ? 0 : below < count ? below : count);
    const uint32_t i0 = top < -(int64_t)i1 ? i1 : top < 0 ? (uint32_t)-top : 0;
    memset(zeros, 0, win->iw * sizeof *zeros);
    for (uint32_t i = i0; i < i1; i++) at[i] = (uintptr_t)((top + i) * win->iw) * sizeof(float);
    return (spr_dw_rows){at, zeros, i0, i1, count};
}

/* Before the channel whose plane is at x. */
SPR_INLINE void spr_dw_rows_begin(const spr_dw_rows *rows, uintptr_t x) {
    for (uint32_t i = 0; i < rows->i0; i++) rows->at[i] = (uintptr_t)rows->zeros - x;
    for (uint32_t i = rows->i1; i < rows->count; i++) rows->at[i] = (uintptr_t)rows->zeros - x;
}

/* spr_conv_traits.match: square 3x3 or 5x5, stride 1 or 2, no dilation, one output channel for each input channel. */
int spr_dwconv_match_fixed(const spr_conv_shape *s);

/* A function for 5x5 windows: they are half of the code, and a tailored library may do without them. */
#define SPR_DW_5X5(fn) (SPR_KEPT(dwconv_5x5, 1, 0) ? (fn) : NULL)

/* Output rows to compute at once of `n`: sevens for the networks whose images are 7 * 2^i high, else threes and
   fours, of which any number but 1, 2 and 5 is a sum. */
SPR_INLINE uint32_t spr_dwconv_step(uint32_t n, int sevens) {
    if (sevens && n % 7 == 0) return 7;
    return n >= 3 && n % 4 != 0 && n != 5 ? 3 : n >= 4 ? 4 : 1;
}

#endif
