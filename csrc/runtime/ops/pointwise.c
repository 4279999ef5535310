#include "runtime/ops/pointwise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/compress.h"
#include "runtime/ops/ops.h"

/* ---- weights ---------------------------------------------------------------------------------------------------------- */

spr_status spr_plan_vector(spr_plan_ctx *ctx, const spr_step *step, int i, uint32_t n, const float **data) {
    *data = NULL;
    const spr_value *value = spr_step_value(step, i);
    if (!value) return SPR_OK;
    const spr_view *view = &step->in[i];
    char text[SPR_DIMS_TEXT];
    if (!view->data || view->desc.dtype != SPR_FLOAT32 || spr_desc_count(&view->desc) != n)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': input '%s' is %s%s %s, it must be %u constant float32 values",
                        step->node->name, value->name, view->data ? "" : "computed ", spr_dtype_name(view->desc.dtype),
                        spr_dims_text(text, view->desc.rank, view->desc.dim), n);
    *data = view->data;
    return SPR_OK;
}

spr_status spr_plan_weights(spr_plan_ctx *ctx, const spr_step *step, spr_value *weights) {
    *weights = *spr_step_value(step, 1);
    if (!weights->is_const) {
        if (!step->in[1].data)
            return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': weights '%s' are computed, they must be constant",
                            step->node->name, weights->name);
        weights->is_const = 1;
        weights->encoding = SPR_ENC_DENSE;
        weights->desc = step->in[1].desc;
        weights->data = step->in[1].data;
        weights->bytes = (size_t)spr_desc_count(&weights->desc) * spr_dtype_size(weights->desc.dtype);
    }
    if (weights->desc.dtype != SPR_FLOAT32)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': weights '%s' are %s, supported is float32",
                        step->node->name, weights->name, spr_dtype_name(weights->desc.dtype));
    return SPR_OK;
}

spr_status spr_plan_weights_dense(spr_plan_ctx *ctx, const spr_value *weights, const float **dense) {
    *dense = weights->data;
    if (weights->encoding == SPR_ENC_DENSE) return SPR_OK;
    size_t bytes = (size_t)spr_desc_count(&weights->desc) * sizeof(float);
    float *decoded = spr_plan_alloc(ctx, bytes, "decoded weights");
    if (!decoded) return SPR_ERROR_MEMORY;
    spr_decode_dense(weights, decoded);
    *dense = decoded;
    return SPR_OK;
}

void spr_step_note_weights(spr_step *step, const spr_value *weights) {
    spr_sparsity count = spr_count_sparsity(weights);
    step->weight_bytes = weights->bytes;
    step->sparsity = count.elements ? 1.0 - (double)count.nonzeros / (double)count.elements : 0.0;
    step->fill_2x1 = count.block_elements ? (double)count.nonzeros / (double)count.block_elements : 1.0;
}

/* ---- choice ------------------------------------------------------------------------------------------------------------ */

/* Estimated cycles of a kernel that multiplies by `stored` weights (see spr_cost). */
static double estimate(const spr_kernel *kernel, const spr_pointwise_use *use, double stored, double rows) {
    const spr_cost *cost = &kernel->cost;
    double tiles = (double)((use->pixels + cost->tile - 1) / cost->tile);
    double pixels = (double)spr_round_up(use->pixels, cost->vector);
    return (double)use->images * (stored * (cost->per_weight * tiles + cost->per_mac * pixels) + cost->per_row * rows * tiles);
}

enum { DENSE, CSR, B2X1, FORMATS };
static const char *const format_names[FORMATS] = {"dense", "csr", "2x1"};

/* Picks the cheapest format the policy admits and says why. */
static const spr_kernel *choose(const spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const spr_pointwise_use *use,
                                uint32_t n, uint32_t k) {
    spr_sparsity count = spr_count_sparsity(weights);
    double stored[FORMATS] = {(double)count.elements, (double)count.nonzeros, (double)count.block_elements};
    const spr_kernel *kernels[FORMATS] = {
        spr_kernel_best(use->fully_connected ? SPR_K_FC_DENSE : SPR_K_PW_DENSE, ctx->features), NULL, NULL};
    int sparse = weights->encoding != SPR_ENC_DENSE && ctx->sparse != SPR_SPARSE_NEVER;
    /* sparse kernels may keep byte offsets of planes in 32 bits */
    int reachable = (double)k * (double)use->x_stride * sizeof(float) < (double)INT32_MAX;
    if (sparse && reachable) {
        kernels[CSR] = spr_kernel_best(use->fully_connected ? SPR_K_FC_CSR : SPR_K_PW_CSR, ctx->features);
        if (!use->fully_connected && n > 1) kernels[B2X1] = spr_kernel_best(SPR_K_PW_2X1, ctx->features);
        if (ctx->sparse == SPR_SPARSE_ALWAYS) kernels[DENSE] = NULL;
    }
    int best = -1;
    double cost[FORMATS] = {0};
    for (int f = 0; f < FORMATS; f++) {
        if (!kernels[f]) continue;
        cost[f] = estimate(kernels[f], use, stored[f], n);
        if (best < 0 || cost[f] < cost[best]) best = f;
    }
    if (weights->encoding == SPR_ENC_DENSE)
        snprintf(step->reason, sizeof step->reason, "weights are stored dense (%.0f %% zeros)", 100 * step->sparsity);
    else if (ctx->sparse == SPR_SPARSE_NEVER)
        snprintf(step->reason, sizeof step->reason, "sparse kernels are switched off (sparse=never)");
    else if (!reachable)
        snprintf(step->reason, sizeof step->reason, "the input is too large for sparse kernels (%u channels of %zu)", k,
                 use->x_stride);
    else {
        int length = snprintf(step->reason, sizeof step->reason, "kcycles:");
        for (int f = 0; f < FORMATS; f++)
            if (kernels[f])
                length += snprintf(step->reason + length, sizeof step->reason - (size_t)length, " %s %.0f", format_names[f],
                                   cost[f] / 1e3);
        if (ctx->sparse == SPR_SPARSE_ALWAYS)
            snprintf(step->reason + length, sizeof step->reason - (size_t)length, " (sparse=always)");
    }
    return kernels[best];
}

/* ---- splitting ------------------------------------------------------------------------------------------------------------ */

/* Bounds of `groups` row groups of about equal work, the weights of a row plus a constant, at multiples of row_step. */
static uint32_t split_rows(const spr_pw_weights *w, uint32_t row_step, uint32_t groups, uint32_t *bound) {
    const double row_work = 4;
    double total = w->row_ptr ? w->row_ptr[w->n] + row_work * w->n : (double)w->n, done = 0;
    uint32_t made = 0;
    bound[0] = 0;
    for (uint32_t row = 0; row < w->n; row++) {
        if (row % row_step == 0 && row > bound[made] && made + 1 < groups && done >= total * (made + 1) / groups)
            bound[++made] = row;
        done += w->row_ptr ? w->row_ptr[row + 1] - w->row_ptr[row] + row_work : 1;
    }
    bound[++made] = w->n;
    return made;
}

static spr_status split(spr_plan_ctx *ctx, const spr_pw_weights *w, const spr_pointwise_use *use, spr_pointwise *pw) {
    double stored = w->row_ptr ? w->row_ptr[w->n] : (double)w->n * w->k;
    int parallel = ctx->threads > 1 && stored * (double)(use->pixels * use->images) >= SPR_PARALLEL_MACS;
    size_t want = parallel ? (size_t)(SPR_TASKS_PER_THREAD * ctx->threads) : 1;
    size_t tasks = use->fully_connected ? 1 : use->images;
    pw->px_block = (uint32_t)use->pixels;
    pw->px_blocks = 1;
    if (!use->fully_connected && parallel) {
        /* whole tiles, so that no task ends in the middle of one */
        size_t unit = spr_round_up(pw->kernel->cost.tile, SPR_PX), units = (use->pixels + unit - 1) / unit;
        size_t blocks = (want + tasks - 1) / tasks;
        if (blocks > units) blocks = units;
        pw->px_block = (uint32_t)((units + blocks - 1) / blocks * unit);
        pw->px_blocks = (uint32_t)((use->pixels + pw->px_block - 1) / pw->px_block);
        tasks *= pw->px_blocks;
    }
    size_t groups = (want + tasks - 1) / tasks;
    pw->row_bound = spr_plan_alloc(ctx, (groups + 1) * sizeof *pw->row_bound, "row groups");
    if (!pw->row_bound) return SPR_ERROR_MEMORY;
    pw->row_groups = split_rows(w, pw->kernel->row_step, (uint32_t)groups, pw->row_bound);
    return SPR_OK;
}

/* ---- planning ------------------------------------------------------------------------------------------------------------- */

/* Weights in the form the kernel's packing reads. *csr is the memory behind them, to be freed. */
static spr_status load(spr_plan_ctx *ctx, const spr_value *weights, int sparse, spr_pw_weights *w, void **csr) {
    *csr = NULL;
    if (!sparse) return spr_plan_weights_dense(ctx, weights, &w->dense);
    size_t nnz = (size_t)spr_count_sparsity(weights).nonzeros;
    uint32_t *memory = malloc(((size_t)w->n + 1 + 2 * nnz) * sizeof *memory);
    if (!memory) return spr_fail_memory(ctx->err, "decoded weights", nnz * 8);
    uint32_t *col = memory + w->n + 1;
    float *val = (float *)(col + nnz);
    spr_decode_csr(weights, memory, col, val);
    w->row_ptr = memory;
    w->col = col;
    w->val = val;
    *csr = memory;
    return SPR_OK;
}

spr_status spr_pointwise_plan(spr_plan_ctx *ctx, spr_step *step, const spr_pointwise_use *use, const spr_act *act,
                              spr_pointwise *out) {
    spr_value weights;
    spr_status status = spr_plan_weights(ctx, step, &weights);
    if (status) return status;
    spr_pw_weights w = {.n = (uint32_t)weights.desc.dim[0], .k = (uint32_t)weights.desc.dim[1]};
    status = spr_plan_vector(ctx, step, 2, w.n, &w.bias);
    if (status) return status;
    spr_step_note_weights(step, &weights);
    step->kernel = choose(ctx, step, &weights, use, w.n, w.k);
    *out = (spr_pointwise){.kernel = step->kernel, .n = w.n, .k = w.k, .act = *act,
                           .unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary};
    int dense = step->kernel->cls == SPR_K_PW_DENSE || step->kernel->cls == SPR_K_FC_DENSE;
    void *csr;
    status = load(ctx, &weights, !dense, &w, &csr);
    if (!status) {
        step->packed_bytes = out->kernel->packing->size(&w, use->x_stride);
        out->packed = spr_plan_alloc(ctx, spr_round_up(step->packed_bytes + 1, SPR_LINE), "packed weights");
        if (!out->packed) status = SPR_ERROR_MEMORY;
    }
    if (!status) {
        out->kernel->packing->pack(&w, use->x_stride, out->packed);
        status = split(ctx, &w, use, out);
    }
    free(csr);
    return status;
}

/* ---- running ---------------------------------------------------------------------------------------------------------------- */

spr_part spr_part_of(const spr_view *x, const spr_view *y, const spr_view *z, size_t image) {
    return (spr_part){
        .x = (const float *)x->data + image * (size_t)x->stride[0],
        .y = (float *)y->data + image * (size_t)y->stride[0],
        .z = z ? (const float *)z->data + image * (size_t)z->stride[0] : NULL,
        .x_stride = (size_t)x->stride[1],
        .y_stride = (size_t)y->stride[1],
        .z_stride = z ? (size_t)z->stride[1] : 0,
    };
}

void spr_pointwise_run_part(const spr_pointwise *pw, const spr_part *part, uint32_t row0, uint32_t row1) {
    spr_pw_args args = {
        .x = part->x,
        .y = part->y,
        .z = part->z,
        .x_stride = part->x_stride,
        .y_stride = part->y_stride,
        .z_stride = part->z_stride,
        .packed = pw->packed,
        .n = pw->n,
        .k = pw->k,
        .row0 = row0,
        .row1 = row1,
        .px0 = part->begin,
        .px1 = part->end,
        .act = pw->act,
        .unary = pw->unary,
    };
    pw->kernel->run.pw(&args);
}

typedef struct pw_job {
    const spr_pointwise *pw;
    const spr_view *x, *y, *z;
} pw_job;

static void pw_task(void *arg, int task, int thread) {
    (void)thread;
    const pw_job *job = arg;
    const spr_pointwise *pw = job->pw;
    uint32_t block = (uint32_t)task % pw->px_blocks, rest = (uint32_t)task / pw->px_blocks, group = rest % pw->row_groups;
    spr_part part = spr_part_of(job->x, job->y, job->z, rest / pw->row_groups);
    uint32_t pixels = (uint32_t)(job->y->desc.dim[2] * job->y->desc.dim[3]), end = (block + 1) * pw->px_block;
    part.begin = block * pw->px_block;
    part.end = end < pixels ? end : pixels;
    spr_pointwise_run_part(pw, &part, pw->row_bound[group], pw->row_bound[group + 1]);
}

void spr_pointwise_run(const spr_run_ctx *ctx, const spr_pointwise *pw, const spr_view *x, const spr_view *y, const spr_view *z) {
    pw_job job = {pw, x, y, z};
    spr_pool_run(ctx->pool, (int)(pw->px_blocks * pw->row_groups * (uint32_t)y->desc.dim[0]), pw_task, &job);
}

typedef struct fc_job {
    const spr_pointwise *pw;
    const spr_fc_rows *rows;
} fc_job;

static void fc_task(void *arg, int task, int thread) {
    (void)thread;
    const fc_job *job = arg;
    const spr_pointwise *pw = job->pw;
    const spr_fc_rows *rows = job->rows;
    spr_fc_args args = {
        .x = rows->x,
        .y = rows->y,
        .z = rows->z,
        .x_stride = rows->x_stride,
        .y_stride = rows->y_stride,
        .z_stride = rows->z_stride,
        .packed = pw->packed,
        .m = rows->m,
        .n = pw->n,
        .k = pw->k,
        .row0 = pw->row_bound[task],
        .row1 = pw->row_bound[task + 1],
        .act = pw->act,
        .unary = pw->unary,
    };
    pw->kernel->run.fc(&args);
}

void spr_pointwise_run_fc(const spr_run_ctx *ctx, const spr_pointwise *pw, const spr_fc_rows *rows) {
    fc_job job = {pw, rows};
    spr_pool_run(ctx->pool, (int)pw->row_groups, fc_task, &job);
}
