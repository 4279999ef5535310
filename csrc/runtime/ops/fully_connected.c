/* FullyConnected: Y[..., N] = act(X[..., K] W[N, K]^T + B + Z). */
#include "runtime/ops/pointwise.h"

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    uint32_t k = (uint32_t)x->dim[x->rank - 1], n = (uint32_t)y->dim[y->rank - 1];
    spr_pointwise *pw = spr_plan_alloc(ctx, sizeof *pw, "a layer");
    if (!pw) return SPR_ERROR_MEMORY;
    size_t m = k ? (size_t)(spr_desc_count(x) / k) : 0;
    spr_act act;
    spr_status status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, FullyConnected, act), SPR_ATTR_OF(step, FullyConnected, act_a),
                                     SPR_ATTR_OF(step, FullyConnected, act_b), 4, n, &act);
    if (status) return status;
    spr_pointwise_use use = {.fully_connected = 1, .pixels = m, .images = 1, .x_stride = 1};
    step->state = pw;
    step->macs = (double)m * n * k;
    return spr_pointwise_plan(ctx, step, &use, &act, pw);
}

/* The rows of a plane of a rank 4 tensor, or all rows of any other tensor, lie behind each other: one such piece. */
static spr_fc_rows piece(const spr_step *step, int64_t image, int64_t channel) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 3) ? &step->in[3] : NULL;
    const spr_pointwise *pw = step->state;
    spr_fc_rows rows = {.x = x->data, .y = y->data, .z = z ? z->data : NULL, .x_stride = pw->k, .y_stride = pw->n,
                        .z_stride = pw->n};
    if (y->desc.rank != 4) {
        rows.m = (uint32_t)(spr_desc_count(&y->desc) / pw->n);
        return rows;
    }
    rows.m = (uint32_t)y->desc.dim[2];
    rows.x += image * x->stride[0] + channel * x->stride[1];
    rows.y += image * y->stride[0] + channel * y->stride[1];
    if (z) rows.z += image * z->stride[0] + channel * z->stride[1];
    return rows;
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *y = &step->out[0];
    if (!spr_desc_count(&y->desc)) return;
    int64_t images = y->desc.rank == 4 ? y->desc.dim[0] : 1, channels = y->desc.rank == 4 ? y->desc.dim[1] : 1;
    for (int64_t n = 0; n < images; n++)
        for (int64_t c = 0; c < channels; c++) {
            spr_fc_rows rows = piece(step, n, c);
            spr_pointwise_run_fc(ctx, step->state, &rows);
        }
    spr_view_zero_padding(y);
}

const spr_exec spr_exec_FullyConnected = {.in_place = 1u << 3, .plan = plan, .run = run};
