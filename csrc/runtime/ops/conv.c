/* Conv: 1x1 layers go to the pointwise kernels (dense or sparse), images of one pixel to the FC kernels, the rest to the
   depthwise and general convolution kernels. */
#include <stdio.h>

#include "runtime/ops/pointwise.h"

typedef enum conv_way { CONV_POINTWISE, CONV_FC, CONV_WINDOW } conv_way;

typedef struct conv_state {
    conv_way way;
    spr_pointwise pw;
    int subsample; /* a stride: gathers the pixels into the workspace first */
    spr_view gathered;
    spr_conv_shape shape;
    const spr_kernel *kernel;
    void *packed;
    spr_act act;
    spr_unary_fn *unary;
    uint32_t rows_per_task, row_tasks, lines_per_task, line_tasks;
} conv_state;

#define PARALLEL_MACS 20000.0
#define TASKS_PER_THREAD 4

/* ---- planning ------------------------------------------------------------------------------------------------------------ */

static spr_status plan_pointwise(spr_plan_ctx *ctx, spr_step *step, conv_state *state) {
    const spr_window *win = &state->shape.win;
    const spr_view *x = &step->in[0];
    size_t images = (size_t)x->desc.dim[0], pixels = (size_t)win->oh * win->ow;
    state->gathered = *x;
    state->subsample = pixels != (size_t)win->ih * win->iw;
    if (state->subsample) {
        state->gathered.desc.dim[2] = win->oh;
        state->gathered.desc.dim[3] = win->ow;
        spr_strides_planes(&state->gathered.desc, state->gathered.stride);
        step->workspace_bytes = images * (size_t)state->gathered.stride[0] * sizeof(float);
    }
    state->way = pixels == 1 ? CONV_FC : CONV_POINTWISE;
    spr_pointwise_use use = {.pixels = pixels, .images = images, .x_stride = (size_t)state->gathered.stride[1]};
    if (state->way == CONV_FC) use = (spr_pointwise_use){.fully_connected = 1, .pixels = images, .images = 1, .x_stride = 1};
    return spr_pointwise_plan(ctx, step, &use, &state->act, &state->pw);
}

/* Tasks of the window kernels: channels first, as their inputs are disjoint (depthwise) or shared (general). */
static void split_window(const spr_plan_ctx *ctx, const spr_step *step, conv_state *state) {
    const spr_conv_shape *shape = &state->shape;
    uint32_t images = (uint32_t)step->in[0].desc.dim[0], step_rows = state->kernel->row_step;
    uint32_t want = ctx->threads > 1 && step->macs >= PARALLEL_MACS ? (uint32_t)(TASKS_PER_THREAD * ctx->threads) : 1;
    want = images ? (want + images - 1) / images : 1;
    if (state->kernel->cls == SPR_K_DWCONV) {
        uint32_t rows = (shape->oc + want - 1) / want;
        state->rows_per_task = (rows + step_rows - 1) / step_rows * step_rows;
        state->row_tasks = (shape->oc + state->rows_per_task - 1) / state->rows_per_task;
        want = (want + state->row_tasks - 1) / state->row_tasks;
    } else {
        state->rows_per_task = shape->oc / shape->group; /* a group per task */
        state->row_tasks = shape->group;
        want = (want + shape->group - 1) / shape->group;
    }
    state->lines_per_task = (shape->win.oh + want - 1) / want;
    state->line_tasks = (shape->win.oh + state->lines_per_task - 1) / state->lines_per_task;
}

static spr_status plan_window(spr_plan_ctx *ctx, spr_step *step, conv_state *state) {
    const spr_conv_shape *shape = &state->shape;
    spr_value weights;
    const float *dense, *bias;
    spr_status status = spr_plan_weights(ctx, step, &weights);
    if (!status) status = spr_plan_weights_dense(ctx, &weights, &dense);
    if (!status) status = spr_plan_vector(ctx, step, 2, shape->oc, &bias);
    if (status) return status;
    spr_step_note_weights(step, &weights);
    state->way = CONV_WINDOW;
    state->unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary;
    int depthwise = shape->group == shape->ic && shape->group > 1;
    state->kernel = spr_kernel_best_conv(depthwise ? SPR_K_DWCONV : SPR_K_CONV, shape, ctx->features);
    step->kernel = state->kernel;
    snprintf(step->reason, sizeof step->reason, "%s%ux%u: no sparse kernel",
             depthwise ? "depthwise " : shape->group > 1 ? "grouped " : "", shape->win.kh, shape->win.kw);
    step->scratch = state->kernel->conv->scratch(shape);
    step->packed_bytes = state->kernel->conv->size(shape);
    state->packed = spr_plan_alloc(ctx, spr_round_up(step->packed_bytes + 1, SPR_LINE), "packed weights");
    if (!state->packed) return SPR_ERROR_MEMORY;
    state->kernel->conv->pack(shape, dense, bias, state->packed);
    split_window(ctx, step, state);
    return SPR_OK;
}

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    const spr_desc *w = &step->in[1].desc;
    conv_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    step->state = state;
    if (!spr_desc_count(y)) return SPR_OK; /* nothing will be computed */
    spr_conv_shape *shape = &state->shape;
    *shape = (spr_conv_shape){.ic = (uint32_t)x->dim[1], .oc = (uint32_t)y->dim[1],
                              .group = (uint32_t)SPR_ATTR_OF(step, Conv, group)->i};
    spr_status status = spr_resolve_window(step->graph, step->node, x->dim[2], x->dim[3], w->dim[2], w->dim[3],
                                           &shape->win, ctx->err);
    if (!status) status = spr_plan_planes(ctx, step, 0);
    if (!status) status = spr_plan_planes(ctx, step, 3);
    if (!status)
        status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, Conv, act), SPR_ATTR_OF(step, Conv, act_a),
                              SPR_ATTR_OF(step, Conv, act_b), 4, shape->oc, &state->act);
    if (status) return status;
    const spr_window *win = &shape->win;
    step->macs = (double)spr_desc_count(y) * (shape->ic / shape->group) * win->kh * win->kw;
    int pointwise = win->kh == 1 && win->kw == 1 && shape->group == 1 && !win->pt && !win->pl && !win->pb && !win->pr;
    return pointwise ? plan_pointwise(ctx, step, state) : plan_window(ctx, step, state);
}

/* ---- running --------------------------------------------------------------------------------------------------------------- */

typedef struct window_ctx {
    const spr_run_ctx *run;
    const spr_step *step;
} window_ctx;

static void window_task(void *arg, int task, int thread) {
    const window_ctx *job = arg;
    const spr_step *step = job->step;
    const conv_state *state = step->state;
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 3) ? &step->in[3] : NULL;
    uint32_t line = (uint32_t)task % state->line_tasks, rest = (uint32_t)task / state->line_tasks;
    uint32_t row = rest % state->row_tasks * state->rows_per_task;
    size_t image = rest / state->row_tasks;
    uint32_t oy0 = line * state->lines_per_task, oy1 = oy0 + state->lines_per_task, row1 = row + state->rows_per_task;
    spr_conv_args args = {
        .x = (const float *)x->data + image * (size_t)x->stride[0],
        .y = (float *)y->data + image * (size_t)y->stride[0],
        .z = z ? (const float *)z->data + image * (size_t)z->stride[0] : NULL,
        .x_stride = (size_t)x->stride[1],
        .y_stride = (size_t)y->stride[1],
        .z_stride = z ? (size_t)z->stride[1] : 0,
        .packed = state->packed,
        .shape = &state->shape,
        .row0 = row,
        .row1 = row1 < state->shape.oc ? row1 : state->shape.oc,
        .oy0 = oy0,
        .oy1 = oy1 < state->shape.win.oh ? oy1 : state->shape.win.oh,
        .act = state->act,
        .unary = state->unary,
        .scratch = spr_scratch(job->run, thread),
    };
    state->kernel->run.conv(&args);
}

/* Every sh-th line and sw-th pixel of the input. */
static void subsample(const spr_run_ctx *ctx, const spr_step *step, spr_view *gathered) {
    const conv_state *state = step->state;
    spr_view picked = step->in[0];
    picked.desc = state->gathered.desc;
    picked.stride[2] *= state->shape.win.sh;
    picked.stride[3] *= state->shape.win.sw;
    *gathered = state->gathered;
    gathered->data = step->workspace;
    spr_view_copy(ctx, &picked, gathered);
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const conv_state *state = step->state;
    const spr_view *y = &step->out[0], *z = spr_step_has(step, 3) ? &step->in[3] : NULL;
    if (!spr_desc_count(&y->desc)) return;
    if (state->way == CONV_WINDOW) {
        window_ctx job = {ctx, step};
        uint32_t tasks = state->line_tasks * state->row_tasks * (uint32_t)y->desc.dim[0];
        spr_pool_run(ctx->pool, (int)tasks, window_task, &job);
        return;
    }
    spr_view x = step->in[0];
    if (state->subsample) subsample(ctx, step, &x);
    if (state->way == CONV_POINTWISE) {
        spr_pointwise_run(ctx, &state->pw, &x, y, z);
        return;
    }
    spr_fc_rows rows = {
        .x = x.data, .y = y->data, .z = z ? z->data : NULL,
        .x_stride = (size_t)x.stride[0], .y_stride = (size_t)y->stride[0], .z_stride = z ? (size_t)z->stride[0] : 0,
        .m = (uint32_t)y->desc.dim[0],
    };
    spr_pointwise_run_fc(ctx, &state->pw, &rows);
}

const spr_exec spr_exec_Conv = {.in_place = 1u << 3, .plan = plan, .run = run};
