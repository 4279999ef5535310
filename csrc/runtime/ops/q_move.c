/* QConcat, and what the quantized operators that work plane by plane share. */
#include <string.h>

#include "runtime/ops/quantized.h"

/* Task i is group i % groups of image i / groups. */
typedef struct plane_job {
    const spr_step *step;
    int64_t groups;
    spr_q8_plane_fn *fn;
} plane_job;

static void plane_range(void *arg, int64_t begin, int64_t end) {
    const plane_job *job = arg;
    for (int64_t i = begin; i < end; i++) job->fn(job->step, i / job->groups, i % job->groups);
}

void spr_q8_each_plane(const spr_run_ctx *ctx, const spr_step *step, spr_q8_plane_fn *fn) {
    const spr_desc *y = &step->out[0].desc;
    plane_job job = {step, spr_q8_groups(&step->out[0]), fn};
    if (spr_desc_count(y)) spr_parallel_range(ctx, y->dim[0] * job.groups, spr_desc_count(y), plane_range, &job);
}

/* ---- QConcat ----------------------------------------------------------------------------------------------------- */

/* Where a channel of the result comes from. */
typedef struct origin {
    int32_t input;
    uint32_t channel;
} origin;

/* Channel `c` of the result among those of all inputs in a row. */
static int64_t channel_of(const spr_step *step, int64_t c) {
    int64_t group = SPR_ATTR_OF(step, QConcat, group)->i, all = 0;
    c += SPR_ATTR_OF(step, QConcat, begin)->i;
    for (int i = 0; i < step->node->in_count; i++) all += step->in[i].desc.dim[1];
    return c % group * (all / group) + c / group;
}

/* Channels of one input in a row that begin with a group of four are a view. */
static int concat_view(const spr_step *step, int out, int64_t *stride, int64_t *offset) {
    (void)out;
    int64_t begin = SPR_ATTR_OF(step, QConcat, begin)->i;
    if (step->node->in_count > 1 || SPR_ATTR_OF(step, QConcat, group)->i > 1 || begin % SPR_Q8_GROUP) return 0;
    memcpy(stride, step->in[0].stride, sizeof step->in[0].stride);
    *offset = begin * stride[1];
    return 1;
}

static SPR_COLD spr_status concat_plan(spr_plan_ctx *ctx, spr_step *step) {
    int64_t channels = step->out[0].desc.dim[1];
    origin *from = spr_plan_alloc(ctx, spr_round_up((size_t)channels, SPR_Q8_GROUP) * sizeof *from + 1, "a layer");
    if (!from) return SPR_ERROR_MEMORY;
    step->state = from;
    for (int64_t c = 0; c < channels; c++) {
        int64_t at = channel_of(step, c);
        int input = 0;
        while (at >= step->in[input].desc.dim[1]) at -= step->in[input++].desc.dim[1];
        from[c] = (origin){input, (uint32_t)at};
    }
    for (int64_t c = channels; c % SPR_Q8_GROUP; c++) from[c] = from[c - 1]; /* lanes that may hold anything */
    return SPR_OK;
}

/* Byte lane[i] of each pixel of x[i] becomes byte i of y's. */
static void gather_lanes(const uint32_t *const x[4], const int lane[4], uint32_t *y, size_t n) {
    const uint32_t *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    const int as = 8 * lane[0], bs = 8 * lane[1], cs = 8 * lane[2], ds = 8 * lane[3];
    for (size_t p = 0; p < n; p++)
        y[p] = (a[p] >> as & 255) | (b[p] >> bs & 255) << 8 | (c[p] >> cs & 255) << 16 | (d[p] >> ds & 255) << 24;
}

static void concat_plane(const spr_step *step, int64_t image, int64_t group) {
    const origin *from = (const origin *)step->state + group * SPR_Q8_GROUP;
    size_t n = spr_q8_pixels(&step->out[0]);
    spr_q8 *y = spr_q8_plane(&step->out[0], image, group);
    const uint32_t *x[SPR_Q8_GROUP];
    int lane[SPR_Q8_GROUP], whole = 1;
    for (int i = 0; i < SPR_Q8_GROUP; i++) {
        x[i] = (const uint32_t *)(const void *)spr_q8_plane(&step->in[from[i].input], image,
                                                            from[i].channel / SPR_Q8_GROUP);
        lane[i] = from[i].channel % SPR_Q8_GROUP;
        whole &= x[i] == x[0] && (lane[i] == i || group * SPR_Q8_GROUP + i >= step->out[0].desc.dim[1]);
    }
    if (!whole)
        gather_lanes(x, lane, (uint32_t *)(void *)y, n);
    else if ((const void *)y != x[0]) /* else computed where it belongs by what made it (runtime/layout.c) */
        memcpy(y, x[0], n * SPR_Q8_GROUP);
}

static void concat_run(const spr_run_ctx *ctx, const spr_step *step) { spr_q8_each_plane(ctx, step, concat_plane); }

spr_exec spr_exec_QConcat(void) { return (spr_exec){.view = concat_view, .plan = concat_plan, .run = concat_run}; }
