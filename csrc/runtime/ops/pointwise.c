#include "runtime/ops/pointwise.h"

#include <stdio.h>
#include <string.h>

#include "model/compress.h"
#include "runtime/ops/ops.h"

/* ---- weights ----------------------------------------------------------------------------------------------------- */

spr_status spr_plan_vector(spr_plan_ctx *ctx, const spr_step *step, int i, uint32_t n, const float **data) {
    *data = NULL;
    const spr_value *value = spr_step_value(step, i);
    if (!value) return SPR_OK;
    const spr_view *view = &step->in[i];
    char text[SPR_DIMS_TEXT];
    if (!view->data || view->desc.dtype != SPR_FLOAT32 || spr_desc_count(&view->desc) != n)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED,
                        "node '%s': input '%s' is %s%s %s, it must be %u constant float32 values", step->node->name,
                        value->name, view->data ? "" : "computed ", spr_dtype_name(view->desc.dtype),
                        spr_dims_text(text, view->desc.rank, view->desc.dim), n);
    *data = view->data;
    return SPR_OK;
}

spr_status spr_plan_weights(spr_plan_ctx *ctx, const spr_step *step, spr_value *weights) {
    *weights = *spr_step_value(step, 1);
    if (!weights->is_const) {
        if (!step->in[1].data)
            return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED,
                            "node '%s': weights '%s' are computed, they must be constant", step->node->name,
                            weights->name);
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

static int on_planes(const spr_kernel *kernel) { return kernel->cls != SPR_K_FC_DENSE && kernel->cls != SPR_K_FC_CSR; }

/* ---- splitting --------------------------------------------------------------------------------------------------- */

/* Work of a row besides its weights, in weights. */
#define ROW_WORK 4.0

static double row_work(const spr_pw_weights *w, uint32_t row) {
    return w->row_ptr ? w->row_ptr[row + 1] - w->row_ptr[row] + ROW_WORK : 1;
}

/* Bounds of `groups` row groups of about equal work, the weights of a row plus a constant, at multiples of row_step. */
static uint32_t split_rows(const spr_pw_weights *w, uint32_t row_step, uint32_t groups, uint32_t *bound) {
    double total = w->row_ptr ? w->row_ptr[w->n] + ROW_WORK * w->n : (double)w->n, done = 0;
    uint32_t made = 0;
    bound[0] = 0;
    for (uint32_t row = 0; row < w->n; row++) {
        if (row % row_step == 0 && row > bound[made] && made + 1 < groups && done >= total * (made + 1) / groups)
            bound[++made] = row;
        done += row_work(w, row);
    }
    bound[++made] = w->n;
    return made;
}

/* How evenly the tasks of spr_pointwise_run spread, in its order. */
static double balance(const spr_plan_ctx *ctx, const spr_pw_weights *w, const spr_pointwise_use *use,
                      const spr_pointwise *pw) {
    spr_loads loads = {.threads = ctx->threads};
    for (size_t image = 0; image < use->images; image++)
        for (uint32_t block = 0; block < pw->px_blocks; block++) {
            size_t begin = (size_t)block * pw->px_block, end = begin + pw->px_block;
            if (end > use->pixels) end = use->pixels;
            for (uint32_t group = 0; group < pw->row_groups; group++) {
                double rows = 0;
                for (uint32_t row = pw->row_bound[group]; row < pw->row_bound[group + 1]; row++)
                    rows += row_work(w, row);
                spr_loads_add(&loads, rows * (double)(end - begin));
            }
        }
    return spr_loads_balance(&loads);
}

/* Splits into about `want` tasks: pixels into blocks of whole `unit`s first, as rows share their inputs, then rows. */
static void split_into(spr_plan_ctx *ctx, const spr_pw_weights *w, const spr_pointwise_use *use, size_t want,
                       size_t unit, spr_pointwise *pw) {
    size_t tasks = use->images;
    pw->px_block = (uint32_t)use->pixels;
    pw->px_blocks = 1;
    if (on_planes(pw->kernel) && want > 1) {
        size_t units = (use->pixels + unit - 1) / unit, blocks = (want + tasks - 1) / tasks;
        if (blocks > units) blocks = units;
        pw->px_block = (uint32_t)((units + blocks - 1) / blocks * unit);
        pw->px_blocks = (uint32_t)((use->pixels + pw->px_block - 1) / pw->px_block);
        tasks *= pw->px_blocks;
    }
    pw->row_groups = split_rows(w, pw->kernel->row_step, (uint32_t)((want + tasks - 1) / tasks), pw->row_bound);
    pw->balance = want > 1 ? balance(ctx, w, use, pw) : 0;
}

/* Planes up to so many bytes are not shared out by pixels if the rows alone are about even: several lie in a page, and
   prefetchers would carry lines that one core writes to the other. Depthwise layers are split by channels too, and a
   thread finds there what it wrote. Measured with two threads: layers of 7x7 ran 1.6 times as fast by rows, of 14x14
   1.2 times by pixels. Networks on Zen 3 take 1 to 3 % less with 28x28 by pixels, 2 to 5 % more with 14x14. */
SPR_INLINE size_t small_plane(uint32_t features) {
#if SPR_X86_64
    if (features & SPR_ISA_AVX2 && !(features & SPR_ISA_AVX512)) return 2048;
#endif
    (void)features;
    return 4096;
}
#define ROWS_EVEN 0.9

/* The first of some ways to split that is about even, else the most even one. `cycles`: estimate of the whole. */
static spr_status split(spr_plan_ctx *ctx, const spr_pw_weights *w, const spr_pointwise_use *use, double cycles,
                        spr_pointwise *pw) {
    size_t threads = (size_t)ctx->threads, most = 2 * SPR_TASKS_PER_THREAD * threads;
    size_t least = spr_tasks_per_thread(ctx->features) * threads;
    if (!on_planes(pw->kernel)) cycles /= 2; /* mostly spent on fetching weights, which splits less well */
    int parallel = threads > 1 && cycles >= SPR_PARALLEL_CYCLES && use->pixels && use->images;
    size_t tile = spr_round_up(pw->kernel->cost.tile, SPR_PX); /* so that no task ends in the middle of one */
    size_t best_want = 1, best_unit = tile;
    double best = 0;
    pw->row_bound = spr_plan_alloc(ctx, (most + 1) * sizeof *pw->row_bound, "row groups");
    if (!pw->row_bound) return SPR_ERROR_MEMORY;
    if (parallel && on_planes(pw->kernel) && (!SPR_STRIPS || use->images % threads) &&
        use->pixels * sizeof(float) <= small_plane(ctx->features)) {
        split_into(ctx, w, use, 1, tile, pw);
        pw->row_groups = split_rows(w, pw->kernel->row_step, (uint32_t)least, pw->row_bound);
        pw->balance = balance(ctx, w, use, pw);
        if (pw->balance >= ROWS_EVEN) return SPR_OK;
    }
    for (size_t unit = tile; parallel && best < SPR_EVEN; unit = SPR_PX) {
        for (size_t want = least; want <= most && best < SPR_EVEN; want += threads) {
            split_into(ctx, w, use, want, unit, pw);
            if (pw->balance <= best) continue;
            best = pw->balance;
            best_want = want;
            best_unit = unit;
        }
        if (unit == SPR_PX) break;
    }
    split_into(ctx, w, use, best_want, best_unit, pw);
    return SPR_OK;
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* Makes a matrix of `groups` row groups block diagonal. */
static void spread_groups(uint32_t groups, const uint32_t *row_ptr, uint32_t *col, spr_pw_weights *w) {
    const uint32_t columns = w->k, rows = w->n / groups;
    for (uint32_t row = 0; row < w->n; row++)
        for (uint32_t i = row_ptr[row]; i < row_ptr[row + 1]; i++) col[i] += row / rows * columns;
    w->k = groups * columns;
}

/* Weights in the form the kernel's packing reads. *csr is the memory behind them, to be freed. */
static spr_status load(spr_plan_ctx *ctx, const spr_value *weights, int sparse, uint32_t groups, spr_pw_weights *w,
                       void **csr) {
    *csr = NULL;
    if (!sparse) return spr_plan_weights_dense(ctx, weights, &w->dense);
    size_t nnz = (size_t)spr_count_sparsity(weights).nonzeros;
    uint32_t *memory = spr_alloc(ctx->arena->allocator, ((size_t)w->n + 1 + 2 * nnz) * sizeof *memory);
    if (!memory) return spr_fail_memory(ctx->err, "decoded weights", nnz * 8);
    uint32_t *col = memory + w->n + 1;
    float *val = (float *)(col + nnz);
    spr_decode_csr(weights, memory, col, val);
    if (groups > 1) spread_groups(groups, memory, col, w);
    w->row_ptr = memory;
    w->col = col;
    w->val = val;
    *csr = memory;
    return SPR_OK;
}

spr_status spr_pointwise_make(spr_plan_ctx *ctx, const spr_value *weights, const float *bias, const spr_kernel *kernel,
                              const spr_pointwise_use *use, const spr_act *act, spr_pointwise *out,
                              size_t *packed_bytes) {
    spr_pw_weights w = {.n = (uint32_t)weights->desc.dim[0], .k = (uint32_t)weights->desc.dim[1], .bias = bias};
    void *csr;
    spr_status status =
        load(ctx, weights, kernel->cls != SPR_K_PW_DENSE && kernel->cls != SPR_K_FC_DENSE, use->groups, &w, &csr);
    *out = (spr_pointwise){.kernel = kernel, .n = w.n, .k = w.k, .pixels = (uint32_t)use->pixels, .act = *act,
                           .unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary};
    if (use->fully_connected && on_planes(kernel)) out->turned = spr_turned_stride(use->pixels);
    size_t x_stride = out->turned ? out->turned : use->x_stride;
    if (!status) {
        spr_work work = spr_pointwise_work(weights, use);
        status = split(ctx, &w, use, spr_estimate(kernel, ctx->features, &work), out);
    }
    if (!status) {
        w.row_bound = out->row_bound;
        w.row_groups = out->row_groups;
        *packed_bytes = kernel->packing->size(&w, x_stride);
        out->packed = spr_plan_alloc(ctx, spr_round_up(*packed_bytes + 1, SPR_LINE), "packed weights");
        if (!out->packed) status = SPR_ERROR_MEMORY;
    }
    if (!status) kernel->packing->pack(&w, x_stride, out->packed);
    spr_release(ctx->arena->allocator, csr);
    return status;
}

spr_status spr_pointwise_plan(spr_plan_ctx *ctx, spr_step *step, const spr_pointwise_use *use, const spr_act *act,
                              spr_pointwise *out) {
    spr_value weights;
    const float *bias;
    spr_status status = spr_plan_weights(ctx, step, &weights);
    if (!status) status = spr_plan_vector(ctx, step, 2, (uint32_t)weights.desc.dim[0], &bias);
    if (status) return status;
    spr_step_note_weights(step, &weights);
    if (SPR_WINDOWS_AS_FC && weights.desc.rank == 4) {
        weights.desc.rank = 2;
        weights.desc.dim[1] *= weights.desc.dim[2] * weights.desc.dim[3];
    }
    status = spr_pointwise_choose(ctx, step, &weights, bias, use, act);
    if (!status) status = spr_pointwise_make(ctx, &weights, bias, step->kernel, use, act, out, &step->packed_bytes);
    step->balance = out->balance;
    if (!status && use->fully_connected) step->workspace_bytes += spr_pointwise_workspace(out);
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

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
        .shared = pw->px_blocks * pw->row_groups > 1,
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
    uint32_t group = (uint32_t)task % pw->row_groups, rest = (uint32_t)task / pw->row_groups,
             block = rest % pw->px_blocks;
    spr_part part = spr_part_of(job->x, job->y, job->z, rest / pw->px_blocks);
    uint32_t pixels = (uint32_t)(job->y->desc.dim[2] * job->y->desc.dim[3]), end = (block + 1) * pw->px_block;
    part.begin = block * pw->px_block;
    part.end = end < pixels ? end : pixels;
    spr_pointwise_run_part(pw, &part, pw->row_bound[group], pw->row_bound[group + 1]);
}

void spr_pointwise_run(const spr_run_ctx *ctx, const spr_pointwise *pw, const spr_view *x, const spr_view *y,
                       const spr_view *z) {
    pw_job job = {pw, x, y, z};
    spr_run_tasks(ctx, (int)(pw->px_blocks * pw->row_groups * (uint32_t)y->desc.dim[0]), pw_task, &job);
}
