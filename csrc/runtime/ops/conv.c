/* Conv: 1x1 layers go to the pointwise kernels (dense or sparse), those with an output of one pixel to the FC kernels,
   the rest to the depthwise and general convolution kernels, or unrolled to the sparse ones. */
#include "runtime/ops/conv.h"

#include <stdio.h>
#include <string.h>

#include "runtime/ops/ops.h"
#include "runtime/ops/unroll.h"
#include "runtime/strips.h"

typedef struct conv_state {
    spr_conv_way way;
    spr_pointwise pw;
    spr_view gathered; /* SPR_CONV_SUBSAMPLED, _FC: the pixels used, in the workspace unless they are all there are */
    int gathers;
    size_t gathered_bytes;
    spr_conv_shape shape;
    const spr_kernel *kernel;
    void *packed;
    spr_act act;
    spr_unary_fn *unary;
    uint32_t rows_per_task, row_tasks, lines_per_task, line_tasks;
    uint32_t strips; /* SPR_CONV_DEPTHWISE, _WINDOW: of the output, each of them a task, or else of the input; or 0 */
    spr_unrolled *unrolled; /* SPR_CONV_WINDOW with sparse weights, if that is faster */
} conv_state;

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static spr_status plan_pointwise(spr_plan_ctx *ctx, spr_step *step, conv_state *state) {
    const spr_window *win = &state->shape.win;
    const spr_view *x = &step->in[0];
    const int window = SPR_WINDOWS_AS_FC && state->way == SPR_CONV_FC;
    const uint32_t height = window ? win->kh : win->oh, width = window ? win->kw : win->ow;
    size_t images = (size_t)x->desc.dim[0], pixels = (size_t)height * width;
    state->gathered = *x;
    state->gathers = pixels != (size_t)win->ih * win->iw || (window && x->stride[1] != (int64_t)pixels);
    if (state->gathers) {
        state->gathered.desc.dim[2] = height;
        state->gathered.desc.dim[3] = width;
        (window ? spr_strides_contiguous : spr_strides_planes)(&state->gathered.desc, state->gathered.stride);
        state->gathered_bytes = spr_round_up(images * (size_t)state->gathered.stride[0] * sizeof(float), SPR_LINE);
        step->workspace_bytes = state->gathered_bytes;
    }
    spr_pointwise_use use = {.pixels = pixels, .images = images, .x_stride = (size_t)state->gathered.stride[1],
                             .part_pixels = (size_t)ctx->part_rows * win->ow};
    if (state->way == SPR_CONV_FC)
        use = (spr_pointwise_use){.fully_connected = 1, .pixels = images, .images = 1, .x_stride = 1};
    return spr_pointwise_plan(ctx, step, &use, &state->act, &state->pw);
}

/* How evenly the tasks of run() spread. */
static double window_balance(const spr_plan_ctx *ctx, const conv_state *state, size_t images) {
    spr_loads loads = {.threads = ctx->threads};
    uint32_t oc = state->shape.oc, oh = state->shape.win.oh;
    for (size_t image = 0; image < images; image++)
        for (uint32_t line = 0; line < oh; line += state->lines_per_task)
            for (uint32_t row = 0; row < oc; row += state->rows_per_task) {
                uint32_t rows = oc - row < state->rows_per_task ? oc - row : state->rows_per_task;
                uint32_t lines = oh - line < state->lines_per_task ? oh - line : state->lines_per_task;
                spr_loads_add(&loads, (double)rows * lines);
            }
    return spr_loads_balance(&loads);
}

/* About `want` tasks for an image: channels first, as their inputs are disjoint (depthwise) or shared (general). */
static void split_into(const spr_conv_shape *shape, uint32_t want, conv_state *state) {
    uint32_t step_rows = state->kernel->row_step;
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
    if (SPR_STRIPS && state->strips) want = 1; /* no lines */
    state->lines_per_task = (shape->win.oh + want - 1) / want;
    state->line_tasks = (shape->win.oh + state->lines_per_task - 1) / state->lines_per_task;
}

/* The first way to split that is about even, else the most even one. */
static void split_window(const spr_plan_ctx *ctx, spr_step *step, conv_state *state) {
    spr_desc whole;
    uint32_t images = (uint32_t)spr_strips_whole(&step->in[0], &whole)->dim[0];
    uint32_t threads = (uint32_t)ctx->threads, best = 1;
    if (spr_view_strips(&step->out[0])) { /* a task each */
        split_into(&state->shape, 1, state);
        state->line_tasks = state->strips;
        step->balance = 1;
        return;
    }
    int parallel = threads > 1 && step->macs >= SPR_PARALLEL_MACS;
    for (uint32_t each = spr_tasks_per_thread(ctx->features);
         parallel && each <= 2 * SPR_TASKS_PER_THREAD && step->balance < SPR_EVEN; each++) {
        uint32_t want = (each * threads + images - 1) / images;
        split_into(&state->shape, want, state);
        double even = window_balance(ctx, state, images);
        if (even <= step->balance) continue;
        step->balance = even;
        best = want;
    }
    split_into(&state->shape, best, state);
}

static spr_status plan_window(spr_plan_ctx *ctx, spr_step *step, conv_state *state) {
    const spr_conv_shape *shape = &state->shape;
    spr_value weights;
    const float *dense, *bias;
    spr_status status = spr_plan_weights(ctx, step, &weights);
    if (!status) status = spr_plan_vector(ctx, step, 2, shape->oc, &bias);
    if (status) return status;
    spr_step_note_weights(step, &weights);
    int depthwise = state->way == SPR_CONV_DEPTHWISE;
    /* A member of a chain is computed by rows, which unrolled layers are not. */
    int sparse = SPR_UNROLLS && !depthwise && weights.encoding != SPR_ENC_DENSE && !ctx->part_rows &&
                 ctx->sparse != SPR_SPARSE_NEVER;
    if (sparse) status = spr_unrolled_plan(ctx, step, &weights, bias, shape, &state->act, &state->unrolled);
    if (status || state->unrolled) return status;
    status = spr_plan_weights_dense(ctx, &weights, &dense);
    if (status) return status;
    state->unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary;
    state->kernel = spr_kernel_best_conv(depthwise ? SPR_K_DWCONV : SPR_K_CONV, shape, ctx->features);
    step->kernel = state->kernel;
    const char *kind = depthwise ? "depthwise " : shape->group > 1 ? "grouped " : "", *why = "no sparse kernel";
    if (!depthwise && weights.encoding == SPR_ENC_DENSE) why = "weights are stored dense";
    if (!depthwise && weights.encoding != SPR_ENC_DENSE && ctx->sparse == SPR_SPARSE_NEVER)
        why = "sparse kernels are switched off (sparse=never)";
    if (!step->reason[0])
        snprintf(step->reason, sizeof step->reason, "%s%ux%u: %s", kind, shape->win.kh, shape->win.kw, why);
    step->scratch = state->kernel->conv->scratch(shape);
    step->packed_bytes = state->kernel->conv->size(shape);
    state->packed = spr_plan_alloc(ctx, spr_round_up(step->packed_bytes + 1, SPR_LINE), "packed weights");
    if (!state->packed) return SPR_ERROR_MEMORY;
    state->kernel->conv->pack(shape, dense, bias, state->packed);
    split_window(ctx, step, state);
    return SPR_OK;
}

SPR_INLINE int is_padded(const spr_window *win) { return win->pt || win->pl || win->pb || win->pr; }

spr_status spr_conv_classify(const spr_graph *graph, const spr_node *node, const spr_desc *x, const spr_desc *w,
                             const spr_desc *y, spr_conv_shape *shape, spr_conv_way *way, spr_error *err) {
    *shape = (spr_conv_shape){.ic = (uint32_t)x->dim[1], .oc = (uint32_t)y->dim[1],
                              .group = (uint32_t)node->attr[SPR_ATTR_Conv_group].i};
    spr_window *win = &shape->win;
    spr_status status = spr_resolve_window(graph, node, x->dim[2], x->dim[3], w->dim[2], w->dim[3], win, err);
    if (status) return status;
    if (SPR_WINDOWS_AS_FC && win->oh * win->ow == 1 && shape->group == 1 && !is_padded(win))
        *way = SPR_CONV_FC;
    else if (win->kh != 1 || win->kw != 1 || shape->group != 1 || is_padded(win))
        *way = shape->group == shape->ic && shape->group > 1 ? SPR_CONV_DEPTHWISE : SPR_CONV_WINDOW;
    else if (win->oh * win->ow == 1)
        *way = SPR_CONV_FC;
    else
        *way = win->oh * win->ow == win->ih * win->iw ? SPR_CONV_POINTWISE : SPR_CONV_SUBSAMPLED;
    return SPR_OK;
}

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    conv_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    step->state = state;
    if (!spr_desc_count(y)) return SPR_OK; /* nothing will be computed */
    spr_conv_shape *shape = &state->shape;
    /* of 1x1 layers the strips are a batch */
    const int batch = spr_step_strips(step) > 0;
    spr_desc whole_x, whole_y;
    const spr_desc *image = batch ? &step->in[0].desc : spr_strips_whole(&step->in[0], &whole_x);
    if (SPR_STRIPS && !batch) state->strips = spr_view_strips(&step->in[0]) | spr_view_strips(&step->out[0]);
    spr_status status = spr_conv_classify(step->graph, step->node, image, &step->in[1].desc,
                                          batch ? y : spr_strips_whole(&step->out[0], &whole_y), shape, &state->way,
                                          ctx->err);
    if (!status) status = spr_plan_planes(ctx, step, 0);
    if (!status) status = spr_plan_planes(ctx, step, 3);
    if (!status)
        status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, Conv, act), SPR_ATTR_OF(step, Conv, act_a),
                              SPR_ATTR_OF(step, Conv, act_b), 4, shape->oc, &state->act);
    if (status) return status;
    step->macs = (double)spr_desc_count(y) * (shape->ic / shape->group) * shape->win.kh * shape->win.kw;
    status = state->way >= SPR_CONV_DEPTHWISE ? plan_window(ctx, step, state) : plan_pointwise(ctx, step, state);
    size_t used = strlen(step->reason);
    if (SPR_STRIPS && (batch || state->strips))
        snprintf(step->reason + used, sizeof step->reason - used, "; in %d strips", ctx->threads);
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void run_window(const conv_state *state, const spr_part *part, uint32_t row0, uint32_t row1) {
    spr_conv_args args = {
        .x = part->x,
        .y = part->y,
        .z = part->z,
        .x_stride = part->x_stride,
        .y_stride = part->y_stride,
        .z_stride = part->z_stride,
        .packed = state->packed,
        .shape = &state->shape,
        .row0 = row0,
        .row1 = row1,
        .oy0 = part->begin,
        .oy1 = part->end,
        .act = state->act,
        .unary = state->unary,
        .scratch = part->scratch,
    };
    state->kernel->run.conv(&args);
}

void spr_conv_run_part(const spr_step *step, const spr_part *part) {
    const conv_state *state = step->state;
    if (state->way != SPR_CONV_POINTWISE) {
        uint32_t group = state->shape.oc / state->shape.group; /* kernels that are not depthwise take one at a time */
        uint32_t pace = state->way == SPR_CONV_DEPTHWISE ? state->shape.oc : group;
        for (uint32_t row = 0; row < state->shape.oc; row += pace) run_window(state, part, row, row + pace);
        return;
    }
    spr_pointwise_run_part(&state->pw, part, 0, state->pw.n);
}

typedef struct window_job {
    const spr_run_ctx *run;
    const spr_step *step;
} window_job;

#if SPR_STRIPS
static void run_strip(const spr_step *step, uint32_t strip, spr_part *part, uint32_t row0, uint32_t row1) {
    const conv_state *state = step->state;
    const spr_conv_shape *shape = &state->shape;
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const spr_lines_range lines = spr_strip_output(x, y, &shape->win, strip);
    const uint32_t outs = shape->oc / shape->group, ins = shape->ic / shape->group; /* channels of a group */
    spr_strip_fill(x, strip, spr_strip_input(&shape->win, lines), row0 / outs * ins, row1 / outs * ins);
    part->x = spr_strip_origin(x, strip);
    part->y = spr_strip_origin(y, strip);
    if (part->z) part->z = spr_strip_origin(&step->in[3], strip);
    part->begin = lines.lo;
    part->end = lines.hi;
    if (lines.lo < lines.hi) run_window(state, part, row0, row1);
}
#endif

static void window_task(void *arg, int task, int thread) {
    const window_job *job = arg;
    const spr_step *step = job->step;
    const conv_state *state = step->state;
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 3) ? &step->in[3] : NULL;
    uint32_t rest = (uint32_t)task / state->row_tasks, line = rest % state->line_tasks;
    uint32_t row0 = (uint32_t)task % state->row_tasks * state->rows_per_task, row1 = row0 + state->rows_per_task;
    size_t image = rest / state->line_tasks;
    spr_part part = spr_part_of(x, y, z, image);
    if (row1 > state->shape.oc) row1 = state->shape.oc;
    part.scratch = spr_scratch(job->run, thread);
#if SPR_STRIPS
    if (state->strips) {
        for (uint32_t i = 0; !y->strips && i < state->strips; i++) run_strip(step, i, &part, row0, row1);
        if (y->strips) run_strip(step, line, &part, row0, row1);
        return;
    }
#endif
    part.begin = line * state->lines_per_task;
    part.end = part.begin + state->lines_per_task;
    if (part.end > state->shape.win.oh) part.end = state->shape.win.oh;
    run_window(state, &part, row0, row1);
}

/* Every sh-th line and sw-th pixel of the input, or the taps of a window that is all there is. */
static void subsample(const spr_run_ctx *ctx, const spr_step *step, spr_view *gathered) {
    const conv_state *state = step->state;
    spr_view picked = step->in[0];
    picked.desc = state->gathered.desc;
    const spr_window *win = &state->shape.win;
    const int window = SPR_WINDOWS_AS_FC && state->way == SPR_CONV_FC;
    picked.stride[2] *= window ? win->dh : win->sh;
    picked.stride[3] *= window ? win->dw : win->sw;
    *gathered = state->gathered;
    gathered->data = step->workspace;
    spr_view_copy(ctx, &picked, gathered);
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const conv_state *state = step->state;
    const spr_view *y = &step->out[0], *z = spr_step_has(step, 3) ? &step->in[3] : NULL;
    if (!spr_desc_count(&y->desc)) return;
    if (SPR_UNROLLS && state->unrolled) {
        spr_unrolled_run(ctx, step, state->unrolled);
        return;
    }
    if (state->way >= SPR_CONV_DEPTHWISE) {
        window_job job = {ctx, step};
        spr_desc whole;
        uint32_t tasks = state->line_tasks * state->row_tasks * (uint32_t)spr_strips_whole(y, &whole)->dim[0];
        spr_run_tasks(ctx, (int)tasks, window_task, &job);
        return;
    }
    spr_view x = step->in[0];
    if (state->gathers) subsample(ctx, step, &x);
    if (state->way != SPR_CONV_FC) {
        spr_pointwise_run(ctx, &state->pw, &x, y, z);
        return;
    }
    spr_fc_rows rows = {
        .rows = (uint32_t)y->desc.dim[0], .channels = 1, .images = 1,
        .x = {.data = x.data, .row = (size_t)x.stride[0]},
        .y = {.data = y->data, .row = (size_t)y->stride[0]},
    };
    if (z) rows.z = (spr_fc_side){.data = z->data, .row = (size_t)z->stride[0]};
    char *workspace = step->workspace;
    spr_pointwise_run_fc(ctx, &state->pw, &rows, workspace ? workspace + state->gathered_bytes : NULL);
}

static int lends(const spr_step *step) {
    const conv_state *state = step->state;
    return state->way == SPR_CONV_WINDOW && !state->unrolled;
}

spr_exec spr_exec_Conv(void) {
    return (spr_exec){.in_place = 1u << 3, .plan = plan, .lends = lends, .run = run};
}
