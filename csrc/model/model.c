#define _GNU_SOURCE /* realpath */
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

static spr_status infer_dtypes(spr_model *model, spr_error *err) {
    const spr_graph *graph = model->graph;
    model->dtypes = calloc((size_t)graph->value_count + 1, sizeof(*model->dtypes));
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

/* Takes over the source. */
static spr_status open_source(spr_source *source, spr_model **model, spr_error *err) {
    spr_model *m = calloc(1, sizeof(*m));
    if (!m) {
        spr_source_close(source);
        return spr_fail_memory(err, "a model", sizeof(*m));
    }
    m->source = *source;
    spr_status status = spr_graph_read(source->data, source->size, &m->graph, err);
    if (!status) status = infer_dtypes(m, err);
    if (status) spr_model_close(m);
    else *model = m;
    return status;
}

spr_status spr_model_open(const char *path, spr_model **model, spr_error *err) {
    spr_source source = {0};
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open: model is NULL");
    *model = NULL;
    if (!path) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open: path is NULL");
    spr_status status = spr_source_open(path, &source, err);
    if (!status) status = open_source(&source, model, err);
    if (!status) (*model)->path = realpath(path, NULL); /* without one nothing is remembered beside the model */
    return status;
}

spr_status spr_model_open_memory(const void *data, size_t size, spr_model **model, spr_error *err) {
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_memory: model is NULL");
    *model = NULL;
    if (!data && size) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_memory: data is NULL");
    if ((uintptr_t)data % 4)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_memory: the address %p is not a multiple of 4", data);
    spr_source source = {data, size, NULL, 0};
    return open_source(&source, model, err);
}

spr_status spr_model_open_fd(int fd, int64_t offset, size_t length, spr_model **model, spr_error *err) {
    spr_source source = {0};
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "spr_model_open_fd: model is NULL");
    *model = NULL;
    spr_status status = spr_source_open_fd(fd, offset, length, &source, err);
    return status ? status : open_source(&source, model, err);
}

void spr_model_close(spr_model *model) {
    if (!model) return;
    spr_graph_free(model->graph);
    free(model->dtypes);
    free(model->path);
    spr_source_close(&model->source);
    free(model);
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
