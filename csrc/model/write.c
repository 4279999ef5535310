#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/compress.h"
#include "model/format.h"
#include "model/model.h"

/* A growing stream; after a failed allocation it only counts. */
typedef struct stream {
    unsigned char *data;
    size_t size, room;
    int failed;
} stream;

static void put(stream *s, const void *bytes, size_t size) {
    if (s->size + size > s->room && !s->failed) {
        size_t room = (s->size + size) * 2;
        unsigned char *larger = realloc(s->data, room);
        if (larger) {
            s->data = larger;
            s->room = room;
        } else {
            s->failed = 1;
        }
    }
    if (size && !s->failed) memcpy(s->data + s->size, bytes, size);
    s->size += size;
}

static void put_u32(stream *s, uint32_t v) { put(s, &v, 4); }
static void put_u64(stream *s, uint64_t v) { put(s, &v, 8); }

static void put_string(stream *s, const char *text) {
    size_t length = strlen(text);
    put_u32(s, (uint32_t)length);
    put(s, text, length);
}

static void put_indices(stream *s, const int32_t *v, int32_t count) {
    put_u32(s, (uint32_t)count);
    put(s, v, (size_t)count * 4);
}

static size_t align_data(size_t at) { return (at + SPR_DATA_ALIGN - 1) / SPR_DATA_ALIGN * SPR_DATA_ALIGN; }

static void put_attribute(stream *s, const spr_attr_schema *schema, const spr_attr *attr) {
    put_string(s, schema->name);
    switch (schema->type) {
    case SPR_TYPE_INT:
        put_u32(s, SPR_FILE_INT);
        put(s, &attr->i, 8);
        break;
    case SPR_TYPE_FLOAT:
        put_u32(s, SPR_FILE_FLOAT);
        put(s, &attr->f, 8);
        break;
    case SPR_TYPE_INTS:
        put_u32(s, SPR_FILE_INTS);
        put_u32(s, (uint32_t)attr->ints.n);
        put(s, attr->ints.v, (size_t)attr->ints.n * 8);
        break;
    case SPR_TYPE_STRING:
        put_u32(s, SPR_FILE_STRING);
        put_string(s, attr->s);
        break;
    }
}

static void put_node(stream *s, const spr_node *node) {
    const spr_op_schema schema = spr_op_get_schema(node->op);
    uint32_t count = 0;
    put_string(s, schema.name);
    put_string(s, node->name);
    put_indices(s, node->in, node->in_count);
    put_indices(s, node->out, node->out_count);
    for (int i = 0; i < schema.attr_count; i++) count += !spr_attr_is_default(&schema.attrs[i], &node->attr[i]);
    put_u32(s, count);
    for (int i = 0; i < schema.attr_count; i++)
        if (!spr_attr_is_default(&schema.attrs[i], &node->attr[i]))
            put_attribute(s, &schema.attrs[i], &node->attr[i]);
}

/* The whole metadata for a data section that starts at `data_offset`; *end: where the last constant ends. The length
   does not depend on data_offset. */
static void put_metadata(stream *s, const spr_graph *graph, const unsigned char *is_input, size_t data_offset,
                         size_t *end) {
    put_string(s, graph->producer);
    put_u32(s, (uint32_t)graph->sparse);
    put_u32(s, (uint32_t)graph->value_count);
    *end = data_offset;
    for (int32_t v = 0; v < graph->value_count; v++) {
        const spr_value *value = &graph->values[v];
        put_string(s, value->name);
        put_u32(s, value->is_const ? SPR_KIND_CONST : is_input[v] ? SPR_KIND_INPUT : SPR_KIND_RESULT);
        if (!value->is_const && !is_input[v]) continue;
        put_u32(s, (uint32_t)value->desc.dtype);
        put_u32(s, (uint32_t)value->desc.rank);
        put(s, value->desc.dim, (size_t)value->desc.rank * 8);
        if (!value->is_const) continue;
        size_t at = align_data(*end);
        put_u32(s, (uint32_t)spr_stored_encoding(value));
        put_u64(s, value->bytes);
        put_u64(s, at);
        *end = at + value->bytes;
    }
    put_indices(s, graph->inputs, graph->input_count);
    put_indices(s, graph->outputs, graph->output_count);
    put_u32(s, (uint32_t)graph->node_count);
    for (int32_t i = 0; i < graph->node_count; i++) put_node(s, &graph->nodes[i]);
}

spr_status spr_graph_write(const spr_graph *graph, void **data, size_t *size, spr_error *err) {
    spr_status status = spr_graph_check(graph, err);
    if (status) return status;
    unsigned char *is_input = calloc((size_t)graph->value_count + 1, 1), *file = NULL;
    if (!is_input) return spr_fail_memory(err, "writing a model", (size_t)graph->value_count + 1);
    for (int32_t i = 0; i < graph->input_count; i++) is_input[graph->inputs[i]] = 1;
    stream meta = {0};
    size_t end;
    put_metadata(&meta, graph, is_input, 0, &end);
    size_t meta_size = meta.size, data_offset = align_data(SPR_HEADER_SIZE + meta_size);
    meta.size = 0;
    put_metadata(&meta, graph, is_input, data_offset, &end);
    free(is_input);
    if (!meta.failed) file = calloc(1, end);
    if (!file) {
        free(meta.data);
        return spr_fail_memory(err, "writing a model", end);
    }
    uint32_t version = 1, crc;
    for (int32_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].is_const && graph->values[v].gaps) version = 2;
    uint64_t end64 = end, meta64 = meta_size, offset64 = data_offset;
    memcpy(file + SPR_AT_MAGIC, SPR_MAGIC, 8);
    memcpy(file + SPR_AT_VERSION, &version, 4);
    memcpy(file + SPR_AT_FILE_SIZE, &end64, 8);
    memcpy(file + SPR_AT_META_SIZE, &meta64, 8);
    memcpy(file + SPR_AT_DATA_OFFSET, &offset64, 8);
    memcpy(file + SPR_HEADER_SIZE, meta.data, meta_size);
    free(meta.data);
    size_t at = data_offset;
    for (int32_t v = 0; v < graph->value_count; v++) {
        if (!graph->values[v].is_const) continue;
        at = align_data(at);
        spr_store(&graph->values[v], file + at);
        at += graph->values[v].bytes;
    }
    crc = spr_file_crc(file, end);
    memcpy(file + SPR_AT_CRC, &crc, 4);
    *data = file;
    *size = end;
    return SPR_OK;
}

/* ---- to a path --------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        data += n;
        size -= (size_t)n;
    }
    return 1;
}

/* Opens a new file beside `path` under a name that nothing has; fills in the name. */
static int open_temporary(const char *path, char *name, size_t room) {
    if (strlen(path) >= PATH_MAX) errno = ENAMETOOLONG;
    for (unsigned i = 0; i < 1000 && strlen(path) < PATH_MAX; i++) {
        snprintf(name, room, "%s.%ld-%u.tmp", path, (long)getpid(), i);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

spr_status spr_file_save(const char *path, const void *data, size_t size, spr_error *err) {
    struct stat info;
    char name[PATH_MAX + 64];
    /* What is there and not a plain file, like /dev/stdout, is written to and not replaced. */
    int direct = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    int fd = direct ? open(path, O_WRONLY | O_CLOEXEC) : open_temporary(path, name, sizeof name);
    if (fd < 0) return spr_fail(err, SPR_ERROR_IO, "cannot write '%.500s': %s", path, strerror(errno));
    int ok = write_all(fd, data, size), error = errno;
    if (close(fd) && ok) ok = 0, error = errno;
    if (ok && !direct && rename(name, path)) ok = 0, error = errno;
    if (!ok && !direct) unlink(name);
    return ok ? SPR_OK : spr_fail(err, SPR_ERROR_IO, "cannot write '%.500s': %s", path, strerror(error));
}

spr_status spr_graph_save(const spr_graph *graph, const char *path, spr_error *err) {
    void *data;
    size_t size;
    spr_status status = spr_graph_write(graph, &data, &size, err);
    if (status) return status;
    status = spr_file_save(path, data, size, err);
    free(data);
    return status;
}
