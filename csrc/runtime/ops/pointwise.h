/* What Conv and FullyConnected share: choosing between dense, CSR and 2x1 kernels for a matrix of weights, packing it,
   and splitting its rows into groups of equal work. */
#ifndef SPR_RUNTIME_OPS_POINTWISE_H
#define SPR_RUNTIME_OPS_POINTWISE_H

#include "runtime/cost.h"
#include "runtime/exec.h"

/* Whether windows with an output of one pixel run as fully connected layers: each weight is read once, and threads
   share the rows. Not on ARM, where the library's size is kept. */
#define SPR_WINDOWS_AS_FC SPR_X86_64

/* A part of one image: pixels [begin, end) for pointwise layers (begin a multiple of SPR_PX), image rows for others.
   Pointers are to where pixel 0 of plane 0 lies, or would lie if the buffer held it. */
typedef struct spr_part {
    const float *x;
    float *y;
    const float *z;
    size_t x_stride, y_stride, z_stride;
    uint32_t begin, end;
    void *scratch; /* one thread's */
} spr_part;

/* Pointers and strides for one image of a batch; z may be NULL. */
spr_part spr_part_of(const spr_view *x, const spr_view *y, const spr_view *z, size_t image);

/* What the choice depends on besides the weights. */
typedef struct spr_pointwise_use {
    int fully_connected; /* of one image; kernels of SPR_K_FC_*, or SPR_K_PW_* on the rows of the batch turned into
                            planes */
    size_t pixels;       /* per image, or the m of a fully connected layer */
    size_t images;
    size_t x_stride; /* 1 for fully connected layers */
    size_t part_pixels; /* how many are computed at a time where that is not all of them, else 0 */
    uint32_t groups;    /* above 1, for sparse kernels: rows [g * n / groups, (g + 1) * n / groups) read the g-th part
                           of the input channels, of which there are `groups` times as many as the weights have
                           columns */
} spr_pointwise_use;

typedef struct spr_pointwise {
    const spr_kernel *kernel;
    void *packed;
    uint32_t n, k;
    size_t turned; /* floats between the planes of a fully connected layer that runs on planes, else 0 */
    uint32_t pixels;
    spr_act act;
    spr_unary_fn *unary;
    uint32_t *row_bound; /* [row_groups + 1] */
    uint32_t row_groups;
    uint32_t px_block; /* pixels per task */
    uint32_t px_blocks;
    double balance;
} spr_pointwise;

/* Plans the weights in input 1 with the bias in input 2; fills in step->kernel, reason, sparsity and sizes, the
   workspace too. */
spr_status spr_pointwise_plan(spr_plan_ctx *ctx, spr_step *step, const spr_pointwise_use *use, const spr_act *act,
                              spr_pointwise *out);

/* What the estimates of kernels are made from. */
spr_work spr_pointwise_work(const spr_value *weights, const spr_pointwise_use *use);
/* Chooses step->kernel, by estimates or by measuring, and writes step->reason. */
spr_status spr_pointwise_choose(spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const float *bias,
                                const spr_pointwise_use *use, const spr_act *act);
/* Packs the weights for a kernel and splits the work. */
spr_status spr_pointwise_make(spr_plan_ctx *ctx, const spr_value *weights, const float *bias, const spr_kernel *kernel,
                              const spr_pointwise_use *use, const spr_act *act, spr_pointwise *out,
                              size_t *packed_bytes);

/* Y = act(W X + B + Z) for rows [row0, row1) of a part. */
void spr_pointwise_run_part(const spr_pointwise *pw, const spr_part *part, uint32_t row0, uint32_t row1);
/* The same for every image, on all threads; rank 4 views with the shapes planned for. z may be NULL. */
void spr_pointwise_run(const spr_run_ctx *ctx, const spr_pointwise *pw, const spr_view *x, const spr_view *y,
                       const spr_view *z);

/* Y = act(X W^T + B + Z) for all rows of a batch: `rows` of each channel of each image, as many as were planned. */
typedef struct spr_fc_side {
    float *data;
    size_t row, channel, image; /* floats from one to the next */
} spr_fc_side;
typedef struct spr_fc_rows {
    uint32_t rows, channels, images;
    spr_fc_side x, y, z; /* z.data may be NULL; x is only read, and so is z */
} spr_fc_rows;
/* Floats between the planes that so many rows of a batch are turned into. */
size_t spr_turned_stride(size_t rows);
/* Bytes of shared memory that a fully connected layer runs with, aligned to SPR_LINE. */
size_t spr_pointwise_workspace(const spr_pointwise *pw);
void spr_pointwise_run_fc(const spr_run_ctx *ctx, const spr_pointwise *pw, const spr_fc_rows *rows, void *workspace);

/* Input `i` as a constant float32 vector of n values, NULL data if not given; an error if it is anything else. */
spr_status spr_plan_vector(spr_plan_ctx *ctx, const spr_step *step, int i, uint32_t n, const float **data);

/* The weights in input 1 as a value, be they stored in the file or folded; an error if they are not known or not
   float32. */
spr_status spr_plan_weights(spr_plan_ctx *ctx, const spr_step *step, spr_value *weights);
/* The same as a dense array, decoded into the plan's memory if need be. */
spr_status spr_plan_weights_dense(spr_plan_ctx *ctx, const spr_value *weights, const float **dense);
/* Fills in the step's sparsity, fill_2x1 and weight_bytes. */
void spr_step_note_weights(spr_step *step, const spr_value *weights);

#endif
