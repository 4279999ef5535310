/* Operators that move elements around: Transpose, Expand, Tile, Pad, Gather, DepthToSpace, SpaceToDepth,
   ChannelShuffle. */
#include <string.h>

#include "runtime/ops/ops.h"

/* ---- Transpose --------------------------------------------------------------------------------------------------- */

static void transpose_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0];
    const spr_attr *perm = SPR_ATTR_OF(step, Transpose, perm);
    spr_view turned = {.desc = step->out[0].desc, .data = x->data};
    for (int i = 0; i < x->desc.rank; i++)
        turned.stride[i] = x->stride[perm->ints.n ? perm->ints.v[i] : x->desc.rank - 1 - i];
    spr_view_copy(ctx, &turned, &step->out[0]);
}

/* ---- Expand, Tile ------------------------------------------------------------------------------------------------ */

static void expand_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    spr_view wide = {.desc = y->desc, .data = x->data};
    int skip = y->desc.rank - x->desc.rank;
    for (int i = skip; i < y->desc.rank; i++)
        wide.stride[i] = x->desc.dim[i - skip] == 1 ? 0 : x->stride[i - skip];
    spr_view_copy(ctx, &wide, y);
}

static void tile_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    int64_t index[SPR_MAX_RANK] = {0}, total = 1;
    size_t size = spr_dtype_size(y->desc.dtype);
    if (!spr_desc_count(&y->desc)) return;
    for (int i = 0; i < y->desc.rank; i++) total *= y->desc.dim[i] / x->desc.dim[i];
    for (int64_t n = 0; n < total; n++) {
        spr_view part = {.desc = x->desc, .data = y->data};
        int64_t offset = 0;
        for (int i = 0; i < y->desc.rank; i++) {
            part.stride[i] = y->stride[i];
            offset += index[i] * x->desc.dim[i] * y->stride[i];
        }
        part.data = (char *)y->data + offset * (int64_t)size;
        spr_view_copy_elements(ctx, x, &part);
        for (int i = y->desc.rank - 1; i >= 0; i--) {
            if (++index[i] < y->desc.dim[i] / x->desc.dim[i]) break;
            index[i] = 0;
        }
    }
    spr_view_zero_padding(y);
}

/* ---- Pad --------------------------------------------------------------------------------------------------------- */

typedef struct pads {
    int64_t begin[SPR_MAX_RANK];
} pads;

static SPR_COLD spr_status pad_plan(spr_plan_ctx *ctx, spr_step *step) {
    pads *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    int rank = step->in[0].desc.rank;
    int64_t n = spr_desc_count(&step->in[1].desc) / 2;
    for (int64_t i = 0; i < n; i++) {
        int axis = spr_step_has(step, 3) ? spr_normalize_axis(spr_step_int(step, 3, i), rank) : (int)i;
        state->begin[axis] = spr_step_int(step, 1, i);
    }
    if (spr_step_has(step, 2) && spr_desc_count(&step->in[2].desc) != 1)
        return spr_fail(ctx->err, SPR_ERROR_SHAPE, "node '%s': the padding value must be one element",
                        step->node->name);
    step->state = state;
    return SPR_OK;
}

/* Every element becomes the one at `value`, or 0 if that is NULL: a copy whose source does not move. */
static void fill(const spr_run_ctx *ctx, const spr_view *y, const void *value) {
    static const uint64_t zero;
    spr_view one = {.desc = y->desc, .data = (void *)(uintptr_t)(value ? value : &zero)};
    spr_view_copy(ctx, &one, y);
}

/* Index into the input of output index i, for the modes that repeat the input. */
static int64_t mirror(const char *mode, int64_t i, int64_t begin, int64_t dim) {
    int64_t k = i - begin;
    if (strcmp(mode, "edge") == 0) return k < 0 ? 0 : k >= dim ? dim - 1 : k;
    if (strcmp(mode, "wrap") == 0) return ((k % dim) + dim) % dim;
    int64_t period = dim > 1 ? 2 * (dim - 1) : 1; /* reflect */
    k = ((k % period) + period) % period;
    return k < dim ? k : period - k;
}

static void pad_repeat(const spr_step *step, const char *mode) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const pads *state = step->state;
    size_t size = spr_dtype_size(y->desc.dtype);
    int64_t index[SPR_MAX_RANK] = {0}, count = spr_desc_count(&y->desc);
    for (int64_t n = 0; n < count; n++) {
        int64_t from = 0, to = 0;
        for (int i = 0; i < y->desc.rank; i++) {
            from += mirror(mode, index[i], state->begin[i], x->desc.dim[i]) * x->stride[i];
            to += index[i] * y->stride[i];
        }
        memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)from * size, size);
        for (int i = y->desc.rank - 1; i >= 0; i--) {
            if (++index[i] < y->desc.dim[i]) break;
            index[i] = 0;
        }
    }
    spr_view_zero_padding(y);
}

static void pad_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const pads *state = step->state;
    const char *mode = SPR_ATTR_OF(step, Pad, mode)->s;
    if (strcmp(mode, "constant") != 0) {
        pad_repeat(step, mode);
        return;
    }
    fill(ctx, y, spr_step_has(step, 2) ? step->in[2].data : NULL);
    /* the input less what negative pads cut off, onto its place in the output */
    spr_view from = *x, to = *y;
    int64_t skip = 0, put = 0;
    for (int i = 0; i < y->desc.rank; i++) {
        int64_t begin = state->begin[i], first = begin < 0 ? -begin : 0, last = x->desc.dim[i];
        if (last + begin > y->desc.dim[i]) last = y->desc.dim[i] - begin;
        if (last <= first) return;
        from.desc.dim[i] = to.desc.dim[i] = last - first;
        skip += first * x->stride[i];
        put += (begin > 0 ? begin : 0) * y->stride[i];
    }
    from.data = (char *)x->data + skip * (int64_t)spr_dtype_size(x->desc.dtype);
    to.data = (char *)y->data + put * (int64_t)spr_dtype_size(y->desc.dtype);
    spr_view_copy_elements(ctx, &from, &to);
}

/* ---- Gather ------------------------------------------------------------------------------------------------------ */

static void gather_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *indices = &step->in[1], *y = &step->out[0];
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, Gather, axis)->i, x->desc.rank);
    int index_rank = indices->desc.rank;
    int64_t count = spr_desc_count(&indices->desc), index[SPR_MAX_RANK] = {0};
    size_t size = spr_dtype_size(y->desc.dtype);
    for (int64_t n = 0; n < count; n++) {
        int64_t at = 0, to = 0;
        for (int i = 0; i < index_rank; i++) {
            at += index[i] * indices->stride[i];
            to += index[i] * y->stride[axis + i];
        }
        int64_t k = spr_clamp_index(spr_read_int(indices->data, indices->desc.dtype, at), x->desc.dim[axis]);
        spr_view from = {.desc = {.dtype = x->desc.dtype}}, part = {.desc = {.dtype = x->desc.dtype}};
        for (int i = 0; i < x->desc.rank; i++) {
            if (i == axis) continue;
            int d = from.desc.rank++;
            part.desc.rank++;
            from.desc.dim[d] = part.desc.dim[d] = x->desc.dim[i];
            from.stride[d] = x->stride[i];
            part.stride[d] = y->stride[i < axis ? i : i - 1 + index_rank];
        }
        from.data = (char *)x->data + k * x->stride[axis] * (int64_t)size;
        part.data = (char *)y->data + to * (int64_t)size;
        spr_view_copy_elements(ctx, &from, &part);
        for (int i = index_rank - 1; i >= 0; i--) {
            if (++index[i] < indices->desc.dim[i]) break;
            index[i] = 0;
        }
    }
    spr_view_zero_padding(y);
}

/* ---- channels and space ------------------------------------------------------------------------------------------ */

static spr_view view6(const spr_view *like, const int64_t dim[6], const int64_t stride[6]) {
    spr_view view = {.desc = {.dtype = like->desc.dtype, .rank = 6}, .data = like->data};
    memcpy(view.desc.dim, dim, 6 * sizeof *dim);
    memcpy(view.stride, stride, 6 * sizeof *stride);
    return view;
}

static void depth_to_space_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    int64_t b = SPR_ATTR_OF(step, DepthToSpace, blocksize)->i, c = y->desc.dim[1], h = x->desc.dim[2],
            w = x->desc.dim[3];
    int dcr = strcmp(SPR_ATTR_OF(step, DepthToSpace, mode)->s, "DCR") == 0;
    int64_t across = dcr ? c * x->stride[1] : x->stride[1]; /* between the channels of neighbouring pixels of a block */
    int64_t dim[6] = {y->desc.dim[0], c, h, b, w, b};
    int64_t from[6] = {x->stride[0], dcr ? x->stride[1] : b * b * x->stride[1], w, b * across, 1, across};
    int64_t to[6] = {y->stride[0], y->stride[1], b * w * b, w * b, b, 1};
    spr_view src = view6(x, dim, from), dst = view6(y, dim, to);
    spr_view_copy(ctx, &src, &dst);
    spr_view_zero_padding(y);
}

static void space_to_depth_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    int64_t b = SPR_ATTR_OF(step, SpaceToDepth, blocksize)->i, c = x->desc.dim[1], h = y->desc.dim[2],
            w = y->desc.dim[3];
    int64_t dim[6] = {x->desc.dim[0], b, b, c, h, w};
    int64_t from[6] = {x->stride[0], w * b, 1, x->stride[1], b * w * b, b};
    int dcr = strcmp(SPR_ATTR_OF(step, SpaceToDepth, mode)->s, "DCR") == 0;
    int64_t across = dcr ? c * y->stride[1] : y->stride[1]; /* between the channels of neighbouring pixels of a block */
    int64_t to[6] = {y->stride[0], b * across, across, dcr ? y->stride[1] : b * b * y->stride[1], w, 1};
    spr_view src = view6(x, dim, from), dst = view6(y, dim, to);
    spr_view_copy(ctx, &src, &dst);
    spr_view_zero_padding(y);
}

/* Channels [group, C / group] of the input become [C / group, group]; planes, or whatever follows the channels, move
   whole. */
static void channel_shuffle_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    int64_t group = SPR_ATTR_OF(step, ChannelShuffle, group)->i, per_group = x->desc.dim[1] / group, rest = 1;
    for (int i = 2; i < x->desc.rank; i++) rest *= x->desc.dim[i];
    int64_t dim[6] = {x->desc.dim[0], per_group, group, rest, 1, 1};
    int64_t from[6] = {x->stride[0], x->stride[1], per_group * x->stride[1], 1, 1, 1};
    int64_t to[6] = {y->stride[0], group * y->stride[1], y->stride[1], 1, 1, 1};
    spr_view src = view6(x, dim, from), dst = view6(y, dim, to);
    spr_view_copy(ctx, &src, &dst);
    spr_view_zero_padding(y);
}

spr_exec spr_exec_Transpose(void) { return (spr_exec){.run = transpose_run}; }
spr_exec spr_exec_Expand(void) { return (spr_exec){.run = expand_run}; }
spr_exec spr_exec_Tile(void) { return (spr_exec){.run = tile_run}; }
spr_exec spr_exec_Pad(void) { return (spr_exec){.plan = pad_plan, .run = pad_run}; }
spr_exec spr_exec_Gather(void) { return (spr_exec){.run = gather_run}; }
spr_exec spr_exec_DepthToSpace(void) { return (spr_exec){.run = depth_to_space_run}; }
spr_exec spr_exec_SpaceToDepth(void) { return (spr_exec){.run = space_to_depth_run}; }
spr_exec spr_exec_ChannelShuffle(void) { return (spr_exec){.run = channel_shuffle_run}; }
