/* What the NEON depthwise kernels share that read the image itself, not a copy with borders. They go down the rows of
 * an image in strips of two vectors: each input row is added to all output rows it belongs to, whose sums are in
 * registers; an output row is stored one input row after its last, so that its sums are there. The code of a strip goes
 * round when all these registers have changed places, and so serves any number of rows.
 *
 * The first and the last vector of rows are a strip together, and code of their own: what stands beyond the border is
 * shifted in and masked out. All others are inside; if their number is odd, the last one is a strip by itself, whose
 * second vector is its lower half. Rows above and below the image are a row of zeros in scratch, and left out where
 * they are first or last. The last vectors go back over outputs that others compute too; where these are at the border,
 * what is inside comes first and may be wrong. Vectors read some floats beyond a row; where these do not belong to the
 * plane, its last row is copied to scratch. */
#ifndef SPR_KERNELS_DWCONV_IMAGE_NEON_H
#define SPR_KERNELS_DWCONV_IMAGE_NEON_H

#include "kernels/conv/vec_neon.h"
#include "kernels/dwconv/dwconv.h"

/* Activations that strips apply. Others, and residuals, are left to a pass over rows that are still in L1. */
#define IMG_IN_REGISTERS(fn) ((fn) <= SPR_FN_HARD_SWISH)

typedef struct img_task {
    const spr_window *win;
    const float *const *rp; /* input rows, from the first of the first output row */
    const float *packed;
    uint32_t n;           /* output rows */
    uint32_t top, bottom; /* so many of the first and of the last input rows are zeros that may be left out */
    float *y;
    spr_vact act;
    spr_v bias;
    spr_v mask[2]; /* of the last vector of a row, as the kernel needs them */
} img_task;

/* A load from `at` floats behind p, a constant that becomes part of the instruction. Compilers keep these in order. */
typedef float32x4_t img_q __attribute__((may_alias, aligned(4)));
#define IMG_LOAD(x, p, at) __asm__ volatile("ldr %q0, %1" : "=w"(x) : "m"(*(const img_q *)((p) + (at))))

/* Where the two vectors of a strip are: the second `gap` columns right of the first and `down` rows below, and so are
   its last rows. */
typedef struct img_strip {
    size_t ox, gap;
    uint32_t down;
} img_strip;

typedef struct img_kernel {
    void (*run)(const img_task *t); /* computes all rows of a task */
    uint32_t over;                  /* floats read beyond a row, of at least SPR_VL */
    uint32_t least;                 /* rows a strip has at least, at most SPR_DW_PIECE */
} img_kernel;

/* The strip inside that begins at column ox, a multiple of SPR_VL below ow - SPR_VL. */
SPR_INLINE img_strip img_inside(const img_task *t, size_t ox, const uint32_t least) {
    const size_t ow = t->win->ow, end = ow - SPR_VL, left = end - ox;
    if (left <= SPR_VL) {
        const uint32_t half = t->n - t->n / 2;
        return (img_strip){ow >= 3 * SPR_VL ? end - SPR_VL : ox, 0, half >= least ? t->n / 2 : t->n - least};
    }
    return (img_strip){left < 2 * SPR_VL && ow >= 4 * SPR_VL ? end - 2 * SPR_VL : ox, SPR_VL, 0};
}
/* Strips inside of few rows are done row by row, if rows are that wide, and begin there. */
#define IMG_SHORT_WIDTH (3 * SPR_VL)
SPR_INLINE size_t img_short_column(size_t ox, size_t ow) {
    return ox + 3 * SPR_VL > ow && ow >= 4 * SPR_VL ? ow - 3 * SPR_VL : ox;
}
SPR_INLINE img_strip img_border(const img_task *t) { return (img_strip){0, t->win->ow - SPR_VL, 0}; }

/* Where and how a strip stores its rows. `step` is 0 before the first, which is stored twice: before its sums are
   there, so that the loop needs no exception. */
typedef struct img_out {
    float *y;
    size_t step, ow, gap;
    spr_v bias;
    spr_vact act;
} img_out;

SPR_INLINE img_out img_out_make(const img_task *t) {
    return (img_out){t->y, 0, t->win->ow, SPR_VL, t->bias, t->act};
}
SPR_INLINE void img_out_at(img_out *out, const img_strip at) {
    out->y += at.ox;
    out->gap = at.gap + at.down * out->ow;
}

/* Applies the activation to the sums of two vectors and stores them. */
SPR_INLINE void img_store(img_out *out, const spr_v *sums, const int add_bias) {
    spr_v v[2] = {sums[0], sums[1]};
    if (add_bias) v[0] = spr_vadd(v[0], out->bias), v[1] = spr_vadd(v[1], out->bias);
    if (!IMG_IN_REGISTERS(out->act.consts.fn)) __builtin_unreachable();
    spr_vact_each(v, 2, &out->act);
    spr_vstore(out->y, v[0]);
    spr_vstore(out->y + out->gap, v[1]);
    out->y += out->step;
    out->step = out->ow;
}

#endif
