/* What the NEON depthwise kernels share that read the image itself, not a copy with borders. They work on blocks of
 * one, two, four or seven output rows by one or two vectors. Rows above and below the image are a row of zeros in
 * scratch; what stands beyond the left or the right border is shifted in or masked out in the blocks at the border,
 * which are code of their own. The last block of a row or column goes back over outputs that are there already, so that
 * all are whole: each kind of block is a kilobyte of code. Vectors read some floats beyond a row; where these do not
 * belong to the plane, its last row is copied to scratch. */
#ifndef SPR_KERNELS_DWCONV_IMAGE_NEON_H
#define SPR_KERNELS_DWCONV_IMAGE_NEON_H

#include "kernels/conv/vec_neon.h"

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

/* spr_conv_traits.scratch and the run of a kernel; mask[2] is for the tasks. */
size_t spr_dwconv_image_scratch(const spr_conv_shape *s, uint32_t over);
void spr_dwconv_image_run(const spr_conv_args *a, const img_kernel *kernel, const spr_v *mask);

#endif
