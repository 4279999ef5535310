/* FullyConnected: Y[..., N] = act(X[..., K] W[N, K]^T + B + Z). */
#include "runtime/ops/pointwise.h"

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    uint32_t k = (uint32_t)x->dim[x->rank - 1], n = (uint32_t)y->dim[y->rank - 1];
    spr_pointwise *pw = spr_plan_alloc(ctx, sizeof *pw, "a layer");
    if (!pw) return SPR_ERROR_MEMORY;
    size_t m = k ? (size_t)(spr_desc_count(x) / k) : 0;
    spr_act act;
    spr_status status =
        spr_plan_act(ctx, step, SPR_ATTR_OF(step, FullyConnected, act), SPR_ATTR_OF(step, FullyConnected, act_a),
                     SPR_ATTR_OF(step, FullyConnected, act_b), 4, n, &act);
    if (status) return status;
    spr_pointwise_use use = {.fully_connected = 1, .pixels = m, .images = 1, .x_stride = 1};
    step->state = pw;
    step->macs = (double)m * n * k;
    return spr_pointwise_plan(ctx, step, &use, &act, pw);
}

/* The rows of a plane of a rank 4 tensor, or all rows of any other tensor, lie behind each other. */
static spr_fc_side side_of(const spr_view *view, size_t row) {
    spr_fc_side side = {.data = view->data, .row = row};
    if (view->desc.rank == 4) {
        side.channel = (size_t)view->stride[1];
        side.image = (size_t)view->stride[0];
    }
    return side;
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *y = &step->out[0];
    const spr_pointwise *pw = step->state;
    const int64_t *dim = y->desc.dim;
    if (!spr_desc_count(&y->desc)) return;
    spr_fc_rows rows = {.rows = pw->pixels, .channels = 1, .images = 1, .x = side_of(&step->in[0], pw->k),
                        .y = side_of(y, pw->n)};
    if (spr_step_has(step, 3)) rows.z = side_of(&step->in[3], pw->n);
    if (y->desc.rank == 4) {
        rows.rows = (uint32_t)dim[2];
        rows.channels = (uint32_t)dim[1];
        rows.images = (uint32_t)dim[0];
    }
    spr_pointwise_run_fc(ctx, pw, &rows, step->workspace);
    spr_view_zero_padding(y);
}

spr_exec spr_exec_FullyConnected(void) { return (spr_exec){.in_place = 1u << 3, .plan = plan, .run = run}; }
