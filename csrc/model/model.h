/* Model files: bytes from somewhere, the graph they hold, and the way back. The public functions are in spr.h. */
#ifndef SPR_MODEL_MODEL_H
#define SPR_MODEL_MODEL_H

#include "graph/graph.h"

/* Bytes that stay where they are until spr_source_close: mapped, copied or borrowed. Aligned to 4. */
typedef struct spr_source {
    const void *data;
    size_t size;
    void *map; /* NULL: not mapped */
    size_t map_size;
    void *copy; /* NULL: not copied */
    const spr_allocator *allocator; /* of the copy; must outlive it */
} spr_source;

spr_status spr_source_open(const char *path, spr_source *source, spr_error *err);
/* source->allocator is given. */
spr_status spr_source_open_fd(int fd, int64_t offset, size_t length, spr_source *source, spr_error *err);
void spr_source_close(spr_source *source);

/* The graph in a file's bytes, which must be aligned to 4 and outlive the graph: constants stay in them. Everything is
   validated: afterwards the graph satisfies spr_graph_check. */
spr_status spr_graph_read(const void *data, size_t size, const spr_allocator *allocator, spr_graph **graph,
                          spr_error *err);

/* The file of a graph, after spr_graph_check: to memory that the caller frees with free(), or to a path, where it
   appears whole or not at all. */
spr_status spr_graph_write(const spr_graph *graph, void **data, size_t *size, spr_error *err);
spr_status spr_graph_save(const spr_graph *graph, const char *path, spr_error *err);

/* Writes a file that appears whole or not at all. */
spr_status spr_file_save(const char *path, const void *data, size_t size, spr_error *err);
/* CRC-32, as in zlib. */
uint32_t spr_crc(const void *data, size_t size);

struct spr_model {
    spr_allocator custom_allocator;
    const spr_allocator *allocator; /* &custom_allocator, or NULL: the system's */
    spr_logger logger;              /* .log NULL: none */
    char *path; /* absolute; NULL: not opened from one */
    spr_source source;
    spr_graph *graph;
    spr_dtype *dtypes; /* by value: all types follow without shapes */
};

const spr_graph *spr_model_graph(const spr_model *model);

/* Tells the model's logger. */
SPR_INLINE int spr_model_logs(const spr_model *model, spr_log_level level) {
    return model->logger.log && level >= model->logger.level;
}
void spr_model_log(const spr_model *model, spr_log_level level, const char *format, ...) SPR_PRINTF(3, 4);

#endif
