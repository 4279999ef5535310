#define _GNU_SOURCE /* realpath */
#include "model/model.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/versions.h"

void spr_model_log(const spr_model *model, spr_log_level level, const char *format, ...) {
    char text[sizeof(((spr_error *)0)->message)];
    if (!spr_model_logs(model, level)) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    spr_utf8_clean(text);
    model->logger.log(model->logger.context, level, text);
}

static spr_status infer_dtypes(spr_model *model, spr_error *err) {
    const spr_graph *graph = model->graph;
    model->dtypes = spr_alloc_zeroed(model->allocator, (size_t)graph->value_count + 1, sizeof(*model->dtypes));
    if (!model->dtypes) return spr_fail_memory(err, "a model", (size_t)graph->value_count * sizeof(*model->dtypes));
    for (int32_t v = 0; v < graph->value_count; v++) model->dtypes[v] = graph->values[v].desc.dtype;
    for (int32_t i = 0; i < graph->node_count; i++) {
        const spr_node *node = &graph->nodes[i];
        spr_dtype in[SPR_INFER_DTYPE_INPUTS] = {0};
        for (int j = 0; j < node->in_count && j < SPR_INFER_DTYPE_INPUTS; j++)
            if (node->in[j] >= 0) in[j] = model->dtypes[node->in[j]];
        for (int j = 0; j < node->out_count; j++) model->dtypes[node->out[j]] = spr_infer_dtype(node, in, j);
    }
    return SPR_OK;
}

/* An empty model with its options. */
static spr_status new_model(const spr_model_options *given, spr_model **model, spr_error *err) {
    spr_model_options options;
    spr_model_options_init(&options);
    spr_status status =
        spr_options_read("model", &options, sizeof options, SPR_SIZE_UP_TO(spr_model_options, logger), given, err);
    if (status) return status;
    const spr_allocator *allocator = options.allocator;
    if (allocator && (!allocator->allocate || !allocator->release))
        return spr_fail(err, SPR_ERROR_ARGUMENT, "the allocator lacks a function");
    if (options.logger && !options.logger->log)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "the logger lacks its function");
    spr_model *m = spr_alloc_zeroed(allocator, 1, sizeof *m);
    if (!m) return spr_fail_memory(err, "a model", sizeof *m);
    if (allocator) m->custom_allocator = *allocator;
    m->allocator = allocator ? &m->custom_allocator : NULL;
    m->source.allocator = m->allocator;
    if (options.logger) m->logger = *options.logger;
    *model = m;
    return SPR_OK;
}

/* Reads the model's source, unless that could not be opened. */
static spr_status finish(spr_model *m, spr_status status, spr_model **model, spr_error *err) {
    if (!status) status = spr_graph_read(m->source.data, m->source.size, m->allocator, &m->graph, err);
    if (!status) status = infer_dtypes(m, err);
    if (status) {
        spr_model_close(m);
        return status;
    }
    *model = m;
    spr_model_log(m, SPR_LOG_INFO, "model %s: %d nodes, %zu bytes, by %s", m->path ? m->path : "in memory",
                  (int)m->graph->node_count, m->source.size, m->graph->producer);
    return SPR_OK;
}

spr_status spr_model_open(const char *path, const spr_model_options *options, spr_model **model, spr_error *err) {
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open: model is NULL");
    *model = NULL;
    if (!path) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open: path is NULL");
    spr_model *m;
    spr_status status = new_model(options, &m, err);
    if (status) return status;
    status = spr_source_open(path, &m->source, err);
    char absolute[PATH_MAX];
    if (!status && realpath(path, absolute)) { /* without one nothing is remembered beside the model */
        m->path = spr_alloc_string(m->allocator, absolute);
        if (!m->path) status = spr_fail_memory(err, "a model", strlen(absolute) + 1);
    }
    return finish(m, status, model, err);
}

spr_status spr_model_open_memory(const void *data, size_t size, const spr_model_options *options, spr_model **model,
                                 spr_error *err) {
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_memory: model is NULL");
    *model = NULL;
    if (!data && size) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_memory: data is NULL");
    if ((uintptr_t)data % 4)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_memory: the address %p is not a multiple of 4", data);
    spr_model *m;
    spr_status status = new_model(options, &m, err);
    if (status) return status;
    m->source.data = data;
    m->source.size = size;
    return finish(m, SPR_OK, model, err);
}

spr_status spr_model_open_fd(int fd, int64_t offset, size_t length, const spr_model_options *options, spr_model **model,
                             spr_error *err) {
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_fd: model is NULL");
    *model = NULL;
    spr_model *m;
    spr_status status = new_model(options, &m, err);
    return status ? status : finish(m, spr_source_open_fd(fd, offset, length, &m->source, err), model, err);
}

void spr_model_close(spr_model *model) {
    if (!model) return;
    const spr_allocator copy = model->custom_allocator, *allocator = model->allocator ? &copy : NULL;
    spr_graph_free(model->graph);
    spr_release(allocator, model->dtypes);
    spr_release(allocator, model->path);
    spr_source_close(&model->source);
    spr_release(allocator, model);
}

const spr_graph *spr_model_graph(const spr_model *model) { return model->graph; }

int spr_model_input_count(const spr_model *model) { return model->graph->input_count; }
int spr_model_output_count(const spr_model *model) { return model->graph->output_count; }

static void fill_info(const spr_value *value, spr_tensor_info *info) {
    info->name = value->name;
    info->dtype = value->desc.dtype;
    info->rank = value->desc.rank;
    memcpy(info->dim, value->desc.dim, sizeof(info->dim));
}

spr_status spr_model_input(const spr_model *model, int index, spr_tensor_info *info) {
    if (index < 0 || index >= model->graph->input_count) return SPR_ERROR_ARGUMENT;
    fill_info(&model->graph->values[model->graph->inputs[index]], info);
    return SPR_OK;
}

spr_status spr_model_output(const spr_model *model, int index, spr_tensor_info *info) {
    if (index < 0 || index >= model->graph->output_count) return SPR_ERROR_ARGUMENT;
    int32_t value = model->graph->outputs[index];
    memset(info, 0, sizeof(*info));
    info->name = model->graph->values[value].name;
    info->dtype = model->dtypes[value];
    info->rank = -1;
    return SPR_OK;
}

static int find(const spr_graph *graph, const int32_t *list, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(graph->values[list[i]].name, name)) return i;
    return -1;
}

int spr_model_find_input(const spr_model *model, const char *name) {
    return find(model->graph, model->graph->inputs, model->graph->input_count, name);
}

int spr_model_find_output(const spr_model *model, const char *name) {
    return find(model->graph, model->graph->outputs, model->graph->output_count, name);
}
