/* Concat, Split and Slice: parts of tensors, mostly without copying. */
#include "runtime/ops/ops.h"

/* Whether the range [begin, begin + count) of an axis is a view that keeps the layout rules. */
static int axis_is_view(const spr_desc *desc, int axis) {
    if (desc->rank == 4) return axis <= 1;
    for (int i = 0; i < axis; i++)
        if (desc->dim[i] != 1) return 0;
    return 1;
}

/* ---- Concat ------------------------------------------------------------------------------------------------------ */

static void concat_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *y = &step->out[0];
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, Concat, axis)->i, y->desc.rank), count = step->node->in_count;
    int interleave = SPR_ATTR_OF(step, Concat, interleave)->i != 0;
    int64_t begin = 0;
    for (int i = 0; i < count; i++) {
        spr_view part = *y;
        part.desc = step->in[i].desc;
        part.data = (char *)y->data + (size_t)(begin * y->stride[axis]) * spr_dtype_size(y->desc.dtype);
        if (interleave) part.stride[axis] *= count;
        if (part.data != step->in[i].data) spr_view_copy_elements(ctx, &step->in[i], &part);
        begin += interleave ? 1 : part.desc.dim[axis];
    }
    spr_view_zero_padding(y);
}

/* ---- Split ------------------------------------------------------------------------------------------------------- */

static int split_axis(const spr_step *step) {
    return spr_normalize_axis(SPR_ATTR_OF(step, Split, axis)->i, step->in[0].desc.rank);
}

static int64_t split_begin(const spr_step *step, int out, int axis) {
    int64_t begin = 0;
    for (int i = 0; i < out; i++) begin += step->out[i].desc.dim[axis];
    return begin;
}

static int split_view(const spr_step *step, int out, int64_t *stride, int64_t *offset) {
    const spr_view *x = &step->in[0];
    int axis = split_axis(step);
    if (!axis_is_view(&x->desc, axis)) return 0;
    spr_strides_contiguous(&step->out[out].desc, stride);
    if (x->desc.rank == 4)
        for (int i = 0; i < 4; i++) stride[i] = x->stride[i];
    *offset = split_begin(step, out, axis) * x->stride[axis];
    return 1;
}

static void split_run(const spr_run_ctx *ctx, const spr_step *step) {
    int axis = split_axis(step);
    for (int i = 0; i < step->node->out_count; i++) {
        if (step->out_is_view[i]) continue;
        spr_view part = step->in[0];
        part.desc = step->out[i].desc;
        part.data = (char *)part.data +
                    (size_t)(split_begin(step, i, axis) * part.stride[axis]) * spr_dtype_size(part.desc.dtype);
        spr_view_copy(ctx, &part, &step->out[i]);
    }
}

/* ---- Slice ------------------------------------------------------------------------------------------------------- */

/* The part of the input that the slice takes, as a view with any strides; its offset in elements. */
static spr_view sliced(const spr_step *step, int64_t *offset) {
    spr_view part = step->in[0];
    *offset = 0;
    int64_t n = spr_desc_count(&step->in[1].desc);
    for (int64_t i = 0; i < n; i++) {
        int64_t axis_value = spr_step_has(step, 3) ? spr_step_int(step, 3, i) : i;
        int64_t pace = spr_step_has(step, 4) ? spr_step_int(step, 4, i) : 1, begin, count;
        int axis = spr_normalize_axis(axis_value, part.desc.rank);
        spr_resolve_slice(part.desc.dim[axis], spr_step_int(step, 1, i), spr_step_int(step, 2, i), pace, &begin,
                          &count);
        if (count) *offset += begin * part.stride[axis];
        part.desc.dim[axis] = count;
        if (count > 1) part.stride[axis] *= pace; /* else pace may be anything, up to 2^63 */
    }
    return part;
}

static int slice_view(const spr_step *step, int out, int64_t *stride, int64_t *offset) {
    (void)out;
    const spr_view *x = &step->in[0];
    spr_view part = sliced(step, offset);
    for (int i = 0; i < x->desc.rank; i++) {
        if (part.desc.dim[i] == x->desc.dim[i] && part.stride[i] == x->stride[i]) continue;
        if (part.stride[i] != x->stride[i] || !axis_is_view(&part.desc, i)) return 0;
    }
    spr_strides_contiguous(&part.desc, stride);
    if (x->desc.rank == 4)
        for (int i = 0; i < 4; i++) stride[i] = x->stride[i];
    return 1;
}

static void slice_run(const spr_run_ctx *ctx, const spr_step *step) {
    int64_t offset;
    spr_view part = sliced(step, &offset);
    part.data = (char *)part.data + offset * (int64_t)spr_dtype_size(part.desc.dtype);
    spr_view_copy(ctx, &part, &step->out[0]);
}

spr_exec spr_exec_Concat(void) { return (spr_exec){.run = concat_run}; }
spr_exec spr_exec_Split(void) { return (spr_exec){.view = split_view, .run = split_run}; }
spr_exec spr_exec_Slice(void) { return (spr_exec){.view = slice_view, .run = slice_run}; }
