/* A small network with one layer of each kind that allocates, as a model file in memory. */
#ifndef SPR_TESTS_SMALL_H
#define SPR_TESTS_SMALL_H

#include <stdlib.h>

#include "model/model.h"
#include "test.h"

static inline spr_desc small_desc(spr_dtype dtype, int rank, int64_t d0, int64_t d1, int64_t d2, int64_t d3) {
    return (spr_desc){.dtype = dtype, .rank = rank, .dim = {d0, d1, d2, d3}};
}

/* Random weights, two of three zero; in 2x1 blocks two rows at a time. */
static inline int small_weights(spr_graph *g, const char *name, spr_desc d, spr_encoding encoding) {
    uint64_t state = 1;
    size_t count = (size_t)spr_desc_count(&d), row = count / (size_t)d.dim[0], size = spr_dtype_size(d.dtype);
    unsigned char *data = calloc(count, size);
    for (size_t i = 0; i < count; i++) {
        size_t pair = encoding == SPR_ENC_BITMAP_2X1 ? i / row / 2 * row + i % row : i;
        if ((pair * 2654435761u >> 8) % 3 && encoding != SPR_ENC_DENSE) continue;
        float value = (float)(test_random(&state) % 200) / 400.0f - 0.25f;
        int8_t integer = (int8_t)(test_random(&state) % 100 - 50);
        int32_t index = 0;
        memcpy(data + i * size,
               d.dtype == SPR_FLOAT32 ? (void *)&value
               : size == 1            ? (void *)&integer
                                      : (void *)&index,
               size);
    }
    int v = spr_graph_add_const(g, name, &d, encoding, data, count * size, &test_error);
    free(data);
    return v;
}

static inline int small_node(spr_graph *g, const char *op, const char *name, int inputs, const int32_t *in) {
    int out = spr_graph_add_value(g, name, &test_error);
    spr_graph_add_node(g, op, name, inputs, in, 1, &out, &test_error);
    return out;
}
#define SMALL_NODE(g, op, name, ...) \
    small_node(g, op, name, (int)(sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t)), (int32_t[]){__VA_ARGS__})

/* Outputs: scores [N, 10] float32; where [4, n] int64, whose shape depends on contents. Input x: [-1, 3, -1, -1]. */
static inline void *small_model(size_t *size) {
    spr_graph *g = spr_graph_new(NULL);
    spr_error *err = &test_error;
    spr_desc image = small_desc(SPR_FLOAT32, 4, -1, 3, -1, -1), pair = small_desc(SPR_INT64, 1, 2, 0, 0, 0);
    int64_t shape_data[] = {0, -1}, strides[] = {2, 2}, pads[] = {1, 1, 1, 1};
    int x = spr_graph_add_input(g, "x", &image, err);
    int shape = spr_graph_add_const(g, "shape", &pair, SPR_ENC_DENSE, shape_data, sizeof shape_data, err);
    int a = SMALL_NODE(g, "Conv", "first", x,
                       small_weights(g, "w first", small_desc(SPR_FLOAT32, 4, 16, 3, 3, 3), SPR_ENC_DENSE));
    int node = g->node_count - 1;
    CHECK(!spr_graph_set_ints(g, node, "strides", strides, 2, err) &&
          !spr_graph_set_ints(g, node, "pads", pads, 4, err));
    CHECK(!spr_graph_set_string(g, node, "act", "hard_swish", err) &&
          !spr_graph_set_float(g, node, "act_a", 1.0 / 6, err) && !spr_graph_set_float(g, node, "act_b", 0.5, err));
    a = SMALL_NODE(g, "Conv", "depthwise", a,
                   small_weights(g, "w depthwise", small_desc(SPR_FLOAT32, 4, 16, 1, 3, 3), SPR_ENC_DENSE));
    CHECK(!spr_graph_set_int(g, g->node_count - 1, "group", 16, err));
    CHECK(!spr_graph_set_ints(g, g->node_count - 1, "pads", pads, 4, err));
    int skip = a;
    a = SMALL_NODE(g, "Conv", "csr", a,
                   small_weights(g, "w csr", small_desc(SPR_FLOAT32, 4, 16, 16, 1, 1), SPR_ENC_BITMAP));
    a = SMALL_NODE(g, "Conv", "2x1", a,
                   small_weights(g, "w 2x1", small_desc(SPR_FLOAT32, 4, 16, 16, 1, 1), SPR_ENC_BITMAP_2X1));
    a = SMALL_NODE(g, "Binary", "add", a, skip);
    a = SMALL_NODE(g, "Conv", "sparse window", a,
                   small_weights(g, "w window", small_desc(SPR_FLOAT32, 4, 16, 16, 3, 3), SPR_ENC_BITMAP));
    CHECK(!spr_graph_set_ints(g, g->node_count - 1, "pads", pads, 4, err));
    int where = SMALL_NODE(g, "NonZero", "where", a);
    a = SMALL_NODE(g, "Quantize", "quantize", a);
    CHECK(!spr_graph_set_float(g, g->node_count - 1, "y_scale", 0.05, err));
    float scale = 0.01f;
    spr_desc one = small_desc(SPR_FLOAT32, 1, 1, 0, 0, 0);
    int scales = spr_graph_add_const(g, "scales", &one, SPR_ENC_DENSE, &scale, sizeof scale, err);
    a = SMALL_NODE(g, "QConv", "integers", a,
                   small_weights(g, "w integers", small_desc(SPR_INT8, 4, 8, 16, 1, 1), SPR_ENC_BITMAP), scales);
    CHECK(!spr_graph_set_float(g, g->node_count - 1, "x_scale", 0.05, err));
    CHECK(!spr_graph_set_float(g, g->node_count - 1, "y_scale", 0.05, err));
    a = SMALL_NODE(g, "QPool", "pool", a);
    CHECK(!spr_graph_set_string(g, g->node_count - 1, "kind", "average", err));
    CHECK(!spr_graph_set_float(g, g->node_count - 1, "x_scale", 0.05, err));
    CHECK(!spr_graph_set_float(g, g->node_count - 1, "y_scale", 0.05, err));
    a = SMALL_NODE(g, "Dequantize", "dequantize", a);
    CHECK(!spr_graph_set_float(g, g->node_count - 1, "x_scale", 0.05, err));
    a = SMALL_NODE(g, "Reshape", "flat", a, shape);
    a = SMALL_NODE(g, "FullyConnected", "scores", a,
                   small_weights(g, "w scores", small_desc(SPR_FLOAT32, 2, 10, 8, 0, 0), SPR_ENC_BITMAP));
    CHECK(!spr_graph_add_output(g, a, err) && !spr_graph_add_output(g, where, err));
    void *data = NULL;
    CHECK(!spr_graph_write(g, &data, size, err));
    spr_graph_free(g);
    return data;
}

/* Gives each free dimension of the inputs a size: batch 2, the others `size`; the inputs then numbers between 0 and 1
   or bits of them. */
static inline spr_status small_feed(const spr_model *model, spr_session *session, int64_t size, spr_error *err) {
    spr_status status = SPR_OK;
    for (int i = 0; i < spr_model_input_count(model) && !status; i++) {
        spr_tensor_info info;
        spr_model_input(model, i, &info);
        for (int k = 0; k < info.rank; k++)
            if (info.dim[k] < 0) info.dim[k] = k ? size : 2;
        status = spr_session_set_input_shape(session, i, info.rank, info.dim, err);
    }
    for (int i = 0; i < spr_model_input_count(model) && !status; i++) {
        spr_tensor_info info;
        uint64_t state = (uint64_t)i;
        spr_session_input(session, i, &info);
        size_t bytes = spr_tensor_bytes(&info);
        unsigned char *data = calloc(bytes + 4, 1);
        for (size_t b = 0; info.dtype == SPR_FLOAT32 && b < bytes; b += 4) {
            float value = (float)(test_random(&state) % 1000) * 0.001f;
            memcpy(data + b, &value, 4);
        }
        status = spr_session_set_input(session, i, data, bytes, err);
        free(data);
    }
    return status;
}

/* CRC-32 of all outputs. */
static inline spr_status small_outputs(const spr_model *model, const spr_session *session, uint32_t *crc,
                                       spr_error *err) {
    spr_status status = SPR_OK;
    *crc = 0;
    for (int i = 0; i < spr_model_output_count(model) && !status; i++) {
        spr_tensor_info info;
        spr_session_output(session, i, &info);
        size_t bytes = spr_tensor_bytes(&info);
        unsigned char *data = malloc(bytes + 1);
        status = spr_session_get_output(session, i, data, bytes, err);
        if (!status) *crc = *crc * 31 + spr_crc(data, bytes);
        free(data);
    }
    return status;
}

#endif
