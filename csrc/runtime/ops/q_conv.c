/* QConv. 1x1 layers go to the pointwise kernels as they lie in memory; other windows too, on a band of the padded input
   in scratch memory; depthwise layers have kernels of their own, and so have images of one pixel, which are fully
   connected layers. Grouped layers are such with many zeros. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/compress.h"
#include "runtime/ops/q_conv.h"

void spr_q8_bounds(spr_act *act, const spr_quantum *y, int32_t *lo, int32_t *hi) {
    *lo = SPR_Q8_MIN;
    *hi = SPR_Q8_MAX;
    if (act->fn != SPR_FN_CLIP) return;
    double low = fmin(fmax(nearbyint(act->a / y->scale) + y->zero, SPR_Q8_MIN), SPR_Q8_MAX);
    double high = fmin(fmax(nearbyint(act->b / y->scale) + y->zero, SPR_Q8_MIN), SPR_Q8_MAX);
    *lo = (int32_t)low;
    *hi = (int32_t)fmax(low, high);
    act->fn = SPR_FN_NONE;
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static spr_status plan_finish(spr_plan_ctx *ctx, const spr_step *step, spr_q_conv *s) {
    const spr_quantum y = SPR_QUANTUM(step, QConv, y), z = SPR_QUANTUM(step, QConv, z);
    spr_q8_finish *f = &s->finish;
    spr_status status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, QConv, act), SPR_ATTR_OF(step, QConv, act_a),
                                     SPR_ATTR_OF(step, QConv, act_b), 5, s->oc, &f->act);
    if (status) return status;
    if (!SPR_ACT_IN_REGISTERS(f->act.fn))
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED,
                        "node '%s': activation '%s' is not possible in 8 bits; QUnary does it", step->node->name,
                        spr_function_name(f->act.fn));
    f->to_float = y.scale == 0;
    f->z_zero = z.zero;
    f->z_scale = (float)z.scale;
    if (f->to_float) return SPR_OK;
    f->y_zero = y.zero;
    f->y_inv = (float)(1 / y.scale);
    spr_q8_bounds(&f->act, &y, &f->lo, &f->hi);
    if (f->act.fn == SPR_FN_NONE) f->z_scale = (float)(z.scale / y.scale);
    return SPR_OK;
}

/* Scales of the sums, and the bias with what the zero of x contributes; fails where a sum might not fit int32. */
static spr_status plan_rows(spr_plan_ctx *ctx, const spr_step *step, const spr_q_conv *s, const int16_t *w, size_t taps,
                            float *scale, int32_t *bias) {
    const spr_quantum x = SPR_QUANTUM(step, QConv, x), y = SPR_QUANTUM(step, QConv, y);
    const float *given = step->in[2].data;
    const int32_t *b = spr_step_has(step, 3) ? step->in[3].data : NULL;
    int one = spr_desc_count(&step->in[2].desc) == 1,
        in_quanta = !s->finish.to_float && s->finish.act.fn == SPR_FN_NONE;
    if (!given || (spr_step_has(step, 3) && !b))
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': scales and bias must be constant",
                        step->node->name);
    for (uint32_t row = 0; row < s->oc; row++) {
        int64_t sum = b ? b[row] : 0, size = 0;
        double quantum = x.scale * given[one ? 0 : row];
        for (size_t i = 0; i < taps; i++) {
            sum -= (int64_t)x.zero * w[row * taps + i];
            size += 255 * llabs((long long)w[row * taps + i]);
        }
        if (!(quantum >= 0 && quantum <= 3e38) || llabs((long long)sum) + size > INT32_MAX)
            return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': row %u of weights '%s': %s", step->node->name,
                            row, spr_step_value(step, 1)->name,
                            quantum >= 0 && quantum <= 3e38 ? "sums and bias exceed 32 bits"
                                                            : "the scale is not a positive number");
        bias[row] = (int32_t)sum;
        scale[row] = (float)quantum;
        /* an infinite scale would make no number of a sum of 0 */
        if (in_quanta) scale[row] = fminf(scale[row] / (float)y.scale, FLT_MAX);
    }
    return SPR_OK;
}

static spr_status plan_depthwise(spr_plan_ctx *ctx, spr_step *step, const spr_q_weights *w, spr_q_conv *s) {
    spr_dw_q8_weights weights = {.channels = s->oc, .win = s->win, .w = w->w, .bias = w->bias, .scale = w->scale};
    s->kernel = step->kernel = spr_kernel_best_dw_q8(&s->win, ctx->features);
    snprintf(step->reason, sizeof step->reason, "8 bits: depthwise %ux%u: no sparse kernel", s->win.kh, s->win.kw);
    step->packed_bytes = s->kernel->dw_q8->size(&weights);
    step->scratch = s->kernel->dw_q8->scratch(&s->win);
    s->packed = spr_plan_alloc(ctx, step->packed_bytes, "packed weights");
    if (!s->packed) return SPR_ERROR_MEMORY;
    s->kernel->dw_q8->pack(&weights, s->packed);
    const uint32_t groups = (s->oc + 3) / 4,
                   tasks = ctx->threads > 1 ? SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads : 1;
    const size_t images = (size_t)step->out[0].desc.dim[0];
    double best = 0;
    /* Channels first; where they are few, rows of the image too, as many together as kernels like. */
    for (uint32_t parts = 1; best < SPR_EVEN && parts <= (tasks > 1 ? s->win.oh / 4 + 1 : 1); parts++) {
        const uint32_t wanted = (tasks + parts - 1) / parts, per_task = (groups + wanted - 1) / wanted;
        const uint32_t lines = parts > 1 ? (uint32_t)spr_round_up((s->win.oh + parts - 1) / parts, 4) : s->win.oh;
        const double balance = spr_q_balance(ctx->threads, images, groups, per_task, s->win.oh, lines);
        if (balance <= best) continue;
        best = balance;
        s->rows_per_task = per_task;
        s->px_per_task = lines;
    }
    s->row_tasks = (groups + s->rows_per_task - 1) / s->rows_per_task;
    s->px_tasks = (s->win.oh + s->px_per_task - 1) / s->px_per_task;
    step->balance = ctx->threads > 1 ? best : 0;
    return SPR_OK;
}

/* Images of one pixel whose channels lie side by side. There are dense kernels alone, which run at the speed of
   memory. */
static int is_one_pixel(const spr_plan_ctx *ctx, const spr_step *step, const spr_q_conv *s) {
    if (s->win.oh * s->win.ow > 1 || s->group > 1 || ctx->sparse == SPR_SPARSE_ALWAYS) return 0;
    const spr_view *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    return step->in[0].stride[1] == 1 && step->out[0].stride[1] == 1 && (!z || z->stride[1] == 1);
}

static spr_status plan_one_pixel(spr_plan_ctx *ctx, spr_step *step, const spr_q_weights *w, spr_q_conv *s) {
    const size_t count = (size_t)s->oc * s->ic;
    const int zero = (int)SPR_ATTR_OF(step, QConv, w_zero)->i;
    spr_fc_q8_weights weights = {.n = s->oc, .k = s->ic, .w_zero = zero, .bias = w->bias, .scale = w->scale};
    int8_t *stored = spr_alloc(ctx->arena->allocator, count);
    if (!stored) return spr_fail_memory(ctx->err, "weights", count);
    for (size_t i = 0; i < count; i++) stored[i] = (int8_t)(w->w[i] + zero);
    weights.w = stored;
    s->kernel = step->kernel = spr_kernel_best(SPR_K_FC_DENSE_Q8, ctx->features);
    snprintf(step->reason, sizeof step->reason, "8 bits: one pixel: no sparse kernel");
    step->packed_bytes = s->kernel->fc_q8->size(&weights);
    s->packed = spr_plan_alloc(ctx, step->packed_bytes, "packed weights");
    if (s->packed) s->kernel->fc_q8->pack(&weights, s->packed);
    spr_release(ctx->arena->allocator, stored);
    if (!s->packed) return SPR_ERROR_MEMORY;
    uint32_t want =
        ctx->threads > 1 && step->macs >= SPR_PARALLEL_MACS ? SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads : 1;
    s->rows_per_task = (uint32_t)spr_round_up((s->oc + want - 1) / want, s->kernel->row_step);
    s->row_tasks = (s->oc + s->rows_per_task - 1) / s->rows_per_task;
    s->px_per_task = s->px_tasks = 1;
    if (ctx->threads > 1) step->balance = spr_q_balance(ctx->threads, 1, s->oc, s->rows_per_task, 1, 1);
    return SPR_OK;
}

/* The weights less their zero, to be freed. */
static spr_status load_weights(spr_plan_ctx *ctx, spr_step *step, int16_t **w) {
    spr_value value = *spr_step_value(step, 1);
    if (!value.is_const)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': weights '%s' are computed, they must be constant",
                        step->node->name, value.name);
    spr_step_note_weights(step, &value);
    size_t count = (size_t)spr_desc_count(&value.desc);
    int zero = (int)SPR_ATTR_OF(step, QConv, w_zero)->i;
    *w = spr_alloc(ctx->arena->allocator, count * sizeof **w);
    if (!*w) return spr_fail_memory(ctx->err, "decoded weights", count * sizeof **w);
    int8_t *stored = (int8_t *)*w + count; /* the upper half: read before it is written */
    spr_decode_dense(&value, stored);
    int fits = 1;
    for (size_t i = 0; i < count; i++) {
        (*w)[i] = (int16_t)(stored[i] - zero);
        fits &= (*w)[i] < 255; /* two int8 hold the others */
    }
    if (fits) return SPR_OK;
    spr_release(ctx->arena->allocator, *w);
    return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED,
                    "node '%s': a weight of '%s' is 255 above the zero, at most 254 is supported", step->node->name,
                    value.name);
}

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *wd = &step->in[1].desc, *y = &step->out[0].desc;
    spr_q_conv *s = spr_plan_alloc(ctx, sizeof *s, "a layer");
    if (!s) return SPR_ERROR_MEMORY;
    step->state = s;
    if (!spr_desc_count(y)) return SPR_OK; /* nothing will be computed */
    s->ic = (uint32_t)x->dim[1];
    s->oc = (uint32_t)y->dim[1];
    s->group = (uint32_t)SPR_ATTR_OF(step, QConv, group)->i;
    spr_window *win = &s->win;
    spr_status status =
        spr_resolve_window(step->graph, step->node, x->dim[2], x->dim[3], wd->dim[2], wd->dim[3], win, ctx->err);
    if (!status) status = plan_finish(ctx, step, s);
    int16_t *w = NULL;
    if (!status) status = load_weights(ctx, step, &w);
    if (status) return status;
    size_t taps = (size_t)(s->ic / s->group) * win->kh * win->kw;
    step->macs = (double)spr_desc_count(y) * (double)taps;
    s->x_zero = (spr_q8)(SPR_ATTR_OF(step, QConv, x_zero)->i + SPR_Q8_SHIFT);
    float *scale = spr_alloc(ctx->arena->allocator, s->oc * (sizeof(float) + sizeof(int32_t)));
    if (!scale) {
        spr_release(ctx->arena->allocator, w);
        return spr_fail_memory(ctx->err, "a layer", s->oc * 8);
    }
    int32_t *bias = (int32_t *)(scale + s->oc);
    int plain =
        win->kh == 1 && win->kw == 1 && !win->pt && !win->pl && !win->pb && !win->pr && win->sh == 1 && win->sw == 1;
    s->way = SPR_Q_WINDOW;
    if (s->group == s->ic && s->ic == s->oc && s->group > 1 && !s->finish.to_float)
        s->way = SPR_Q_DEPTHWISE;
    else if (plain && is_one_pixel(ctx, step, s))
        s->way = SPR_Q_ONE_PIXEL;
    else if (plain && win->oh * win->ow > 1)
        s->way = SPR_Q_POINTWISE;
    status = plan_rows(ctx, step, s, w, taps, scale, bias);
    const spr_q_weights weights = {w, scale, bias};
    if (!status)
        status = (s->way == SPR_Q_DEPTHWISE   ? plan_depthwise
                  : s->way == SPR_Q_ONE_PIXEL ? plan_one_pixel
                                              : spr_q_plan_sums)(ctx, step, &weights, s);
    spr_release(ctx->arena->allocator, scale);
    spr_release(ctx->arena->allocator, w);
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct job {
    const spr_run_ctx *run;
    const spr_step *step;
} job;

static void depthwise_task(const spr_q_conv *s, const spr_step *step, int64_t image, uint32_t group0, uint32_t oy0,
                           char *scratch) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    uint32_t groups = (s->oc + 3) / 4, group1 = group0 + s->rows_per_task, oy1 = oy0 + s->px_per_task;
    spr_dw_q8_args args = {
        .x = spr_q8_plane(x, image, 0), .y = spr_q8_plane(y, image, 0), .z = z ? spr_q8_plane(z, image, 0) : NULL,
        .x_stride = (size_t)x->stride[1], .y_stride = (size_t)y->stride[1], .z_stride = z ? (size_t)z->stride[1] : 0,
        .packed = s->packed, .channels = s->oc, .win = &s->win, .x_zero = s->x_zero, .group0 = group0,
        .group1 = group1 < groups ? group1 : groups, .oy0 = oy0, .oy1 = oy1 < s->win.oh ? oy1 : s->win.oh,
        .finish = &s->finish, .scratch = scratch,
    };
    s->kernel->run.dw_q8(&args);
}

/* All images of the batch, so that weights are read once. */
static void one_pixel_task(const spr_q_conv *s, const spr_step *step, uint32_t row0) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    uint32_t row1 = row0 + s->rows_per_task;
    spr_fc_q8_args args = {
        .x = spr_q8_plane(x, 0, 0),
        .y = spr_q_output(y, 0),
        .z = z ? spr_q8_plane(z, 0, 0) : NULL,
        .x_stride = (size_t)x->stride[0],
        .y_stride = (size_t)y->stride[0],
        .z_stride = z ? (size_t)z->stride[0] : 0,
        .packed = s->packed,
        .m = (uint32_t)y->desc.dim[0],
        .n = s->oc,
        .row0 = row0,
        .row1 = row1 < s->oc ? row1 : s->oc,
        .finish = &s->finish,
    };
    s->kernel->run.fc_q8(&args);
}

static void task(void *arg, int index, int thread) {
    const job *j = arg;
    const spr_q_conv *s = j->step->state;
    uint32_t px = (uint32_t)index % s->px_tasks, rest = (uint32_t)index / s->px_tasks, row = rest % s->row_tasks;
    int64_t image = rest / s->row_tasks;
    char *scratch = spr_scratch(j->run, thread);
    if (s->way == SPR_Q_POINTWISE)
        spr_q_run_pointwise(s, j->step, image, row, px * s->px_per_task, scratch);
    else if (s->way == SPR_Q_WINDOW)
        spr_q_run_band(s, j->step, image, px * s->px_per_task, scratch);
    else if (s->way == SPR_Q_DEPTHWISE)
        depthwise_task(s, j->step, image, row * s->rows_per_task, px * s->px_per_task, scratch);
    else
        one_pixel_task(s, j->step, row * s->rows_per_task);
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_q_conv *s = step->state;
    const spr_desc *y = &step->out[0].desc;
    job j = {ctx, step};
    if (!spr_desc_count(y)) return;
    uint32_t images = s->way == SPR_Q_ONE_PIXEL ? 1 : (uint32_t)y->dim[0];
    spr_pool_run(ctx->pool, (int)(s->px_tasks * s->row_tasks * images), task, &j);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_QConv(void) { return (spr_exec){.in_place = 1u << 4, .plan = plan, .run = run}; }
