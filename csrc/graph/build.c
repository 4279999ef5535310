#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "model/compress.h"

int64_t spr_desc_count(const spr_desc *desc) {
    int64_t count = 1;
    for (int i = 0; i < desc->rank; i++) count *= desc->dim[i];
    return count;
}

int spr_desc_valid(const spr_desc *desc) {
    if (!spr_dtype_size(desc->dtype) || desc->rank < 0 || desc->rank > SPR_MAX_RANK) return 0;
    int64_t count = 1;
    for (int i = 0; i < desc->rank; i++) {
        int64_t dim = desc->dim[i];
        if (dim < 0 || dim > INT32_MAX) return 0;
        if (dim && count > SPR_MAX_ELEMENTS / dim) return 0; /* before the product, which may exceed 64 bits */
        if (dim) count *= dim;
    }
    return 1;
}

spr_status spr_fail_node(const spr_node *node, spr_error *err, spr_status status, const char *format, ...) {
    char text[sizeof(err->message)];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return spr_fail(err, status, "node '%.200s' (%s): %s", node->name, spr_op_name(node->op),
                    length < 0 ? "" : text);
}

spr_graph *spr_graph_new(const spr_allocator *allocator) {
    spr_graph *graph = spr_alloc_zeroed(allocator, 1, sizeof(*graph));
    if (graph) {
        graph->arena.allocator = allocator;
        graph->sparse = SPR_SPARSE_AUTO;
        graph->producer = "";
    }
    return graph;
}

void spr_graph_free(spr_graph *graph) {
    if (!graph) return;
    spr_arena_free(&graph->arena);
    spr_release(graph->arena.allocator, graph);
}

spr_status spr_graph_set_producer(spr_graph *graph, const char *text, spr_error *err) {
    const char *copy = spr_arena_string(&graph->arena, text, strlen(text));
    if (!copy) return spr_fail_memory(err, "the producer", strlen(text));
    graph->producer = copy;
    return SPR_OK;
}

/* Room for one more element of an array in the arena, whose pointer is at `pointer`; the old array stays, unused. */
static int grow(spr_graph *graph, void *pointer, int32_t count, int32_t *room, size_t size) {
    if (count < *room) return 1;
    if (*room > INT32_MAX / 2) return 0;
    int32_t wanted = *room ? *room * 2 : 16;
    void *old, *larger = spr_arena_array(&graph->arena, (size_t)wanted, size);
    if (!larger) return 0;
    memcpy(&old, pointer, sizeof(old)); /* pointers to any type */
    if (count) memcpy(larger, old, (size_t)count * size);
    memcpy(pointer, &larger, sizeof(larger));
    *room = wanted;
    return 1;
}
#define GROW(graph, field) \
    grow(graph, &(graph)->field##s, (graph)->field##_count, &(graph)->field##_room, sizeof(*(graph)->field##s))

static int out_of_memory(spr_error *err, const char *what) {
    spr_fail_memory(err, what, 0);
    return -1;
}

/* Appends a value without a producer. */
static spr_value *new_value(spr_graph *graph, const char *name, spr_error *err) {
    if (!name || !*name) {
        spr_fail(err, SPR_ERROR_ARGUMENT, "a value needs a name");
        return NULL;
    }
    const char *copy = spr_arena_string(&graph->arena, name, strlen(name));
    if (!copy || !GROW(graph, value)) {
        out_of_memory(err, "a value");
        return NULL;
    }
    spr_value *value = &graph->values[graph->value_count++];
    value->name = copy;
    value->producer = -1;
    return value;
}

int spr_graph_add_input(spr_graph *graph, const char *name, const spr_desc *desc, spr_error *err) {
    if (!GROW(graph, input)) return out_of_memory(err, "the list of inputs");
    spr_value *value = new_value(graph, name, err);
    if (!value) return -1;
    value->desc = *desc;
    graph->inputs[graph->input_count++] = graph->value_count - 1;
    return graph->value_count - 1;
}

int spr_graph_add_const(spr_graph *graph, const char *name, const spr_desc *desc, spr_encoding encoding,
                        const void *data, size_t bytes, spr_error *err) {
    char text[SPR_DIMS_TEXT];
    const char *shown = name ? name : "";
    if (!spr_desc_valid(desc)) {
        spr_fail(err, SPR_ERROR_ARGUMENT, "constant '%.200s': type %d of shape %s is not possible", shown,
                 (int)desc->dtype, spr_dims_text(text, desc->rank, desc->dim));
        return -1;
    }
    size_t size = spr_dtype_size(desc->dtype);
    uint64_t dense = (uint64_t)spr_desc_count(desc) * size;
    if (bytes != dense) {
        spr_fail(err, SPR_ERROR_ARGUMENT, "constant '%.200s': %zu bytes given, but %s %s takes %llu", shown, bytes,
                 spr_dtype_name(desc->dtype), spr_dims_text(text, desc->rank, desc->dim), (unsigned long long)dense);
        return -1;
    }
    if (encoding < SPR_ENC_DENSE || encoding > SPR_ENC_BITMAP_2X1 ||
        (encoding != SPR_ENC_DENSE && (desc->rank < 2 || size > 4))) {
        spr_fail(err, SPR_ERROR_ARGUMENT,
                 "constant '%.200s': %s %s cannot be stored in encoding %d; sparse encodings (%d, %d) take rank 2 or "
                 "more and "
                 "elements of 1, 2 or 4 bytes",
                 shown, spr_dtype_name(desc->dtype), spr_dims_text(text, desc->rank, desc->dim), (int)encoding,
                 SPR_ENC_BITMAP, SPR_ENC_BITMAP_2X1);
        return -1;
    }
    size_t stored = spr_encoded_size(encoding, desc, data);
    void *copy = spr_arena_alloc(&graph->arena, stored);
    if (!copy) {
        spr_fail_memory(err, shown, stored);
        return -1;
    }
    spr_value *value = new_value(graph, name, err);
    if (!value) return -1;
    value->desc = *desc;
    value->is_const = 1;
    spr_encode(encoding, data, copy, stored, value);
    return graph->value_count - 1;
}

int spr_graph_add_value(spr_graph *graph, const char *name, spr_error *err) {
    return new_value(graph, name, err) ? graph->value_count - 1 : -1;
}

/* Values that a node lists. Inputs may be missing (-1), outputs must have no producer yet. */
static int check_values(const spr_graph *graph, const char *op, const char *name, const char *what, int count,
                        const int32_t *index, int outputs, spr_error *err) {
    for (int i = 0; i < count; i++) {
        if (index[i] >= graph->value_count || index[i] < (outputs ? 0 : -1)) {
            spr_fail(err, SPR_ERROR_ARGUMENT, "node '%.200s' (%s): %s %d is value %d, but the graph has %d values",
                     name, op, what, i, (int)index[i], (int)graph->value_count);
            return 0;
        }
        if (outputs && graph->values[index[i]].producer >= 0) {
            spr_fail(err, SPR_ERROR_ARGUMENT, "node '%.200s' (%s): '%.200s' is already computed by node '%.200s'", name,
                     op, graph->values[index[i]].name, graph->nodes[graph->values[index[i]].producer].name);
            return 0;
        }
    }
    return 1;
}

int spr_node_init(spr_graph *graph, spr_node *node, spr_op op) {
    const spr_op_schema schema = spr_op_get_schema(op);
    spr_attr *attr = spr_arena_array(&graph->arena, (size_t)schema.attr_count, sizeof(*attr));
    if (!attr) return 0;
    for (int i = 0; i < schema.attr_count; i++)
        if (!spr_attr_default(&schema.attrs[i], &graph->arena, &attr[i])) return 0;
    node->op = op;
    node->attr = attr;
    return 1;
}

int spr_graph_add_node(spr_graph *graph, const char *op, const char *name, int in_count, const int32_t *in,
                       int out_count, const int32_t *out, spr_error *err) {
    int id = op ? spr_op_find(op) : -1;
    if (!name || !*name) {
        spr_fail(err, SPR_ERROR_ARGUMENT, "a node (%s) needs a name", op ? op : "");
        return -1;
    }
    if (id < 0 || !spr_op_is_here((spr_op)id)) {
        spr_fail(err, SPR_ERROR_UNSUPPORTED, "node '%.200s': operator '%.200s' is not supported", name, op ? op : "");
        return -1;
    }
    if (in_count < 0 || out_count < 0) {
        spr_fail(err, SPR_ERROR_ARGUMENT, "node '%.200s' (%s): %d inputs, %d outputs", name, op, in_count, out_count);
        return -1;
    }
    if (!check_values(graph, op, name, "input", in_count, in, 0, err) ||
        !check_values(graph, op, name, "output", out_count, out, 1, err))
        return -1;
    spr_node node = {0};
    int32_t *ins = spr_arena_array(&graph->arena, (size_t)in_count, sizeof(*in));
    int32_t *outs = spr_arena_array(&graph->arena, (size_t)out_count, sizeof(*out));
    node.name = spr_arena_string(&graph->arena, name, strlen(name));
    if (!ins || !outs || !node.name || !spr_node_init(graph, &node, (spr_op)id) || !GROW(graph, node))
        return out_of_memory(err, "a node");
    for (int i = 0; i < in_count; i++) ins[i] = in[i];
    for (int i = 0; i < out_count; i++) {
        outs[i] = out[i];
        graph->values[out[i]].producer = graph->node_count;
    }
    node.in = ins;
    node.out = outs;
    node.in_count = in_count;
    node.out_count = out_count;
    graph->nodes[graph->node_count] = node;
    return graph->node_count++;
}

/* Finds the attribute to be set. */
static spr_status find_attr(spr_graph *graph, int node, const char *name, spr_attr_type type, spr_attr **attr,
                            spr_error *err) {
    static const char types[][16] = {"an int", "a float", "a list of ints", "a string"};
    *attr = NULL;
    if (node < 0 || node >= graph->node_count)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "node %d: the graph has %d nodes", node, (int)graph->node_count);
    const spr_node *n = &graph->nodes[node];
    const spr_op_schema schema = spr_op_get_schema(n->op);
    for (int i = 0; i < schema.attr_count; i++) {
        if (strcmp(schema.attrs[i].name, name)) continue;
        if (schema.attrs[i].type != type)
            return spr_fail_node(n, err, SPR_ERROR_ARGUMENT, "attribute '%.200s' is %s, not %s", name,
                                 types[schema.attrs[i].type], types[type]);
        *attr = (spr_attr *)&n->attr[i];
        return SPR_OK;
    }
    return spr_fail_node(n, err, SPR_ERROR_UNSUPPORTED, "attribute '%.200s' is not supported", name);
}

spr_status spr_graph_set_int(spr_graph *graph, int node, const char *attr, int64_t value, spr_error *err) {
    spr_attr *a;
    spr_status status = find_attr(graph, node, attr, SPR_TYPE_INT, &a, err);
    if (!status) a->i = value;
    return status;
}

spr_status spr_graph_set_float(spr_graph *graph, int node, const char *attr, double value, spr_error *err) {
    spr_attr *a;
    spr_status status = find_attr(graph, node, attr, SPR_TYPE_FLOAT, &a, err);
    if (!status) a->f = value;
    return status;
}

spr_status spr_graph_set_string(spr_graph *graph, int node, const char *attr, const char *value, spr_error *err) {
    spr_attr *a;
    spr_status status = find_attr(graph, node, attr, SPR_TYPE_STRING, &a, err);
    if (status) return status;
    const char *copy = spr_arena_string(&graph->arena, value, strlen(value));
    if (!copy) return spr_fail_memory(err, attr, strlen(value));
    a->s = copy;
    return SPR_OK;
}

spr_status spr_graph_set_ints(spr_graph *graph, int node, const char *attr, const int64_t *v, int n, spr_error *err) {
    spr_attr *a;
    spr_status status = find_attr(graph, node, attr, SPR_TYPE_INTS, &a, err);
    if (status) return status;
    if (n < 0) return spr_fail(err, SPR_ERROR_ARGUMENT, "attribute '%.200s': %d values", attr, n);
    int64_t *copy = spr_arena_array(&graph->arena, (size_t)n, sizeof(*copy));
    if (!copy) return spr_fail_memory(err, attr, (size_t)n * sizeof(*copy));
    if (n) memcpy(copy, v, (size_t)n * sizeof(*copy));
    a->ints.v = copy;
    a->ints.n = n;
    return SPR_OK;
}

spr_status spr_graph_add_output(spr_graph *graph, int value, spr_error *err) {
    if (value < 0 || value >= graph->value_count)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "output: value %d, but the graph has %d values", value,
                        (int)graph->value_count);
    if (!GROW(graph, output)) return spr_fail_memory(err, "the list of outputs", 0);
    graph->outputs[graph->output_count++] = value;
    return SPR_OK;
}
