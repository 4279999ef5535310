/* Shapes of what moves data. */
#include <math.h>
#include <string.h>

#include "graph/infer.h"

/* The axes named by an input, normalized to [0, rank) and each at most once; all axes where it is not given. */
static spr_status read_axes(const spr_infer *c, int input, int rank, int *axes, int *n) {
    int64_t v[SPR_MAX_RANK];
    unsigned seen = 0;
    if (!spr_infer_has(c, input)) {
        for (*n = 0; *n < rank; (*n)++) axes[*n] = *n;
        return SPR_OK;
    }
    spr_status status = spr_infer_ints(c, input, v, SPR_MAX_RANK, n);
    for (int i = 0; !status && i < *n; i++) {
        status = spr_infer_axis(c, v[i], rank, &axes[i]);
        if (!status && seen >> axes[i] & 1)
            status = spr_infer_fail(c, SPR_ERROR_SHAPE, "%s names axis %d twice", SPR_TEXT(c, input), axes[i]);
        if (!status) seen |= 1u << axes[i];
    }
    return status;
}

/* ---- joining and cutting ----------------------------------------------------------------------------------------- */

spr_status spr_infer_concat(spr_infer *c) {
    const spr_desc *first = &c->in[0].desc;
    int axis;
    spr_status status = spr_infer_axis(c, SPR_INFER_ATTR(c, Concat, axis)->i, first->rank, &axis);
    if (status) return status;
    spr_infer_like(c, 0);
    int64_t *sum = &c->out[0].dim[axis];
    int interleave = SPR_INFER_ATTR(c, Concat, interleave)->i != 0;
    for (int i = 1; i < c->node->in_count; i++) {
        const spr_desc *x = &c->in[i].desc;
        if (interleave && x->rank == first->rank && x->dim[axis] != first->dim[axis])
            return spr_infer_fail(c, SPR_ERROR_SHAPE,
                                  "inputs %s and %s are to be interleaved, but dimension %d differs", SPR_TEXT(c, 0),
                                  SPR_TEXT(c, i), axis);
        int same = x->rank == first->rank && x->dtype == first->dtype;
        for (int d = 0; d < first->rank && same; d++) same = d == axis || x->dim[d] == first->dim[d];
        if (!same)
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "inputs %s and %s should agree in type and all dimensions but %d",
                                  SPR_TEXT(c, 0), SPR_TEXT(c, i), axis);
        /* 2^31 inputs of less than 2^31 each: no overflow */
        *sum += x->dim[axis];
    }
    return SPR_OK;
}

spr_status spr_infer_split(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int axis, outs = c->node->out_count;
    spr_status status = spr_infer_axis(c, SPR_INFER_ATTR(c, Split, axis)->i, x->rank, &axis);
    if (status) return status;
    for (int i = 0; i < outs; i++) spr_infer_like(c, i);
    int64_t dim = x->dim[axis], sum = 0;
    if (!spr_infer_has(c, 1)) {
        int64_t chunk = dim / outs + (dim % outs != 0), last = dim - chunk * (outs - 1);
        if (last < 0)
            return spr_infer_fail(c, SPR_ERROR_SHAPE,
                                  "dimension %d of %s cannot be split into %d parts of %lld with a rest for the last",
                                  axis, SPR_TEXT(c, 0), outs, (long long)chunk);
        for (int i = 0; i < outs; i++) c->out[i].dim[axis] = i + 1 < outs ? chunk : last;
        return SPR_OK;
    }
    const spr_desc *split = &c->in[1].desc;
    if ((status = spr_infer_type(c, 1, SPR_TYPES_INDEX))) return status;
    if (split->rank != 1 || split->dim[0] != outs)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s should have the shape [%d], one size per output", SPR_TEXT(c, 1),
                              outs);
    if ((status = spr_infer_contents(c, 1))) return status;
    for (int i = 0; i < outs; i++) {
        int64_t part = spr_read_int(c->in[1].data, split->dtype, i);
        if (part < 0 || part > dim - sum)
            return spr_infer_fail(c, SPR_ERROR_SHAPE,
                                  "part %d has the size %lld; the sizes should add up to dimension %d of %s", i,
                                  (long long)part, axis, SPR_TEXT(c, 0));
        c->out[i].dim[axis] = part;
        sum += part;
    }
    if (sum != dim)
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "the sizes in %s add up to %lld, but dimension %d of %s is to be split", SPR_TEXT(c, 1),
                              (long long)sum, axis, SPR_TEXT(c, 0));
    return SPR_OK;
}

spr_status spr_infer_slice(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int64_t starts[SPR_MAX_RANK], ends[SPR_MAX_RANK], steps[SPR_MAX_RANK];
    int axes[SPR_MAX_RANK], n, n_ends, n_axes, n_steps;
    spr_status status = spr_infer_ints(c, 1, starts, SPR_MAX_RANK, &n);
    if (!status) status = spr_infer_ints(c, 2, ends, SPR_MAX_RANK, &n_ends);
    if (!status) status = read_axes(c, 3, x->rank, axes, &n_axes);
    if (status) return status;
    for (n_steps = 0; n_steps < n; n_steps++) steps[n_steps] = 1;
    if (spr_infer_has(c, 4) && (status = spr_infer_ints(c, 4, steps, SPR_MAX_RANK, &n_steps))) return status;
    /* Without axes, the starts are those of the first ones. */
    int axes_fit = spr_infer_has(c, 3) ? n_axes == n : n <= n_axes;
    if (n_ends != n || n_steps != n || !axes_fit)
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "starts, ends, axes and steps should have equal lengths, but have %d, %d, %d and %d", n,
                              n_ends, n_axes, n_steps);
    spr_infer_like(c, 0);
    for (int i = 0; i < n; i++) {
        int64_t begin;
        if (!steps[i]) return spr_infer_fail(c, SPR_ERROR_SHAPE, "the step along axis %d should not be 0", axes[i]);
        spr_resolve_slice(x->dim[axes[i]], starts[i], ends[i], steps[i], &begin, &c->out[0].dim[axes[i]]);
    }
    return SPR_OK;
}

spr_status spr_infer_gather(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *indices = &c->in[1].desc;
    spr_desc *y = &c->out[0];
    int axis;
    spr_status status = spr_infer_type(c, 1, SPR_TYPES_INDEX);
    if (!status) status = spr_infer_axis(c, SPR_INFER_ATTR(c, Gather, axis)->i, x->rank, &axis);
    if (!status) status = spr_infer_out_rank(c, x->rank - 1 + indices->rank);
    if (status) return status;
    int64_t count = spr_desc_count(indices), dim = x->dim[axis];
    if (count && !dim)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "dimension %d of %s is 0: nothing to gather from", axis,
                              SPR_TEXT(c, 0));
    for (int64_t i = 0; i < count && c->in[1].data; i++) {
        int64_t index = spr_read_int(c->in[1].data, indices->dtype, i);
        if (index < -dim || index >= dim)
            return spr_infer_fail(c, SPR_ERROR_SHAPE,
                                  "index %lld in '%.150s' is not in [%lld, %lld), the range of axis %d of %s",
                                  (long long)index, c->graph->values[c->node->in[1]].name, (long long)-dim,
                                  (long long)dim, axis, SPR_TEXT(c, 0));
    }
    for (int i = 0; i < axis; i++) y->dim[y->rank++] = x->dim[i];
    for (int i = 0; i < indices->rank; i++) y->dim[y->rank++] = indices->dim[i];
    for (int i = axis + 1; i < x->rank; i++) y->dim[y->rank++] = x->dim[i];
    return SPR_OK;
}

spr_status spr_infer_pad(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    const char *mode = SPR_INFER_ATTR(c, Pad, mode)->s;
    int64_t pads[2 * SPR_MAX_RANK];
    int axes[SPR_MAX_RANK], n, n_pads;
    spr_status status = read_axes(c, 3, x->rank, axes, &n);
    if (!status) status = spr_infer_ints(c, 1, pads, 2 * SPR_MAX_RANK, &n_pads);
    if (status) return status;
    if (n_pads != 2 * n)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s should have two elements per padded axis of %s, %d",
                              SPR_TEXT(c, 1), SPR_TEXT(c, 0), 2 * n);
    if (spr_infer_has(c, 2) && (spr_desc_count(&c->in[2].desc) != 1 || c->in[2].desc.dtype != x->dtype))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "value %s should be one element of the type of %s", SPR_TEXT(c, 2),
                              SPR_TEXT(c, 0));
    spr_infer_like(c, 0);
    for (int i = 0; i < n; i++) {
        int64_t begin = pads[i], end = pads[i + n], dim = x->dim[axes[i]], *out = &c->out[0].dim[axes[i]];
        const char *accepted = NULL;
        if (begin < -dim || end < -dim - (begin < 0 ? begin : 0) || begin > INT32_MAX || end > INT32_MAX)
            accepted = "no more may be removed than there is";
        else if (strcmp(mode, "constant") && (begin < 0 || end < 0))
            accepted = "only the mode 'constant' takes negative pads";
        else if (!strcmp(mode, "reflect") && (begin || end) && (begin >= dim || end >= dim))
            accepted = "reflection takes less than the dimension";
        else if (strcmp(mode, "constant") && (begin || end) && !dim)
            accepted = "there is nothing to be repeated";
        if (accepted)
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "pads %lld and %lld along axis %d of %s with mode '%s': %s",
                                  (long long)begin, (long long)end, axes[i], SPR_TEXT(c, 0), mode, accepted);
        *out = dim + begin + end;
    }
    return SPR_OK;
}

/* ---- other views of the same elements ---------------------------------------------------------------------------- */

spr_status spr_infer_reshape(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    spr_desc *y = &c->out[0];
    char dims[SPR_DIMS_TEXT];
    int64_t shape[SPR_MAX_RANK], known = 1;
    int64_t given = 1, left = 1; /* known without the dimensions that are taken over, and what the input has besides
                                    them */
    int allowzero = (int)SPR_INFER_ATTR(c, Reshape, allowzero)->i, free_axis = -1, zero = 0, n;
    unsigned taken = 0;
    spr_status status = spr_infer_ints(c, 1, shape, SPR_MAX_RANK, &n);
    if (status) return status;
    y->rank = n;
    spr_dims_text(dims, n, shape);
    for (int i = 0; i < n; i++) {
        int64_t dim = shape[i];
        if (dim == -1) {
            if (free_axis >= 0) return spr_infer_fail(c, SPR_ERROR_SHAPE, "shape %s has more than one -1", dims);
            free_axis = i;
            continue;
        }
        zero |= dim == 0;
        if (dim == 0 && !allowzero) {
            if (i >= x->rank)
                return spr_infer_fail(c, SPR_ERROR_SHAPE, "shape %s takes over dimension %d of %s, which has none",
                                      dims, i, SPR_TEXT(c, 0));
            dim = x->dim[i];
            taken |= 1u << i;
        } else if (dim > 0 && __builtin_mul_overflow(given, dim, &given)) {
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "shape %s is not possible", dims);
        }
        if (dim < 0 || __builtin_mul_overflow(known, dim, &known))
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "shape %s is not possible", dims);
        y->dim[i] = dim;
    }
    int64_t count = spr_desc_count(x);
    if (free_axis >= 0) { /* defined even if what is taken over is empty: [0, 3, 4] as [0, -1] is [0, 12] */
        for (int i = 0; i < x->rank; i++)
            if (!(taken >> i & 1)) left *= x->dim[i];
        if ((allowzero && zero) || left % given)
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "shape %s: no value of -1 gives the %lld elements of %s", dims,
                                  (long long)count, SPR_TEXT(c, 0));
        y->dim[free_axis] = left / given;
    } else if (known != count) {
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "shape %s has %lld elements, but %s has %lld", dims, (long long)known,
                              SPR_TEXT(c, 0), (long long)count);
    }
    return SPR_OK;
}

spr_status spr_infer_flatten(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int64_t axis = SPR_INFER_ATTR(c, Flatten, axis)->i;
    if (axis < -x->rank || axis > x->rank)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "axis %lld is not in [%d, %d] for %s", (long long)axis, -x->rank,
                              x->rank, SPR_TEXT(c, 0));
    if (axis < 0) axis += x->rank;
    c->out[0].rank = 2;
    c->out[0].dim[0] = c->out[0].dim[1] = 1;
    for (int i = 0; i < x->rank; i++) c->out[0].dim[i >= axis] *= x->dim[i];
    return SPR_OK;
}

spr_status spr_infer_squeeze(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    spr_desc *y = &c->out[0];
    int axes[SPR_MAX_RANK], n;
    unsigned removed = 0;
    spr_status status = read_axes(c, 1, x->rank, axes, &n);
    if (status) return status;
    for (int i = 0; i < n; i++) {
        if (x->dim[axes[i]] == 1) removed |= 1u << axes[i];
        else if (spr_infer_has(c, 1))
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "dimension %d of %s should be 1 to be removed", axes[i],
                                  SPR_TEXT(c, 0));
    }
    for (int i = 0; i < x->rank; i++)
        if (!(removed >> i & 1)) y->dim[y->rank++] = x->dim[i];
    return SPR_OK;
}

spr_status spr_infer_unsqueeze(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    spr_desc *y = &c->out[0];
    int64_t v[SPR_MAX_RANK];
    int axes[SPR_MAX_RANK], n;
    unsigned added = 0;
    spr_status status = spr_infer_ints(c, 1, v, SPR_MAX_RANK, &n);
    if (!status) status = spr_infer_out_rank(c, x->rank + n);
    if (!status) status = read_axes(c, 1, x->rank + n, axes, &n);
    if (status) return status;
    for (int i = 0; i < n; i++) added |= 1u << axes[i];
    y->rank = x->rank + n;
    for (int i = 0, from = 0; i < y->rank; i++) y->dim[i] = added >> i & 1 ? 1 : x->dim[from++];
    return SPR_OK;
}

spr_status spr_infer_transpose(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    const spr_attr *perm = SPR_INFER_ATTR(c, Transpose, perm);
    if (perm->ints.n && perm->ints.n != x->rank)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "perm has %d elements, but %s has %d dimensions", (int)perm->ints.n,
                              SPR_TEXT(c, 0), x->rank);
    c->out[0].rank = x->rank;
    for (int i = 0; i < x->rank; i++) c->out[0].dim[i] = x->dim[perm->ints.n ? perm->ints.v[i] : x->rank - 1 - i];
    return SPR_OK;
}

/* [n, c, h, w] to [n, c / b^2, h b, w b], and back. */
spr_status spr_infer_depth_to_space(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int64_t b = SPR_INFER_ATTR(c, DepthToSpace, blocksize)->i;
    spr_status status = spr_infer_rank(c, 0, 4, 4);
    if (status) return status;
    if (x->dim[1] % (b * b))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "the channels of %s should be a multiple of blocksize^2, %lld",
                              SPR_TEXT(c, 0), (long long)(b * b));
    spr_infer_like(c, 0);
    c->out[0].dim[1] /= b * b;
    c->out[0].dim[2] *= b;
    c->out[0].dim[3] *= b;
    return SPR_OK;
}

spr_status spr_infer_space_to_depth(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int64_t b = SPR_INFER_ATTR(c, SpaceToDepth, blocksize)->i;
    spr_status status = spr_infer_rank(c, 0, 4, 4);
    if (status) return status;
    if (x->dim[2] % b || x->dim[3] % b)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "height and width of %s should be multiples of blocksize, %lld",
                              SPR_TEXT(c, 0), (long long)b);
    spr_infer_like(c, 0);
    c->out[0].dim[1] *= b * b;
    c->out[0].dim[2] /= b;
    c->out[0].dim[3] /= b;
    return SPR_OK;
}

/* ---- repeating --------------------------------------------------------------------------------------------------- */

spr_status spr_infer_expand(spr_infer *c) {
    char dims[SPR_DIMS_TEXT];
    spr_desc shape = {.dtype = c->in[0].desc.dtype};
    spr_status status = spr_infer_ints(c, 1, shape.dim, SPR_MAX_RANK, &shape.rank);
    if (status) return status;
    if (!spr_desc_valid(&shape) || !spr_broadcast(&c->in[0].desc, &shape, &c->out[0]))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s cannot be broadcast with the shape %s", SPR_TEXT(c, 0),
                              spr_dims_text(dims, shape.rank, shape.dim));
    return SPR_OK;
}

spr_status spr_infer_tile(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    char dims[SPR_DIMS_TEXT];
    int64_t repeats[SPR_MAX_RANK];
    int n;
    spr_status status = spr_infer_ints(c, 1, repeats, SPR_MAX_RANK, &n);
    if (status) return status;
    int fits = n == x->rank;
    for (int i = 0; i < n && fits; i++) fits = repeats[i] >= 0 && repeats[i] <= INT32_MAX;
    if (!fits)
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "repeats %s should be one number from 0 to 2^31 - 1 per dimension of %s",
                              spr_dims_text(dims, n, repeats), SPR_TEXT(c, 0));
    spr_infer_like(c, 0);
    for (int i = 0; i < n; i++) c->out[0].dim[i] *= repeats[i];
    return SPR_OK;
}

/* ---- types and shapes as data ------------------------------------------------------------------------------------ */

spr_status spr_infer_cast(spr_infer *c) {
    spr_infer_like(c, 0);
    return SPR_OK;
}

spr_status spr_infer_shape(spr_infer *c) {
    int64_t begin, count;
    spr_resolve_slice(c->in[0].desc.rank, SPR_INFER_ATTR(c, Shape, start)->i, SPR_INFER_ATTR(c, Shape, end)->i, 1,
                      &begin, &count);
    c->out[0].rank = 1;
    c->out[0].dim[0] = count;
    return SPR_OK;
}

spr_status spr_infer_constant_of_shape(spr_infer *c) {
    spr_desc *y = &c->out[0];
    if (spr_infer_has(c, 1) && spr_desc_count(&c->in[1].desc) != 1)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "value %s should have one element", SPR_TEXT(c, 1));
    return spr_infer_ints(c, 0, y->dim, SPR_MAX_RANK, &y->rank);
}

/* ---- Resize ------------------------------------------------------------------------------------------------------ */

/* floor(in * scale) with the arithmetic of the specification, float32; -1 where that is no dimension. */
static int64_t scaled(int64_t in, float extent, float scale) {
    float size = floorf((float)in * extent * scale);
    return size >= 0 && size <= (float)(INT32_MAX / 2) ? (int64_t)size : -1;
}

/* Sizes as they are when the aspect ratio of the resized axes is kept. */
static void keep_aspect_ratio(const spr_infer *c, const int *axes, int n, int larger, int64_t *sizes) {
    double scale = 0;
    for (int i = 0; i < n; i++) {
        double s = (double)sizes[i] / (double)c->in[0].desc.dim[axes[i]];
        if (i == 0 || (larger ? s > scale : s < scale)) scale = s;
    }
    for (int i = 0; i < n; i++) sizes[i] = (int64_t)floor(scale * (double)c->in[0].desc.dim[axes[i]] + 0.5);
}

static spr_status resize_by_sizes(spr_infer *c, const int *axes, int n) {
    const char *policy = SPR_INFER_ATTR(c, Resize, keep_aspect_ratio_policy)->s;
    const spr_desc *x = &c->in[0].desc;
    int64_t sizes[SPR_MAX_RANK];
    int n_sizes, ratio = strcmp(policy, "stretch") != 0;
    spr_status status = spr_infer_ints(c, 3, sizes, SPR_MAX_RANK, &n_sizes);
    if (status) return status;
    if (n_sizes != n)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "sizes %s should have one element per resized axis, %d",
                              SPR_TEXT(c, 3), n);
    for (int i = 0; i < n; i++) {
        int64_t dim = x->dim[axes[i]];
        if (sizes[i] < 0 || sizes[i] > INT32_MAX || (!dim && (sizes[i] || ratio)))
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "axis %d of %s cannot be resized to %lld", axes[i],
                                  SPR_TEXT(c, 0), (long long)sizes[i]);
    }
    if (ratio) keep_aspect_ratio(c, axes, n, !strcmp(policy, "not_smaller"), sizes);
    for (int i = 0; i < n; i++) c->out[0].dim[axes[i]] = sizes[i];
    return SPR_OK;
}

static spr_status resize_by_scales(spr_infer *c, const int *axes, int n) {
    const spr_desc *x = &c->in[0].desc;
    float scales[SPR_MAX_RANK], roi[2 * SPR_MAX_RANK];
    int n_scales, n_roi;
    spr_status status = spr_infer_floats(c, 2, scales, SPR_MAX_RANK, &n_scales);
    if (status) return status;
    if (n_scales != n)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "scales %s should have one element per resized axis, %d",
                              SPR_TEXT(c, 2), n);
    int crop = !strcmp(SPR_INFER_ATTR(c, Resize, coordinate_transformation_mode)->s, "tf_crop_and_resize");
    if (crop && (status = spr_infer_floats(c, 1, roi, 2 * SPR_MAX_RANK, &n_roi))) return status;
    for (int i = 0; i < n; i++) {
        int64_t size = -1;
        if (scales[i] > 0) size = scaled(x->dim[axes[i]], crop ? roi[i + n] - roi[i] : 1.0f, scales[i]);
        if (size < 0)
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "axis %d of %s cannot be resized by %g; scales should be above 0",
                                  axes[i], SPR_TEXT(c, 0), (double)scales[i]);
        c->out[0].dim[axes[i]] = size;
    }
    return SPR_OK;
}

/* Exporters also say "not given" by an empty tensor. */
static int is_given(const spr_infer *c, int input) {
    return spr_infer_has(c, input) && spr_desc_count(&c->in[input].desc) > 0;
}

spr_status spr_infer_resize(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    const spr_attr *attr = SPR_INFER_ATTR(c, Resize, axes);
    int axes[SPR_MAX_RANK], n = attr->ints.n ? attr->ints.n : x->rank;
    unsigned seen = 0;
    int crops = !strcmp(SPR_INFER_ATTR(c, Resize, coordinate_transformation_mode)->s, "tf_crop_and_resize");
    int copies = !strcmp(SPR_INFER_ATTR(c, Resize, mode)->s, "nearest") && !crops; /* elements of any type */
    int quantized = x->dtype == SPR_QUANTIZED;
    spr_status status = copies || quantized ? SPR_OK : spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    for (int i = 0; i < n && !status; i++) {
        status = spr_infer_axis(c, attr->ints.n ? attr->ints.v[i] : i, x->rank, &axes[i]);
        if (!status && seen >> axes[i] & 1)
            status = spr_infer_fail(c, SPR_ERROR_SHAPE, "attribute 'axes' names axis %d twice", axes[i]);
        if (!status) seen |= 1u << axes[i];
    }
    if (status) return status;
    int by_scales = is_given(c, 2), by_sizes = is_given(c, 3);
    if (by_scales == by_sizes && n)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s of scales and sizes are given; it takes exactly one",
                              by_scales ? "both" : "neither");
    if (crops && (!is_given(c, 1) || spr_desc_count(&c->in[1].desc) != 2 * n))
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "tf_crop_and_resize needs the input 'roi' with two elements per resized axis, %d", 2 * n);
    spr_infer_like(c, 0);
    if (n) status = by_sizes ? resize_by_sizes(c, axes, n) : resize_by_scales(c, axes, n);
    if (status || !quantized) return status;
    const spr_desc *y = &c->out[0];
    int linear =
        !strcmp(SPR_INFER_ATTR(c, Resize, mode)->s, "linear") && !SPR_INFER_ATTR(c, Resize, antialias)->i && !crops;
    if (x->rank != 4 || y->dim[0] != x->dim[0] || y->dim[1] != x->dim[1] || !(copies || linear))
        return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED,
                              "quantized input %s: only images by 'nearest' and 'linear' in their planes",
                              SPR_TEXT(c, 0));
    return SPR_OK;
}
