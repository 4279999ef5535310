/* Model files: written and read back, damaged in every way, encodings against a naive oracle. */
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/compress.h"
#include "model/format.h"
#include "model/model.h"
#include "tests/test.h"

static spr_error *err = &test_error;

/* ---- graphs ----------------------------------------------------------------------------------------------------- */

static spr_desc desc(spr_dtype dtype, int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
    spr_desc r = {dtype, rank, {a, b, c, d}};
    return r;
}

static int add_random_const(spr_graph *g, const char *name, spr_desc d, spr_encoding encoding, uint64_t seed) {
    size_t bytes = (size_t)spr_desc_count(&d) * spr_dtype_size(d.dtype);
    unsigned char *data = calloc(1, bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        if (test_random(&seed) % 3 == 0) data[i] = (unsigned char)test_random(&seed);
    int v = spr_graph_add_const(g, name, &d, encoding, data, bytes, err);
    free(data);
    return v;
}

/* Every type of attribute, every encoding, optional inputs left out, inputs with free dimensions. */
static spr_graph *make_graph(void) {
    spr_graph *g = spr_graph_new(NULL);
    spr_desc image = desc(SPR_FLOAT32, 4, -1, 3, -1, -1), flag = desc(SPR_BOOL, 0, 0, 0, 0, 0);
    int x = spr_graph_add_input(g, "x", &image, err), f = spr_graph_add_input(g, "flag", &flag, err);
    int w0 = add_random_const(g, "w0", desc(SPR_FLOAT32, 4, 5, 3, 3, 3), SPR_ENC_DENSE, 1);
    int w1 = add_random_const(g, "w1", desc(SPR_FLOAT32, 4, 7, 5, 1, 1), SPR_ENC_BITMAP, 2);
    int w2 = add_random_const(g, "w2", desc(SPR_FLOAT32, 4, 7, 7, 1, 1), SPR_ENC_BITMAP_2X1, 3);
    int slope = add_random_const(g, "slope", desc(SPR_FLOAT32, 1, 7, 0, 0, 0), SPR_ENC_DENSE, 4);
    int64_t shape_data[] = {0, -1};
    spr_desc shape_desc = desc(SPR_INT64, 1, 2, 0, 0, 0);
    int shape = spr_graph_add_const(g, "shape", &shape_desc, SPR_ENC_DENSE, shape_data, sizeof(shape_data), err);
    add_random_const(g, "unused int8", desc(SPR_INT8, 2, 3, 11, 0, 0), SPR_ENC_BITMAP_2X1, 5);
    add_random_const(g, "unused half", desc(SPR_FLOAT16, 2, 4, 9, 0, 0), SPR_ENC_BITMAP, 6);
    add_random_const(g, "empty", desc(SPR_FLOAT32, 2, 0, 9, 0, 0), SPR_ENC_BITMAP, 7);
    for (int encoding = SPR_ENC_BITMAP; encoding <= SPR_ENC_BITMAP_2X1; encoding++) { /* so few that gaps take less */
        static int8_t few[39 * 40];
        spr_desc d = desc(SPR_INT8, 2, 39, 40, 0, 0);
        for (size_t i = 0; i < sizeof few; i += 97) few[i] = (int8_t)(i / 97 + 1);
        const char *name = encoding == SPR_ENC_BITMAP ? "few" : "few 2x1";
        int v = spr_graph_add_const(g, name, &d, (spr_encoding)encoding, few, sizeof few, err);
        CHECK(v >= 0 && g->values[v].gaps);
    }
    int a = spr_graph_add_value(g, "a", err), b = spr_graph_add_value(g, "b", err),
        c = spr_graph_add_value(g, "c", err), y = spr_graph_add_value(g, "y \xc3\xa9", err),
        s = spr_graph_add_value(g, "s", err);
    int64_t pads[] = {1, 0, 1, 2}, strides[] = {2, 2};
    int n = spr_graph_add_node(g, "Conv", "first", 2, (int32_t[]){x, w0}, 1, (int32_t[]){a}, err);
    CHECK(!spr_graph_set_ints(g, n, "pads", pads, 4, err) && !spr_graph_set_ints(g, n, "strides", strides, 2, err));
    CHECK(!spr_graph_set_string(g, n, "act", "clip", err) && !spr_graph_set_float(g, n, "act_b", INFINITY, err));
    n = spr_graph_add_node(g, "Conv", "second", 2, (int32_t[]){a, w1}, 1, (int32_t[]){b}, err);
    CHECK(!spr_graph_set_int(g, n, "group", 1, err)); /* the default: not stored */
    n = spr_graph_add_node(g, "Conv", "third", 5, (int32_t[]){b, w2, -1, b, slope}, 1, (int32_t[]){c}, err);
    CHECK(!spr_graph_set_string(g, n, "act", "prelu", err));
    n = spr_graph_add_node(g, "Reshape", "fourth", 2, (int32_t[]){c, shape}, 1, (int32_t[]){y}, err);
    CHECK(!spr_graph_set_int(g, n, "allowzero", 0, err));
    spr_graph_add_node(g, "Cast", "fifth", 1, (int32_t[]){f}, 1, (int32_t[]){s}, err);
    CHECK(!spr_graph_add_output(g, y, err) && !spr_graph_add_output(g, s, err));
    CHECK(!spr_graph_set_producer(g, "test", err));
    g->sparse = SPR_SPARSE_ALWAYS;
    CHECK(!spr_graph_check(g, err));
    return g;
}

static int same_attr(const spr_attr_schema *schema, const spr_attr *a, const spr_attr *b) {
    switch (schema->type) {
    case SPR_TYPE_INT: return a->i == b->i;
    case SPR_TYPE_FLOAT: return !memcmp(&a->f, &b->f, 8);
    case SPR_TYPE_STRING: return !strcmp(a->s, b->s);
    case SPR_TYPE_INTS: return a->ints.n == b->ints.n && !memcmp(a->ints.v, b->ints.v, (size_t)a->ints.n * 8);
    }
    return 0;
}

static int same_const(const spr_value *a, const spr_value *b) {
    if (!a->is_const || !b->is_const) return a->is_const == b->is_const;
    if (a->encoding != b->encoding || a->gaps != b->gaps || a->bytes != b->bytes) return 0;
    unsigned char *u = calloc(a->bytes + 1, 1), *v = calloc(a->bytes + 1, 1);
    spr_store(a, u);
    spr_store(b, v);
    int same = !memcmp(u, v, a->bytes);
    free(u);
    free(v);
    return same;
}

static int same_graph(const spr_graph *a, const spr_graph *b) {
    if (a->value_count != b->value_count || a->node_count != b->node_count || a->input_count != b->input_count ||
        a->output_count != b->output_count || a->sparse != b->sparse || strcmp(a->producer, b->producer))
        return 0;
    for (int i = 0; i < a->value_count; i++) {
        const spr_value *u = &a->values[i], *v = &b->values[i];
        if (strcmp(u->name, v->name) || u->producer != v->producer || memcmp(&u->desc, &v->desc, sizeof(u->desc)) ||
            !same_const(u, v))
            return 0;
    }
    for (int i = 0; i < a->node_count; i++) {
        const spr_node *m = &a->nodes[i], *n = &b->nodes[i];
        if (m->op != n->op || strcmp(m->name, n->name) || m->in_count != n->in_count || m->out_count != n->out_count ||
            memcmp(m->in, n->in, (size_t)m->in_count * 4) || memcmp(m->out, n->out, (size_t)m->out_count * 4))
            return 0;
        const spr_op_schema schema = spr_op_get_schema(m->op);
        for (int j = 0; j < schema.attr_count; j++)
            if (!same_attr(&schema.attrs[j], &m->attr[j], &n->attr[j])) return 0;
    }
    return !memcmp(a->inputs, b->inputs, (size_t)a->input_count * 4) &&
           !memcmp(a->outputs, b->outputs, (size_t)a->output_count * 4);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void test_round_trip(const unsigned char *file, size_t size, const spr_graph *g) {
    spr_graph *back = NULL;
    void *again = NULL;
    size_t again_size = 0;
    if (!CHECK(!spr_graph_read(file, size, NULL, &back, err))) return;
    CHECK(same_graph(g, back));
    CHECK(!spr_graph_write(back, &again, &again_size, err));
    CHECK(again_size == size && !memcmp(again, file, size));
    for (int i = 0; i < back->value_count; i++) { /* used in place; elements may lie behind a bitmap or gaps */
        const spr_value *v = &back->values[i];
        if (!v->is_const) continue;
        const unsigned char *data = v->data;
        CHECK(data >= file && data <= file + size);
        CHECK((data - file) % (v->encoding == SPR_ENC_DENSE ? SPR_DATA_ALIGN : 4) == 0);
        CHECK(v->encoding == SPR_ENC_DENSE || v->gaps || (v->bitmap - file) % SPR_DATA_ALIGN == 0);
    }
    free(again);
    spr_graph_free(back);
}

/* Copies into memory of exactly that size, so that sanitizers see reads past the end. */
static spr_status open_copy(const unsigned char *file, size_t size) {
    unsigned char *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, file, size);
    spr_model *model = NULL;
    memset(err, 0, sizeof(*err));
    spr_status status = spr_model_open_memory(copy, size, NULL, &model, err);
    if (status != err->status || (status && (model || !*err->message))) status = (spr_status)-1; /* never expected */
    spr_model_close(model);
    free(copy);
    return status;
}

static void test_damage(const unsigned char *file, size_t size) {
    unsigned char *copy = malloc(size + 64);
    memcpy(copy, file, size);
    memset(copy + size, 0, 64);
    CHECK(open_copy(copy, size) == SPR_OK);
    for (size_t n = 0; n < size; n++) CHECK(open_copy(file, n) == SPR_ERROR_FORMAT);
    for (size_t n = size + 1; n <= size + 64; n++) CHECK(open_copy(copy, n) == SPR_ERROR_FORMAT);
    for (size_t i = 0; i < size; i++) {
        for (int change = 0; change < 10; change++) {
            copy[i] = change < 8 ? (unsigned char)(file[i] ^ 1 << change)
                                 : (unsigned char)(change == 8 ? ~file[i] : file[i] ? 0 : 0x55);
            CHECK(open_copy(copy, size) == SPR_ERROR_FORMAT);
        }
        copy[i] = file[i];
    }
    free(copy);
}

static void fix_crc(unsigned char *file, size_t size) {
    uint64_t size64 = size;
    memcpy(file + SPR_AT_FILE_SIZE, &size64, 8);
    uint32_t crc = spr_file_crc(file, size);
    memcpy(file + SPR_AT_CRC, &crc, 4);
}

/* Uses everything in a graph that was accepted. */
static void exercise(const spr_graph *g) {
    uint64_t seed = 1;
    for (int i = 0; i < g->value_count; i++) {
        const spr_value *v = &g->values[i];
        uint64_t n, k, count = (uint64_t)spr_desc_count(&v->desc);
        if (!v->is_const || count > 100000) continue;
        void *dense = malloc(count * 8 + 1);
        spr_decode_dense(v, dense);
        spr_matrix_size(&v->desc, &n, &k);
        if (spr_dtype_size(v->desc.dtype) <= 4 && n <= 100000) {
            spr_sparsity s = spr_count_sparsity(v);
            uint32_t *row = malloc((n + 1) * 4), *col = malloc(s.nonzeros * 4 + 1);
            void *val = malloc(s.nonzeros * 4 + 1);
            spr_decode_csr(v, row, col, val);
            CHECK(row[n] == s.nonzeros);
            free(row);
            free(col);
            free(val);
        }
        free(dense);
    }
    for (int i = 0; i < g->node_count; i++) { /* with shapes that need not fit */
        const spr_node *node = &g->nodes[i];
        spr_infer_input *in = calloc((size_t)node->in_count + 1, sizeof(*in));
        spr_desc *out = calloc((size_t)node->out_count + 1, sizeof(*out));
        for (int j = 0; j < node->in_count; j++) {
            if (node->in[j] < 0) continue;
            const spr_value *v = &g->values[node->in[j]];
            in[j].present = 1;
            in[j].desc = v->desc;
            if (v->is_const && v->encoding == SPR_ENC_DENSE) in[j].data = v->data;
            if (v->is_const) continue;
            in[j].desc = desc(SPR_FLOAT32, 4, 1, 3, 8, 8);
            in[j].desc.dim[test_random(&seed) % 4] = (int64_t)(test_random(&seed) % 9);
        }
        memset(err, 0, sizeof(*err));
        spr_status status = spr_infer_node(g, node, in, out, err);
        CHECK(status == err->status && (!status || *err->message));
        for (int j = 0; j < node->out_count && !status; j++) CHECK(spr_desc_valid(&out[j]));
        free(in);
        free(out);
    }
}

static void test_malice(const unsigned char *file, size_t size, int seeds) {
    static const uint32_t values[] = {0,   1,          2,          3,          4,          8,      9,
                                      100, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x10000};
    uint64_t meta;
    memcpy(&meta, file + SPR_AT_META_SIZE, 8);
    int accepted = 0;
    for (int i = 0; i < seeds; i++) {
        uint64_t seed = (uint64_t)i;
        size_t length = test_random(&seed) % 8 ? size : SPR_HEADER_SIZE + test_random(&seed) % (size - SPR_HEADER_SIZE);
        unsigned char *copy = malloc(size + 4); /* 4 bytes to write past a shortened end */
        memcpy(copy, file, size);
        for (uint64_t changes = 1 + test_random(&seed) % 3; changes; changes--) {
            /* mostly in the metadata, where the meaning is */
            uint64_t range = test_random(&seed) % 8 ? SPR_HEADER_SIZE + meta : size;
            size_t at = SPR_AT_VERSION + (size_t)(test_random(&seed) % (range - SPR_AT_VERSION - 4));
            uint32_t value = values[test_random(&seed) % SPR_COUNTOF(values)];
            uint64_t how = test_random(&seed) % 4;
            if (how < 2) memcpy(copy + at, &value, 4);
            else copy[at] = (unsigned char)(how == 2 ? test_random(&seed) : copy[at] + 1u);
        }
        copy = realloc(copy, length);
        fix_crc(copy, length);
        spr_graph *g = NULL;
        memset(err, 0, sizeof(*err));
        spr_status status = spr_graph_read(copy, length, NULL, &g, err);
        CHECK(status == err->status && (status ? !g && *err->message : 1));
        if (!status) {
            accepted++;
            exercise(g);
            spr_graph_free(g);
        }
        free(copy);
    }
    CHECK(accepted > seeds / 100 && accepted < seeds); /* or this tested nothing */
}

/* Replaces the first occurrence of a text by one of the same length. */
static unsigned char *replaced(const unsigned char *file, size_t size, const char *old, const char *new) {
    size_t n = strlen(old);
    unsigned char *copy = malloc(size), *at = NULL;
    memcpy(copy, file, size);
    for (size_t i = SPR_HEADER_SIZE; i + n <= size && !at; i++)
        if (!memcmp(copy + i, old, n)) at = copy + i;
    if (CHECK(at != NULL)) memcpy(at, new, n);
    fix_crc(copy, size);
    return copy;
}

static spr_status open_changed(unsigned char *copy, size_t size, size_t at, unsigned char value) {
    copy[at] = value;
    fix_crc(copy, size);
    return open_copy(copy, size);
}

static void test_unknown_things(const unsigned char *file, size_t size) {
    unsigned char *copy = replaced(file, size, "Conv", "Cone");
    CHECK_FAILS(open_copy(copy, size), SPR_ERROR_UNSUPPORTED, "node 'first': operator 'Cone'");
    free(copy);
    copy = replaced(file, size, "pads", "pats");
    CHECK_FAILS(open_copy(copy, size), SPR_ERROR_UNSUPPORTED, "node 'first' (Conv): attribute 'pats'");
    free(copy);
    copy = replaced(file, size, "clip", "clop");
    CHECK_FAILS(open_copy(copy, size), SPR_ERROR_UNSUPPORTED, "'clop'; accepted are none clip");
    free(copy);
    copy = malloc(size);
    uint64_t meta, data;
    memcpy(&meta, file + SPR_AT_META_SIZE, 8);
    memcpy(&data, file + SPR_AT_DATA_OFFSET, 8);
    memcpy(copy, file, size);
    CHECK_FAILS(open_changed(copy, size, SPR_AT_VERSION, 3), SPR_ERROR_FORMAT,
                "version 3 is not known; this runtime reads versions 1 to 2");
    memcpy(copy, file, size);
    CHECK_FAILS(open_changed(copy, size, SPR_AT_VERSION, 0), SPR_ERROR_FORMAT, "version 0");
    memcpy(copy, file, size); /* as one that knows version 1 alone would read it */
    CHECK_FAILS(open_changed(copy, size, SPR_AT_VERSION, 1), SPR_ERROR_FORMAT, "unknown encoding of a constant");
    memcpy(copy, file, size);
    CHECK_FAILS(open_changed(copy, size, SPR_AT_FLAGS, 1), SPR_ERROR_FORMAT, "features");
    memcpy(copy, file, size);
    CHECK_FAILS(open_changed(copy, size, SPR_AT_ZERO + 3, 1), SPR_ERROR_FORMAT, "features");
    memcpy(copy, file, size);
    if (CHECK(data > SPR_HEADER_SIZE + meta)) /* the graph is such that there is padding */
        CHECK_FAILS(open_changed(copy, size, (size_t)data - 1, 1), SPR_ERROR_FORMAT, "padding");
    free(copy);
    CHECK_FAILS(open_copy((const unsigned char *)"\x08\x08\x12\x07pytorch", 11), SPR_ERROR_FORMAT, "ONNX");
    CHECK_FAILS(open_copy((const unsigned char *)"", 0), SPR_ERROR_FORMAT, "not a sparse-runtime model");
}

/* ---- the public functions ---------------------------------------------------------------------------------------- */

static void check_model(const spr_model *model) {
    spr_tensor_info info;
    CHECK(spr_model_input_count(model) == 2 && spr_model_output_count(model) == 2);
    CHECK(!spr_model_input(model, 0, &info) && !strcmp(info.name, "x") && info.dtype == SPR_FLOAT32 && info.rank == 4 &&
          info.dim[0] == -1 && info.dim[1] == 3);
    CHECK(!spr_model_output(model, 0, &info) && !strcmp(info.name, "y \xc3\xa9") && info.dtype == SPR_FLOAT32);
    CHECK(!spr_model_output(model, 1, &info) && info.dtype == SPR_FLOAT32 && info.rank == -1);
    CHECK(spr_model_input(model, 2, &info) == SPR_ERROR_ARGUMENT &&
          spr_model_output(model, -1, &info) == SPR_ERROR_ARGUMENT);
    CHECK(spr_model_find_input(model, "flag") == 1 && spr_model_find_input(model, "s") == -1);
    CHECK(spr_model_find_output(model, "s") == 1 && spr_model_find_output(model, "") == -1);
}

/* Runs it on numbers of ours; the first output's bytes, to be freed. */
static void *run_model(const spr_model *model, size_t *bytes) {
    spr_session *session = NULL;
    spr_tensor_info info;
    float x[1 * 3 * 8 * 8];
    unsigned char flag = 1;
    void *out = NULL;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)(i % 13) / 4 - 1;
    if (!CHECK(!spr_session_create(model, NULL, &session, err))) return NULL;
    CHECK(!spr_session_set_input_shape(session, 0, 4, (int64_t[]){1, 3, 8, 8}, err));
    CHECK(!spr_session_set_input(session, 0, x, sizeof x, err) && !spr_session_set_input(session, 1, &flag, 1, err));
    if (CHECK(!spr_session_run(session, err)) && CHECK(!spr_session_output(session, 0, &info))) {
        *bytes = spr_tensor_bytes(&info);
        out = malloc(*bytes);
        CHECK(*bytes > 0 && !spr_session_get_output(session, 0, out, *bytes, err));
    }
    spr_session_free(session);
    return out;
}

static void test_sources(const unsigned char *file, size_t size, const spr_graph *g) {
    static const int offsets[] = {0, 1, 3, 4, 12, 20, 62, 64, 1028, 4095, 4096, 4100, 8188};
    char folder[] = P_tmpdir "/spr-test-XXXXXX", path[64], packed[64];
    spr_model *model = NULL;
    if (!CHECK(mkdtemp(folder) != NULL)) return;
    snprintf(path, sizeof(path), "%s/m.spr", folder);
    snprintf(packed, sizeof(packed), "%s/packed", folder);
    for (int i = 0; i < 2; i++) /* over an existing file too */
        CHECK(!spr_graph_save(g, path, err));
    size_t bytes = 0, again = 0;
    if (CHECK(!spr_model_open(path, NULL, &model, err))) check_model(model);
    void *expected = model ? run_model(model, &bytes) : NULL;
    spr_model_close(model);
    for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++) { /* somewhere in another file, as in an APK */
        const int offset = offsets[k];
        FILE *f = fopen(packed, "wb");
        for (int i = 0; i < offset; i++) fputc(i, f);
        fwrite(file, 1, size, f);
        fputs("more", f);
        fclose(f);
        int fd = open(packed, O_RDONLY);
        spr_status status = spr_model_open_fd(fd, offset, size, NULL, &model, err);
        CHECK_FAILS(spr_model_open_fd(fd, offset, size + 5, NULL, &(spr_model *){NULL}, err), SPR_ERROR_ARGUMENT,
                    "lie within");
        CHECK_FAILS(spr_model_open_fd(fd, -1, size, NULL, &(spr_model *){NULL}, err), SPR_ERROR_ARGUMENT, "lie within");
        CHECK_FAILS(spr_model_open_fd(fd, offset, size - 1, NULL, &(spr_model *){NULL}, err), SPR_ERROR_FORMAT,
                    "truncated");
        CHECK_FAILS(spr_model_open_fd(fd, offset, 0, NULL, &(spr_model *){NULL}, err), SPR_ERROR_FORMAT, "0 bytes");
        close(fd);
        if (CHECK(!status)) {
            check_model(model);
            exercise(spr_model_graph(model));
            void *out = run_model(model, &again);
            CHECK(out && expected && again == bytes && !memcmp(out, expected, bytes));
            free(out);
        }
        spr_model_close(model);
    }
    free(expected);
    unsigned char *memory = malloc(size + 8);
    for (int shift = 0; shift < 8; shift++) {
        memcpy(memory + shift, file, size);
        spr_status status = spr_model_open_memory(memory + shift, size, NULL, &model, err);
        CHECK(status == (shift % 4 ? SPR_ERROR_ARGUMENT : SPR_OK));
        if (!status) exercise(spr_model_graph(model));
        spr_model_close(model);
    }
    free(memory);
    fclose(fopen(packed, "wb"));
    CHECK_FAILS(spr_model_open(packed, NULL, &model, err), SPR_ERROR_FORMAT, "empty");
    CHECK_FAILS(spr_model_open(folder, NULL, &model, err), SPR_ERROR_IO, "directory");
    CHECK_FAILS(spr_model_open(NULL, NULL, &model, err), SPR_ERROR_ARGUMENT, "path");
    CHECK_FAILS(spr_graph_save(g, folder, err), SPR_ERROR_IO, "directory");
    unlink(packed);
    CHECK_FAILS(spr_model_open(packed, NULL, &model, err), SPR_ERROR_IO, "No such file");
    CHECK_FAILS(spr_model_open_fd(-1, 0, 1, NULL, &model, err), SPR_ERROR_IO, "Bad file");
    CHECK(spr_model_open(packed, NULL, &model, NULL) == SPR_ERROR_IO && !model);
    unlink(path);
    CHECK(!rmdir(folder)); /* no temporary file was left */
    CHECK_FAILS(spr_graph_save(g, path, err), SPR_ERROR_IO, "No such file");
    CHECK(!spr_graph_save(g, "/dev/null", err));
}

/* ---- encodings --------------------------------------------------------------------------------------------------- */

static uint32_t element(const unsigned char *p, size_t i, size_t size) {
    uint32_t v = 0;
    memcpy(&v, p + i * size, size);
    return v;
}

static int is_zero(uint32_t v, spr_dtype dtype) {
    return v == 0 || (dtype == SPR_FLOAT32 && v == 0x80000000u) || (dtype == SPR_FLOAT16 && v == 0x8000u);
}

/* Reads a constant as a file has it, with as many bytes more or less. */
static spr_status read_stored(spr_graph *g, const spr_value *v, int64_t change) {
    spr_value read = {.name = "w", .is_const = 1, .desc = v->desc, .bytes = (size_t)((int64_t)v->bytes + change)};
    unsigned char *file = calloc(1, v->bytes + 1), *copy = calloc(1, read.bytes + 1);
    spr_store(v, file);
    memcpy(copy, file, change < 0 ? read.bytes : v->bytes);
    read.data = copy;
    spr_status status = spr_constant_read(&read, spr_stored_encoding(v), &g->arena, err);
    CHECK(status || same_const(v, &read));
    free(file);
    free(copy);
    return status;
}

static void test_encoding(spr_dtype dtype, int64_t n, int64_t k, int sparsity, uint64_t seed) {
    size_t size = spr_dtype_size(dtype), count = (size_t)(n * k);
    spr_desc d = seed % 2 ? desc(dtype, 2, n, k, 0, 0) : desc(dtype, 4, n, 1, k, 1);
    unsigned char *dense = calloc(count + 1, size), *wanted = calloc(count + 1, size), *got = calloc(count + 1, size);
    for (size_t i = 0; i < count; i++) {
        uint32_t v = (uint32_t)test_random(&seed);
        if ((int)(test_random(&seed) % 100) < sparsity) v = test_random(&seed) % 4 ? 0 : 1u << (8 * size - 1); /* -0 */
        if (test_random(&seed) % 16 == 0) v = size == 4 ? 0x7fc00001u : 0x7e01u;                          /* NaN */
        memcpy(dense + i * size, &v, size);
        v = element(dense, i, size);
        if (!is_zero(v, dtype)) memcpy(wanted + i * size, &v, size);
    }
    uint64_t nonzeros = 0, block_elements = 0, blocks_stored = 0;
    for (int64_t r = 0; r < n; r += 2) {
        for (int64_t c = 0; c < k; c++) {
            int top = element(wanted, (size_t)(r * k + c), size) != 0;
            int bottom = r + 1 < n && element(wanted, (size_t)((r + 1) * k + c), size) != 0;
            nonzeros += (uint64_t)(top + bottom);
            block_elements += top || bottom ? (r + 1 < n ? 2 : 1) : 0;
        }
    }
    for (int encoding = SPR_ENC_DENSE; encoding <= SPR_ENC_BITMAP_2X1; encoding++) {
        spr_graph *g = spr_graph_new(NULL);
        int index = spr_graph_add_const(g, "w", &d, (spr_encoding)encoding, dense, count * size, err);
        if (!CHECK(index == 0)) return;
        spr_value v = g->values[0];
        blocks_stored = encoding == SPR_ENC_BITMAP ? nonzeros : block_elements;
        size_t lines = encoding == SPR_ENC_BITMAP ? (size_t)n : (size_t)(n + 1) / 2;
        size_t stored = encoding == SPR_ENC_DENSE ? count * size
                                                  : (lines * (size_t)k + 31) / 32 * 4 + (size_t)blocks_stored * size;
        CHECK(v.gaps ? v.bytes + 64 <= stored : v.bytes == stored);
        spr_decode_dense(&v, got);
        CHECK(!memcmp(got, encoding == SPR_ENC_DENSE ? dense : wanted, count * size));
        spr_sparsity s = spr_count_sparsity(&v);
        CHECK(s.elements == count && s.nonzeros == nonzeros && s.block_elements == block_elements);
        uint32_t *row = malloc((size_t)(n + 1) * 4), *col = malloc((size_t)nonzeros * 4 + 4);
        unsigned char *val = malloc((size_t)nonzeros * size + 1);
        spr_decode_csr(&v, row, col, val);
        size_t at = 0;
        int ok = row[0] == 0 && row[n] == nonzeros;
        for (int64_t r = 0; r < n && ok; r++) {
            ok = row[r] == at;
            for (int64_t c = 0; c < k && ok; c++) {
                uint32_t e = element(wanted, (size_t)(r * k + c), size);
                if (!e) continue;
                ok = at < row[r + 1] && col[at] == (uint32_t)c && element(val, at, size) == e;
                at++;
            }
        }
        CHECK(ok && at == nonzeros);
        free(row);
        free(col);
        free(val);
        CHECK(!read_stored(g, &v, 0));
        for (int change = -5; change <= 5; change++) { /* sizes that do not fit, in memory of that size */
            if (!change || (int64_t)v.bytes + change < 0) continue;
            CHECK(read_stored(g, &v, change) == SPR_ERROR_FORMAT);
        }
        spr_graph_free(g);
    }
    free(dense);
    free(wanted);
    free(got);
}

static void test_encodings(void) {
    static const spr_dtype dtypes[] = {SPR_FLOAT32, SPR_FLOAT16, SPR_INT8};
    static const int64_t sizes[] = {0, 1, 2, 3, 4, 7, 8, 16, 17, 31, 32, 33, 63, 64, 65, 109};
    uint64_t seed = 0;
    for (size_t t = 0; t < SPR_COUNTOF(dtypes); t++)
        for (size_t i = 0; i < SPR_COUNTOF(sizes); i++)
            for (size_t j = 0; j < SPR_COUNTOF(sizes); j++)
                for (int sparsity = 0; sparsity <= 100; sparsity += 25)
                    test_encoding(dtypes[t], sizes[i], sizes[j], sparsity, seed++);
}

/* ---- the builder and the checks ---------------------------------------------------------------------------------- */

static void test_checks(void) {
    spr_desc d = desc(SPR_FLOAT32, 2, 2, 2, 0, 0), vector = desc(SPR_FLOAT32, 1, 4, 0, 0, 0);
    float data[4] = {0};
    spr_graph *g = spr_graph_new(NULL);
    CHECK(spr_graph_add_const(g, "w", &d, SPR_ENC_DENSE, data, 15, err) == -1 && strstr(err->message, "takes 16"));
    CHECK(spr_graph_add_const(g, "w", &vector, SPR_ENC_BITMAP, data, 16, err) == -1 && strstr(err->message, "rank 2"));
    CHECK(spr_graph_add_value(g, "", err) == -1);
    int x = spr_graph_add_input(g, "x", &d, err), y = spr_graph_add_value(g, "y", err),
        z = spr_graph_add_value(g, "z", err);
    CHECK(spr_graph_add_node(g, "Nope", "n", 1, &x, 1, &y, err) == -1 && err->status == SPR_ERROR_UNSUPPORTED);
    CHECK(spr_graph_add_node(g, "Unary", "n", 1, (int32_t[]){9}, 1, &y, err) == -1);
    int n = spr_graph_add_node(g, "Unary", "n", 1, &z, 1, &y, err);
    CHECK(spr_graph_add_node(g, "Unary", "again", 1, &x, 1, &y, err) == -1 && strstr(err->message, "already computed"));
    CHECK_FAILS(spr_graph_set_int(g, n, "fn", 1, err), SPR_ERROR_ARGUMENT, "a string");
    CHECK_FAILS(spr_graph_set_int(g, n, "nope", 1, err), SPR_ERROR_UNSUPPORTED, "'nope'");
    CHECK_FAILS(spr_graph_set_int(g, 1, "fn", 1, err), SPR_ERROR_ARGUMENT, "1 nodes");
    CHECK_FAILS(spr_graph_add_output(g, 9, err), SPR_ERROR_ARGUMENT, "value 9");
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "'z', is not computed before");
    g->nodes[n].in = &g->inputs[0];
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "nothing computes 'z'");
    g->value_count = 2;
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "no outputs");
    CHECK(!spr_graph_add_output(g, y, err) && !spr_graph_check(g, err));
    CHECK(!spr_graph_set_string(g, n, "fn", "prelu", err));
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "needs the input 'slope'");
    CHECK(!spr_graph_set_string(g, n, "fn", "none clip", err));
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_UNSUPPORTED, "'none clip'; accepted are none clip hard_swish");
    CHECK(!spr_graph_set_string(g, n, "fn", "exp", err) && !spr_graph_add_output(g, y, err));
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "output twice");
    g->output_count = 1;
    g->values[y].name = "x";
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "two values have the name 'x'");
    g->values[y].name = "\xff";
    CHECK_FAILS(spr_graph_check(g, err), SPR_ERROR_FORMAT, "'?', is not UTF-8");
    g->values[y].name = "y";
    CHECK(!spr_graph_check(g, err));
    spr_graph_free(g);
    for (int op = 0; op < SPR_OP_COUNT; op++) CHECK(spr_op_find(spr_op_name((spr_op)op)) == op);
    spr_op_schema s = spr_op_get_schema(SPR_OP_Split);
    CHECK(s.min_inputs == 1 && s.max_inputs == 2 && s.min_outputs == 1 && s.max_outputs == INT32_MAX);
    s = spr_op_get_schema(SPR_OP_Conv);
    CHECK(s.min_inputs == 2 && s.max_inputs == 5 && s.attr_count == SPR_ATTR_COUNT_Conv);
}

int main(int argc, char **argv) {
    spr_graph *g = make_graph();
    void *file = NULL;
    size_t size = 0;
    if (CHECK(!spr_graph_write(g, &file, &size, err))) {
        test_round_trip(file, size, g);
        test_damage(file, size);
        test_unknown_things(file, size);
        test_malice(file, size, argc > 1 ? atoi(argv[1]) : 10000); /* argument: how many seeds */
        test_sources(file, size, g);
    }
    free(file);
    spr_graph_free(g);
    test_checks();
    test_encodings();
    return test_result();
}
