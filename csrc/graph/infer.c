#include "graph/infer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/tailor.h"
#include "base/text.h"

/* ---- small things that the executor needs too -------------------------------------------------------------------- */

int spr_normalize_axis(int64_t axis, int rank) {
    if (axis < -rank || axis >= rank) return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

int64_t spr_read_int(const void *data, spr_dtype dtype, int64_t i) {
    int32_t narrow;
    int64_t wide;
    if (dtype == SPR_INT32) {
        memcpy(&narrow, (const char *)data + i * 4, 4);
        return narrow;
    }
    memcpy(&wide, (const char *)data + i * 8, 8);
    return wide;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

void spr_resolve_slice(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *begin, int64_t *count) {
    if (start < 0) start += dim;
    if (end < 0) end += dim;
    int64_t span;
    if (step > 0) {
        start = clamp(start, 0, dim);
        span = clamp(end, 0, dim) - start;
        *count = span > 0 ? (span - 1) / step + 1 : 0;
    } else {
        start = clamp(start, 0, dim ? dim - 1 : 0);
        span = start - clamp(end, -1, dim - 1);
        /* the quotient of negative numbers, because -INT64_MIN does not exist */
        *count = dim && span > 0 ? -(span - 1) / step + 1 : 0;
    }
    *begin = start;
}

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

int spr_infer_has(const spr_infer *c, int input) { return input < c->node->in_count && c->in[input].present; }

static const char *input_name(const spr_infer *c, int input) { return c->graph->values[c->node->in[input]].name; }

spr_tensor_text spr_infer_text(const spr_infer *c, int input) {
    spr_tensor_text text;
    char dims[SPR_DIMS_TEXT];
    const spr_desc *desc = &c->in[input].desc;
    snprintf(text.s, sizeof(text.s), "'%.150s' %s %s", input_name(c, input), spr_dtype_name(desc->dtype),
             spr_dims_text(dims, desc->rank, desc->dim));
    return text;
}

spr_status spr_infer_fail(const spr_infer *c, spr_status status, const char *format, ...) {
    char text[sizeof(c->err->message)];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return spr_fail_node(c->node, c->err, status, "%s", length < 0 ? "" : text);
}

spr_status spr_infer_type(const spr_infer *c, int input, unsigned types) {
    static const spr_dtype all[] = {SPR_FLOAT32, SPR_FLOAT64, SPR_FLOAT16, SPR_INT8,   SPR_UINT8,  SPR_INT16,
                                    SPR_UINT16,  SPR_INT32,   SPR_UINT32,  SPR_INT64,  SPR_UINT64, SPR_BOOL};
    if (SPR_TYPE_BIT(c->in[input].desc.dtype) & types) return SPR_OK;
    char list[160] = "";
    spr_text text = {list, sizeof list, 0};
    for (size_t i = 0; i < SPR_COUNTOF(all); i++)
        if (SPR_TYPE_BIT(all[i]) & types)
            spr_text_add(&text, "%s%s", text.length ? ", " : "", spr_dtype_name(all[i]));
    return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "input %s has a type that is not supported here; supported: %s",
                          SPR_TEXT(c, input), list);
}

spr_status spr_infer_rank(const spr_infer *c, int input, int min, int max) {
    int rank = c->in[input].desc.rank;
    if (rank >= min && rank <= max) return SPR_OK;
    if (min == max)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s should have %d dimensions", SPR_TEXT(c, input), min);
    return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s should have %d to %d dimensions", SPR_TEXT(c, input), min, max);
}

spr_status spr_infer_out_rank(const spr_infer *c, int rank) {
    if (rank <= SPR_MAX_RANK) return SPR_OK;
    return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "the output would have %d dimensions; at most %d are supported",
                          rank, SPR_MAX_RANK);
}

void spr_infer_like(spr_infer *c, int output) {
    c->out[output].rank = c->in[0].desc.rank;
    memcpy(c->out[output].dim, c->in[0].desc.dim, sizeof(c->out[output].dim));
}

spr_status spr_infer_contents(const spr_infer *c, int input) {
    if (c->in[input].data || !spr_desc_count(&c->in[input].desc)) return SPR_OK;
    c->in[input].needed = 1;
    return spr_infer_fail(
        c, SPR_ERROR_UNSUPPORTED,
        "the output's shape depends on the contents of %s, which are not known before the network runs",
        SPR_TEXT(c, input));
}

/* A list: a vector, or a scalar as a list of one. */
static spr_status check_list(const spr_infer *c, int input, int max, int *n) {
    const spr_desc *desc = &c->in[input].desc;
    spr_status status = spr_infer_rank(c, input, 0, 1);
    if (status) return status;
    int64_t count = spr_desc_count(desc);
    if (count > max)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s should have at most %d elements", SPR_TEXT(c, input), max);
    *n = (int)count;
    return spr_infer_contents(c, input);
}

spr_status spr_infer_ints(const spr_infer *c, int input, int64_t *v, int max, int *n) {
    spr_status status = spr_infer_type(c, input, SPR_TYPES_INDEX);
    if (!status) status = check_list(c, input, max, n);
    if (status) return status;
    for (int i = 0; i < *n; i++) v[i] = spr_read_int(c->in[input].data, c->in[input].desc.dtype, i);
    return SPR_OK;
}

spr_status spr_infer_floats(const spr_infer *c, int input, float *v, int max, int *n) {
    spr_status status = spr_infer_type(c, input, SPR_TYPES_FLOAT32);
    if (!status) status = check_list(c, input, max, n);
    if (!status && *n) memcpy(v, c->in[input].data, (size_t)*n * sizeof(*v));
    return status;
}

spr_status spr_infer_axis(const spr_infer *c, int64_t value, int rank, int *axis) {
    *axis = spr_normalize_axis(value, rank);
    if (*axis >= 0) return SPR_OK;
    return spr_infer_fail(c, SPR_ERROR_SHAPE, "axis %lld is not in [%d, %d), the range for %d dimensions",
                          (long long)value, -rank, rank, rank);
}

int spr_broadcast(const spr_desc *a, const spr_desc *b, spr_desc *out) {
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank; i++) {
        int ia = i - (out->rank - a->rank), ib = i - (out->rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1) return 0;
        out->dim[i] = da == 1 ? db : da;
    }
    return 1;
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

spr_dtype spr_infer_dtype(const spr_node *node, const spr_dtype *in, int output) {
    switch (node->op) {
    case SPR_OP_Cast: return (spr_dtype)node->attr[SPR_ATTR_Cast_to].i;
    case SPR_OP_Shape:
    case SPR_OP_ArgReduce:
    case SPR_OP_NonZero:
    case SPR_OP_NonMaxSuppression: return SPR_INT64;
    case SPR_OP_Compare: return SPR_BOOL;
    case SPR_OP_Where: return in[1];
    case SPR_OP_MaxPoolIndices:
    case SPR_OP_TopK: return output ? SPR_INT64 : in[0];
    case SPR_OP_ConstantOfShape: return node->in_count > 1 && node->in[1] >= 0 ? in[1] : SPR_FLOAT32;
    case SPR_OP_QuantizeLinear: return node->in_count > 2 && node->in[2] >= 0 ? in[2] : SPR_UINT8;
    case SPR_OP_DequantizeLinear: return in[1];
    case SPR_OP_Dequantize: return (spr_dtype)node->attr[SPR_ATTR_Dequantize_to].i;
    case SPR_OP_QConv: return node->attr[SPR_ATTR_QConv_y_scale].f == 0 ? SPR_FLOAT32 : SPR_QUANTIZED;
    case SPR_OP_Quantize:
    case SPR_OP_QPool:
    case SPR_OP_QBinary:
    case SPR_OP_QUnary:
    case SPR_OP_QConcat: return SPR_QUANTIZED;
    default: return in[0];
    }
}

/* Operators that take quantized tensors, whose layout (kernels/q8.h) all others do not know. */
static int knows_quantized(spr_op op) {
    return (op >= SPR_OP_Dequantize && op <= SPR_OP_QConcat) || op == SPR_OP_Resize || op == SPR_OP_Shape;
}

/* ---- the way in -------------------------------------------------------------------------------------------------- */

#define SPR_ATTR(op, name, type, value)
#define NO_CASE(name, result)
#define CASE(name, result) case SPR_OP_##name: return result;

int spr_op_is_here(spr_op op) {
#define SPR_OP(name, inputs, outputs, infer, attrs) SPR_KEPT(op_##name, CASE, NO_CASE)(name, 1)
    switch (op) {
#include "spr/ops.inc"
    default: return 0;
    }
#undef SPR_OP
}

static spr_status infer(spr_op op, spr_infer *c) {
#define SPR_OP(name, inputs, outputs, infer, attrs) SPR_KEPT(op_##name, CASE, NO_CASE)(name, spr_infer_##infer(c))
    switch (op) {
#include "spr/ops.inc"
    default: return spr_node_check_op(c->node, c->err);
    }
#undef SPR_OP
}
#undef SPR_ATTR

spr_status spr_infer_node(const spr_graph *graph, const spr_node *node, spr_infer_input *in, spr_desc *out,
                          spr_error *err) {
    spr_infer c = {node, in, out, graph, err};
    char dims[SPR_DIMS_TEXT];
    spr_dtype types[SPR_INFER_DTYPE_INPUTS] = {0};
    for (int i = 0; i < node->in_count; i++) {
        if (!in[i].present) continue;
        if (!spr_desc_valid(&in[i].desc))
            return spr_infer_fail(&c, SPR_ERROR_SHAPE,
                                  "input %s: dimensions should be from 0 to 2^31 - 1, their product at most 2^37",
                                  SPR_TEXT(&c, i));
        if (in[i].desc.dtype == SPR_QUANTIZED && !knows_quantized(node->op))
            return spr_infer_fail(&c, SPR_ERROR_UNSUPPORTED, "input %s is quantized, which this operator does not take",
                                  SPR_TEXT(&c, i));
        if (i < SPR_INFER_DTYPE_INPUTS) types[i] = in[i].desc.dtype;
    }
    for (int i = 0; i < node->out_count; i++) out[i] = (spr_desc){.dtype = spr_infer_dtype(node, types, i)};
    spr_status status = infer(node->op, &c);
    for (int i = 0; i < node->out_count && !status; i++)
        if (!spr_desc_valid(&out[i]))
            status = spr_infer_fail(
                &c, SPR_ERROR_SHAPE,
                "output '%.150s' would be %s: dimensions should be from 0 to 2^31 - 1, their product at most 2^37",
                graph->values[node->out[i]].name, spr_dims_text(dims, out[i].rank, out[i].dim));
    return status;
}
