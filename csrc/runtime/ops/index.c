/* GatherElements, GatherND, ScatterElements, ScatterND. */
#include <string.h>

#include "runtime/ops/ops.h"

/* ---- element by element ------------------------------------------------------------------------------------------ */

/* Where in `view` element `index` of the indices points: to itself, but along the axis to what it says. */
static int64_t pointed_at(const spr_view *view, const spr_view *indices, const int64_t *index, int axis) {
    int64_t value = spr_read_int(indices->data, indices->desc.dtype, spr_view_at(indices, index));
    int64_t at = spr_clamp_index(value, view->desc.dim[axis]) * view->stride[axis];
    for (int i = 0; i < view->desc.rank; i++)
        if (i != axis) at += index[i] * view->stride[i];
    return at;
}

static void gather_elements_run(const spr_run_ctx *ctx, const spr_step *step) {
    (void)ctx;
    const spr_view *x = &step->in[0], *indices = &step->in[1], *y = &step->out[0];
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, GatherElements, axis)->i, x->desc.rank);
    int64_t index[SPR_MAX_RANK] = {0}, count = spr_desc_count(&y->desc);
    size_t size = spr_dtype_size(y->desc.dtype);
    for (int64_t n = 0; n < count; n++, spr_index_next(&y->desc, index))
        memcpy((char *)y->data + (size_t)spr_view_at(y, index) * size,
               (const char *)x->data + (size_t)pointed_at(x, indices, index, axis) * size, size);
    spr_view_zero_padding(y);
}

/* The function of Binary that a reduction is; SPR_BIN_COUNT for none. */
static spr_binary reduction_of(const char *name) {
    spr_binary fn = 0;
    while (fn < SPR_BIN_COUNT && strcmp(spr_binary_name(fn), name) != 0) fn++;
    return fn;
}

static void put(const spr_view *y, int64_t at, const void *update, spr_binary fn) {
    size_t size = spr_dtype_size(y->desc.dtype);
    char *to = (char *)y->data + (size_t)at * size;
    if (fn == SPR_BIN_COUNT)
        memcpy(to, update, size);
    else
        spr_binary_any(fn, y->desc.dtype, spr_binary_f32_ref, to, 0, update, 0, to, 1);
}

/* One after the other: an element that is named several times gets the last value, or all of them. */
static void scatter_elements_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *indices = &step->in[1], *updates = &step->in[2], *y = &step->out[0];
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, ScatterElements, axis)->i, x->desc.rank);
    spr_binary fn = reduction_of(SPR_ATTR_OF(step, ScatterElements, reduction)->s);
    int64_t index[SPR_MAX_RANK] = {0}, count = spr_desc_count(&indices->desc);
    size_t size = spr_dtype_size(y->desc.dtype);
    spr_view_copy(ctx, x, y);
    for (int64_t n = 0; n < count; n++, spr_index_next(&indices->desc, index))
        put(y, pointed_at(y, indices, index, axis),
            (const char *)updates->data + (size_t)spr_view_at(updates, index) * size, fn);
}

/* ---- slice by slice ---------------------------------------------------------------------------------------------- */

/* The slice of `view` that a tuple of indices names: its dimensions from `axis` on are indexed by `length` indices at
   `at`, `pace` apart; those before by `batch`. */
static spr_view slice_of(const spr_view *view, const int64_t *batch, int axis, const spr_view *indices, int64_t at) {
    int64_t length = indices->desc.dim[indices->desc.rank - 1], pace = indices->stride[indices->desc.rank - 1],
            offset = 0;
    spr_view slice = {.desc = {.dtype = view->desc.dtype}};
    for (int i = 0; i < view->desc.rank; i++) {
        if (i < axis) {
            offset += batch[i] * view->stride[i];
        } else if (i < axis + length) {
            int64_t value = spr_read_int(indices->data, indices->desc.dtype, at + (i - axis) * pace);
            offset += spr_clamp_index(value, view->desc.dim[i]) * view->stride[i];
        } else {
            slice.desc.dim[slice.desc.rank] = view->desc.dim[i];
            slice.stride[slice.desc.rank++] = view->stride[i];
        }
    }
    slice.data = (char *)view->data + offset * (int64_t)spr_dtype_size(view->desc.dtype);
    return slice;
}

/* The part of a tensor behind the first `rank` dimensions, at `index`. */
static spr_view part_at(const spr_view *view, const int64_t *index, int rank) {
    spr_view part = {.desc = {.dtype = view->desc.dtype, .rank = view->desc.rank - rank}};
    int64_t offset = 0;
    for (int i = 0; i < rank; i++) offset += index[i] * view->stride[i];
    for (int i = rank; i < view->desc.rank; i++) {
        part.desc.dim[i - rank] = view->desc.dim[i];
        part.stride[i - rank] = view->stride[i];
    }
    part.data = (char *)view->data + offset * (int64_t)spr_dtype_size(view->desc.dtype);
    return part;
}

/* The dimensions that count the tuples of `indices`: all but the last. */
static spr_view tuples_of(const spr_view *indices) {
    spr_view tuples = *indices;
    tuples.desc.rank--;
    return tuples;
}

static void gather_nd_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *indices = &step->in[1], *y = &step->out[0];
    int batch = (int)SPR_ATTR_OF(step, GatherND, batch_dims)->i;
    spr_view tuples = tuples_of(indices);
    int64_t index[SPR_MAX_RANK] = {0}, count = spr_desc_count(&y->desc) ? spr_desc_count(&tuples.desc) : 0;
    for (int64_t n = 0; n < count; n++, spr_index_next(&tuples.desc, index)) {
        spr_view from = slice_of(x, index, batch, indices, spr_view_at(&tuples, index));
        spr_view to = part_at(y, index, tuples.desc.rank);
        spr_view_copy_elements(ctx, &from, &to);
    }
    spr_view_zero_padding(y);
}

static void scatter_nd_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *indices = &step->in[1], *updates = &step->in[2], *y = &step->out[0];
    spr_binary fn = reduction_of(SPR_ATTR_OF(step, ScatterND, reduction)->s);
    spr_view tuples = tuples_of(indices);
    size_t size = spr_dtype_size(y->desc.dtype);
    int64_t index[SPR_MAX_RANK] = {0}, count = spr_desc_count(&updates->desc) ? spr_desc_count(&tuples.desc) : 0;
    spr_view_copy(ctx, x, y);
    for (int64_t n = 0; n < count; n++, spr_index_next(&tuples.desc, index)) {
        spr_view to = slice_of(y, NULL, 0, indices, spr_view_at(&tuples, index));
        spr_view from = part_at(updates, index, tuples.desc.rank);
        if (fn == SPR_BIN_COUNT) {
            spr_view_copy_elements(ctx, &from, &to);
            continue;
        }
        int64_t inner[SPR_MAX_RANK] = {0}, elements = spr_desc_count(&to.desc);
        for (int64_t i = 0; i < elements; i++, spr_index_next(&to.desc, inner))
            put(&to, spr_view_at(&to, inner), (const char *)from.data + (size_t)spr_view_at(&from, inner) * size, fn);
    }
}

spr_exec spr_exec_GatherElements(void) { return (spr_exec){.run = gather_elements_run}; }
spr_exec spr_exec_GatherND(void) { return (spr_exec){.run = gather_nd_run}; }
spr_exec spr_exec_ScatterElements(void) { return (spr_exec){.in_place = 1u, .run = scatter_elements_run}; }
spr_exec spr_exec_ScatterND(void) { return (spr_exec){.in_place = 1u, .run = scatter_nd_run}; }
