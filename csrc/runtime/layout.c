/* Where values live: views of each other, slices of a concatenation, memory reused in place, and offsets in one
   arena. */
#include <string.h>

#include "runtime/strips.h"

/* A value's storage: `offset` bytes into the memory of the value `root`. */
typedef struct place {
    int32_t root;
    int64_t offset;
} place;

/* Memory of a root value or of a step's workspace, alive during the steps [first, last]. */
typedef struct block {
    int64_t bytes, offset;
    int32_t first, last;
    int32_t value, step; /* one of them is -1 */
} block;

typedef struct spr_layout {
    spr_plan *plan;
    int32_t *parent;      /* by value: the concatenation it is part of, or -1 */
    int64_t *part_offset; /* by value: first index along the axis within the parent */
    int32_t *part_step;   /* by value: how far apart its indices are there */
    int32_t *part_axis;
    place *places;        /* by value; root -1: not placed (constants, dead values) */
    int32_t *merged;      /* by value: root whose memory this root takes over, or itself */
    int32_t *first, *last;
} spr_layout;

static int64_t value_bytes(const spr_view *view) {
    int64_t count = view->desc.rank == 4 ? view->stride[0] * view->desc.dim[0] : spr_desc_count(&view->desc);
    count += spr_strips_front(view);
    return count * (int64_t)spr_dtype_size(view->desc.dtype);
}

/* ---- concatenations ---------------------------------------------------------------------------------------------- */

/* Whether parts of a tensor along this axis keep the layout rules of spr_view. */
static int axis_divides(const spr_desc *desc, int axis) {
    if (desc->rank == 4 && axis <= 1) return 1;
    if (desc->rank == 4) return 0;
    for (int i = 0; i < axis; i++)
        if (desc->dim[i] != 1) return 0;
    return 1;
}

/* Lets the inputs of concatenations be computed in place. From the last step to the first, so that a concatenation of
   concatenations is placed before its parts. */
static void place_concat_parts(spr_layout *l) {
    spr_plan *plan = l->plan;
    for (int s = plan->step_count - 1; s >= 0; s--) {
        const spr_node *node = plan->steps[s].node;
        if (node->op != SPR_OP_Concat && node->op != SPR_OP_QConcat) continue;
        int32_t out = node->out[0];
        const spr_desc *desc = &plan->views[out].desc;
        int quantized = node->op == SPR_OP_QConcat;
        const spr_attr *attr = node->attr;
        if (quantized &&
            (attr[SPR_ATTR_QConcat_group].i > 1 || attr[SPR_ATTR_QConcat_begin].i || attr[SPR_ATTR_QConcat_count].i))
            continue;
        int axis = quantized ? 1 : spr_normalize_axis(node->attr[SPR_ATTR_Concat_axis].i, desc->rank);
        int interleave = !quantized && node->attr[SPR_ATTR_Concat_interleave].i != 0;
        /* Planes may lie further apart; single numbers may not, kernels want vectors of them. */
        if (interleave && (desc->rank != 4 || axis != 1 || desc->dim[2] * desc->dim[3] == 1)) continue;
        int64_t begin = 0;
        for (int i = 0; i < node->in_count; i++) {
            int32_t v = node->in[i];
            int64_t extent = plan->views[v].desc.dim[axis];
            int uses = 0;
            for (int k = 0; k < node->in_count; k++) uses += node->in[k] == v;
            int groups = begin % SPR_Q8_GROUP == 0 && (extent % SPR_Q8_GROUP == 0 || i + 1 == node->in_count);
            if (axis_divides(desc, axis) && (!quantized || groups) && !plan->known[v] &&
                plan->graph->values[v].producer >= 0 && uses == 1 &&
                l->parent[v] < 0) {
                l->parent[v] = out;
                l->part_offset[v] = begin;
                l->part_step[v] = interleave ? node->in_count : 1;
                l->part_axis[v] = axis;
            }
            begin += interleave ? 1 : extent;
        }
    }
}

/* ---- strides and places ------------------------------------------------------------------------------------------ */

static void strides_of(spr_view *view) {
    if (spr_view_strips(view))
        spr_strides_strips(view);
    else
        spr_strides_planes(&view->desc, view->stride);
}

/* Strides and place of a value that is not a view: its own memory, or a part of its parent's. */
static void place_value(spr_layout *l, int32_t v) {
    spr_view *view = &l->plan->views[v];
    if (l->places[v].root >= 0) return;
    int32_t parent = l->parent[v];
    if (parent < 0) {
        strides_of(view);
        l->places[v] = (place){.root = v};
        return;
    }
    place_value(l, parent);
    const spr_view *whole = &l->plan->views[parent];
    strides_of(view);
    if (view->desc.rank == 4) memcpy(view->stride, whole->stride, sizeof view->stride);
    view->stride[l->part_axis[v]] *= l->part_step[v];
    int64_t skip = l->part_offset[v] * whole->stride[l->part_axis[v]];
    l->places[v] = (place){.root = l->places[parent].root,
                           .offset = l->places[parent].offset + skip * (int64_t)spr_dtype_size(view->desc.dtype)};
}

static void place_all(spr_layout *l) {
    spr_plan *plan = l->plan;
    for (int i = 0; i < plan->graph->input_count; i++) place_value(l, plan->graph->inputs[i]);
    for (int s = 0; s < plan->step_count; s++) {
        spr_step *step = &plan->steps[s];
        const spr_node *node = step->node;
        for (int i = 0; i < node->in_count; i++)
            if (node->in[i] >= 0 && !plan->known[node->in[i]]) step->in[i] = plan->views[node->in[i]];
        for (int i = 0; i < node->out_count; i++) {
            int32_t v = node->out[i], source = node->in_count ? node->in[0] : -1;
            int64_t offset = 0;
            step->out[i] = plan->views[v];
            if (l->parent[v] < 0 && step->exec.view && source >= 0 && !plan->known[source] &&
                step->exec.view(step, i, plan->views[v].stride, &offset)) {
                step->out_is_view[i] = 1;
                l->places[v] = (place){
                    .root = l->places[source].root,
                    .offset = l->places[source].offset + offset * (int64_t)spr_dtype_size(plan->views[v].desc.dtype)};
            } else {
                place_value(l, v);
            }
            step->out[i] = plan->views[v];
        }
        spr_strips_show(plan, step);
    }
}

/* ---- lifetimes and reuse in place -------------------------------------------------------------------------------- */

static void live(spr_layout *l, int32_t v, int step) {
    int32_t root = l->places[v].root;
    if (root < 0) return;
    if (l->first[root] > step) l->first[root] = step;
    if (l->last[root] < step) l->last[root] = step;
}

static void find_lifetimes(spr_layout *l) {
    spr_plan *plan = l->plan;
    const spr_graph *graph = plan->graph;
    for (int v = 0; v < graph->value_count; v++) {
        l->first[v] = INT32_MAX;
        l->last[v] = -1;
        l->merged[v] = v;
    }
    for (int s = 0; s < plan->step_count; s++) {
        const spr_node *node = plan->steps[s].node;
        for (int i = 0; i < node->in_count; i++)
            if (node->in[i] >= 0) live(l, node->in[i], s);
        for (int i = 0; i < node->out_count; i++) live(l, node->out[i], s);
    }
    for (int i = 0; i < plan->kept_count; i++) live(l, plan->kept[i], plan->step_count);
    for (int i = 0; i < graph->input_count; i++) { /* set once, run many times: inputs are never overwritten */
        live(l, graph->inputs[i], 0);
        live(l, graph->inputs[i], plan->step_count);
    }
}

static int32_t memory_of(const spr_layout *l, int32_t v) {
    int32_t root = l->places[v].root;
    while (root >= 0 && l->merged[root] != root) root = l->merged[root];
    return root;
}

static int same_layout(const spr_view *a, const spr_view *b) {
    if (a->desc.dtype != b->desc.dtype || a->desc.rank != b->desc.rank || !spr_strips_same(a, b)) return 0;
    for (int i = 0; i < a->desc.rank; i++)
        if (a->desc.dim[i] != b->desc.dim[i] || a->stride[i] != b->stride[i]) return 0;
    return 1;
}

/* Whether output 0 of the step may overwrite its input i. */
static int may_overwrite(const spr_layout *l, int s, int i) {
    const spr_plan *plan = l->plan;
    const spr_node *node = plan->steps[s].node;
    int32_t v = node->in[i], out = node->out[0];
    if (v < 0 || plan->known[v] || l->places[v].offset != 0) return 0;
    int32_t memory = memory_of(l, v);
    if (l->last[memory] != s || !same_layout(&plan->views[v], &plan->views[out])) return 0;
    if (value_bytes(&plan->views[memory]) != value_bytes(&plan->views[out])) return 0;
    for (int k = 0; k < node->in_count; k++) { /* another input in the same memory must be read just as it is written */
        int32_t w = node->in[k];
        if (w < 0 || plan->known[w] || memory_of(l, w) != memory) continue;
        if (!(plan->steps[s].exec.in_place >> k & 1) || l->places[w].offset != 0 ||
            !same_layout(&plan->views[w], &plan->views[out]))
            return 0;
    }
    return 1;
}

static void reuse_in_place(spr_layout *l) {
    const spr_plan *plan = l->plan;
    for (int s = 0; s < plan->step_count; s++) {
        const spr_step *step = &plan->steps[s];
        int32_t out = step->node->out_count == 1 ? step->node->out[0] : -1;
        if (out < 0 || l->places[out].root != out) continue;
        for (int i = 0; i < step->node->in_count && i < 32; i++) {
            if (!(step->exec.in_place >> i & 1) || !may_overwrite(l, s, i)) continue;
            int32_t memory = memory_of(l, step->node->in[i]);
            l->merged[out] = memory;
            if (l->last[memory] < l->last[out]) l->last[memory] = l->last[out];
            break;
        }
    }
}

#if SPR_STRIPS
/* ---- joined steps ------------------------------------------------------------------------------------------------ */

/* A fork-join costs a microsecond: where tensors are large that is nothing, and memory that cannot be reused much. */
#define MOST_JOINED_BYTES (512 * 1024)

/* Whether step s may run right after those from `first` on, when its strip has gone through them, but others may not
   have: it reads its strip only, and writes nothing that a window before it reads beyond its strip. */
static int joins(const spr_layout *l, int first, int s) {
    const spr_step *steps = l->plan->steps, *step = &steps[s], *head = &steps[first];
    if (step->strip_kind != SPR_STRIPS_ALIKE && step->strip_kind != SPR_STRIPS_LOOSE) return 0;
    int windows = head->strip_kind == SPR_STRIPS_WINDOW || head->strip_kind == SPR_STRIPS_LINES;
    if (windows && !head->out[0].strips) return 0;
    for (int i = 0; i < step->node->out_count; i++)
        if (value_bytes(&l->plan->views[step->node->out[i]]) > MOST_JOINED_BYTES) return 0;
    for (int i = 0; windows && i < step->node->out_count; i++)
        if (memory_of(l, step->node->out[i]) == memory_of(l, head->node->in[0])) return 0;
    return 1;
}

/* Joins steps, and lets no value that lives during some of them take the memory of another that does. */
static void join_steps(spr_layout *l) {
    spr_plan *plan = l->plan;
    for (int s = 0, end; s < plan->step_count; s = end) {
        end = s + 1;
        spr_strips_kind kind = plan->steps[s].strip_kind;
        if (kind == SPR_STRIPS_NONE || kind == SPR_STRIPS_INPUT) continue;
        while (end < plan->step_count && joins(l, s, end)) end++;
        plan->steps[s].joined = end - s - 1;
        for (int v = 0; v < plan->graph->value_count; v++) {
            if (l->first[v] > s && l->first[v] < end) l->first[v] = s;
            if (l->last[v] >= s && l->last[v] < end) l->last[v] = end - 1;
        }
    }
}
#endif

/* ---- the arena --------------------------------------------------------------------------------------------------- */

/* By bytes and how long they are needed. */
static int larger_first(const block *x, const block *y) {
    int64_t a = x->bytes * (x->last - x->first + 1), b = y->bytes * (y->last - y->first + 1);
    if (a != b) return a < b ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->value != y->value ? (x->value < y->value ? -1 : 1) : x->step - y->step;
}

/* Each block in order goes to the lowest gap among the blocks before it that live at the same time. Returns the bytes
   taken; *top is the block that ends there. */
static int64_t place_in_order(block *blocks, int count, int *top) {
    int64_t total = 0;
    *top = 0;
    for (int i = 0; i < count; i++) {
        int64_t offset = 0;
        for (int moved = 1; moved;) {
            moved = 0;
            for (int k = 0; k < i; k++) {
                const block *other = &blocks[k];
                if (other->last < blocks[i].first || other->first > blocks[i].last) continue;
                if (offset < other->offset + other->bytes && other->offset < offset + blocks[i].bytes) {
                    offset = other->offset + other->bytes;
                    moved = 1;
                }
            }
        }
        blocks[i].offset = offset;
        if (total < offset + blocks[i].bytes) {
            total = offset + blocks[i].bytes;
            *top = i;
        }
    }
    return total;
}

/* Not qsort, which may call malloc. Placing the blocks takes as many steps for each of them. */
static void sort_blocks(block *blocks, int count) {
    for (int i = 1; i < count; i++) {
        block moved = blocks[i];
        int k = i;
        for (; k > 0 && larger_first(&blocks[k - 1], &moved) > 0; k--) blocks[k] = blocks[k - 1];
        blocks[k] = moved;
    }
}

static void move_to_front(block *blocks, int i) {
    block moved = blocks[i];
    memmove(blocks + 1, blocks, (size_t)i * sizeof *blocks);
    blocks[0] = moved;
}

/* Those that take most first; then, as long as more is taken than lives at a time, again with the block that stuck out
   placed first. Leaves the best order's offsets. */
static int64_t assign_offsets(block *blocks, int count, int64_t live) {
    int top, best_try = 0, tries = count < 200 ? 100 : 4000000 / count / count; /* a fraction of a second at most */
    int64_t best = INT64_MAX;
    for (int replay = 0; replay < 2; replay++) { /* the second time up to the best of the first */
        sort_blocks(blocks, count);
        for (int i = 0;; i++) {
            int64_t total = place_in_order(blocks, count, &top);
            if (!replay && total < best) {
                best = total;
                best_try = i;
            }
            if (replay ? i == best_try : best <= live || i >= tries) break;
            move_to_front(blocks, top);
        }
    }
    return best;
}

/* The most bytes that live at the same time: what the arena would take if nothing lay in the way of anything. */
static int64_t most_alive(const block *blocks, int count, int steps) {
    int64_t most = 0;
    for (int s = 0; s <= steps; s++) {
        int64_t sum = 0;
        for (int i = 0; i < count; i++)
            if (blocks[i].first <= s && s <= blocks[i].last) sum += blocks[i].bytes;
        if (sum > most) most = sum;
    }
    return most;
}

static spr_status allocate(spr_plan *plan, int64_t bytes, spr_error *err) {
    /* Zeroed, as padding lanes must hold ordinary numbers. */
    plan->activations = spr_plan_fits((size_t)bytes) ? spr_arena_alloc(&plan->arena, (size_t)bytes + SPR_LINE) : NULL;
    if (!plan->activations) return spr_fail_memory(err, "activations", (size_t)bytes);
    plan->activation_bytes = (size_t)bytes + SPR_LINE;
    return SPR_OK;
}

static spr_status assign_memory(spr_layout *l, block *blocks, spr_error *err) {
    spr_plan *plan = l->plan;
    int count = 0;
    for (int v = 0; v < plan->graph->value_count; v++)
        if (l->places[v].root == v && l->merged[v] == v && l->last[v] >= 0)
            blocks[count++] = (block){.bytes = (int64_t)spr_round_up((size_t)value_bytes(&plan->views[v]), SPR_LINE),
                                      .first = l->first[v], .last = l->last[v], .value = v, .step = -1};
    for (int s = 0; s < plan->step_count; s++)
        if (plan->steps[s].workspace_bytes)
            blocks[count++] = (block){.bytes = (int64_t)spr_round_up(plan->steps[s].workspace_bytes, SPR_LINE),
                                      .first = s, .last = s, .value = -1, .step = s};
    plan->live_bytes = (size_t)most_alive(blocks, count, plan->step_count);
    spr_status status = allocate(plan, assign_offsets(blocks, count, (int64_t)plan->live_bytes), err);
    if (status) return status;
    for (int i = 0; i < count; i++) {
        char *memory = plan->activations + blocks[i].offset;
        if (blocks[i].step >= 0) plan->steps[blocks[i].step].workspace = memory;
        if (blocks[i].value < 0) continue;
        spr_view *view = &plan->views[blocks[i].value];
        view->data = (float *)(void *)memory + spr_strips_front(view);
    }
    for (int v = 0; v < plan->graph->value_count; v++)
        if (l->places[v].root >= 0 && l->last[l->places[v].root] >= 0)
            plan->views[v].data = (char *)plan->views[memory_of(l, v)].data + l->places[v].offset;
    for (int s = 0; s < plan->step_count; s++) {
        spr_step *step = &plan->steps[s];
        for (int i = 0; i < step->node->in_count; i++)
            if (step->node->in[i] >= 0 && !plan->known[step->node->in[i]])
                step->in[i].data = plan->views[step->node->in[i]].data;
        for (int i = 0; i < step->node->out_count; i++) step->out[i].data = plan->views[step->node->out[i]].data;
    }
    return SPR_OK;
}

spr_status spr_plan_layout(spr_plan *plan, spr_error *err) {
    size_t values = (size_t)plan->graph->value_count + 1;
    spr_layout *l = spr_arena_alloc(&plan->arena, sizeof *l);
    if (!l) return spr_fail_memory(err, "the memory plan", sizeof *l);
    *l = (spr_layout){.plan = plan,
                  .parent = spr_arena_array(&plan->arena, values, sizeof *l->parent),
                  .part_offset = spr_arena_array(&plan->arena, values, sizeof *l->part_offset),
                  .part_step = spr_arena_array(&plan->arena, values, sizeof *l->part_step),
                  .part_axis = spr_arena_array(&plan->arena, values, sizeof *l->part_axis),
                  .places = spr_arena_array(&plan->arena, values, sizeof *l->places),
                  .merged = spr_arena_array(&plan->arena, values, sizeof *l->merged),
                  .first = spr_arena_array(&plan->arena, values, sizeof *l->first),
                  .last = spr_arena_array(&plan->arena, values, sizeof *l->last)};
    if (!l->parent || !l->part_offset || !l->part_step || !l->part_axis || !l->places || !l->merged || !l->first ||
        !l->last)
        return spr_fail_memory(err, "the memory plan", values * sizeof *l->places);
    for (size_t v = 0; v < values; v++) {
        l->parent[v] = -1;
        l->places[v].root = -1;
    }
    place_concat_parts(l);
    place_all(l);
    find_lifetimes(l);
    reuse_in_place(l);
#if SPR_STRIPS
    join_steps(l);
#endif
    plan->layout = l;
    return SPR_OK;
}

spr_status spr_plan_memory(spr_plan *plan, spr_error *err) {
    const spr_allocator *allocator = plan->arena.allocator;
    block *blocks =
        spr_alloc_zeroed(allocator, (size_t)plan->graph->value_count + (size_t)plan->step_count + 1, sizeof *blocks);
    if (!blocks) return spr_fail_memory(err, "the memory plan", sizeof *blocks);
    spr_status status = assign_memory(plan->layout, blocks, err);
    spr_release(allocator, blocks);
    return status;
}
