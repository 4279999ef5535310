/* What can be said about a graph without knowing shapes. Graphs come from files that anyone may have written. */
#include <float.h>
#include <string.h>

#include "base/tailor.h"
#include "graph/graph.h"
#include "kernels/kernel.h"

/* ---- attributes ------------------------------------------------------------------------------------------------- */

#define FUNCTION(id, name, formula) SPR_KEPT(fn_##id, name " ", "")
#define FUNCTIONS SPR_FUNCTIONS(FUNCTION)
#define BINARY(id, name, formula) name " "
#define BINARIES SPR_BINARIES(BINARY)
#define GATES "clip sigmoid hard_sigmoid tanh softplus "
#define REDUCTIONS "none add mul max min "
#define AUTO_PADS "NOTSET SAME_UPPER SAME_LOWER VALID "

/* A tailored library has only what its operators need. */
#define NOTHING(...)

/* What an attribute that names one of several things may be, each followed by a space; NULL for other strings. */
static const char *accepted_strings(spr_op op, int attr) {
#define CHOICE_CASE(op, attr, accepted) case SPR_OP_##op * SPR_MAX_ATTRS + SPR_ATTR_##op##_##attr: return accepted;
#define CHOICE(op, attr, accepted) SPR_KEPT(op_##op, CHOICE_CASE, NOTHING)(op, attr, accepted)
    switch ((int)op * SPR_MAX_ATTRS + attr) {
        CHOICE(Conv, act, FUNCTIONS)
        CHOICE(Conv, auto_pad, AUTO_PADS)
        CHOICE(FullyConnected, act, FUNCTIONS)
        CHOICE(MaxPool, auto_pad, AUTO_PADS)
        CHOICE(MaxPoolIndices, auto_pad, AUTO_PADS)
        CHOICE(AveragePool, auto_pad, AUTO_PADS)
        CHOICE(Unary, fn, FUNCTIONS)
        CHOICE(Binary, fn, BINARIES)
        CHOICE(Binary, act, FUNCTIONS)
        CHOICE(Recurrent, cell, "lstm gru rnn ")
        CHOICE(Recurrent, f, GATES)
        CHOICE(Recurrent, g, GATES)
        CHOICE(Recurrent, h, GATES)
        CHOICE(Compare, fn, "equal less less_equal ")
        CHOICE(ArgReduce, fn, "max min ")
        CHOICE(ScatterElements, reduction, REDUCTIONS)
        CHOICE(ScatterND, reduction, REDUCTIONS)
        CHOICE(Bitwise, fn, "and or xor shl shr ")
        CHOICE(RoiAlign, mode, "avg max ")
        CHOICE(GridSample, mode, "linear nearest cubic ")
        CHOICE(GridSample, padding_mode, "zeros border reflection ")
        CHOICE(Reduce, fn, "mean sum max min prod l1 l2 sum_square log_sum log_sum_exp ")
        CHOICE(Pad, mode, "constant reflect edge wrap ")
        CHOICE(Resize, mode, "nearest linear cubic ")
        CHOICE(Resize, coordinate_transformation_mode,
               "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric tf_half_pixel_for_nn "
               "tf_crop_and_resize ")
        CHOICE(Resize, nearest_mode, "round_prefer_floor round_prefer_ceil floor ceil ")
        CHOICE(Resize, keep_aspect_ratio_policy, "stretch not_larger not_smaller ")
        CHOICE(DepthToSpace, mode, "DCR CRD ")
        CHOICE(SpaceToDepth, mode, "DCR CRD ")
        CHOICE(QConv, act, FUNCTIONS)
        CHOICE(QConv, auto_pad, AUTO_PADS)
        CHOICE(QPool, kind, "max average average_include_pad ")
        CHOICE(QPool, auto_pad, AUTO_PADS)
        CHOICE(QBinary, fn, "add sub mul ")
        CHOICE(QBinary, act, "none clip ")
        CHOICE(QUnary, fn, FUNCTIONS)
    default: return NULL;
    }
}

/* Bounds of ints, and of each of INTS: geometry then fits into 32 bits. */
static const struct {
    uint8_t op, attr;
    uint8_t min_count, max_count; /* of INTS; an int is one */
    int32_t min, max;
} ranges[] = {
#define RANGE_LINE(op, attr, min_count, max_count, min, max) \
    {SPR_OP_##op, SPR_ATTR_##op##_##attr, min_count, max_count, min, max},
#define RANGE(op, ...) SPR_KEPT(op_##op, RANGE_LINE, NOTHING)(op, __VA_ARGS__)
#define AXIS(op) RANGE(op, axis, 1, 1, -SPR_MAX_RANK, SPR_MAX_RANK - 1)
#define FLAG(op, attr) RANGE(op, attr, 1, 1, 0, 1)
#define WINDOW(op) \
    RANGE(op, strides, 2, 2, 1, INT32_MAX) RANGE(op, pads, 4, 4, 0, INT32_MAX) \
    RANGE(op, dilations, 2, 2, 1, INT32_MAX)
    WINDOW(Conv)
    RANGE(Conv, group, 1, 1, 1, INT32_MAX)
    WINDOW(MaxPool)
    RANGE(MaxPool, kernel_shape, 2, 2, 1, INT32_MAX)
    FLAG(MaxPool, ceil_mode)
    WINDOW(MaxPoolIndices)
    RANGE(MaxPoolIndices, kernel_shape, 2, 2, 1, INT32_MAX)
    FLAG(MaxPoolIndices, ceil_mode)
    FLAG(MaxPoolIndices, storage_order)
    WINDOW(AveragePool)
    RANGE(AveragePool, kernel_shape, 2, 2, 1, INT32_MAX)
    FLAG(AveragePool, ceil_mode)
    FLAG(AveragePool, count_include_pad)
    AXIS(Softmax)
    FLAG(Reduce, keepdims)
    FLAG(Reduce, noop_with_empty_axes)
    FLAG(Recurrent, reverse)
    FLAG(Recurrent, linear_before_reset)
    FLAG(Recurrent, input_forget)
    AXIS(ArgReduce)
    FLAG(ArgReduce, keepdims)
    FLAG(ArgReduce, select_last_index)
    AXIS(TopK)
    FLAG(TopK, largest)
    FLAG(CumSum, exclusive)
    FLAG(CumSum, reverse)
    AXIS(GatherElements)
    RANGE(GatherND, batch_dims, 1, 1, 0, SPR_MAX_RANK - 1)
    AXIS(ScatterElements)
    FLAG(GridSample, align_corners)
    FLAG(GridSample, pixels)
    RANGE(RoiAlign, output_height, 1, 1, 1, INT32_MAX)
    RANGE(RoiAlign, output_width, 1, 1, 1, INT32_MAX)
    RANGE(RoiAlign, sampling_ratio, 1, 1, 0, 1024)
    FLAG(RoiAlign, half_pixel)
    FLAG(NonMaxSuppression, center_point_box)
    AXIS(Concat)
    AXIS(Split)
    FLAG(Reshape, allowzero)
    RANGE(Flatten, axis, 1, 1, -SPR_MAX_RANK, SPR_MAX_RANK)
    RANGE(Transpose, perm, 0, SPR_MAX_RANK, 0, SPR_MAX_RANK - 1)
    AXIS(Gather)
    FLAG(Resize, exclude_outside)
    FLAG(Resize, antialias)
    FLAG(Resize, truncate)
    RANGE(Resize, axes, 0, SPR_MAX_RANK, -SPR_MAX_RANK, SPR_MAX_RANK - 1)
    RANGE(DepthToSpace, blocksize, 1, 1, 1, 1 << 15)
    RANGE(SpaceToDepth, blocksize, 1, 1, 1, 1 << 15)
    RANGE(ChannelShuffle, group, 1, 1, 1, INT32_MAX)
    WINDOW(QConv)
    RANGE(QConv, group, 1, 1, 1, INT32_MAX)
    WINDOW(QPool)
    RANGE(QConcat, group, 1, 1, 1, INT32_MAX)
    RANGE(QConcat, begin, 1, 1, 0, INT32_MAX)
    RANGE(QConcat, count, 1, 1, 0, INT32_MAX)
    FLAG(QPool, in_order)
    RANGE(QPool, kernel_shape, 0, 2, 1, INT32_MAX)
    FLAG(QPool, ceil_mode)
    RANGE(Dequantize, to, 1, 1, SPR_FLOAT32, SPR_INT8)
    AXIS(QuantizeLinear)
    AXIS(DequantizeLinear)
    {SPR_OP_COUNT, 0, 0, 0, 0, 0}, /* of none: arrays are not empty */
};

/* Whether a word is one of a list in which each is followed by a space. */
static int is_listed(const char *word, const char *list) {
    size_t length = strcspn(word, " ");
    if (word[length]) return 0;
    for (const char *p = list; *p; p = strchr(p, ' ') + 1)
        if (!strncmp(p, word, length) && p[length] == ' ') return 1;
    return 0;
}

static spr_status check_range(const spr_node *node, const spr_attr_schema *schema, int64_t value, int64_t min,
                              int64_t max, spr_error *err) {
    if (value >= min && value <= max) return SPR_OK;
    return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                         "attribute '%s' has the value %lld; accepted are %lld to %lld", schema->name, (long long)value,
                         (long long)min, (long long)max);
}

static spr_status check_attributes(const spr_node *node, spr_error *err) {
    const spr_op_schema schema = spr_op_get_schema(node->op);
    for (int i = 0; i < schema.attr_count; i++) {
        const char *word = node->attr[i].s, *accepted = accepted_strings(node->op, i);
        if (accepted && !is_listed(word, accepted))
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                                 "attribute '%s' has the value '%.100s'; accepted are %s", schema.attrs[i].name, word,
                                 accepted);
    }
    for (size_t i = 0; i < SPR_COUNTOF(ranges); i++) {
        if (ranges[i].op != node->op) continue;
        const spr_attr_schema *s = &schema.attrs[ranges[i].attr];
        const spr_attr *a = &node->attr[ranges[i].attr];
        const int64_t *v = s->type == SPR_TYPE_INTS ? a->ints.v : &a->i;
        int n = s->type == SPR_TYPE_INTS ? a->ints.n : 1;
        if (n < ranges[i].min_count || n > ranges[i].max_count)
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                                 "attribute '%s' has %d values; accepted are %d to %d", s->name, n, ranges[i].min_count,
                                 ranges[i].max_count);
        for (int j = 0; j < n; j++) {
            spr_status status = check_range(node, s, v[j], ranges[i].min, ranges[i].max, err);
            if (status) return status;
        }
    }
    return SPR_OK;
}

static int has_input(const spr_node *node, int i) { return i < node->in_count && node->in[i] >= 0; }

/* A slope is there exactly for prelu. */
static spr_status check_slope(const spr_node *node, const char *fn, int slope, spr_error *err) {
    int needed = !strcmp(fn, "prelu"), given = slope >= 0 && has_input(node, slope);
    if (needed && !given)
        return spr_fail_node(node, err, SPR_ERROR_FORMAT, slope < 0 ? "the activation 'prelu' is not possible here"
                                                                    : "'prelu' needs the input 'slope'");
    if (!needed && given)
        return spr_fail_node(node, err, SPR_ERROR_FORMAT,
                             "the input 'slope' is given, but the function is '%.100s', not 'prelu'", fn);
    return SPR_OK;
}

static int ends_in(const char *name, const char *end) {
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && !strcmp(name + length - tail, end);
}

#define QUANTIZES                                                                                             \
    (SPR_KEPT(op_QConv, 1, 0) || SPR_KEPT(op_QPool, 1, 0) || SPR_KEPT(op_QUnary, 1, 0) ||                     \
     SPR_KEPT(op_QBinary, 1, 0) || SPR_KEPT(op_Quantize, 1, 0) || SPR_KEPT(op_Dequantize, 1, 0) ||            \
     SPR_KEPT(op_Resize, 1, 0))

/* Scales and zeros of a quantized operator. */
static spr_status check_quantization(const spr_node *node, spr_error *err) {
    if (!QUANTIZES) return SPR_OK;
    const spr_op_schema schema = spr_op_get_schema(node->op);
    for (int i = 0; i < schema.attr_count; i++) {
        const char *name = schema.attrs[i].name;
        double scale = node->attr[i].f;
        int float32 = node->op == SPR_OP_QConv && i == SPR_ATTR_QConv_y_scale && scale == 0;
        if (ends_in(name, "_scale") && !float32 && !(scale >= FLT_MIN && scale <= FLT_MAX))
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                                 "attribute '%s' is %g, it must be a positive float32", name, scale);
        if (ends_in(name, "_zero") && (node->attr[i].i < -128 || node->attr[i].i > 127))
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED, "attribute '%s' is %lld, it must be an int8", name,
                                 (long long)node->attr[i].i);
    }
    return SPR_OK;
}

/* What the tables above cannot say. */
static spr_status check_operator(const spr_node *node, spr_error *err) {
    const spr_attr *attr = node->attr;
    switch (node->op) {
    case SPR_OP_Conv: return check_slope(node, attr[SPR_ATTR_Conv_act].s, 4, err);
    case SPR_OP_FullyConnected: return check_slope(node, attr[SPR_ATTR_FullyConnected_act].s, 4, err);
    case SPR_OP_Unary: return check_slope(node, attr[SPR_ATTR_Unary_fn].s, 1, err);
    case SPR_OP_Binary: return check_slope(node, attr[SPR_ATTR_Binary_act].s, -1, err);
    case SPR_OP_QConv: {
        spr_status status = check_slope(node, attr[SPR_ATTR_QConv_act].s, 5, err);
        return status ? status : check_quantization(node, err);
    }
    case SPR_OP_QPool:
        if (attr[SPR_ATTR_QPool_kernel_shape].ints.n == 1)
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                                 "attribute 'kernel_shape' has 1 value; accepted are 0 or 2");
        return check_quantization(node, err);
    case SPR_OP_QUnary: {
        spr_status status = check_slope(node, attr[SPR_ATTR_QUnary_fn].s, -1, err);
        return status ? status : check_quantization(node, err);
    }
    case SPR_OP_Quantize:
    case SPR_OP_Dequantize:
    case SPR_OP_Resize:
    case SPR_OP_QBinary: return check_quantization(node, err);
    case SPR_OP_Cast:
        if (attr[SPR_ATTR_Cast_to].i == SPR_QUANTIZED || !spr_dtype_size((spr_dtype)attr[SPR_ATTR_Cast_to].i) ||
            attr[SPR_ATTR_Cast_to].i != (int)attr[SPR_ATTR_Cast_to].i)
            return spr_fail_node(node, err, SPR_ERROR_UNSUPPORTED,
                                 "attribute 'to' is %lld, which is none of the element types known here",
                                 (long long)attr[SPR_ATTR_Cast_to].i);
        return SPR_OK;
    case SPR_OP_Transpose: {
        unsigned seen = 0;
        for (int i = 0; i < attr[SPR_ATTR_Transpose_perm].ints.n; i++)
            seen |= 1u << attr[SPR_ATTR_Transpose_perm].ints.v[i];
        if (seen != (1u << attr[SPR_ATTR_Transpose_perm].ints.n) - 1)
            return spr_fail_node(node, err, SPR_ERROR_FORMAT, "attribute 'perm' is not a permutation");
        return SPR_OK;
    }
    default: return SPR_OK;
    }
}

/* ---- structure -------------------------------------------------------------------------------------------------- */

static spr_status check_count(const spr_node *node, const char *what, int count, int min, int max, const char *names,
                              spr_error *err) {
    if (count >= min && count <= max) return SPR_OK;
    return spr_fail_node(node, err, SPR_ERROR_FORMAT, "has %d %s; expected are: %s", count, what, names);
}

spr_status spr_node_check_op(const spr_node *node, spr_error *err) {
    if (spr_op_is_here(node->op)) return SPR_OK;
    return spr_fail(err, SPR_ERROR_UNSUPPORTED,
                    "node '%.200s': this library was tailored to other models, without the operator %s", node->name,
                    spr_op_name(node->op));
}

/* known[v]: whether value v is there when the node runs. */
static spr_status check_node(const spr_graph *graph, int index, unsigned char *known, spr_error *err) {
    const spr_node *node = &graph->nodes[index];
    if ((int)node->op < 0 || node->op >= SPR_OP_COUNT)
        return spr_fail(err, SPR_ERROR_UNSUPPORTED, "node %d: unknown operator %d", index, (int)node->op);
    const spr_op_schema schema = spr_op_get_schema(node->op);
    spr_status status = spr_node_check_op(node, err);
    if (!status)
        status = check_count(node, "inputs", node->in_count, schema.min_inputs, schema.max_inputs,
                             schema.inputs, err);
    if (!status)
        status = check_count(node, "outputs", node->out_count, schema.min_outputs, schema.max_outputs,
                             schema.outputs, err);
    if (status) return status;
    for (int i = 0; i < node->in_count; i++) {
        int v = node->in[i];
        if (v == -1 && i >= schema.min_inputs && schema.max_inputs != INT32_MAX) continue;
        if (v < 0 || v >= graph->value_count)
            return spr_fail_node(node, err, SPR_ERROR_FORMAT,
                                 v == -1 ? "required input %d of (%s) is missing"
                                         : "input %d of (%s) is not a value of the graph",
                                 i, schema.inputs);
        if (!known[v])
            return spr_fail_node(node, err, SPR_ERROR_FORMAT, "input %d, '%.200s', is not computed before it is used",
                                 i, graph->values[v].name);
    }
    for (int i = 0; i < node->out_count; i++) {
        int v = node->out[i];
        if (v < 0 || v >= graph->value_count)
            return spr_fail_node(node, err, SPR_ERROR_FORMAT, "output %d is not a value of the graph", i);
        if (known[v] || graph->values[v].producer != index)
            return spr_fail_node(node, err, SPR_ERROR_FORMAT,
                                 "output %d, '%.200s', is an input, a constant or computed elsewhere too", i,
                                 graph->values[v].name);
        known[v] = 1;
    }
    status = check_attributes(node, err);
    return status ? status : check_operator(node, err);
}

static spr_status check_inputs(const spr_graph *graph, unsigned char *known, spr_error *err) {
    char text[SPR_DIMS_TEXT];
    for (int i = 0; i < graph->input_count; i++) {
        int v = graph->inputs[i];
        if (v < 0 || v >= graph->value_count)
            return spr_fail(err, SPR_ERROR_FORMAT, "input %d is not a value of the graph", i);
        const spr_value *value = &graph->values[v];
        if (known[v])
            return spr_fail(err, SPR_ERROR_FORMAT, "'%.200s' is an input twice, or a constant too", value->name);
        spr_desc desc = value->desc;
        for (int d = 0; d < desc.rank && d < SPR_MAX_RANK; d++)
            if (desc.dim[d] == -1) desc.dim[d] = 0;
        if (!spr_desc_valid(&desc) || desc.dtype == SPR_QUANTIZED)
            return spr_fail(err, SPR_ERROR_FORMAT,
                            "input '%.200s': type %d of shape %s is not possible; dimensions should be from 0 to 2^31 "
                            "- 1, their product at most 2^37",
                            value->name, (int)desc.dtype, spr_dims_text(text, value->desc.rank, value->desc.dim));
        known[v] = 1;
    }
    return SPR_OK;
}

static spr_status check_outputs(const spr_graph *graph, spr_error *err) {
    unsigned char *seen = spr_alloc_zeroed(graph->arena.allocator, (size_t)graph->value_count + 1, 1);
    if (!seen) return spr_fail_memory(err, "checking a graph", (size_t)graph->value_count);
    spr_status status = SPR_OK;
    if (!graph->output_count) status = spr_fail(err, SPR_ERROR_FORMAT, "the graph has no outputs");
    for (int i = 0; i < graph->output_count && !status; i++) {
        int v = graph->outputs[i];
        if (v < 0 || v >= graph->value_count)
            status = spr_fail(err, SPR_ERROR_FORMAT, "output %d is not a value of the graph", i);
        else if (seen[v]++)
            status = spr_fail(err, SPR_ERROR_FORMAT, "'%.200s' is an output twice", graph->values[v].name);
    }
    spr_release(graph->arena.allocator, seen);
    return status;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void sift_down(const spr_value *values, int32_t *heap, int32_t root, int32_t count) {
    for (int32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && strcmp(values[heap[child]].name, values[heap[child + 1]].name) < 0) child++;
        if (strcmp(values[heap[root]].name, values[heap[child]].name) >= 0) return;
        int32_t swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
    }
}

static spr_status check_text(const char *text, const char *what, int index, spr_error *err) {
    if (!text || !*text) return spr_fail(err, SPR_ERROR_FORMAT, "%s %d has no name", what, index);
    if (!spr_is_utf8(text, strlen(text)))
        return spr_fail(err, SPR_ERROR_FORMAT, "the name of %s %d, '%.200s', is not UTF-8", what, index, text);
    return SPR_OK;
}

/* By heap sort: whatever a file contains, it takes n log n steps and no deep recursion. */
static spr_status check_names(const spr_graph *graph, spr_error *err) {
    int32_t count = graph->value_count;
    spr_status status = SPR_OK;
    for (int32_t i = 0; i < count && !status; i++) status = check_text(graph->values[i].name, "value", i, err);
    for (int32_t i = 0; i < graph->node_count && !status; i++)
        status = check_text(graph->nodes[i].name, "node", i, err);
    if (status) return status;
    int32_t *heap = spr_alloc(graph->arena.allocator, ((size_t)count + 1) * sizeof(*heap));
    if (!heap) return spr_fail_memory(err, "checking a graph", (size_t)count * sizeof(*heap));
    for (int32_t i = 0; i < count; i++) heap[i] = i;
    for (int32_t i = count / 2; i-- > 0;) sift_down(graph->values, heap, i, count);
    const char *after = NULL; /* the name that sorts behind the present one */
    for (int32_t left = count; left > 0 && !status; left--) {
        const char *name = graph->values[heap[0]].name;
        if (after && !strcmp(name, after))
            status = spr_fail(err, SPR_ERROR_FORMAT, "two values have the name '%.200s'", name);
        after = name;
        heap[0] = heap[left - 1];
        sift_down(graph->values, heap, 0, left - 1);
    }
    spr_release(graph->arena.allocator, heap);
    return status;
}

spr_status spr_graph_check(const spr_graph *graph, spr_error *err) {
    spr_status status = check_names(graph, err);
    if (status) return status;
    if (graph->sparse < SPR_SPARSE_AUTO || graph->sparse > SPR_SPARSE_NEVER)
        return spr_fail(err, SPR_ERROR_FORMAT, "the treatment of sparse layers is %d; accepted are %d to %d",
                        (int)graph->sparse, SPR_SPARSE_AUTO, SPR_SPARSE_NEVER);
    if (!graph->producer || !spr_is_utf8(graph->producer, strlen(graph->producer)))
        return spr_fail(err, SPR_ERROR_FORMAT, "the name of the producer is not UTF-8");
    unsigned char *known = spr_alloc_zeroed(graph->arena.allocator, (size_t)graph->value_count + 1, 1);
    if (!known) return spr_fail_memory(err, "checking a graph", (size_t)graph->value_count);
    for (int32_t v = 0; v < graph->value_count; v++) known[v] = graph->values[v].is_const;
    status = check_inputs(graph, known, err);
    for (int32_t i = 0; i < graph->node_count && !status; i++) status = check_node(graph, i, known, err);
    for (int32_t v = 0; v < graph->value_count && !status; v++)
        if (!known[v]) status = spr_fail(err, SPR_ERROR_FORMAT, "nothing computes '%.200s'", graph->values[v].name);
    spr_release(graph->arena.allocator, known);
    return status ? status : check_outputs(graph, err);
}
