/* The graph in memory: what the reader makes from a file, what Python builds to be written, what the plan works on. */
#ifndef SPR_GRAPH_GRAPH_H
#define SPR_GRAPH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "spr/spr.h"

/* ---- schema, from ops.inc ---------------------------------------------------------------------------------------- */

typedef enum spr_op {
#define SPR_OP(name, inputs, outputs, infer, attrs) SPR_OP_##name,
#define SPR_ATTR(op, name, type, value)
#include "spr/ops.inc"
#undef SPR_OP
#undef SPR_ATTR
    SPR_OP_COUNT
} spr_op;

/* SPR_ATTR_<op>_<name>: index into spr_node.attr. */
#define SPR_ATTR(op, name, type, value) SPR_ATTR_##op##_##name,
#define SPR_OP(name, inputs, outputs, infer, attrs) enum { attrs SPR_ATTR_COUNT_##name };
#include "spr/ops.inc"
#undef SPR_OP
#undef SPR_ATTR

typedef enum spr_attr_type { SPR_TYPE_INT, SPR_TYPE_FLOAT, SPR_TYPE_INTS, SPR_TYPE_STRING } spr_attr_type;

typedef struct spr_attr_schema {
    const char *name;
    spr_attr_type type;
    const char *value; /* default as text */
} spr_attr_schema;

#define SPR_MAX_ATTRS 16
typedef struct spr_op_schema {
    const char *name;
    const char *inputs, *outputs; /* as in ops.inc */
    int min_inputs, max_inputs, min_outputs, max_outputs; /* INT32_MAX for variadic */
    int attr_count;
    spr_attr_schema attrs[SPR_MAX_ATTRS];
} spr_op_schema;

/* op in [0, SPR_OP_COUNT). Of an operator that is not here, the name and nothing else. */
spr_op_schema spr_op_get_schema(spr_op op);
const char *spr_op_name(spr_op op);
/* Whether this build has the operator (base/tailor.h). */
int spr_op_is_here(spr_op op);
/* -1 if there is no such operator. */
int spr_op_find(const char *name);

union spr_attr;
/* Fills in the default of an attribute; INTS live in the arena. Returns 0 when out of memory. */
int spr_attr_default(const spr_attr_schema *schema, spr_arena *arena, union spr_attr *attr);
/* Whether an attribute has its default value, bit for bit. */
int spr_attr_is_default(const spr_attr_schema *schema, const union spr_attr *attr);

/* ---- values and nodes -------------------------------------------------------------------------------------------- */

/* A type and a concrete shape (free dimensions are -1 only in graph inputs). */
typedef struct spr_desc {
    spr_dtype dtype;
    int32_t rank;
    int64_t dim[SPR_MAX_RANK];
} spr_desc;

int64_t spr_desc_count(const spr_desc *desc); /* elements; 1 for rank 0 */

/* Limit on the product of a tensor's dimensions, zeros counted as ones: sizes in bytes, sums of a few of them and
   offsets with padding then fit everywhere without further checks. */
#define SPR_MAX_ELEMENTS ((int64_t)1 << 37)
/* Whether the type is known, the rank in range, dimensions in [0, INT32_MAX], the product within SPR_MAX_ELEMENTS. */
int spr_desc_valid(const spr_desc *desc);

/* How a constant's bytes are stored. Sparse forms see a tensor [n, ...] as a matrix [n, k], k the product of the other
   dimensions; csrc/model/compress.h describes them. */
typedef enum spr_encoding {
    SPR_ENC_DENSE = 0,
    SPR_ENC_BITMAP = 1,     /* a bit per element, then the nonzero values */
    SPR_ENC_BITMAP_2X1 = 2, /* a bit per pair of rows (0,1), (2,3) ..., then both values of each set bit */
} spr_encoding;

typedef struct spr_value {
    const char *name;
    spr_desc desc;
    int32_t producer; /* node index, -1 for graph inputs and constants */
    uint8_t is_const;
    /* Constants; what is pointed to is borrowed from the file or the graph's arena: */
    uint8_t encoding;            /* spr_encoding */
    uint8_t gaps;                /* 1 + their parameter where the file has gaps (model/gaps.h), 0 for the bitmap */
    const unsigned char *bitmap; /* of sparse forms */
    const void *data;            /* the elements that are stored, aligned to 4 at least */
    size_t bytes;                /* in the file, with the bitmap or the gaps */
} spr_value;

typedef union spr_attr {
    int64_t i;
    double f;
    const char *s;
    struct { const int64_t *v; int32_t n; } ints;
} spr_attr;

typedef struct spr_node {
    spr_op op;
    const char *name; /* of the ONNX node it came from, never empty */
    int32_t in_count, out_count;
    const int32_t *in; /* value indices; -1: optional input not given */
    const int32_t *out;
    const spr_attr *attr; /* all attributes of the schema, defaults filled in */
} spr_node;

/* Nodes are in topological order. */
typedef struct spr_graph {
    spr_arena arena; /* everything below lives in it, or in the mapped file */
    spr_value *values;
    spr_node *nodes;
    int32_t *inputs, *outputs; /* value indices */
    int32_t value_count, node_count, input_count, output_count;
    int32_t value_room, node_room, input_room, output_room; /* of the builder */
    spr_sparse sparse; /* how sessions treat sparse layers by default: SPR_SPARSE_AUTO, _ALWAYS or _NEVER */
    const char *producer; /* "sparse-runtime 0.1.0", model name and the like, for humans */
} spr_graph;

/* ---- building, used by Python ------------------------------------------------------------------------------------ */

/* NULL when out of memory. `allocator`, of which all that belongs to the graph comes, must outlive it; NULL: the
   system's. */
spr_graph *spr_graph_new(const spr_allocator *allocator);
void spr_graph_free(spr_graph *graph);
spr_status spr_graph_set_producer(spr_graph *graph, const char *text, spr_error *err);
/* All return the new value's index, or -1 with err filled in. Strings and data are copied. Names must be unique among
   values: spr_graph_check tells. */
int spr_graph_add_input(spr_graph *graph, const char *name, const spr_desc *desc, spr_error *err);
/* Dense row-major data is stored in `encoding`; sparse encodings need rank >= 2. */
int spr_graph_add_const(spr_graph *graph, const char *name, const spr_desc *desc, spr_encoding encoding,
                        const void *data, size_t bytes, spr_error *err);
/* Type and shape of the result are inferred later. */
int spr_graph_add_value(spr_graph *graph, const char *name, spr_error *err);
/* Returns the node's index or -1. Attributes not set keep their defaults. */
int spr_graph_add_node(spr_graph *graph, const char *op, const char *name, int in_count, const int32_t *in,
                       int out_count, const int32_t *out, spr_error *err);
spr_status spr_graph_set_int(spr_graph *graph, int node, const char *attr, int64_t value, spr_error *err);
spr_status spr_graph_set_float(spr_graph *graph, int node, const char *attr, double value, spr_error *err);
spr_status spr_graph_set_string(spr_graph *graph, int node, const char *attr, const char *value, spr_error *err);
spr_status spr_graph_set_ints(spr_graph *graph, int node, const char *attr, const int64_t *v, int n, spr_error *err);
spr_status spr_graph_add_output(spr_graph *graph, int value, spr_error *err);

/* Structure: indices, counts, topological order, every value produced once, enumerated strings known (act, fn, mode
   ...), INTS of sane length, ranks. Needs no shapes. Called by the reader and the writer. */
spr_status spr_graph_check(const spr_graph *graph, spr_error *err);
/* Whether this build has the node's operator; if not, of its schema there is the name only. */
spr_status spr_node_check_op(const spr_node *node, spr_error *err);

/* Gives a node its operator and the defaults of all attributes; returns 0 when out of memory. */
int spr_node_init(spr_graph *graph, spr_node *node, spr_op op);

/* "node 'conv1' (Conv): " and the message. */
spr_status spr_fail_node(const spr_node *node, spr_error *err, spr_status status, const char *format, ...)
    SPR_PRINTF(4, 5);

/* ---- inference --------------------------------------------------------------------------------------------------- */

typedef struct spr_infer_input {
    int present;
    int needed; /* set by inference: the output's shape depends on the contents, which are not known */
    spr_desc desc;
    const void *data; /* contiguous row-major (dense) contents where known now, else NULL */
} spr_infer_input;

/* Types and shapes of the outputs of a node from those of its inputs, by the rules of the ONNX specification.
   Dimensions are concrete (0 allowed). Errors name the node, the tensors and the values at fault. An input whose
   contents are needed (Reshape's shape, Slice's starts ...) and are not known is marked, and SPR_ERROR_UNSUPPORTED.
   Dimensions or element counts that overflow are errors. */
spr_status spr_infer_node(const spr_graph *graph, const spr_node *node, spr_infer_input *in, spr_desc *out,
                          spr_error *err);

/* Type of an output of a node from the types of its first inputs (anything where an input is not given). */
#define SPR_INFER_DTYPE_INPUTS 3
spr_dtype spr_infer_dtype(const spr_node *node, const spr_dtype *in, int output);

/* Geometry that both inference and execution need: pads with auto_pad resolved, output size with ceil_mode. */
typedef struct spr_window spr_window;
spr_status spr_resolve_window(const spr_graph *graph, const spr_node *node, int64_t ih, int64_t iw, int64_t kh,
                              int64_t kw, spr_window *win, spr_error *err);

/* Normalizes Slice's arguments for one axis: begin, count, step (element i is begin + i * step). */
void spr_resolve_slice(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *begin, int64_t *count);
/* Whether element i is zero, of any type; -0 is. */
int spr_is_zero(const void *data, spr_dtype dtype, int64_t i);
/* What NonMaxSuppression selects. `in`: contiguous contents of its inputs, NULL where not given; `out`: [selected, 3],
   or NULL to count them; `room`: SPR_NMS_ROOM(boxes) bytes, aligned to 8. Returns how many are selected. */
#define SPR_NMS_ROOM(boxes) ((size_t)(boxes) * 16)
int64_t spr_nms(const spr_desc *boxes, const spr_desc *scores, const void *const in[5], int centered, int64_t *out,
                void *room);

/* Reads element i of an int32 or int64 array as stored (any 4-byte alignment). */
int64_t spr_read_int(const void *data, spr_dtype dtype, int64_t i);
/* axis in [-rank, rank) to [0, rank), or -1 if out of range. */
int spr_normalize_axis(int64_t axis, int rank);

#endif
