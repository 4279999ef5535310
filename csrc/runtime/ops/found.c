/* NonZero and NonMaxSuppression. They run when all they read is known, and is contiguous then. */
#include "runtime/ops/ops.h"

static void non_zero_run(const spr_run_ctx *ctx, const spr_step *step) {
    (void)ctx;
    const spr_view *x = &step->in[0], *y = &step->out[0];
    int64_t index[SPR_MAX_RANK] = {0}, count = spr_desc_count(&x->desc), found = 0;
    for (int64_t i = 0; i < count; i++, spr_index_next(&x->desc, index)) {
        if (spr_is_zero(x->data, x->desc.dtype, i)) continue;
        for (int d = 0; d < x->desc.rank; d++) ((int64_t *)y->data)[d * y->desc.dim[1] + found] = index[d];
        found++;
    }
}

static spr_status nms_plan(spr_plan_ctx *ctx, spr_step *step) {
    (void)ctx;
    step->scratch = SPR_NMS_ROOM(step->in[0].desc.dim[1]);
    return SPR_OK;
}

static void nms_run(const spr_run_ctx *ctx, const spr_step *step) {
    const void *in[5] = {NULL};
    for (int i = 0; i < 5; i++) in[i] = spr_step_has(step, i) ? step->in[i].data : NULL;
    spr_nms(&step->in[0].desc, &step->in[1].desc, in, (int)SPR_ATTR_OF(step, NonMaxSuppression, center_point_box)->i,
            step->out[0].data, spr_scratch(ctx, 0));
}

spr_exec spr_exec_NonZero(void) { return (spr_exec){.run = non_zero_run}; }
spr_exec spr_exec_NonMaxSuppression(void) { return (spr_exec){.plan = nms_plan, .run = nms_run}; }
