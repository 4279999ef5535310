/* Resize of quantized images. */
#include <math.h>
#include <string.h>

#include "kernels/q8_scalar.h"
#include "runtime/ops/quantized.h"
#include "runtime/ops/resize.h"

/* Pixels are numbers of four bytes. */
static void nearest_plane(const spr_step *step, int64_t image, int64_t group) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    spr_resize_nearest(step->state, &x->desc, &y->desc, (const char *)spr_q8_plane(x, image, group),
                       (char *)spr_q8_plane(y, image, group), SPR_Q8_GROUP);
}

/* ---- linear ------------------------------------------------------------------------------------------------------ */

/* A thread's scratch memory: two rows of the input as the numbers that they stand for, and one of the result in quanta
   of it. */
typedef struct rows {
    int64_t index[2]; /* which rows of the input; -1: none */
    float *x[2], *y;
} rows;

SPR_COLD size_t spr_resize_quantized_scratch(const spr_step *step) {
    const int64_t width = 2 * step->in[0].desc.dim[3] + step->out[0].desc.dim[3];
    return (size_t)width * SPR_Q8_GROUP * sizeof(float);
}

/* Row `index` of the input, in place of the one that is not `other`. */
static const float *row_of(rows *r, const spr_q8 *x, int64_t index, int64_t other, int64_t n, spr_quantum q) {
    int at = r->index[1] == index || (r->index[0] != index && r->index[0] == other);
    if (r->index[at] != index) {
        const float scale = (float)q.scale;
        const int32_t zero = q.zero;
        float *to = r->x[at];
        x += index * n;
        for (int64_t i = 0; i < n; i++) to[i] = (float)(x[i] - zero) * scale;
        r->index[at] = index;
    }
    return r->x[at];
}

/* The one or two taps of an output position, weights of 0 for the second where there is none. */
static void take_weights(const axis_taps *axis, int64_t i, float weight[2]) {
    weight[0] = axis->weight[i * axis->taps];
    weight[1] = axis->taps > 1 ? axis->weight[i * axis->taps + 1] : 0;
}

static void linear_row(const axis_taps *h, const float *wy, const float *top, const float *low, float y_scale,
                       float *restrict y, int64_t width) {
    for (int64_t k = 0; k < width; k++, y += SPR_Q8_GROUP) {
        const int64_t left = SPR_Q8_GROUP * (int64_t)h->index[k * h->taps],
                      right = SPR_Q8_GROUP * (int64_t)h->index[(k + 1) * h->taps - 1];
        float wx[2];
        take_weights(h, k, wx);
        for (int c = 0; c < SPR_Q8_GROUP; c++)
            y[c] = spr_bilinear(wy, wx, top[left + c], top[right + c], low[left + c], low[right + c]) / y_scale;
    }
}

/* As on the numbers that they stand for, with the operations that float32 takes for dequantizing, resizing and
   quantizing. */
static void linear_plane(const spr_step *step, int64_t image, int64_t group, float *scratch) {
    const resize_state *state = step->state;
    const axis_taps *v = &state->axis[2];
    const spr_quantum qx = SPR_QUANTUM(step, Resize, x), qy = SPR_QUANTUM(step, Resize, y);
    const int truncate = SPR_ATTR_OF(step, Resize, truncate)->i != 0;
    const int64_t n = step->in[0].desc.dim[3] * SPR_Q8_GROUP, width = step->out[0].desc.dim[3];
    const spr_q8 *x = spr_q8_plane(&step->in[0], image, group);
    spr_q8 *restrict y = spr_q8_plane(&step->out[0], image, group);
    rows r = {{-1, -1}, {scratch, scratch + n}, scratch + 2 * n};
    for (int64_t i = 0; i < step->out[0].desc.dim[2]; i++, y += width * SPR_Q8_GROUP) {
        const int64_t first = v->index[i * v->taps], second = v->index[(i + 1) * v->taps - 1];
        const float *top = row_of(&r, x, first, second, n, qx), *low = row_of(&r, x, second, first, n, qx);
        float wy[2];
        take_weights(v, i, wy);
        linear_row(&state->axis[3], wy, top, low, (float)qy.scale, r.y, width);
        if (truncate)
            for (int64_t k = 0; k < width * SPR_Q8_GROUP; k++) r.y[k] = truncf(r.y[k]);
        for (int64_t k = 0; k < width * SPR_Q8_GROUP; k++) y[k] = spr_q8_round(r.y[k], qy.zero, SPR_Q8_MIN, SPR_Q8_MAX);
    }
}

typedef struct linear_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    int64_t groups, planes;
    int tasks;
} linear_job;

static void linear_task(void *arg, int task, int thread) {
    const linear_job *job = arg;
    const int64_t end = job->planes * (task + 1) / job->tasks;
    for (int64_t i = job->planes * task / job->tasks; i < end; i++)
        linear_plane(job->step, i / job->groups, i % job->groups, spr_scratch(job->ctx, thread));
}

void spr_resize_quantized(const spr_run_ctx *ctx, const spr_step *step) {
    if (strcmp(SPR_ATTR_OF(step, Resize, mode)->s, "nearest") == 0) {
        spr_q8_each_plane(ctx, step, nearest_plane);
        return;
    }
    const spr_desc *y = &step->out[0].desc;
    linear_job job = {ctx, step, spr_q8_groups(&step->out[0]), 0, 1};
    job.planes = y->dim[0] * job.groups;
    if (spr_desc_count(y) >= SPR_PARALLEL_ELEMENTS) job.tasks = SPR_TASKS_PER_THREAD * spr_pool_threads(ctx->pool);
    spr_pool_run(ctx->pool, job.tasks, linear_task, &job);
}
