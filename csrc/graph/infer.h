/* Shape inference from within: one function per `infer` name of ops.inc. */
#ifndef SPR_GRAPH_INFER_H
#define SPR_GRAPH_INFER_H

#include "graph/graph.h"

typedef struct spr_infer {
    const spr_node *node;
    spr_infer_input *in;
    spr_desc *out; /* zeroed, types filled in */
    const spr_graph *graph;
    spr_error *err;
} spr_infer;

/* Fills in rank and dimensions of the outputs. The count of inputs and outputs, the presence of required inputs, and
   attributes are as spr_graph_check demands; the inputs' shapes are valid. */
typedef spr_status spr_infer_fn(spr_infer *c);
spr_infer_fn spr_infer_conv, spr_infer_fully_connected, spr_infer_matmul, spr_infer_pool, spr_infer_pool_indices,
    spr_infer_global_pool, spr_infer_unary, spr_infer_binary, spr_infer_batch_norm, spr_infer_same, spr_infer_reduce,
    spr_infer_concat, spr_infer_split, spr_infer_slice, spr_infer_reshape, spr_infer_flatten, spr_infer_squeeze,
    spr_infer_unsqueeze, spr_infer_transpose, spr_infer_expand, spr_infer_tile, spr_infer_pad, spr_infer_gather,
    spr_infer_resize, spr_infer_depth_to_space, spr_infer_space_to_depth, spr_infer_cast, spr_infer_shape,
    spr_infer_constant_of_shape, spr_infer_quantize, spr_infer_dequantize, spr_infer_compare, spr_infer_where,
    spr_infer_arg_reduce, spr_infer_top_k, spr_infer_cum_sum, spr_infer_gather_elements, spr_infer_gather_nd,
    spr_infer_scatter_elements, spr_infer_scatter_nd, spr_infer_grid_sample, spr_infer_range, spr_infer_non_zero,
    spr_infer_nms, spr_infer_bitwise, spr_infer_roi_align, spr_infer_recurrent, spr_infer_to_quantized,
    spr_infer_from_quantized, spr_infer_q_conv, spr_infer_q_pool, spr_infer_q_binary, spr_infer_q_unary,
    spr_infer_q_concat;

#define SPR_INFER_ATTR(c, op, name) (&(c)->node->attr[SPR_ATTR_##op##_##name])

int spr_infer_has(const spr_infer *c, int input);
/* "'x' float32 [1, 3, 8, 8]" of an input. */
#define SPR_TENSOR_TEXT 384
typedef struct spr_tensor_text {
    char s[SPR_TENSOR_TEXT];
} spr_tensor_text;
spr_tensor_text spr_infer_text(const spr_infer *c, int input);
#define SPR_TEXT(c, input) (spr_infer_text(c, input).s)

/* `return spr_infer_fail(c, SPR_ERROR_SHAPE, ...)` */
spr_status spr_infer_fail(const spr_infer *c, spr_status status, const char *format, ...) SPR_PRINTF(3, 4);

/* Fails where an output would have more than SPR_MAX_RANK dimensions, before they are written. */
spr_status spr_infer_out_rank(const spr_infer *c, int rank);

/* Sets of element types, for spr_infer_type. */
#define SPR_TYPE_BIT(dtype) (1u << (dtype))
#define SPR_TYPES_FLOAT32 SPR_TYPE_BIT(SPR_FLOAT32)
#define SPR_TYPES_INDEX (SPR_TYPE_BIT(SPR_INT32) | SPR_TYPE_BIT(SPR_INT64))
#define SPR_TYPES_8BIT (SPR_TYPE_BIT(SPR_INT8) | SPR_TYPE_BIT(SPR_UINT8))
#define SPR_TYPES_16BIT (SPR_TYPE_BIT(SPR_INT16) | SPR_TYPE_BIT(SPR_UINT16))
#define SPR_TYPES_32_64 (SPR_TYPES_INDEX | SPR_TYPE_BIT(SPR_UINT32) | SPR_TYPE_BIT(SPR_UINT64))
#define SPR_TYPES_NUMERIC                                                                                     \
    (SPR_TYPES_FLOAT32 | SPR_TYPE_BIT(SPR_FLOAT64) | SPR_TYPES_32_64 | SPR_TYPES_8BIT | SPR_TYPES_16BIT)
#define SPR_TYPES_ORDERED (SPR_TYPES_NUMERIC | SPR_TYPE_BIT(SPR_BOOL))

/* Fails unless the input's type is one of a set. */
spr_status spr_infer_type(const spr_infer *c, int input, unsigned types);
/* Fails unless the input has a rank in [min, max]. */
spr_status spr_infer_rank(const spr_infer *c, int input, int min, int max);
/* Contents of a list of at most `max` ints; `*n` of them. */
spr_status spr_infer_ints(const spr_infer *c, int input, int64_t *v, int max, int *n);
/* Contents of a list of at most `max` floats. */
spr_status spr_infer_floats(const spr_infer *c, int input, float *v, int max, int *n);
/* An axis of a tensor of `rank` dimensions, normalized. */
spr_status spr_infer_axis(const spr_infer *c, int64_t value, int rank, int *axis);
/* Gives an output the shape of input 0. */
void spr_infer_like(spr_infer *c, int output);
/* Fails unless an input's contents are known, or it has none. */
spr_status spr_infer_contents(const spr_infer *c, int input);
/* Numpy's broadcasting of two shapes; 0 if they do not fit. */
int spr_broadcast(const spr_desc *a, const spr_desc *b, spr_desc *out);

#endif
