/* From bytes that anyone may have written to a graph. Every count is bounded by the bytes that are left before anything
   is allocated for it, so that memory stays within a small multiple of the file's size (2^SPR_GAPS_MAX for gaps). */
#include <string.h>

#include "model/compress.h"
#include "model/format.h"
#include "model/model.h"

typedef struct reader {
    const unsigned char *data;
    size_t at, end; /* of the metadata */
    size_t data_at; /* where the next constant starts at the earliest */
    size_t size;    /* of the file */
    uint32_t version;
    spr_graph *graph;
    spr_error *err;
    spr_status status; /* the first failure; afterwards everything reads as 0 */
} reader;

static void fail_at(reader *r, const char *what) {
    if (!r->status)
        r->status = spr_fail(r->err, SPR_ERROR_FORMAT, "damaged model: %s at byte %zu", what, r->at);
}

static void fail_memory(reader *r) {
    if (!r->status) r->status = spr_fail_memory(r->err, "a model", r->size);
}

static const void *take(reader *r, size_t bytes) {
    if (r->status) return NULL;
    if (bytes > r->end - r->at) {
        fail_at(r, "the metadata ends too early");
        return NULL;
    }
    const void *p = r->data + r->at;
    r->at += bytes;
    return p;
}

static uint32_t get_u32(reader *r) {
    uint32_t v = 0;
    const void *p = take(r, 4);
    if (p) memcpy(&v, p, 4);
    return v;
}

static uint64_t get_u64(reader *r) {
    uint64_t v = 0;
    const void *p = take(r, 8);
    if (p) memcpy(&v, p, 8);
    return v;
}

/* A count of things of at least `bytes` bytes each in the file, which therefore must be left. */
static int32_t get_count(reader *r, size_t bytes, const char *what) {
    uint32_t count = get_u32(r);
    if (!r->status && (count > (r->end - r->at) / bytes || count > INT32_MAX / 2)) fail_at(r, what);
    return r->status ? 0 : (int32_t)count;
}

static const char *get_string(reader *r) {
    int32_t length = get_count(r, 1, "impossible length of a string");
    const char *p = take(r, (size_t)length);
    if (!p) return "";
    if (memchr(p, 0, (size_t)length)) {
        fail_at(r, "a string with a zero byte");
        return "";
    }
    const char *copy = spr_arena_string(&r->graph->arena, p, (size_t)length);
    if (!copy) fail_memory(r);
    return copy ? copy : "";
}

static void *new_array(reader *r, int32_t count, size_t size) {
    if (r->status) return NULL;
    void *p = spr_arena_array(&r->graph->arena, (size_t)count, size);
    if (!p) fail_memory(r);
    return p;
}

/* Value indices; what they refer to is checked by spr_graph_check. */
static int32_t *get_indices(reader *r, int32_t *count) {
    *count = get_count(r, 4, "impossible count of values");
    int32_t *v = new_array(r, *count, sizeof(*v));
    for (int32_t i = 0; i < *count && v; i++) v[i] = (int32_t)get_u32(r);
    return v;
}

static void read_data(reader *r, spr_value *value) {
    uint32_t encoding = get_u32(r);
    uint64_t bytes = get_u64(r), offset = get_u64(r);
    if (r->status) return;
    if (encoding > INT32_MAX || !spr_encoding_name((int)encoding) ||
        (r->version < 2 && encoding > SPR_ENC_BITMAP_2X1)) {
        fail_at(r, "unknown encoding of a constant");
        return;
    }
    /* Constants lie one behind the other in their order: they cannot overlap or leave gaps to hide things in. */
    size_t expected = (r->data_at + SPR_DATA_ALIGN - 1) / SPR_DATA_ALIGN * SPR_DATA_ALIGN;
    if (expected > r->size || offset != expected || bytes > r->size - expected) {
        fail_at(r, "impossible position of a constant");
        return;
    }
    for (; r->data_at < expected; r->data_at++) {
        if (r->data[r->data_at]) {
            fail_at(r, "padding before a constant is not zero");
            return;
        }
    }
    value->is_const = 1;
    value->data = r->data + expected;
    value->bytes = (size_t)bytes;
    r->data_at = expected + (size_t)bytes;
    r->status = spr_constant_read(value, (int)encoding, &r->graph->arena, r->err);
}

static void read_value(reader *r, spr_value *value) {
    value->name = get_string(r);
    value->producer = -1;
    uint32_t kind = get_u32(r);
    if (kind > SPR_KIND_CONST) fail_at(r, "unknown kind of value");
    if (kind == SPR_KIND_RESULT || r->status) return;
    uint32_t dtype = get_u32(r), rank = get_u32(r);
    if (rank > SPR_MAX_RANK || dtype > INT32_MAX || !spr_dtype_size((spr_dtype)dtype)) {
        fail_at(r, "unknown element type or too many dimensions");
        return;
    }
    value->desc.dtype = (spr_dtype)dtype;
    value->desc.rank = (int32_t)rank;
    for (uint32_t i = 0; i < rank; i++) value->desc.dim[i] = (int64_t)get_u64(r);
    if (kind == SPR_KIND_CONST) read_data(r, value);
    else r->graph->input_count++; /* to be compared with the list of inputs */
}

static int find_attribute(const spr_op_schema *schema, const char *name) {
    for (int i = 0; i < schema->attr_count; i++)
        if (!strcmp(schema->attrs[i].name, name)) return i;
    return -1;
}

static void read_attribute(reader *r, const spr_node *node, int *previous) {
    static const uint32_t file_type[] = {
        [SPR_TYPE_INT] = SPR_FILE_INT,
        [SPR_TYPE_FLOAT] = SPR_FILE_FLOAT,
        [SPR_TYPE_INTS] = SPR_FILE_INTS,
        [SPR_TYPE_STRING] = SPR_FILE_STRING,
    };
    const spr_op_schema schema = spr_op_get_schema(node->op);
    const char *name = get_string(r);
    uint32_t type = get_u32(r);
    if (r->status) return;
    int index = find_attribute(&schema, name);
    if (index < 0) {
        r->status = spr_fail_node(node, r->err, SPR_ERROR_UNSUPPORTED,
                                  "attribute '%.200s' is not known to this version of the runtime", name);
        return;
    }
    if (index <= *previous || type != file_type[schema.attrs[index].type]) {
        fail_at(r, index <= *previous ? "attributes out of order" : "wrong type of an attribute");
        return;
    }
    *previous = index;
    spr_attr *attr = (spr_attr *)&node->attr[index];
    uint64_t bits;
    int64_t *v;
    switch (schema.attrs[index].type) {
    case SPR_TYPE_INT:
        attr->i = (int64_t)get_u64(r);
        break;
    case SPR_TYPE_FLOAT:
        bits = get_u64(r);
        memcpy(&attr->f, &bits, 8);
        break;
    case SPR_TYPE_STRING:
        attr->s = get_string(r);
        break;
    case SPR_TYPE_INTS:
        attr->ints.n = get_count(r, 8, "impossible count of ints");
        attr->ints.v = v = new_array(r, attr->ints.n, sizeof(*v));
        for (int32_t i = 0; i < attr->ints.n && v; i++) v[i] = (int64_t)get_u64(r);
        break;
    }
    if (!r->status && spr_attr_is_default(&schema.attrs[index], attr))
        fail_at(r, "an attribute with its default value");
}

static void read_node(reader *r, int32_t index) {
    spr_node *node = &r->graph->nodes[index];
    const char *op = get_string(r);
    node->name = get_string(r);
    if (r->status) return;
    int id = spr_op_find(op);
    if (id < 0) {
        r->status =
            spr_fail(r->err, SPR_ERROR_UNSUPPORTED,
                     "node '%.200s': operator '%.200s' is not known to this version of the runtime", node->name, op);
        return;
    }
    node->op = (spr_op)id;
    r->status = spr_node_check_op(node, r->err);
    if (r->status) return;
    if (!spr_node_init(r->graph, node, (spr_op)id)) fail_memory(r);
    node->in = get_indices(r, &node->in_count);
    node->out = get_indices(r, &node->out_count);
    for (int32_t i = 0; i < node->out_count && !r->status; i++) {
        int32_t v = node->out[i];
        if (v >= 0 && v < r->graph->value_count && r->graph->values[v].producer < 0)
            r->graph->values[v].producer = index;
    }
    int previous = -1;
    int32_t attributes = get_count(r, 12, "impossible count of attributes");
    for (int32_t i = 0; i < attributes && !r->status; i++) read_attribute(r, node, &previous);
}

static void read_metadata(reader *r) {
    spr_graph *g = r->graph;
    g->producer = get_string(r);
    uint32_t sparse = get_u32(r);
    if (sparse > SPR_SPARSE_NEVER) fail_at(r, "unknown treatment of sparse layers");
    g->sparse = (spr_sparse)sparse;
    g->value_count = g->value_room = get_count(r, 8, "impossible count of values");
    g->values = new_array(r, g->value_count, sizeof(*g->values));
    for (int32_t i = 0; i < g->value_count && !r->status; i++) read_value(r, &g->values[i]);
    int32_t kinds = g->input_count;
    g->inputs = get_indices(r, &g->input_count);
    g->input_room = g->input_count;
    if (!r->status && g->input_count != kinds) fail_at(r, "the list of inputs does not agree with the values");
    g->outputs = get_indices(r, &g->output_count);
    g->output_room = g->output_count;
    g->node_count = g->node_room = get_count(r, 20, "impossible count of nodes");
    g->nodes = new_array(r, g->node_count, sizeof(*g->nodes));
    for (int32_t i = 0; i < g->node_count && !r->status; i++) read_node(r, i);
    if (!r->status && r->at != r->end) fail_at(r, "more metadata than expected");
    if (!r->status && r->data_at != r->size) fail_at(r, "more data than expected");
}

/* ---- the header ------------------------------------------------------------------------------------------------- */

static uint64_t header_u64(const unsigned char *p, int at) {
    uint64_t v;
    memcpy(&v, p + at, 8);
    return v;
}

static uint32_t header_u32(const unsigned char *p, int at) {
    uint32_t v;
    memcpy(&v, p + at, 4);
    return v;
}

static spr_status check_header(const unsigned char *p, size_t size, spr_error *err) {
    if (size < 8 || memcmp(p, SPR_MAGIC, 8)) {
        /* field 1 of ModelProto, ir_version, as a small varint, followed by another field */
        int onnx = size >= 4 && p[0] == 0x08 && p[1] < 0x20 && (p[2] == 0x12 || p[2] == 0x3a || p[2] == 0x42);
        return spr_fail(err, SPR_ERROR_FORMAT, "not a sparse-runtime model%s",
                        onnx ? ": it looks like an ONNX model; convert it with `sparse-runtime convert`" : "");
    }
    if (size < SPR_HEADER_SIZE)
        return spr_fail(err, SPR_ERROR_FORMAT, "truncated model: %zu bytes are less than the header of %d", size,
                        SPR_HEADER_SIZE);
    uint32_t version = header_u32(p, SPR_AT_VERSION);
    if (version < 1 || version > SPR_FORMAT_VERSION)
        return spr_fail(err, SPR_ERROR_FORMAT, "model file version %u is not known; this runtime reads versions 1 to "
                        "%d", (unsigned)version, SPR_FORMAT_VERSION);
    uint64_t file_size = header_u64(p, SPR_AT_FILE_SIZE);
    if (file_size != size)
        return spr_fail(err, SPR_ERROR_FORMAT, "%s model: the header says %llu bytes, but there are %zu",
                        file_size > size ? "truncated" : "damaged", (unsigned long long)file_size, size);
    if (spr_file_crc(p, size) != header_u32(p, SPR_AT_CRC))
        return spr_fail(err, SPR_ERROR_FORMAT, "damaged model: the checksum does not match");
    uint64_t meta = header_u64(p, SPR_AT_META_SIZE), data = header_u64(p, SPR_AT_DATA_OFFSET);
    if (meta > size - SPR_HEADER_SIZE || data > size ||
        data != (meta + SPR_HEADER_SIZE + SPR_DATA_ALIGN - 1) / SPR_DATA_ALIGN * SPR_DATA_ALIGN)
        return spr_fail(err, SPR_ERROR_FORMAT, "damaged model: %llu bytes of metadata and data from %llu",
                        (unsigned long long)meta, (unsigned long long)data);
    for (size_t i = SPR_HEADER_SIZE + (size_t)meta; i < data; i++)
        if (p[i]) return spr_fail(err, SPR_ERROR_FORMAT, "damaged model: padding after the metadata is not zero");
    for (int i = SPR_AT_FLAGS; i < SPR_AT_CRC; i++)
        if ((i < SPR_AT_FILE_SIZE || i >= SPR_AT_ZERO) && p[i])
            return spr_fail(err, SPR_ERROR_FORMAT,
                            "model file uses features that this runtime does not know (byte %d of the header)", i);
    return SPR_OK;
}

spr_status spr_graph_read(const void *data, size_t size, const spr_allocator *allocator, spr_graph **graph,
                          spr_error *err) {
    spr_status status = check_header(data, size, err);
    if (status) return status;
    reader r = {.data = data, .at = SPR_HEADER_SIZE, .size = size, .graph = spr_graph_new(allocator), .err = err};
    if (!r.graph) return spr_fail_memory(err, "a model", sizeof(*r.graph));
    r.version = header_u32(data, SPR_AT_VERSION);
    r.end = SPR_HEADER_SIZE + (size_t)header_u64(data, SPR_AT_META_SIZE);
    r.data_at = (size_t)header_u64(data, SPR_AT_DATA_OFFSET);
    read_metadata(&r);
    if (!r.status) r.status = spr_graph_check(r.graph, err);
    if (r.status) spr_graph_free(r.graph);
    else *graph = r.graph;
    return r.status;
}
