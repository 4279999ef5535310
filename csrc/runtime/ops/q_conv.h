/* What the parts of QConv share. */
#ifndef SPR_RUNTIME_OPS_Q_CONV_H
#define SPR_RUNTIME_OPS_Q_CONV_H

#include "runtime/ops/pointwise.h"
#include "runtime/ops/quantized.h"

typedef enum spr_q_way { SPR_Q_POINTWISE, SPR_Q_WINDOW, SPR_Q_DEPTHWISE, SPR_Q_ONE_PIXEL } spr_q_way;

/* A band of padded rows in scratch: stride by stride phases of the input, in each of which neighbours of the output are
   neighbours. */
typedef struct spr_q_band {
    uint32_t rows;               /* of the output, at most */
    uint32_t width;              /* pixels of a row, those between the rows' ends included */
    uint32_t phases_y, phases_x;
    uint32_t lines;              /* rows of a phase */
    size_t plane;                /* pixels of a phase of a group */
    size_t run;                  /* pixels of the result's planes */
    size_t x_bytes, y_bytes, z_bytes; /* of scratch, each a multiple of SPR_LINE */
} spr_q_band;

typedef struct spr_q_conv {
    spr_q_way way;
    spr_window win;
    uint32_t ic, oc, group;
    const spr_kernel *kernel;
    void *packed;
    size_t kernel_scratch; /* bytes, at the start of a thread's scratch; a multiple of SPR_LINE */
    spr_q8_finish finish;
    spr_q8 x_zero;
    spr_q_band band;
    int form;               /* of the weights, an index that q_conv_choose.c knows */
    double balance;         /* see spr_layer_info */
    uint32_t *row_bound;    /* pointwise: [row_tasks + 1] rows at which tasks begin */
    uint32_t rows_per_task; /* groups (depthwise), output channels (one pixel) */
    uint32_t px_per_task;   /* pixels, or rows of the image (depthwise, windows) */
    uint32_t row_tasks, px_tasks;
} spr_q_conv;

/* Weights of a layer as planning sees them, before they are packed for a kernel. */
typedef struct spr_q_weights {
    const int16_t *w;    /* [oc][ic / group][kh][kw], less their zero */
    const float *scale;  /* [oc], of the sums */
    const int32_t *bias; /* [oc], with what the zero of x contributes */
} spr_q_weights;

/* Pixels that a matrix of weights is multiplied with. */
typedef struct spr_q_pixels {
    size_t all;  /* of an image */
    size_t part; /* computed at a time */
    size_t images;
} spr_q_pixels;

/* q_conv_choose.c: the kernel for a matrix of weights, and its tasks for a pointwise layer. */
spr_status spr_q_choose(spr_plan_ctx *ctx, spr_step *step, const spr_pw_q8_weights *w, const spr_q_pixels *pixels,
                        spr_q_conv *s);
spr_status spr_q_split(spr_plan_ctx *ctx, const spr_pw_q8_weights *w, const spr_q_pixels *pixels, spr_q_conv *s);

/* How evenly tasks of so many groups and lines of the output fall to threads. */
double spr_q_balance(int threads, size_t images, uint32_t groups, uint32_t groups_per_task, uint32_t lines,
                     uint32_t lines_per_task);

/* q_conv_sums.c: layers on the pointwise kernels, those with a window too. Chooses the kernel, packs the weights,
   splits the work. */
spr_status spr_q_plan_sums(spr_plan_ctx *ctx, spr_step *step, const spr_q_weights *w, spr_q_conv *s);
void spr_q_run_pointwise(const spr_q_conv *s, const spr_step *step, int64_t image, uint32_t row_task, uint32_t px0,
                         char *scratch);

/* q_conv_band.c: the sizes of a band, and the layer over output rows oy0 ... of as many as fit it. */
void spr_q_plan_band(const spr_plan_ctx *ctx, spr_q_conv *s);
void spr_q_run_band(const spr_q_conv *s, const spr_step *step, int64_t image, uint32_t oy0, char *scratch);

/* Pixels (bytes of a channel group) or floats of the output image. */
SPR_INLINE void *spr_q_output(const spr_view *y, int64_t image) {
    return (char *)y->data + (size_t)(image * y->stride[0]) * spr_dtype_size(y->desc.dtype);
}

#endif
