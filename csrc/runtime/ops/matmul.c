/* MatMul of two computed matrices, batched: the dense pointwise kernel with A as the weights, packed at run time, and
   the rows of B as planes. Products with constant weights are FullyConnected instead. */
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

typedef struct matmul_state {
    const spr_kernel *kernel;
    uint32_t m, n, k;
    size_t lanes;                          /* floats from row to row of B and Y in the workspace */
    size_t b_offset, y_offset;             /* bytes into the workspace, after packed A */
    int64_t batches;
    int batch_rank;                        /* leading dimensions of Y */
    int64_t dim[SPR_MAX_RANK], a_stride[SPR_MAX_RANK], b_stride[SPR_MAX_RANK], y_stride[SPR_MAX_RANK];
    uint32_t px_block, px_blocks;
} matmul_state;

/* A vector is a matrix of one row (A) or one column (B), and the dimension is left out of Y again. */
static spr_view as_matrix(const spr_view *view, int left) {
    spr_view matrix = *view;
    if (view->desc.rank != 1) return matrix;
    matrix.desc.rank = 2;
    matrix.desc.dim[left ? 0 : 1] = 1;
    matrix.desc.dim[left ? 1 : 0] = view->desc.dim[0];
    matrix.stride[left ? 0 : 1] = 0;
    matrix.stride[left ? 1 : 0] = view->stride[0];
    return matrix;
}

static int64_t batch_stride(const spr_view *matrix, int batch_rank, int i) {
    int k = i - (batch_rank - (matrix->desc.rank - 2));
    return k < 0 || matrix->desc.dim[k] == 1 ? 0 : matrix->stride[k];
}

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    matmul_state *s = spr_plan_alloc(ctx, sizeof *s, "a layer");
    if (!s) return SPR_ERROR_MEMORY;
    step->state = s;
    spr_view a = as_matrix(&step->in[0], 1), b = as_matrix(&step->in[1], 0);
    s->m = (uint32_t)a.desc.dim[a.desc.rank - 2];
    s->k = (uint32_t)a.desc.dim[a.desc.rank - 1];
    s->n = (uint32_t)b.desc.dim[b.desc.rank - 1];
    s->batch_rank = (a.desc.rank > b.desc.rank ? a.desc.rank : b.desc.rank) - 2;
    s->batches = 1;
    for (int i = 0; i < s->batch_rank; i++) {
        s->dim[i] = step->out[0].desc.dim[i];
        s->a_stride[i] = batch_stride(&a, s->batch_rank, i);
        s->b_stride[i] = batch_stride(&b, s->batch_rank, i);
        s->y_stride[i] = step->out[0].stride[i];
        s->batches *= s->dim[i];
    }
    step->macs = (double)s->batches * s->m * s->n * s->k;
    if (!spr_desc_count(&step->out[0].desc) || !s->k || step->in[0].desc.dtype == SPR_FLOAT64) return SPR_OK;
    step->kernel = s->kernel = spr_kernel_best(SPR_K_PW_DENSE, ctx->features);
    s->lanes = spr_round_up(s->n, SPR_PX);
    spr_pw_weights w = {.n = s->m, .k = s->k};
    static const float any = 0;
    w.dense = &any; /* sizes depend on n and k only */
    s->b_offset = spr_round_up(s->kernel->packing->size(&w, s->lanes), SPR_LINE) +
                  spr_round_up((size_t)s->m * s->k * 4, SPR_LINE);
    s->y_offset = s->b_offset + s->lanes * s->k * sizeof(float);
    step->workspace_bytes = s->y_offset + s->lanes * s->m * sizeof(float);
    size_t unit = spr_round_up(s->kernel->cost.tile, SPR_PX), units = (s->n + unit - 1) / unit;
    size_t want =
        ctx->threads > 1 && step->macs >= SPR_PARALLEL_MACS ? (size_t)(SPR_TASKS_PER_THREAD * ctx->threads) : 1;
    if (want > units) want = units;
    s->px_block = (uint32_t)((units + want - 1) / want * unit);
    s->px_blocks = (s->n + s->px_block - 1) / s->px_block;
    return SPR_OK;
}

typedef struct matmul_job {
    const spr_step *step;
    const void *packed;
    const float *b;
    float *y;
} matmul_job;

static void matmul_task(void *arg, int task, int thread) {
    (void)thread;
    const matmul_job *job = arg;
    const matmul_state *s = job->step->state;
    uint32_t px0 = (uint32_t)task * s->px_block, px1 = px0 + s->px_block;
    spr_pw_args args = {.x = job->b, .y = job->y, .x_stride = s->lanes, .y_stride = s->lanes, .packed = job->packed,
                        .n = s->m,
                        .k = s->k, .row0 = 0, .row1 = s->m, .px0 = px0, .px1 = px1 < s->n ? px1 : s->n,
                        .act = {.fn = SPR_FN_NONE}};
    s->kernel->run.pw(&args);
}

static void multiply(const spr_run_ctx *ctx, const spr_step *step, int64_t a_at, int64_t b_at, int64_t y_at) {
    const matmul_state *s = step->state;
    char *work = step->workspace;
    spr_view a = as_matrix(&step->in[0], 1), b = as_matrix(&step->in[1], 0);
    int ar = a.desc.rank, br = b.desc.rank;
    float *dense = (float *)(work + s->b_offset - spr_round_up((size_t)s->m * s->k * 4, SPR_LINE));
    spr_view from = {.desc = {.dtype = SPR_FLOAT32, .rank = 2, .dim = {s->m, s->k}},
                     .stride = {a.stride[ar - 2], a.stride[ar - 1]}, .data = (float *)a.data + a_at};
    spr_view to = {.desc = from.desc, .stride = {s->k, 1}, .data = dense};
    spr_view_copy_elements(ctx, &from, &to);
    spr_pw_weights w = {.n = s->m, .k = s->k, .dense = dense};
    s->kernel->packing->pack(&w, s->lanes, work);
    from = (spr_view){.desc = {.dtype = SPR_FLOAT32, .rank = 2, .dim = {s->k, s->n}},
                      .stride = {b.stride[br - 2], b.stride[br - 1]}, .data = (float *)b.data + b_at};
    to = (spr_view){.desc = from.desc, .stride = {(int64_t)s->lanes, 1}, .data = work + s->b_offset};
    memset(to.data, 0, s->lanes * s->k * sizeof(float));
    spr_view_copy_elements(ctx, &from, &to);
    matmul_job job = {step, work, to.data, (float *)(work + s->y_offset)};
    spr_pool_run(ctx->pool, (int)s->px_blocks, matmul_task, &job);
    from = (spr_view){.desc = {.dtype = SPR_FLOAT32, .rank = 2, .dim = {s->m, s->n}}, .stride = {(int64_t)s->lanes, 1},
                      .data = job.y};
    to = (spr_view){.desc = from.desc, .stride = {s->n, 1}, .data = (float *)step->out[0].data + y_at};
    spr_view_copy_elements(ctx, &from, &to);
}

/* Double precision is rare and small: shapes, scales. */
static void multiply_doubles(const spr_step *step, int64_t a_at, int64_t b_at, int64_t y_at) {
    const matmul_state *s = step->state;
    spr_view a = as_matrix(&step->in[0], 1), b = as_matrix(&step->in[1], 0);
    const int64_t *as = a.stride + a.desc.rank - 2, *bs = b.stride + b.desc.rank - 2;
    double *y = (double *)step->out[0].data + y_at;
    for (uint32_t i = 0; i < s->m; i++)
        for (uint32_t j = 0; j < s->n; j++) {
            const double *p = (const double *)a.data + a_at + i * as[0], *q = (const double *)b.data + b_at + j * bs[1];
            double sum = 0;
            for (uint32_t k = 0; k < s->k; k++) sum = fma(p[k * as[1]], q[k * bs[0]], sum);
            *y++ = sum;
        }
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const matmul_state *s = step->state;
    const spr_view *y = &step->out[0];
    if (!spr_desc_count(&y->desc)) return;
    if (!s->k) { /* an empty sum */
        static const double zero;
        spr_view nothing = {.desc = y->desc, .data = (void *)(uintptr_t)&zero};
        spr_view_copy(ctx, &nothing, y);
        return;
    }
    for (int64_t n = 0; n < s->batches; n++) {
        int64_t rest = n, a = 0, b = 0, at = 0;
        for (int i = s->batch_rank - 1; i >= 0; i--) {
            int64_t k = rest % s->dim[i];
            rest /= s->dim[i];
            a += k * s->a_stride[i];
            b += k * s->b_stride[i];
            at += k * s->y_stride[i];
        }
        if (y->desc.dtype == SPR_FLOAT64)
            multiply_doubles(step, a, b, at);
        else
            multiply(ctx, step, a, b, at);
    }
    spr_view_zero_padding(y);
}

spr_exec spr_exec_MatMul(void) { return (spr_exec){.plan = plan, .run = run}; }
