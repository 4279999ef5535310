/* MaxPool, AveragePool and the global pools, on the kernels of SPR_K_POOL. */
#include <math.h>

#include "runtime/ops/ops.h"
#include "runtime/ops/pool_mean.h"

typedef struct pool_state {
    const spr_kernel *kernel;
    spr_pool_kind kind;
    spr_window win;
} pool_state;

static SPR_COLD spr_status plan_common(spr_plan_ctx *ctx, spr_step *step, pool_state **out) {
    pool_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    *out = state;
    if (!state) return SPR_ERROR_MEMORY;
    step->state = state;
    step->kernel = state->kernel = spr_kernel_best(SPR_K_POOL, ctx->features);
    return spr_plan_planes(ctx, step, 0);
}

static SPR_COLD spr_status plan_windows(spr_plan_ctx *ctx, spr_step *step, const spr_attr *kernel, spr_pool_kind kind) {
    pool_state *state;
    spr_status status = plan_common(ctx, step, &state);
    if (status || !spr_desc_count(&step->out[0].desc)) return status;
    spr_desc whole;
    const spr_desc *x = spr_strips_whole(&step->in[0], &whole);
    state->kind = kind;
    return spr_resolve_window(step->graph, step->node, x->dim[2], x->dim[3], kernel->ints.v[0], kernel->ints.v[1],
                              &state->win, ctx->err);
}

static SPR_COLD spr_status plan_max(spr_plan_ctx *ctx, spr_step *step) {
    return plan_windows(ctx, step, SPR_ATTR_OF(step, MaxPool, kernel_shape), SPR_POOL_MAX);
}

static SPR_COLD spr_status plan_average(spr_plan_ctx *ctx, spr_step *step) {
    int include = SPR_ATTR_OF(step, AveragePool, count_include_pad)->i != 0;
    return plan_windows(ctx, step, SPR_ATTR_OF(step, AveragePool, kernel_shape),
                        include ? SPR_POOL_AVG_INCLUDE_PAD : SPR_POOL_AVG);
}

static SPR_COLD spr_status plan_global(spr_plan_ctx *ctx, spr_step *step) {
    if (step->in[0].desc.rank != 4) return SPR_OK;
    pool_state *state;
    spr_status status = plan_common(ctx, step, &state);
    if (status) return status;
#if SPR_STRIPS
    if (step->node->op == SPR_OP_GlobalAveragePool) {
        step->kernel = NULL;
        spr_pool_mean_plan(step);
        return SPR_OK;
    }
#endif
    const spr_desc *x = &step->in[0].desc;
    uint32_t h = (uint32_t)x->dim[2], w = (uint32_t)x->dim[3];
    state->kind = step->node->op == SPR_OP_GlobalMaxPool ? SPR_POOL_MAX : SPR_POOL_AVG;
    state->win = (spr_window){.ih = h, .iw = w, .oh = 1, .ow = 1, .kh = h, .kw = w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    return SPR_OK;
}

static SPR_COLD spr_status plan_indices(spr_plan_ctx *ctx, spr_step *step) {
    spr_status status = plan_windows(ctx, step, SPR_ATTR_OF(step, MaxPoolIndices, kernel_shape), SPR_POOL_MAX);
    step->kernel = NULL;
    return status;
}

typedef struct pool_job {
    const spr_step *step;
    int64_t channels;
} pool_job;

/* Planes [begin, end) of all images. */
static void pool_planes(void *arg, int64_t begin, int64_t end) {
    const pool_job *job = arg;
    const pool_state *state = job->step->state;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0];
    while (begin < end) {
        int64_t image = begin / job->channels, c0 = begin % job->channels, c1 = c0 + (end - begin);
        if (c1 > job->channels) c1 = job->channels;
        spr_pool_args args = {
            .x = (const float *)x->data + image * x->stride[0],
            .y = (float *)y->data + image * y->stride[0],
            .x_stride = (size_t)x->stride[1],
            .y_stride = (size_t)y->stride[1],
            .kind = state->kind,
            .win = state->win,
            .c0 = (uint32_t)c0,
            .c1 = (uint32_t)c1,
        };
        state->kernel->run.pool(&args);
        begin += c1 - c0;
    }
}

#if SPR_STRIPS
/* ---- images in strips -------------------------------------------------------------------------------------------- */

/* The lines of a strip, as an image of their own: whatever lies above or below them is beyond its border, or not asked
   for. */
static void pool_strip(void *arg, int task, int thread) {
    (void)thread;
    const pool_job *job = arg;
    const pool_state *state = job->step->state;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0];
    const uint32_t strip = (uint32_t)task;
    const spr_lines_range out = spr_strip_output(x, y, &state->win, strip), in = spr_strip_input(&state->win, out);
    const int64_t top = (int64_t)out.lo * state->win.sh - state->win.pt;
    spr_pool_args args = {
        .x = spr_strip_origin(x, strip) + (size_t)in.lo * state->win.iw,
        .y = spr_strip_origin(y, strip) + (size_t)out.lo * state->win.ow,
        .x_stride = (size_t)x->stride[1],
        .y_stride = (size_t)y->stride[1],
        .kind = state->kind,
        .win = state->win,
        .c1 = (uint32_t)job->channels,
    };
    spr_strip_fill(x, strip, in, 0, args.c1);
    args.win.ih = in.hi - in.lo;
    args.win.oh = out.hi - out.lo;
    args.win.pt = (int32_t)(in.lo - top);
    if (out.hi < state->win.oh) args.win.pb = 0;
    state->kernel->run.pool(&args);
}
#endif

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    pool_job job = {step, y->dim[1]};
#if SPR_STRIPS
    const uint32_t strips = step->in[0].strips | step->out[0].strips;
    if (strips) {
        spr_run_tasks(ctx, (int)strips, pool_strip, &job);
        return;
    }
#endif
    if (spr_desc_count(y)) spr_parallel_range(ctx, y->dim[0] * y->dim[1], spr_desc_count(x), pool_planes, &job);
}

/* The first of the largest pixels of a window, NaN counting as larger than all; -1 where it has none. */
static int64_t window_top(const float *x, const spr_window *w, uint32_t oy, uint32_t ox) {
    int64_t top = -1;
    for (uint32_t i = 0; i < w->kh; i++) {
        int64_t y = (int64_t)oy * w->sh - w->pt + (int64_t)i * w->dh;
        for (uint32_t j = 0; j < w->kw && y >= 0 && y < w->ih; j++) {
            int64_t at = (int64_t)ox * w->sw - w->pl + (int64_t)j * w->dw;
            if (at < 0 || at >= w->iw) continue;
            at += y * w->iw;
            if (top < 0 || x[at] > x[top] || (isnan(x[at]) && !isnan(x[top]))) top = at;
        }
    }
    return top;
}

/* Planes [begin, end) of all images. */
static void index_planes(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_window *w = &((const pool_state *)step->state)->win;
    const spr_view *x = &step->in[0], *y = &step->out[0], *found = &step->out[1];
    const int64_t channels = y->desc.dim[1], pixels = (int64_t)w->ih * w->iw;
    const int by_columns = SPR_ATTR_OF(step, MaxPoolIndices, storage_order)->i != 0;
    for (int64_t p = begin; p < end; p++) {
        int64_t n = p / channels, c = p % channels;
        const float *from = (const float *)x->data + n * x->stride[0] + c * x->stride[1];
        float *to = (float *)y->data + n * y->stride[0] + c * y->stride[1];
        int64_t *index = (int64_t *)found->data + n * found->stride[0] + c * found->stride[1];
        for (uint32_t oy = 0; oy < w->oh; oy++)
            for (uint32_t ox = 0; ox < w->ow; ox++) {
                int64_t top = window_top(from, w, oy, ox);
                *to++ = top < 0 ? -INFINITY : from[top];
                *index++ = p * pixels + (by_columns ? top / w->iw + top % w->iw * w->ih : top);
            }
    }
}

static void run_indices(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    if (!spr_desc_count(y)) return;
    spr_parallel_range(ctx, y->dim[0] * y->dim[1], spr_desc_count(&step->in[0].desc), index_planes,
                       (void *)(uintptr_t)step);
    for (int i = 0; i < 2; i++) spr_view_zero_padding(&step->out[i]);
}

/* Channels [begin, end) of a tensor that is no image: its pixels lie behind each other, without padding lanes. */
static void pool_lines(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_view *x = &step->in[0];
    int64_t n = spr_desc_count(&x->desc) / (x->desc.dim[0] * x->desc.dim[1]);
    int max = step->node->op == SPR_OP_GlobalMaxPool;
    for (int64_t c = begin; c < end; c++) {
        const float *line = (const float *)x->data + c * n;
        double sum = 0;
        float top = -INFINITY;
        for (int64_t i = 0; i < n; i++) {
            if (line[i] > top || isnan(line[i])) top = line[i];
            sum += line[i];
        }
        ((float *)step->out[0].data)[c] = max ? top : (float)(sum / (double)n);
    }
}

static void run_global(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *x = &step->in[0].desc;
#if SPR_STRIPS
    if (x->rank == 4 && step->node->op == SPR_OP_GlobalAveragePool) {
        if (spr_desc_count(x)) spr_pool_mean(ctx, step);
        return;
    }
#endif
    if (x->rank == 4) {
        run(ctx, step);
        return;
    }
    spr_parallel_range(ctx, x->dim[0] * x->dim[1], spr_desc_count(x), pool_lines, (void *)(uintptr_t)step);
}

spr_exec spr_exec_MaxPool(void) { return (spr_exec){.plan = plan_max, .run = run}; }
spr_exec spr_exec_MaxPoolIndices(void) { return (spr_exec){.plan = plan_indices, .run = run_indices}; }
spr_exec spr_exec_AveragePool(void) { return (spr_exec){.plan = plan_average, .run = run}; }
spr_exec spr_exec_GlobalAveragePool(void) { return (spr_exec){.plan = plan_global, .run = run_global}; }
spr_exec spr_exec_GlobalMaxPool(void) { return (spr_exec){.plan = plan_global, .run = run_global}; }
