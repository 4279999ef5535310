/* Nodes whose outputs' shapes depend on contents (NonZero, NonMaxSuppression, a Reshape to a computed shape ...), and
   all that depends on those. When the steps have run, everything they read is known, so that they are what folding
   computes while planning: inferred, planned and run one by one, each time anew. */
#include <string.h>

#include "runtime/plan.h"

/* A value as the folding wants it: contiguous. */
static spr_status take_over(spr_plan *tail, int32_t v, spr_error *err) {
    spr_view *view = &tail->views[v];
    if (tail->known[v]) return SPR_OK;
    tail->known[v] = 1;
    if (spr_view_is_contiguous(view)) {
        spr_strides_contiguous(&view->desc, view->stride);
        return SPR_OK;
    }
    spr_view copy = {.desc = view->desc};
    size_t bytes = (size_t)spr_desc_count(&view->desc) * spr_dtype_size(view->desc.dtype);
    spr_strides_contiguous(&copy.desc, copy.stride);
    copy.data = spr_arena_alloc(&tail->arena, bytes ? bytes : 1);
    if (!copy.data) return spr_fail_memory(err, "a tensor", bytes);
    spr_view_copy(NULL, view, &copy);
    *view = copy;
    return SPR_OK;
}

static spr_status run_all(const spr_plan *plan, spr_plan *tail, const spr_plan_options *options, spr_error *err) {
    spr_plan_ctx ctx = {.graph = plan->graph, .arena = &tail->arena, .features = options->features, .threads = 1,
                        .sparse = options->sparse, .err = err};
    size_t values = (size_t)plan->graph->value_count + 1;
    tail->views = spr_arena_array(&tail->arena, values, sizeof *tail->views);
    tail->known = spr_arena_array(&tail->arena, values, 1);
    tail->is_late = spr_arena_array(&tail->arena, values, 1);
    if (!tail->views || !tail->known || !tail->is_late) return spr_fail_memory(err, "late layers", values);
    memcpy(tail->views, plan->views, values * sizeof *tail->views);
    memcpy(tail->known, plan->known, values);
    spr_status status = SPR_OK;
    for (int i = 0; i < plan->kept_count && !status; i++) status = take_over(tail, plan->kept[i], err);
    for (int i = 0; i < plan->late_count && !status; i++) status = spr_plan_node(tail, &ctx, plan->late[i]);
    return status;
}

spr_status spr_plan_run_late(spr_plan *plan, const spr_plan_options *options, spr_error *err) {
    spr_plan tail = {.graph = plan->graph, .arena.allocator = plan->arena.allocator};
    spr_arena_free(&plan->late_arena);
    for (int v = 0; v < plan->graph->value_count; v++)
        if (plan->is_late[v]) plan->views[v] = (spr_view){0};
    spr_status status = run_all(plan, &tail, options, err);
    plan->late_arena = tail.arena;
    for (int v = 0; v < plan->graph->value_count && !status; v++)
        if (plan->is_late[v]) plan->views[v] = tail.views[v];
    return status;
}
