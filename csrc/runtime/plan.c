/* From a graph and input shapes to steps that can be run: inference, folding, layout, kernels, memory. */
#include "runtime/plan.h"

#include <string.h>
#include <unistd.h>

#include "base/tailor.h"
#include "model/compress.h"
#include "runtime/chain.h"
#include "runtime/strips.h"

#define SPR_ATTR(op, name, type, value)
#define SPR_OP(name, inputs, outputs, infer, attrs) spr_exec spr_exec_##name(void);
#include "spr/ops.inc"
#undef SPR_OP

spr_exec spr_exec_get(spr_op op) {
#define NO_CASE(name)
#define CASE(name) case SPR_OP_##name: return spr_exec_##name();
#define SPR_OP(name, inputs, outputs, infer, attrs) SPR_KEPT(op_##name, CASE, NO_CASE)(name)
    switch (op) {
#include "spr/ops.inc"
    default: return (spr_exec){0}; /* none that a checked graph has */
    }
#undef SPR_OP
}
#undef SPR_ATTR

int spr_plan_fits(size_t bytes) {
    return bytes / (size_t)sysconf(_SC_PAGESIZE) <= (size_t)sysconf(_SC_PHYS_PAGES);
}

void *spr_plan_alloc(spr_plan_ctx *ctx, size_t bytes, const char *what) {
    void *memory = spr_plan_fits(bytes) ? spr_arena_alloc(ctx->arena, bytes) : NULL;
    if (!memory) spr_fail_memory(ctx->err, what, bytes);
    return memory;
}

spr_status spr_plan_act(spr_plan_ctx *ctx, const spr_step *step, const spr_attr *act, const spr_attr *a,
                        const spr_attr *b, int slope_input, uint32_t rows, spr_act *out) {
    *out = (spr_act){.fn = SPR_FN_NONE, .a = (float)a->f, .b = (float)b->f};
    while (out->fn < SPR_FN_COUNT && strcmp(spr_function_name(out->fn), act->s) != 0) out->fn++;
    if (out->fn == SPR_FN_COUNT)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': unknown activation '%s'", step->node->name,
                        act->s);
    if (out->fn != SPR_FN_PRELU) return SPR_OK;
    if (!spr_step_has(step, slope_input) || !step->in[slope_input].data)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': prelu needs a constant slope", step->node->name);
    const spr_view *slope = &step->in[slope_input];
    int64_t count = spr_desc_count(&slope->desc);
    if (slope->desc.dtype != SPR_FLOAT32 || (count != 1 && count != rows))
        return spr_fail(ctx->err, SPR_ERROR_SHAPE,
                        "node '%s': prelu slope has %lld %s values, it must have 1 or %u float32", step->node->name,
                        (long long)count, spr_dtype_name(slope->desc.dtype), rows);
    float *copy = spr_plan_alloc(ctx, rows * sizeof(float), "the slopes of prelu");
    if (!copy) return SPR_ERROR_MEMORY;
    for (uint32_t i = 0; i < rows; i++) copy[i] = ((const float *)slope->data)[count == 1 ? 0 : i];
    out->slope = copy;
    return SPR_OK;
}

spr_status spr_plan_planes(spr_plan_ctx *ctx, spr_step *step, int input) {
    spr_view *view = &step->in[input];
    if (!spr_step_has(step, input) || !view->data || view->desc.rank != 4) return SPR_OK;
    spr_view padded = {.desc = view->desc};
    spr_strides_planes(&view->desc, padded.stride);
    size_t bytes = (size_t)(padded.desc.dim[0] * padded.stride[0]) * spr_dtype_size(padded.desc.dtype);
    padded.data = spr_plan_alloc(ctx, bytes ? bytes : 1, "a constant image");
    if (!padded.data) return SPR_ERROR_MEMORY;
    spr_view_copy(NULL, view, &padded);
    *view = padded;
    return SPR_OK;
}

/* ---- constants --------------------------------------------------------------------------------------------------- */

/* The weights of these operators stay as stored: their executors read every encoding. */
static int reads_encoded(const spr_node *node, int input) {
    return input == 1 && (node->op == SPR_OP_Conv || node->op == SPR_OP_FullyConnected || node->op == SPR_OP_QConv);
}

/* Makes a constant readable as a plain array: decodes it if it is sparse, moves it if it is misaligned for its type. */
static spr_status plain_constant(spr_plan *plan, int32_t index, spr_error *err) {
    const spr_value *value = &plan->graph->values[index];
    spr_view *view = &plan->views[index];
    if (view->data) return SPR_OK;
    size_t size = spr_dtype_size(value->desc.dtype), bytes = (size_t)spr_desc_count(&value->desc) * size;
    if (value->encoding == SPR_ENC_DENSE && ((uintptr_t)value->data & (size - 1)) == 0) {
        view->data = (void *)(uintptr_t)value->data;
        return SPR_OK;
    }
    void *copy = spr_arena_alloc(&plan->arena, bytes ? bytes : 1);
    if (!copy) return spr_fail_memory(err, "a constant", bytes);
    if (value->encoding == SPR_ENC_DENSE)
        memcpy(copy, value->data, bytes);
    else
        spr_decode_dense(value, copy);
    view->data = copy;
    return SPR_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

spr_status spr_plan_init_step(spr_plan *plan, const spr_node *node, spr_step *step, spr_error *err) {
    memset(step, 0, sizeof *step);
    step->graph = plan->graph;
    step->node = node;
    step->exec = spr_exec_get(node->op);
    step->sparsity = step->fill_2x1 = -1;
    step->in = spr_arena_array(&plan->arena, (size_t)node->in_count + 1, sizeof *step->in);
    step->out = spr_arena_array(&plan->arena, (size_t)node->out_count + 1, sizeof *step->out);
    step->out_is_view = spr_arena_array(&plan->arena, (size_t)node->out_count + 1, 1);
    if (!step->in || !step->out || !step->out_is_view) return spr_fail_memory(err, "a step", sizeof *step->in);
    for (int i = 0; i < node->in_count; i++) {
        if (node->in[i] < 0) continue;
        if (plan->graph->values[node->in[i]].is_const && !reads_encoded(node, i)) {
            spr_status status = plain_constant(plan, node->in[i], err);
            if (status) return status;
        }
        step->in[i] = plan->views[node->in[i]];
    }
    for (int i = 0; i < node->out_count; i++) step->out[i] = plan->views[node->out[i]];
    return SPR_OK;
}

/* Runs a node whose inputs are all known; its outputs become known, stored contiguously. */
static spr_status fold(spr_plan *plan, const spr_plan_ctx *outer, const spr_node *node) {
    spr_step step;
    spr_plan_ctx once = *outer, *ctx = &once; /* not worth measuring, nor threads */
    once.tune = NULL;
    once.threads = 1;
    spr_status status = spr_plan_init_step(plan, node, &step, ctx->err);
    for (int i = 0; !status && i < node->out_count; i++) {
        spr_view *out = &step.out[i];
        spr_strides_planes(&out->desc, out->stride);
        int64_t count = spr_desc_count(&out->desc);
        if (out->desc.rank == 4) count = out->stride[0] * out->desc.dim[0];
        size_t bytes = (size_t)count * spr_dtype_size(out->desc.dtype);
        out->data = spr_plan_alloc(ctx, bytes ? bytes : 1, "a folded constant");
        if (!out->data) status = SPR_ERROR_MEMORY;
    }
    if (!status && step.exec.plan) status = step.exec.plan(ctx, &step);
    if (status) return status;
    spr_run_ctx run = {0};
    char *memory = NULL;
    size_t scratch = spr_round_up(step.scratch, SPR_LINE);
    status = spr_pool_create(1, 0, ctx->arena->allocator, &run.pool, ctx->err);
    if (!status) memory = spr_alloc_lines(ctx->arena->allocator, scratch + step.workspace_bytes + SPR_LINE);
    if (!status && !memory) status = spr_fail_memory(ctx->err, "scratch memory", scratch + step.workspace_bytes);
    if (!status) {
        run.scratch = memory;
        step.workspace = memory + scratch;
        step.exec.run(&run, &step);
    }
    spr_release(ctx->arena->allocator, memory);
    spr_pool_free(run.pool);
    for (int i = 0; !status && i < node->out_count; i++) {
        spr_view *out = &step.out[i], *view = &plan->views[node->out[i]];
        spr_strides_contiguous(&view->desc, view->stride);
        if (spr_view_is_contiguous(out)) {
            view->data = out->data;
        } else {
            size_t bytes = (size_t)spr_desc_count(&view->desc) * spr_dtype_size(view->desc.dtype);
            view->data = spr_plan_alloc(ctx, bytes ? bytes : 1, "a folded constant");
            if (!view->data) return SPR_ERROR_MEMORY;
            spr_view_copy(NULL, out, view);
        }
        plan->known[node->out[i]] = 1;
    }
    return status;
}

/* Leaves a node to the time when contents are known. */
static spr_status postpone(spr_plan *plan, const spr_node *node, spr_error *err) {
    if (err) *err = (spr_error){0};
    plan->late[plan->late_count++] = node;
    for (int i = 0; i < node->out_count; i++) plan->is_late[node->out[i]] = 1;
    return SPR_OK;
}

spr_status spr_plan_node(spr_plan *plan, spr_plan_ctx *ctx, const spr_node *node) {
    const spr_allocator *allocator = plan->arena.allocator;
    spr_infer_input *in = spr_alloc_zeroed(allocator, (size_t)node->in_count + 1, sizeof *in);
    spr_desc *out = spr_alloc_zeroed(allocator, (size_t)node->out_count + 1, sizeof *out);
    int all_known = node->op != SPR_OP_Shape, late = 0;
    spr_status status = in && out ? SPR_OK : spr_fail_memory(ctx->err, "shapes", sizeof *in);
    for (int i = 0; !status && i < node->in_count; i++) {
        int32_t v = node->in[i];
        if (v < 0) continue;
        if (plan->graph->values[v].is_const && plan->graph->values[v].encoding == SPR_ENC_DENSE)
            status = plain_constant(plan, v, ctx->err);
        in[i] = (spr_infer_input){.present = 1, .desc = plan->views[v].desc, .data = plan->views[v].data};
        all_known &= plan->known[v];
        late |= plan->is_late[v];
    }
    if (!status && !late) status = spr_infer_node(plan->graph, node, in, out, ctx->err);
    for (int i = 0; status && status != SPR_ERROR_MEMORY && i < node->in_count; i++) late |= in[i].needed;
    for (int i = 0; !status && i < node->out_count; i++) plan->views[node->out[i]].desc = out[i];
    spr_release(allocator, in);
    spr_release(allocator, out);
    if (late && SPR_LATE) return postpone(plan, node, ctx->err);
    if (status) return status;
    /* constants are contiguous */
    if (node->out_count && plan->views[node->out[0]].desc.dtype == SPR_QUANTIZED) all_known = 0;
    if (SPR_FOLDS && (all_known || node->op == SPR_OP_Shape)) return fold(plan, ctx, node);
    plan->steps[plan->step_count++].node = node;
    return SPR_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* Outputs that are there after the steps, and what late nodes read of them. */
static spr_status find_kept(spr_plan *plan, spr_error *err) {
    const spr_graph *graph = plan->graph;
    size_t most = (size_t)graph->output_count;
    for (int i = 0; i < plan->late_count; i++) most += (size_t)plan->late[i]->in_count;
    plan->kept = spr_arena_array(&plan->arena, most + 1, sizeof *plan->kept);
    if (!plan->kept) return spr_fail_memory(err, "the plan", most);
    for (int i = 0; i < graph->output_count; i++)
        if (!plan->is_late[graph->outputs[i]]) plan->kept[plan->kept_count++] = graph->outputs[i];
    for (int i = 0; i < plan->late_count; i++)
        for (int k = 0; k < plan->late[i]->in_count; k++) {
            int32_t v = plan->late[i]->in[k];
            if (v >= 0 && !plan->known[v] && !plan->is_late[v]) plan->kept[plan->kept_count++] = v;
        }
    return SPR_OK;
}

static int is_kept(const spr_plan *plan, int32_t value) {
    for (int i = 0; i < plan->kept_count; i++)
        if (plan->kept[i] == value) return 1;
    return 0;
}

/* Inputs that can be read where the caller has them. */
static spr_status find_lent(spr_plan *plan, spr_error *err) {
    const spr_graph *graph = plan->graph;
    plan->lent = spr_arena_array(&plan->arena, (size_t)graph->input_count + 1, sizeof *plan->lent);
    if (!plan->lent) return spr_fail_memory(err, "the plan", (size_t)graph->input_count);
    for (int k = 0; k < graph->input_count; k++) {
        int32_t value = graph->inputs[k];
        const spr_desc *desc = &plan->views[value].desc;
        int readers = 0;
        spr_step *reader = NULL;
        for (int s = 0; s < plan->step_count; s++)
            for (int i = 0; i < plan->steps[s].node->in_count; i++)
                if (plan->steps[s].node->in[i] == value) {
                    readers++;
                    reader = &plan->steps[s];
                }
        if (readers == 1 && reader->node->in[0] == value && !is_kept(plan, value) && desc->rank == 4 &&
            desc->dim[2] * desc->dim[3] % SPR_PX == 0 && reader->exec.lends && reader->exec.lends(reader))
            plan->lent[k] = &reader->in[0];
    }
    return SPR_OK;
}

static spr_status build(spr_plan *plan, const spr_desc *inputs, const spr_plan_options *options, spr_error *err) {
    const spr_graph *graph = plan->graph;
    spr_plan_ctx ctx = {.graph = graph, .arena = &plan->arena, .features = options->features,
                        .threads = options->threads, .sparse = options->sparse, .tune = options->tune, .err = err};
    size_t values = (size_t)graph->value_count + 1;
    plan->views = spr_arena_array(&plan->arena, values, sizeof *plan->views);
    plan->known = spr_arena_array(&plan->arena, values, 1);
    plan->steps = spr_arena_array(&plan->arena, (size_t)graph->node_count + 1, sizeof *plan->steps);
    plan->is_late = spr_arena_array(&plan->arena, values, 1);
    plan->late = spr_arena_array(&plan->arena, (size_t)graph->node_count + 1, sizeof *plan->late);
    if (!plan->views || !plan->known || !plan->steps || !plan->is_late || !plan->late)
        return spr_fail_memory(err, "the plan", values * sizeof(spr_view));
    for (int i = 0; i < graph->value_count; i++) {
        if (!graph->values[i].is_const) continue;
        plan->views[i].desc = graph->values[i].desc;
        spr_strides_contiguous(&plan->views[i].desc, plan->views[i].stride);
        plan->known[i] = 1;
    }
    for (int i = 0; i < graph->input_count; i++) plan->views[graph->inputs[i]].desc = inputs[i];
    spr_status status = SPR_OK;
    for (int i = 0; !status && i < graph->node_count; i++) {
        status = spr_plan_node(plan, &ctx, &graph->nodes[i]);
        if (status && status != SPR_ERROR_MEMORY && options->partial) status = postpone(plan, &graph->nodes[i], err);
    }
    for (int i = 0; !status && i < graph->output_count; i++)
        if (plan->views[graph->outputs[i]].desc.dtype == SPR_QUANTIZED)
            status = spr_fail(err, SPR_ERROR_UNSUPPORTED, "output '%s' is quantized: it needs a Dequantize",
                              graph->values[graph->outputs[i]].name);
    if (status || options->shapes_only) return status;
    status = find_kept(plan, err);
    for (int i = 0; !status && i < graph->output_count; i++)
        if (graph->values[graph->outputs[i]].is_const) status = plain_constant(plan, graph->outputs[i], err);
    if (!status) status = spr_plan_chains(plan, &ctx);
    for (int i = 0; !status && i < plan->step_count; i++) {
        void *chain = plan->steps[i].state;
        status = spr_plan_init_step(plan, plan->steps[i].node, &plan->steps[i], err);
        if (!chain) continue;
        plan->steps[i].exec = spr_exec_chain();
        plan->steps[i].state = chain;
    }
    if (!status) status = spr_plan_strips(plan, &ctx);
    if (!status) status = spr_plan_layout(plan, err);
    for (int i = 0; !status && i < plan->step_count; i++) {
        spr_step *step = &plan->steps[i];
        if (step->exec.plan) status = step->exec.plan(&ctx, step);
        size_t scratch = spr_round_up(step->scratch, SPR_LINE);
        if (scratch > plan->scratch) plan->scratch = scratch;
    }
    if (!status) status = spr_plan_memory(plan, err);
    return status ? status : find_lent(plan, err);
}

spr_status spr_plan_create(const spr_graph *graph, const spr_desc *inputs, const spr_plan_options *options,
                           spr_plan **out, spr_error *err) {
    *out = NULL;
    const spr_allocator *allocator = graph->arena.allocator;
    spr_plan *plan = spr_alloc_zeroed(allocator, 1, sizeof *plan);
    if (!plan) return spr_fail_memory(err, "the plan", sizeof *plan);
    plan->graph = graph;
    plan->arena.allocator = plan->late_arena.allocator = allocator;
    spr_status status = build(plan, inputs, options, err);
    if (status)
        spr_plan_free(plan);
    else
        *out = plan;
    return status;
}

void spr_plan_free(spr_plan *plan) {
    if (!plan) return;
    spr_arena_free(&plan->arena);
    spr_arena_free(&plan->late_arena);
    spr_release(plan->arena.allocator, plan);
}
