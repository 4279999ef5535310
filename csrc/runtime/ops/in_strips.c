/* What each operator can do with images in strips. An operator that is not here takes images as a whole only. */
#include "runtime/strips.h"

#if SPR_STRIPS
#include <math.h>
#include <string.h>

#include "runtime/ops/conv.h"

static spr_strips_kind conv(const spr_step *step, spr_sparse sparse, spr_window *win) {
    spr_conv_shape shape;
    spr_conv_way way;
    const spr_value *weights = spr_step_value(step, 1);
    if (spr_step_has(step, 3) && step->in[3].data) return SPR_STRIPS_NONE; /* a constant residual */
    if (spr_conv_classify(step->graph, step->node, &step->in[0].desc, &step->in[1].desc, &step->out[0].desc, &shape,
                          &way, NULL))
        return SPR_STRIPS_NONE;
    *win = shape.win;
    if (way == SPR_CONV_POINTWISE) return SPR_STRIPS_LOOSE;
    if (way == SPR_CONV_DEPTHWISE) return SPR_STRIPS_WINDOW;
    const int unrolled = weights->is_const && weights->encoding != SPR_ENC_DENSE && sparse != SPR_SPARSE_NEVER;
    return way == SPR_CONV_WINDOW && !unrolled ? SPR_STRIPS_LINES : SPR_STRIPS_NONE;
}

static spr_strips_kind pool(const spr_step *step, const spr_attr *kernel, spr_window *win) {
    const spr_desc *x = &step->in[0].desc;
    spr_status status = spr_resolve_window(step->graph, step->node, x->dim[2], x->dim[3], kernel->ints.v[0],
                                           kernel->ints.v[1], win, NULL);
    return status ? SPR_STRIPS_NONE : SPR_STRIPS_LINES;
}

/* What is broadcast must be the same for all lines; constants are not cut into strips. */
static spr_strips_kind binary(const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    for (int i = 0; i < 2; i++) {
        const spr_desc *x = &step->in[i].desc;
        const int lines = x->rank - 2; /* their axis */
        if (x->rank == 4 && !step->in[i].data && x->dim[2] == y->dim[2]) continue;
        if (lines >= 0 && x->dim[lines] != 1) return SPR_STRIPS_NONE;
    }
    return SPR_STRIPS_ALIKE;
}

static spr_strips_kind by_channels(const spr_step *step, const spr_attr *axis) {
    for (int i = 0; i < step->node->in_count; i++)
        if (step->in[i].data && step->in[i].desc.rank == 4) return SPR_STRIPS_NONE;
    return spr_normalize_axis(axis->i, 4) == 1 ? SPR_STRIPS_ALIKE : SPR_STRIPS_NONE;
}

/* Where each line is repeated a whole number of times, lines of strips are those of the image. */
static spr_strips_kind resize(const spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    const char *transform = SPR_ATTR_OF(step, Resize, coordinate_transformation_mode)->s;
    const char *nearest = SPR_ATTR_OF(step, Resize, nearest_mode)->s;
    const int centred = strcmp(transform, "half_pixel") == 0 && strncmp(nearest, "round", 5) == 0;
    const int even = strcmp(transform, "asymmetric") == 0 && strcmp(nearest, "floor") == 0;
    if (strcmp(SPR_ATTR_OF(step, Resize, mode)->s, "nearest") != 0 || (!centred && !even) ||
        strcmp(SPR_ATTR_OF(step, Resize, keep_aspect_ratio_policy)->s, "stretch") != 0 ||
        SPR_ATTR_OF(step, Resize, axes)->ints.n || y->dim[1] != x->dim[1] || y->dim[2] % x->dim[2] != 0)
        return SPR_STRIPS_NONE;
    if (!spr_step_has(step, 2) || !spr_desc_count(&step->in[2].desc)) return SPR_STRIPS_ALIKE;
    const float *scale = step->in[2].data;
    return scale[0] == 1 && scale[1] == 1 && scale[2] == (float)(y->dim[2] / x->dim[2]) ? SPR_STRIPS_ALIKE
                                                                                     : SPR_STRIPS_NONE;
}

spr_strips_kind spr_op_in_strips(const spr_step *step, spr_sparse sparse, spr_window *win) {
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    if (!step->node->in_count || !step->node->out_count || step->in[0].data || x->rank != 4 || y->rank != 4 ||
        x->dtype != SPR_FLOAT32 || !spr_desc_count(x) || !spr_desc_count(y))
        return SPR_STRIPS_NONE;
    switch (step->node->op) {
    case SPR_OP_Conv: return conv(step, sparse, win);
    case SPR_OP_MaxPool: return pool(step, SPR_ATTR_OF(step, MaxPool, kernel_shape), win);
    case SPR_OP_AveragePool: return pool(step, SPR_ATTR_OF(step, AveragePool, kernel_shape), win);
    case SPR_OP_GlobalAveragePool: return SPR_STRIPS_INPUT;
    case SPR_OP_Unary:
    case SPR_OP_BatchNormalization:
    case SPR_OP_ChannelShuffle: return SPR_STRIPS_ALIKE;
    case SPR_OP_Binary: return binary(step);
    case SPR_OP_Concat: return by_channels(step, SPR_ATTR_OF(step, Concat, axis));
    case SPR_OP_Split: return by_channels(step, SPR_ATTR_OF(step, Split, axis));
    case SPR_OP_Resize: return resize(step);
    default: return SPR_STRIPS_NONE;
    }
}
#endif
