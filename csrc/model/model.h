/* Model files: bytes from somewhere, the graph they hold, and the way back. The public functions are in spr.h. */
#ifndef SPR_MODEL_MODEL_H
#define SPR_MODEL_MODEL_H

#include "graph/graph.h"

/* Bytes that stay where they are until spr_source_close: mapped or borrowed. */
typedef struct spr_source {
    const void *data;
    size_t size;
    void *map; /* NULL: borrowed */
    size_t map_size;
} spr_source;

spr_status spr_source_open(const char *path, spr_source *source, spr_error *err);
spr_status spr_source_open_fd(int fd, int64_t offset, size_t length, spr_source *source, spr_error *err);
void spr_source_close(spr_source *source);

/* The graph in a file's bytes, which must be aligned to 4 and outlive the graph: constants stay in them. Everything is
   validated: afterwards the graph satisfies spr_graph_check. */
spr_status spr_graph_read(const void *data, size_t size, spr_graph **graph, spr_error *err);

/* The file of a graph, after spr_graph_check: to memory that the caller frees with free(), or to a path, where it
   appears whole or not at all. */
spr_status spr_graph_write(const spr_graph *graph, void **data, size_t *size, spr_error *err);
spr_status spr_graph_save(const spr_graph *graph, const char *path, spr_error *err);

/* Writes a file that appears whole or not at all. */
spr_status spr_file_save(const char *path, const void *data, size_t size, spr_error *err);
/* CRC-32, as in zlib. */
uint32_t spr_crc(const void *data, size_t size);

struct spr_model {
    char *path; /* absolute; NULL: not opened from one */
    spr_source source;
    spr_graph *graph;
    spr_dtype *dtypes; /* by value: all types follow without shapes */
};

const spr_graph *spr_model_graph(const spr_model *model);

#endif
