/* Shapes of what computes in 8 bit integers. */
#include <string.h>

#include "graph/infer.h"
#include "kernels/kernel.h"

#define SPR_TYPES_QUANTIZED SPR_TYPE_BIT(SPR_QUANTIZED)

/* An image of quantized numbers. */
static spr_status check_image(spr_infer *c, int input) {
    if (c->in[input].desc.dtype != SPR_QUANTIZED)
        return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "input %s should be quantized", SPR_TEXT(c, input));
    return spr_infer_rank(c, input, 4, 4);
}

spr_status spr_infer_to_quantized(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32 | SPR_TYPES_8BIT);
    if (!status) status = spr_infer_rank(c, 0, 4, 4);
    if (!status) spr_infer_like(c, 0);
    return status;
}

spr_status spr_infer_from_quantized(spr_infer *c) {
    spr_status status = check_image(c, 0);
    if (!status) spr_infer_like(c, 0);
    return status;
}

/* A vector of `rows` elements or, if `one` allows it, of 1. */
static spr_status check_vector(spr_infer *c, int input, unsigned types, int64_t rows, int one) {
    if (!spr_infer_has(c, input)) return SPR_OK;
    spr_status status = spr_infer_type(c, input, types);
    int64_t count = spr_desc_count(&c->in[input].desc);
    if (!status && count != rows && !(one && count == 1))
        status = spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s should have %s%lld elements, the rows of the weights %s",
                                SPR_TEXT(c, input), one ? "1 or " : "", (long long)rows, SPR_TEXT(c, 1));
    return status;
}

static spr_status check_same_shape(spr_infer *c, int input, const spr_desc *shape) {
    char dims[SPR_DIMS_TEXT];
    spr_status status = check_image(c, input);
    if (!status && memcmp(c->in[input].desc.dim, shape->dim, 4 * sizeof *shape->dim))
        status = spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s should have the shape %s", SPR_TEXT(c, input),
                                spr_dims_text(dims, 4, shape->dim));
    return status;
}

spr_status spr_infer_q_conv(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *w = &c->in[1].desc;
    spr_status status = check_image(c, 0);
    if (!status) status = spr_infer_type(c, 1, SPR_TYPE_BIT(SPR_INT8));
    if (!status) status = spr_infer_rank(c, 1, 4, 4);
    if (status) return status;
    int64_t group = SPR_INFER_ATTR(c, QConv, group)->i;
    for (int i = 0; i < 4; i++)
        if (!w->dim[i])
            return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "weights %s should have no dimension of 0", SPR_TEXT(c, 1));
    if (x->dim[1] % group || x->dim[1] / group != w->dim[1] || w->dim[0] % group)
        return spr_infer_fail(
            c, SPR_ERROR_SHAPE,
            "input %s, weights %s and group %lld do not fit: the input should have %lld channels, and group "
            "should divide the %lld rows of the weights",
            SPR_TEXT(c, 0), SPR_TEXT(c, 1), (long long)group, (long long)(group * w->dim[1]), (long long)w->dim[0]);
    spr_window win;
    status = spr_resolve_window(c->graph, c->node, x->dim[2], x->dim[3], w->dim[2], w->dim[3], &win, c->err);
    if (status) return status;
    spr_desc *y = &c->out[0];
    y->rank = 4;
    y->dim[0] = x->dim[0];
    y->dim[1] = w->dim[0];
    y->dim[2] = win.oh;
    y->dim[3] = win.ow;
    status = check_vector(c, 2, SPR_TYPES_FLOAT32, w->dim[0], 1);
    if (!status) status = check_vector(c, 3, SPR_TYPE_BIT(SPR_INT32), w->dim[0], 0);
    if (!status && spr_infer_has(c, 4)) status = check_same_shape(c, 4, y);
    return status ? status : check_vector(c, 5, SPR_TYPES_FLOAT32, w->dim[0], 1);
}

spr_status spr_infer_q_pool(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    const spr_attr *kernel = SPR_INFER_ATTR(c, QPool, kernel_shape);
    spr_window win = {.oh = 1, .ow = 1};
    spr_status status = check_image(c, 0);
    if (!status && kernel->ints.n == 2)
        status = spr_resolve_window(c->graph, c->node, x->dim[2], x->dim[3], kernel->ints.v[0], kernel->ints.v[1], &win,
                                    c->err);
    if (!status && (!x->dim[2] || !x->dim[3]))
        status = spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "input %s has no pixels", SPR_TEXT(c, 0));
    if (status) return status;
    spr_infer_like(c, 0);
    c->out[0].dim[2] = win.oh;
    c->out[0].dim[3] = win.ow;
    return SPR_OK;
}

spr_status spr_infer_q_binary(spr_infer *c) {
    spr_status status = check_image(c, 0);
    if (!status) status = check_image(c, 1);
    if (status) return status;
    const spr_desc *a = &c->in[0].desc, *b = &c->in[1].desc;
    int64_t a_pixels = a->dim[2] * a->dim[3], b_pixels = b->dim[2] * b->dim[3];
    int same = a->dim[2] == b->dim[2] && a->dim[3] == b->dim[3];
    if (a->dim[0] != b->dim[0] || a->dim[1] != b->dim[1] || (!same && a_pixels != 1 && b_pixels != 1))
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "inputs %s and %s should have the same shape, or one of them one pixel", SPR_TEXT(c, 0),
                              SPR_TEXT(c, 1));
    spr_infer_like(c, 0);
    if (a_pixels == 1) memcpy(c->out[0].dim, b->dim, sizeof c->out[0].dim);
    return SPR_OK;
}

spr_status spr_infer_q_unary(spr_infer *c) { return spr_infer_from_quantized(c); }

spr_status spr_infer_q_concat(spr_infer *c) {
    spr_status status = check_image(c, 0);
    if (status) return status;
    spr_desc want = c->in[0].desc;
    spr_infer_like(c, 0);
    for (int i = 1; i < c->node->in_count; i++) {
        want.dim[1] = c->in[i].desc.rank == 4 ? c->in[i].desc.dim[1] : 0;
        status = check_same_shape(c, i, &want);
        if (status) return status;
        c->out[0].dim[1] += want.dim[1];
    }
    int64_t all = c->out[0].dim[1], group = SPR_INFER_ATTR(c, QConcat, group)->i,
            begin = SPR_INFER_ATTR(c, QConcat, begin)->i;
    int64_t count = SPR_INFER_ATTR(c, QConcat, count)->i;
    if (all % group || begin > all || count > all - begin)
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "%lld channels from channel %lld on, in %lld groups: there are %lld channels",
                              (long long)count, (long long)begin, (long long)group, (long long)all);
    c->out[0].dim[1] = count ? count : all - begin;
    return SPR_OK;
}
