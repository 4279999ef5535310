/* Shapes of what computes: convolution, products, pooling, elementwise functions, reductions. */
#include <stdio.h>
#include <string.h>

#include "graph/infer.h"
#include "kernels/kernel.h"

static void set4(spr_desc *desc, int64_t n, int64_t c, int64_t h, int64_t w) {
    desc->rank = 4;
    desc->dim[0] = n;
    desc->dim[1] = c;
    desc->dim[2] = h;
    desc->dim[3] = w;
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

typedef struct window_attrs {
    const int64_t *strides, *pads, *dilations;
    const char *auto_pad;
    int ceil_mode, pool;
} window_attrs;

#define WINDOW_ATTRS(node, op, ceil, is_pool)                                                                     \
    {(node)->attr[SPR_ATTR_##op##_strides].ints.v, (node)->attr[SPR_ATTR_##op##_pads].ints.v,                      \
     (node)->attr[SPR_ATTR_##op##_dilations].ints.v, (node)->attr[SPR_ATTR_##op##_auto_pad].s, ceil, is_pool}

static window_attrs get_window(const spr_node *node) {
    if (node->op == SPR_OP_Conv) return (window_attrs)WINDOW_ATTRS(node, Conv, 0, 0);
    if (node->op == SPR_OP_MaxPool)
        return (window_attrs)WINDOW_ATTRS(node, MaxPool, (int)node->attr[SPR_ATTR_MaxPool_ceil_mode].i, 1);
    if (node->op == SPR_OP_MaxPoolIndices)
        return (window_attrs)WINDOW_ATTRS(node, MaxPoolIndices, (int)node->attr[SPR_ATTR_MaxPoolIndices_ceil_mode].i,
                                          1);
    if (node->op == SPR_OP_QConv) return (window_attrs)WINDOW_ATTRS(node, QConv, 0, 0);
    if (node->op == SPR_OP_QPool)
        return (window_attrs)WINDOW_ATTRS(node, QPool, (int)node->attr[SPR_ATTR_QPool_ceil_mode].i, 1);
    return (window_attrs)WINDOW_ATTRS(node, AveragePool, (int)node->attr[SPR_ATTR_AveragePool_ceil_mode].i, 1);
}

/* One axis: 0 is height, 1 is width. */
static spr_status resolve_axis(const spr_node *node, const window_attrs *w, int axis, int64_t in, int64_t kernel,
                               int32_t *before, int32_t *after, uint32_t *out, spr_error *err) {
    static const char names[][8] = {"height", "width"};
    int64_t stride = w->strides[axis], dilation = w->dilations[axis], begin = w->pads[axis], end = w->pads[axis + 2];
    int64_t reach = (kernel - 1) * dilation + 1, count;
    if (!strncmp(w->auto_pad, "SAME", 4)) {
        count = in / stride + (in % stride != 0);
        int64_t total = in ? (count - 1) * stride + reach - in : 0;
        if (total < 0) total = 0;
        begin = !strcmp(w->auto_pad, "SAME_LOWER") ? total - total / 2 : total / 2;
        end = total - begin;
    } else {
        if (!strcmp(w->auto_pad, "VALID")) begin = end = 0;
        if (w->pool && (begin >= kernel || end >= kernel))
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                                 "%s: pads %lld and %lld should be smaller than the kernel, which is %lld", names[axis],
                                 (long long)begin, (long long)end, (long long)kernel);
        int64_t rest = in + begin + end - reach;
        count = rest < 0 ? -((-rest - 1) / stride) : rest / stride + 1; /* floor(rest / stride) + 1 */
        /* VALID ignores ceil_mode. The last window must start in the input or its left padding. */
        int ceil = w->ceil_mode && strcmp(w->auto_pad, "VALID");
        if (ceil && rest % stride && count * stride < in + begin) count++;
        if (count < 0 || (count == 0 && in > 0)) /* of nothing, there is nothing */
            return spr_fail_node(
                node, err, SPR_ERROR_SHAPE,
                "%s: the window takes %lld pixels (kernel %lld, dilation %lld), but the input has %lld and "
                "padding %lld + %lld",
                names[axis], (long long)reach, (long long)kernel, (long long)dilation, (long long)in, (long long)begin,
                (long long)end);
    }
    /* Positions of all taps then fit into int32. */
    if (in > INT32_MAX || begin > INT32_MAX || end > INT32_MAX || in + begin + end + reach + stride > INT32_MAX)
        return spr_fail_node(
            node, err, SPR_ERROR_UNSUPPORTED,
            "%s: input %lld, pads %lld and %lld, window %lld and stride %lld are too large: their sum should be "
            "below 2^31",
            names[axis], (long long)in, (long long)begin, (long long)end, (long long)reach, (long long)stride);
    *before = (int32_t)begin;
    *after = (int32_t)end;
    *out = (uint32_t)count;
    return SPR_OK;
}

spr_status spr_resolve_window(const spr_graph *graph, const spr_node *node, int64_t ih, int64_t iw, int64_t kh,
                              int64_t kw, spr_window *win, spr_error *err) {
    (void)graph;
    window_attrs w = get_window(node);
    spr_window r = {.ih = (uint32_t)ih, .iw = (uint32_t)iw, .kh = (uint32_t)kh, .kw = (uint32_t)kw,
                    .sh = (uint32_t)w.strides[0], .sw = (uint32_t)w.strides[1],
                    .dh = (uint32_t)w.dilations[0], .dw = (uint32_t)w.dilations[1]};
    spr_status status = resolve_axis(node, &w, 0, ih, kh, &r.pt, &r.pb, &r.oh, err);
    if (!status) status = resolve_axis(node, &w, 1, iw, kw, &r.pl, &r.pr, &r.ow, err);
    if (!status) *win = r;
    return status;
}

/* ---- convolution and products ------------------------------------------------------------------------------------ */

/* B, Z and slope of Conv and FullyConnected (inputs 2, 3, 4), when the output's shape is known. */
static spr_status check_epilogue(spr_infer *c, int64_t rows) {
    char dims[SPR_DIMS_TEXT];
    spr_status status;
    for (int i = 2; i < 5; i++)
        if (spr_infer_has(c, i) && (status = spr_infer_type(c, i, SPR_TYPES_FLOAT32))) return status;
    if (spr_infer_has(c, 2) && (c->in[2].desc.rank != 1 || c->in[2].desc.dim[0] != rows))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "bias %s should have the shape [%lld], the rows of the weights %s",
                              SPR_TEXT(c, 2), (long long)rows, SPR_TEXT(c, 1));
    const spr_desc *y = &c->out[0];
    if (spr_infer_has(c, 3) &&
        (c->in[3].desc.rank != y->rank || memcmp(c->in[3].desc.dim, y->dim, (size_t)y->rank * sizeof(*y->dim))))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "addend %s should have the shape of the output, %s", SPR_TEXT(c, 3),
                              spr_dims_text(dims, y->rank, y->dim));
    if (spr_infer_has(c, 4) && spr_desc_count(&c->in[4].desc) != 1 && spr_desc_count(&c->in[4].desc) != rows)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "slope %s should have 1 or %lld elements", SPR_TEXT(c, 4),
                              (long long)rows);
    return SPR_OK;
}

static spr_status check_float_pair(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    return status ? status : spr_infer_type(c, 1, SPR_TYPES_FLOAT32);
}

spr_status spr_infer_conv(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *w = &c->in[1].desc;
    spr_status status = check_float_pair(c);
    if (!status) status = spr_infer_rank(c, 0, 4, 4);
    if (!status) status = spr_infer_rank(c, 1, 4, 4);
    if (status) return status;
    int64_t group = SPR_INFER_ATTR(c, Conv, group)->i;
    for (int i = 0; i < 4; i++)
        if (!w->dim[i])
            return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "weights %s should have no dimension of 0", SPR_TEXT(c, 1));
    if (x->dim[1] % group || x->dim[1] / group != w->dim[1] || w->dim[0] % group)
        return spr_infer_fail(
            c, SPR_ERROR_SHAPE,
            "input %s, weights %s and group %lld do not fit: the input should have group * %lld = %lld channels, "
            "and group should divide the %lld rows of the weights",
            SPR_TEXT(c, 0), SPR_TEXT(c, 1), (long long)group, (long long)w->dim[1], (long long)(group * w->dim[1]),
            (long long)w->dim[0]);
    spr_window win;
    status = spr_resolve_window(c->graph, c->node, x->dim[2], x->dim[3], w->dim[2], w->dim[3], &win, c->err);
    if (status) return status;
    set4(&c->out[0], x->dim[0], w->dim[0], win.oh, win.ow);
    return check_epilogue(c, w->dim[0]);
}

spr_status spr_infer_fully_connected(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *w = &c->in[1].desc;
    spr_status status = check_float_pair(c);
    if (!status) status = spr_infer_rank(c, 0, 1, SPR_MAX_RANK);
    if (!status) status = spr_infer_rank(c, 1, 2, 2);
    if (status) return status;
    if (!w->dim[0] || !w->dim[1])
        return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "weights %s should have no dimension of 0", SPR_TEXT(c, 1));
    if (x->dim[x->rank - 1] != w->dim[1])
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "the last dimension of the input %s should be %lld, that of the weights %s",
                              SPR_TEXT(c, 0), (long long)w->dim[1], SPR_TEXT(c, 1));
    if (spr_desc_count(x) / w->dim[1] > INT32_MAX)
        return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "input %s should have less than 2^31 rows", SPR_TEXT(c, 0));
    spr_infer_like(c, 0);
    c->out[0].dim[x->rank - 1] = w->dim[0];
    return check_epilogue(c, w->dim[0]);
}

spr_status spr_infer_matmul(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32 | SPR_TYPE_BIT(SPR_FLOAT64));
    if (!status) status = spr_infer_type(c, 1, SPR_TYPE_BIT(c->in[0].desc.dtype));
    if (!status) status = spr_infer_rank(c, 0, 1, SPR_MAX_RANK);
    if (!status) status = spr_infer_rank(c, 1, 1, SPR_MAX_RANK);
    if (status) return status;
    spr_desc a = c->in[0].desc, b = c->in[1].desc, *y = &c->out[0];
    int vector_a = a.rank == 1, vector_b = b.rank == 1;
    int64_t m = vector_a ? 1 : a.dim[a.rank - 2], n = vector_b ? 1 : b.dim[b.rank - 1];
    int64_t ka = a.dim[a.rank - 1], kb = vector_b ? b.dim[0] : b.dim[b.rank - 2];
    a.rank = vector_a ? 0 : a.rank - 2; /* the batch dimensions */
    b.rank = vector_b ? 0 : b.rank - 2;
    if (ka != kb || !spr_broadcast(&a, &b, y))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s and %s cannot be multiplied: %s", SPR_TEXT(c, 0), SPR_TEXT(c, 1),
                              ka != kb ? "the last dimension of the first should be the last but one of the second"
                                       : "their leading dimensions cannot be broadcast");
    if (!vector_a) y->dim[y->rank++] = m;
    if (!vector_b) y->dim[y->rank++] = n;
    return SPR_OK;
}

static spr_status check_shape(const spr_infer *c, int input, int rank, int64_t a, int64_t b) {
    const spr_desc *desc = &c->in[input].desc;
    int64_t wanted[] = {a, b};
    char dims[SPR_DIMS_TEXT];
    if (desc->rank == rank && desc->dim[0] == a && (rank < 2 || desc->dim[1] == b)) return SPR_OK;
    return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s should have the shape %s", SPR_TEXT(c, input),
                          spr_dims_text(dims, rank, wanted));
}

spr_status spr_infer_recurrent(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *r = &c->in[1].desc;
    const char *cell = SPR_INFER_ATTR(c, Recurrent, cell)->s;
    int64_t gates = !strcmp(cell, "lstm") ? 4 : !strcmp(cell, "gru") ? 3 : 1;
    spr_status status = spr_infer_rank(c, 0, 3, 3);
    if (!status) status = spr_infer_rank(c, 1, 2, 2);
    for (int i = 0; i < 7 && !status; i++)
        if (spr_infer_has(c, i)) status = spr_infer_type(c, i, i == 5 ? SPR_TYPE_BIT(SPR_INT32) : SPR_TYPES_FLOAT32);
    if (status) return status;
    int64_t hidden = r->dim[1], time = x->dim[0], batch = x->dim[1];
    if (!hidden || r->dim[0] != gates * hidden || x->dim[2] != gates * hidden)
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "%s and %s should have the shapes [time, batch, %lld * hidden] and [%lld * "
                              "hidden, hidden]",
                              SPR_TEXT(c, 0), SPR_TEXT(c, 1), (long long)gates, (long long)gates);
    if (spr_infer_has(c, 2)) status = check_shape(c, 2, 1, hidden, 0);
    if (!status && spr_infer_has(c, 3)) status = check_shape(c, 3, 2, batch, hidden);
    if (!status && spr_infer_has(c, 4)) status = check_shape(c, 4, 2, batch, hidden);
    if (!status && spr_infer_has(c, 5)) status = check_shape(c, 5, 1, batch, 0);
    if (!status && spr_infer_has(c, 6)) status = check_shape(c, 6, 1, 3 * hidden, 0);
    c->out[0] = (spr_desc){.dtype = c->out[0].dtype, .rank = 3, .dim = {time, batch, hidden}};
    for (int i = 1; i < 3; i++) c->out[i] = (spr_desc){.dtype = c->out[i].dtype, .rank = 2, .dim = {batch, hidden}};
    return status;
}

/* ---- pooling ----------------------------------------------------------------------------------------------------- */

spr_status spr_infer_pool(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    const spr_attr *kernel = c->node->op == SPR_OP_MaxPool          ? SPR_INFER_ATTR(c, MaxPool, kernel_shape)
                             : c->node->op == SPR_OP_MaxPoolIndices ? SPR_INFER_ATTR(c, MaxPoolIndices, kernel_shape)
                                                                    : SPR_INFER_ATTR(c, AveragePool, kernel_shape);
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    if (!status) status = spr_infer_rank(c, 0, 4, 4);
    spr_window win;
    if (!status)
        status = spr_resolve_window(c->graph, c->node, x->dim[2], x->dim[3], kernel->ints.v[0], kernel->ints.v[1], &win,
                                    c->err);
    if (!status) set4(&c->out[0], x->dim[0], x->dim[1], win.oh, win.ow);
    return status;
}

spr_status spr_infer_pool_indices(spr_infer *c) {
    spr_status status = spr_infer_pool(c);
    const spr_desc *y = &c->out[0];
    if (!status) set4(&c->out[1], y->dim[0], y->dim[1], y->dim[2], y->dim[3]);
    return status;
}

spr_status spr_infer_global_pool(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    if (!status) status = spr_infer_rank(c, 0, 3, SPR_MAX_RANK);
    if (status) return status;
    spr_infer_like(c, 0);
    for (int i = 2; i < x->rank; i++) {
        if (!x->dim[i])
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s has no pixels to be pooled", SPR_TEXT(c, 0));
        c->out[0].dim[i] = 1;
    }
    return SPR_OK;
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

spr_status spr_infer_unary(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    const char *fn = SPR_INFER_ATTR(c, Unary, fn)->s;
    char spaced[32];
    snprintf(spaced, sizeof spaced, " %s ", fn);
    int integers = !strcmp(fn, "neg") || !strcmp(fn, "abs") || !strcmp(fn, "sign");
    int plain = strstr(" exp log sqrt reciprocal abs neg floor ceil round sign erf sigmoid tanh ", spaced) != NULL;
    spr_status status = spr_infer_type(
        c, 0, (integers ? SPR_TYPES_INDEX : 0) | (plain ? SPR_TYPE_BIT(SPR_FLOAT64) : 0) | SPR_TYPES_FLOAT32);
    if (!status && spr_infer_has(c, 1)) status = spr_infer_type(c, 1, SPR_TYPES_FLOAT32);
    if (status) return status;
    spr_infer_like(c, 0);
    if (!spr_infer_has(c, 1)) return SPR_OK;
    int64_t count = spr_desc_count(&c->in[1].desc);
    if (count == 1 || (x->rank >= 2 && count == x->dim[1])) return SPR_OK;
    return spr_infer_fail(c, SPR_ERROR_SHAPE, "slope %s should have one element, or one per channel of %s",
                          SPR_TEXT(c, 1), SPR_TEXT(c, 0));
}

spr_status spr_infer_binary(spr_infer *c) {
    const spr_desc *a = &c->in[0].desc, *b = &c->in[1].desc;
    int has_act = strcmp(SPR_INFER_ATTR(c, Binary, act)->s, "none") != 0;
    const char *fn = SPR_INFER_ATTR(c, Binary, fn)->s;
    int orders = !strcmp(fn, "min") || !strcmp(fn, "max");
    spr_status status = spr_infer_type(c, 0,
                                       has_act  ? SPR_TYPES_FLOAT32
                                       : orders ? SPR_TYPES_ORDERED
                                                : SPR_TYPES_NUMERIC);
    if (status) return status;
    if (a->dtype != b->dtype)
        return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "%s and %s should have the same type", SPR_TEXT(c, 0),
                              SPR_TEXT(c, 1));
    if (!spr_broadcast(a, b, &c->out[0]))
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "%s and %s cannot be broadcast: from the right, dimensions should be equal or 1",
                              SPR_TEXT(c, 0), SPR_TEXT(c, 1));
    return SPR_OK;
}

spr_status spr_infer_batch_norm(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    spr_status status = spr_infer_rank(c, 0, 2, SPR_MAX_RANK);
    for (int i = 0; i < 5 && !status; i++) status = spr_infer_type(c, i, SPR_TYPES_FLOAT32);
    if (status) return status;
    for (int i = 1; i < 5; i++)
        if (c->in[i].desc.rank != 1 || c->in[i].desc.dim[0] != x->dim[1])
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s should have one element per channel of %s, [%lld]",
                                  SPR_TEXT(c, i), SPR_TEXT(c, 0), (long long)x->dim[1]);
    spr_infer_like(c, 0);
    return SPR_OK;
}

spr_status spr_infer_same(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    spr_status status = SPR_OK;
    int axis;
    spr_infer_like(c, 0);
    if (c->node->op == SPR_OP_Softmax) {
        status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
        if (!status) status = spr_infer_axis(c, SPR_INFER_ATTR(c, Softmax, axis)->i, x->rank, &axis);
    } else if (c->node->op == SPR_OP_ChannelShuffle) {
        int64_t group = SPR_INFER_ATTR(c, ChannelShuffle, group)->i;
        status = spr_infer_rank(c, 0, 2, SPR_MAX_RANK);
        if (!status && x->dim[1] % group)
            status = spr_infer_fail(c, SPR_ERROR_SHAPE, "group %lld should divide the channels of %s", (long long)group,
                                    SPR_TEXT(c, 0));
    }
    return status;
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

spr_status spr_infer_reduce(spr_infer *c) {
    static const struct { char fn[12]; unsigned types; } more[] = { /* than floating point */
        {"max", SPR_TYPES_ORDERED},
        {"min", SPR_TYPES_ORDERED},
        {"sum", SPR_TYPES_32_64},
        {"mean", SPR_TYPES_32_64},
        {"prod", SPR_TYPES_32_64},
        {"l1", SPR_TYPES_32_64},
        {"sum_square", SPR_TYPES_32_64},
    };
    const spr_desc *x = &c->in[0].desc;
    const char *fn = SPR_INFER_ATTR(c, Reduce, fn)->s;
    unsigned types = SPR_TYPES_FLOAT32 | SPR_TYPE_BIT(SPR_FLOAT64);
    for (size_t i = 0; i < SPR_COUNTOF(more); i++)
        if (!strcmp(fn, more[i].fn)) types |= more[i].types;
    int64_t axes[SPR_MAX_RANK];
    int n = 0;
    spr_status status = spr_infer_type(c, 0, types);
    if (!status && spr_infer_has(c, 1)) status = spr_infer_ints(c, 1, axes, SPR_MAX_RANK, &n);
    if (status) return status;
    unsigned reduced = 0;
    if (!n && !SPR_INFER_ATTR(c, Reduce, noop_with_empty_axes)->i) reduced = (1u << x->rank) - 1;
    for (int i = 0; i < n; i++) {
        int axis;
        if ((status = spr_infer_axis(c, axes[i], x->rank, &axis))) return status;
        if (reduced >> axis & 1)
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s names axis %d twice", SPR_TEXT(c, 1), axis);
        reduced |= 1u << axis;
    }
    spr_desc *y = &c->out[0];
    for (int i = 0; i < x->rank; i++) {
        if (!(reduced >> i & 1)) y->dim[y->rank++] = x->dim[i];
        else if (SPR_INFER_ATTR(c, Reduce, keepdims)->i) y->dim[y->rank++] = 1;
    }
    return SPR_OK;
}

/* ---- quantization ------------------------------------------------------------------------------------------------ */

/* scale and zero point: one for the tensor, or one per slice along the axis. */
static spr_status check_scale(spr_infer *c, int64_t axis_value) {
    const spr_desc *x = &c->in[0].desc, *scale = &c->in[1].desc;
    spr_status status = spr_infer_type(c, 1, SPR_TYPES_FLOAT32);
    if (status) return status;
    if (scale->rank > 1 || spr_desc_count(scale) != 1) {
        int axis;
        if ((status = spr_infer_axis(c, axis_value, x->rank, &axis))) return status;
        if (scale->rank != 1 || scale->dim[0] != x->dim[axis])
            return spr_infer_fail(
                c, SPR_ERROR_UNSUPPORTED,
                "scale %s should have one element, or the shape [%lld], one per slice of %s along axis %d",
                SPR_TEXT(c, 1), (long long)x->dim[axis], SPR_TEXT(c, 0), axis);
    }
    if (spr_infer_has(c, 2) && spr_desc_count(&c->in[2].desc) != spr_desc_count(scale))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "zero point %s should have as many elements as the scale %s",
                              SPR_TEXT(c, 2), SPR_TEXT(c, 1));
    return SPR_OK;
}

spr_status spr_infer_quantize(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    if (!status && spr_infer_has(c, 2)) status = spr_infer_type(c, 2, SPR_TYPES_8BIT | SPR_TYPES_16BIT);
    if (!status) status = check_scale(c, SPR_INFER_ATTR(c, QuantizeLinear, axis)->i);
    spr_infer_like(c, 0);
    return status;
}

spr_status spr_infer_dequantize(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_8BIT | SPR_TYPES_16BIT | SPR_TYPE_BIT(SPR_INT32));
    if (!status) status = check_scale(c, SPR_INFER_ATTR(c, DequantizeLinear, axis)->i);
    if (!status && spr_infer_has(c, 2) && c->in[2].desc.dtype != c->in[0].desc.dtype)
        status = spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "zero point %s should have the type of %s", SPR_TEXT(c, 2),
                                SPR_TEXT(c, 0));
    spr_infer_like(c, 0);
    return status;
}
