/* The public session: input shapes, a plan for them, running it, and telling what was done. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/versions.h"
#include "model/format.h"
#include "model/model.h"
#include "runtime/chain.h"
#include "runtime/strips.h"
#include "runtime/tune.h"

struct spr_session {
    const spr_model *model;
    const spr_graph *graph;
    spr_plan_options options;
    uint64_t cpu_mask;
    int profile;
    spr_pool *pool;
    spr_desc *inputs; /* present shapes, by graph input */
    spr_plan *plan;   /* NULL until prepared */
    char *scratch;
    size_t scratch_stride;
};

static spr_status read_options(spr_session *session, const spr_session_options *given, spr_error *err) {
    spr_session_options options;
    spr_session_options_init(&options);
    spr_status status =
        spr_options_read("session", &options, sizeof options, SPR_SIZE_UP_TO(spr_session_options, profile), given, err);
    if (status) return status;
    if ((unsigned)options.sparse > SPR_SPARSE_NEVER)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "sparse is %d, it must be one of SPR_SPARSE_*", (int)options.sparse);
    uint32_t mask = ~0u;
    if (options.isa && !spr_isa_parse(options.isa, &mask))
        return spr_fail(err, SPR_ERROR_ARGUMENT, "isa '%s' names an unknown feature", options.isa);
    session->options = (spr_plan_options){
        .features = spr_cpu_features() & mask,
        .threads = options.threads,
        .sparse = options.sparse != SPR_SPARSE_MODEL ? options.sparse : session->graph->sparse,
    };
    if (!SPR_KEPT(plain_c, 1, 0) && !(session->options.features & SPR_ISA_NEON))
        return spr_fail(err, SPR_ERROR_UNSUPPORTED, "this library was tailored to NEON, without plain C");
    session->profile = options.profile;
    session->cpu_mask = options.cpu_mask;
    if (options.autotune && !SPR_TUNES)
        return spr_fail(err, SPR_ERROR_UNSUPPORTED, "this library was tailored to be small, without autotune");
    status = spr_pool_create(options.threads, options.cpu_mask, session->model->allocator, &session->pool, err);
    if (!status && options.autotune && SPR_TUNES)
        status = spr_tune_create(session->model->path, session->model->source.size, session->pool,
                                 session->model->allocator, &session->options.tune, err);
    return status;
}

static int shapes_known(const spr_session *session) {
    for (int i = 0; i < session->graph->input_count; i++)
        for (int k = 0; k < session->inputs[i].rank; k++)
            if (session->inputs[i].dim[k] < 0) return 0;
    return 1;
}

spr_status spr_session_create(const spr_model *model, const spr_session_options *options, spr_session **out,
                              spr_error *err) {
    *out = NULL;
    if (!model) return spr_fail(err, SPR_ERROR_ARGUMENT, "the model is NULL");
    const spr_allocator *allocator = model->allocator;
    spr_session *session = spr_alloc_zeroed(allocator, 1, sizeof *session);
    if (!session) return spr_fail_memory(err, "a session", sizeof *session);
    session->model = model;
    session->graph = spr_model_graph(model);
    session->inputs = spr_alloc_zeroed(allocator, (size_t)session->graph->input_count + 1, sizeof *session->inputs);
    spr_status status = session->inputs ? SPR_OK : spr_fail_memory(err, "a session", sizeof *session->inputs);
    for (int i = 0; !status && i < session->graph->input_count; i++)
        session->inputs[i] = session->graph->values[session->graph->inputs[i]].desc;
    if (!status) status = read_options(session, options, err);
    if (!status && shapes_known(session)) status = spr_session_prepare(session, err);
    if (status)
        spr_session_free(session);
    else
        *out = session;
    return status;
}

static void drop_plan(spr_session *session) {
    spr_plan_free(session->plan);
    spr_release(session->model->allocator, session->scratch);
    session->plan = NULL;
    session->scratch = NULL;
}

void spr_session_free(spr_session *session) {
    if (!session) return;
    drop_plan(session);
    if (SPR_TUNES) spr_tune_free(session->options.tune);
    spr_pool_free(session->pool);
    spr_release(session->model->allocator, session->inputs);
    spr_release(session->model->allocator, session);
}

static spr_status check_index(const char *what, int index, int count, spr_error *err) {
    if (index >= 0 && index < count) return SPR_OK;
    return spr_fail(err, SPR_ERROR_ARGUMENT, "%s %d does not exist: there are %d", what, index, count);
}

spr_status spr_session_set_input_shape(spr_session *session, int index, int rank, const int64_t *dim, spr_error *err) {
    spr_status status = check_index("input", index, session->graph->input_count, err);
    if (status) return status;
    const spr_value *value = &session->graph->values[session->graph->inputs[index]];
    char text[SPR_DIMS_TEXT], model[SPR_DIMS_TEXT];
    if (rank != value->desc.rank)
        return spr_fail(err, SPR_ERROR_SHAPE, "input '%s': rank %d, the model takes rank %d, shape %s", value->name,
                        rank, value->desc.rank, spr_dims_text(model, value->desc.rank, value->desc.dim));
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || dim[i] > INT32_MAX)
            return spr_fail(err, SPR_ERROR_SHAPE, "input '%s': shape %s has a dimension that is not in [0, 2^31)",
                            value->name, spr_dims_text(text, rank, dim));
    spr_desc *desc = &session->inputs[index];
    if (memcmp(desc->dim, dim, (size_t)rank * sizeof *dim) == 0) return SPR_OK;
    memcpy(desc->dim, dim, (size_t)rank * sizeof *dim);
    drop_plan(session);
    return SPR_OK;
}

/* What the fastest kernels depend on, as one line that begins with the model. */
static void tune_key(const spr_session *session, char *key, size_t size) {
    const spr_source *source = &session->model->source;
    const spr_plan_options *o = &session->options;
    char cpu[128];
    uint32_t crc;
    spr_cpu_name(cpu, sizeof cpu);
    memcpy(&crc, (const char *)source->data + SPR_AT_CRC, sizeof crc);
    size_t used = (size_t)snprintf(
        key, size,
        "model=%08x-%zu version=%s features=%x threads=%d mask=%llx sparse=%d cpu='%s' inputs=", (unsigned)crc,
        source->size, spr_version(), (unsigned)o->features, o->threads, (unsigned long long)session->cpu_mask,
        (int)o->sparse, cpu);
    for (int i = 0; i < session->graph->input_count && used < size; i++) {
        char text[SPR_DIMS_TEXT];
        used += (size_t)snprintf(key + used, size - used, "%s",
                                 spr_dims_text(text, session->inputs[i].rank, session->inputs[i].dim));
    }
}

static spr_status tune_begin(const spr_session *session, spr_error *err) {
    size_t size = 512 + SPR_DIMS_TEXT * (size_t)session->graph->input_count;
    char *key = spr_alloc(session->model->allocator, size);
    if (!key) return spr_fail_memory(err, "autotuning", size);
    tune_key(session, key, size);
    spr_status status = spr_tune_begin(session->options.tune, key, err);
    spr_release(session->model->allocator, key);
    return status;
}

static void log_plan(const spr_session *session) {
    const spr_model *model = session->model;
    spr_memory_info memory = {.struct_size = sizeof memory};
    if (!spr_model_logs(model, SPR_LOG_WARNING)) return;
    const char *isa = getenv("SPR_ISA");
    if (isa && *isa)
        spr_model_log(model, SPR_LOG_WARNING, "the environment variable SPR_ISA=%s limits the kernels", isa);
    spr_session_memory(session, &memory);
    int layers = spr_session_layer_count(session);
    spr_model_log(model, SPR_LOG_INFO,
                  "planned: %d layers, %d threads, activations %zu, weights %zu, scratch %zu bytes", layers,
                  session->options.threads, memory.activations, memory.weights, memory.scratch);
    if (*spr_session_tune_note(session))
        spr_model_log(model, SPR_LOG_INFO, "autotune: %s", spr_session_tune_note(session));
    for (int i = 0; i < layers && spr_model_logs(model, SPR_LOG_DEBUG); i++) {
        spr_layer_info layer = {.struct_size = sizeof layer};
        spr_session_layer(session, i, &layer);
        spr_model_log(model, SPR_LOG_DEBUG, "layer '%s' (%s): %s%s%s", layer.name, layer.op, layer.kernel,
                      *layer.kernel ? ", " : "", layer.reason);
    }
}

spr_status spr_session_prepare(spr_session *session, spr_error *err) {
    if (session->plan) return SPR_OK;
    for (int i = 0; i < session->graph->input_count; i++) {
        char text[SPR_DIMS_TEXT];
        const spr_desc *desc = &session->inputs[i];
        for (int k = 0; k < desc->rank; k++)
            if (desc->dim[k] < 0)
                return spr_fail(
                    err, SPR_ERROR_SHAPE, "input '%s' has shape %s: give the free dimensions (-1) a size first",
                    session->graph->values[session->graph->inputs[i]].name, spr_dims_text(text, desc->rank, desc->dim));
    }
    spr_plan *plan;
    spr_tune *tune = SPR_TUNE_OF(&session->options);
    spr_status status = tune ? tune_begin(session, err) : SPR_OK;
    if (!status) status = spr_plan_create(session->graph, session->inputs, &session->options, &plan, err);
    if (status) return status;
    if (tune) spr_tune_end(tune);
    size_t bytes = plan->scratch * (size_t)session->options.threads;
    void *scratch = spr_alloc_lines(session->model->allocator, bytes + SPR_LINE);
    if (!scratch) {
        spr_plan_free(plan);
        return spr_fail_memory(err, "scratch memory", bytes);
    }
    memset(scratch, 0, bytes + SPR_LINE); /* lanes of buffers that no kernel writes must hold ordinary numbers */
    session->plan = plan;
    session->scratch = scratch;
    session->scratch_stride = plan->scratch;
    log_plan(session);
    return SPR_OK;
}

/* ---- inputs and outputs ------------------------------------------------------------------------------------------ */

static void describe(const spr_graph *graph, int32_t value, const spr_desc *desc, spr_tensor_info *info) {
    *info = (spr_tensor_info){.name = graph->values[value].name, .dtype = desc->dtype, .rank = desc->rank};
    memcpy(info->dim, desc->dim, sizeof info->dim);
}

spr_status spr_session_input(const spr_session *session, int index, spr_tensor_info *info) {
    if (check_index("input", index, session->graph->input_count, NULL)) return SPR_ERROR_ARGUMENT;
    describe(session->graph, session->graph->inputs[index], &session->inputs[index], info);
    return SPR_OK;
}

spr_status spr_session_output(const spr_session *session, int index, spr_tensor_info *info) {
    if (check_index("output", index, session->graph->output_count, NULL) || !session->plan) return SPR_ERROR_ARGUMENT;
    int32_t value = session->graph->outputs[index];
    describe(session->graph, value, &session->plan->views[value].desc, info);
    if (session->plan->is_late[value] && !session->plan->views[value].data)
        spr_model_output(session->model, index, info);
    return SPR_OK;
}

/* The user's side of a tensor: contiguous. */
static spr_view user_view(const spr_desc *desc, const void *data) {
    spr_view view = {.desc = *desc, .data = (void *)(uintptr_t)data};
    spr_strides_contiguous(desc, view.stride);
    return view;
}

static spr_status check_size(const spr_graph *graph, int32_t value, const spr_desc *desc, size_t size, spr_error *err) {
    size_t bytes = (size_t)spr_desc_count(desc) * spr_dtype_size(desc->dtype);
    char text[SPR_DIMS_TEXT];
    if (size == bytes) return SPR_OK;
    return spr_fail(err, SPR_ERROR_ARGUMENT, "tensor '%s': %zu bytes given, %s %s takes %zu", graph->values[value].name,
                    size, spr_dtype_name(desc->dtype), spr_dims_text(text, desc->rank, desc->dim), bytes);
}

/* Lets the input's reader find it in the session's own memory. */
static void end_loan(const spr_session *session, int index) {
    spr_view *reader = session->plan->lent[index];
    if (reader) *reader = session->plan->views[session->graph->inputs[index]];
}

static spr_status give_input(spr_session *session, int index, const void *data, size_t size, int lend, spr_error *err) {
    spr_status status = check_index("input", index, session->graph->input_count, err);
    if (!status) status = spr_session_prepare(session, err);
    if (!status) status = check_size(session->graph, session->graph->inputs[index], &session->inputs[index], size, err);
    if (status || !size) return status;
    spr_view user = user_view(&session->inputs[index], data), *reader = session->plan->lent[index];
    if (lend && reader && (uintptr_t)data % spr_dtype_size(user.desc.dtype) == 0) {
        *reader = user;
        return SPR_OK;
    }
    end_loan(session, index);
    spr_view_copy(NULL, &user, &session->plan->views[session->graph->inputs[index]]);
    return SPR_OK;
}

spr_status spr_session_set_input(spr_session *session, int index, const void *data, size_t size, spr_error *err) {
    return give_input(session, index, data, size, 0, err);
}

spr_status spr_session_lend_input(spr_session *session, int index, const void *data, size_t size, spr_error *err) {
    return give_input(session, index, data, size, 1, err);
}

spr_status spr_session_get_output(const spr_session *session, int index, void *data, size_t size, spr_error *err) {
    spr_status status = check_index("output", index, session->graph->output_count, err);
    if (!status && !session->plan)
        status = spr_fail(err, SPR_ERROR_ARGUMENT, "there are no outputs before spr_session_run");
    if (status) return status;
    int32_t value = session->graph->outputs[index];
    const spr_view *output = &session->plan->views[value];
    if (session->plan->is_late[value] && !output->data)
        return spr_fail(err, SPR_ERROR_ARGUMENT,
                        "output '%s': its shape depends on what is computed, and is not known before "
                        "spr_session_run",
                        session->graph->values[value].name);
    status = check_size(session->graph, value, &output->desc, size, err);
    if (status || !size) return status;
    spr_view user = user_view(&output->desc, data);
    spr_view_copy(NULL, output, &user);
    return SPR_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int all_views(const spr_step *step) {
    for (int i = 0; i < step->node->out_count; i++)
        if (!step->out_is_view[i]) return 0;
    return 1;
}

#if SPR_STRIPS
typedef struct joined_job {
    const spr_run_ctx *ctx;
    const spr_step *steps;
    int strips;
} joined_job;

static void joined_task(void *arg, int task, int thread) {
    const joined_job *job = arg;
    spr_run_ctx ctx = *job->ctx;
    ctx.lane = task;
    ctx.lanes = job->strips;
    ctx.thread = thread;
    for (int i = 0; i <= job->steps->joined; i++)
        if (!all_views(&job->steps[i])) job->steps[i].exec.run(&ctx, &job->steps[i]);
}
#endif

spr_status spr_session_run(spr_session *session, spr_error *err) {
    spr_status status = spr_session_prepare(session, err);
    if (status) return status;
    spr_run_ctx ctx = {.pool = session->pool, .scratch = session->scratch, .scratch_stride = session->scratch_stride,
                       .profile = session->profile};
    for (int i = 0; i < session->plan->step_count; i++) {
        spr_step *step = &session->plan->steps[i];
        uint64_t start = session->profile ? now_ns() : 0;
#if SPR_STRIPS
        if (step->joined && !session->profile) {
            joined_job job = {&ctx, step, session->options.threads};
            spr_pool_run(session->pool, job.strips, joined_task, &job);
            i += step->joined;
            continue;
        }
#endif
        if (!all_views(step)) step->exec.run(&ctx, step);
        if (session->profile) step->ns = now_ns() - start;
    }
    for (int i = 0; i < session->graph->input_count; i++) end_loan(session, i);
    return SPR_LATE && session->plan->late_count ? spr_plan_run_late(session->plan, &session->options, err) : SPR_OK;
}

/* ---- explaining -------------------------------------------------------------------------------------------------- */

void spr_session_set_profile(spr_session *session, int profile) {
    session->profile = profile;
    for (int i = 0; !profile && session->plan && i < session->plan->step_count; i++) session->plan->steps[i].ns = 0;
}

int spr_session_layer_count(const spr_session *session) {
    int count = 0;
    for (int i = 0; session->plan && i < session->plan->step_count; i++)
        count += spr_step_layers(&session->plan->steps[i]);
    return count;
}

spr_status spr_session_layer(const spr_session *session, int index, spr_layer_info *info) {
    if (check_index("layer", index, spr_session_layer_count(session), NULL)) return SPR_ERROR_ARGUMENT;
    const spr_step *whole = session->plan->steps;
    while (index >= spr_step_layers(whole)) index -= spr_step_layers(whole++);
    const spr_step *step = spr_step_layer(whole, index);
    spr_layer_info found = {
        .name = step->node->name,
        .op = spr_op_name(step->node->op),
        .kernel = step->kernel ? step->kernel->name : "",
        .reason = all_views(step) ? "no work: a view of its input" : step->reason,
        .macs = step->macs,
        .sparsity = step->sparsity,
        .fill_2x1 = step->fill_2x1,
        .weight_bytes = step->weight_bytes,
        .packed_bytes = step->packed_bytes,
        .ns = (uint64_t)((double)whole->ns * spr_step_layer_share(whole, index)),
        .balance = step->balance,
    };
    spr_desc image;
    describe(session->graph, step->node->out[0], spr_strips_whole(&step->out[0], &image), &found.output);
    return spr_info_write(info, &found, sizeof found, SPR_SIZE_UP_TO(spr_layer_info, balance));
}

spr_status spr_session_memory(const spr_session *session, spr_memory_info *info) {
    if (!session->plan) return SPR_ERROR_ARGUMENT;
    spr_memory_info found = {.activations = session->plan->activation_bytes,
                             .weights = session->plan->arena.bytes - session->plan->activation_bytes,
                             .scratch = session->scratch_stride * (size_t)session->options.threads,
                             .live = session->plan->live_bytes};
    return spr_info_write(info, &found, sizeof found, SPR_SIZE_UP_TO(spr_memory_info, live));
}

const char *spr_session_tune_note(const spr_session *session) {
    return SPR_TUNE_OF(&session->options) ? spr_tune_note(session->options.tune) : "";
}
