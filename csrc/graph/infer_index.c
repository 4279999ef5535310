/* Shapes of what compares, searches, and reads or writes by index. */
#include <math.h>
#include <string.h>

#include "graph/infer.h"

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static spr_status check_same_type(const spr_infer *c, int a, int b) {
    if (c->in[a].desc.dtype == c->in[b].desc.dtype) return SPR_OK;
    return spr_infer_fail(c, SPR_ERROR_UNSUPPORTED, "%s and %s should have the same type", SPR_TEXT(c, a),
                          SPR_TEXT(c, b));
}

static spr_status no_broadcast(const spr_infer *c, int a, int b) {
    return spr_infer_fail(c, SPR_ERROR_SHAPE,
                          "%s and %s cannot be broadcast: from the right, dimensions should be equal or 1",
                          SPR_TEXT(c, a), SPR_TEXT(c, b));
}

spr_status spr_infer_compare(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_ORDERED);
    if (!status) status = check_same_type(c, 0, 1);
    if (!status && !spr_broadcast(&c->in[0].desc, &c->in[1].desc, &c->out[0])) status = no_broadcast(c, 0, 1);
    return status;
}

spr_status spr_infer_bitwise(spr_infer *c) {
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_32_64 | SPR_TYPES_8BIT | SPR_TYPES_16BIT);
    if (!status) status = check_same_type(c, 0, 1);
    if (!status && !spr_broadcast(&c->in[0].desc, &c->in[1].desc, &c->out[0])) status = no_broadcast(c, 0, 1);
    return status;
}

spr_status spr_infer_where(spr_infer *c) {
    spr_desc both = {0};
    spr_status status = spr_infer_type(c, 0, SPR_TYPE_BIT(SPR_BOOL));
    if (!status) status = check_same_type(c, 1, 2);
    if (!status && !spr_broadcast(&c->in[1].desc, &c->in[2].desc, &both)) status = no_broadcast(c, 1, 2);
    if (!status && !spr_broadcast(&c->in[0].desc, &both, &c->out[0]))
        status = no_broadcast(c, 0, both.rank == c->in[1].desc.rank ? 1 : 2);
    return status;
}

/* ---- along one axis ---------------------------------------------------------------------------------------------- */

spr_status spr_infer_arg_reduce(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int axis;
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_ORDERED);
    if (!status) status = spr_infer_axis(c, SPR_INFER_ATTR(c, ArgReduce, axis)->i, x->rank, &axis);
    if (status) return status;
    if (!x->dim[axis])
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "dimension %d of %s is 0: there is no extreme", axis, SPR_TEXT(c, 0));
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) c->out[0].dim[c->out[0].rank++] = x->dim[i];
        else if (SPR_INFER_ATTR(c, ArgReduce, keepdims)->i) c->out[0].dim[c->out[0].rank++] = 1;
    }
    return SPR_OK;
}

spr_status spr_infer_top_k(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int64_t k;
    int axis, n;
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_ORDERED);
    if (!status) status = spr_infer_axis(c, SPR_INFER_ATTR(c, TopK, axis)->i, x->rank, &axis);
    if (!status) status = spr_infer_ints(c, 1, &k, 1, &n);
    if (status) return status;
    if (!n || k < 0 || k > x->dim[axis])
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "%s should be one number from 0 to %lld, dimension %d of %s",
                              SPR_TEXT(c, 1), (long long)x->dim[axis], axis, SPR_TEXT(c, 0));
    for (int i = 0; i < c->node->out_count; i++) {
        spr_infer_like(c, i);
        c->out[i].dim[axis] = k;
    }
    return SPR_OK;
}

spr_status spr_infer_cum_sum(spr_infer *c) {
    int64_t value;
    int axis, n;
    spr_status status =
        spr_infer_type(c, 0, SPR_TYPES_32_64 | SPR_TYPES_FLOAT32 | SPR_TYPE_BIT(SPR_FLOAT64));
    if (!status) status = spr_infer_ints(c, 1, &value, 1, &n);
    if (!status && !n) status = spr_infer_fail(c, SPR_ERROR_SHAPE, "axis %s should be one number", SPR_TEXT(c, 1));
    if (!status) status = spr_infer_axis(c, value, c->in[0].desc.rank, &axis);
    spr_infer_like(c, 0);
    return status;
}

/* ---- by index ---------------------------------------------------------------------------------------------------- */

/* Indices along an axis of x, each of whose other dimensions is at most that of x. */
static spr_status check_elements(spr_infer *c, int64_t axis_value, int *axis) {
    const spr_desc *x = &c->in[0].desc, *indices = &c->in[1].desc;
    spr_status status = spr_infer_type(c, 1, SPR_TYPES_INDEX);
    if (!status) status = spr_infer_axis(c, axis_value, x->rank, axis);
    if (status) return status;
    int fits = indices->rank == x->rank;
    for (int i = 0; i < x->rank && fits; i++) fits = i == *axis || indices->dim[i] <= x->dim[i];
    if (!fits)
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "indices %s should have as many dimensions as %s, none larger but axis %d",
                              SPR_TEXT(c, 1), SPR_TEXT(c, 0), *axis);
    if (spr_desc_count(indices) && !x->dim[*axis])
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "dimension %d of %s is 0: there is nothing to index", *axis,
                              SPR_TEXT(c, 0));
    return SPR_OK;
}

spr_status spr_infer_gather_elements(spr_infer *c) {
    int axis;
    spr_status status = check_elements(c, SPR_INFER_ATTR(c, GatherElements, axis)->i, &axis);
    c->out[0].rank = c->in[1].desc.rank;
    memcpy(c->out[0].dim, c->in[1].desc.dim, sizeof(c->out[0].dim));
    return status;
}

/* Updates of the type of x, which may be any where they just replace what was there. */
static spr_status check_updates(const spr_infer *c, const char *reduction) {
    unsigned types = !strcmp(reduction, "max") || !strcmp(reduction, "min") ? SPR_TYPES_ORDERED : SPR_TYPES_NUMERIC;
    spr_status status = strcmp(reduction, "none") ? spr_infer_type(c, 0, types) : SPR_OK;
    return status ? status : check_same_type(c, 0, 2);
}

spr_status spr_infer_scatter_elements(spr_infer *c) {
    const spr_desc *indices = &c->in[1].desc, *updates = &c->in[2].desc;
    int axis;
    spr_status status = check_elements(c, SPR_INFER_ATTR(c, ScatterElements, axis)->i, &axis);
    if (!status) status = check_updates(c, SPR_INFER_ATTR(c, ScatterElements, reduction)->s);
    if (status) return status;
    if (updates->rank != indices->rank ||
        memcmp(updates->dim, indices->dim, (size_t)indices->rank * sizeof(*indices->dim)))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "updates %s should have the shape of the indices %s", SPR_TEXT(c, 2),
                              SPR_TEXT(c, 1));
    spr_infer_like(c, 0);
    return SPR_OK;
}

/* Tuples of indices into the dimensions of x from `batch` on. */
static spr_status check_tuples(const spr_infer *c, int batch) {
    const spr_desc *x = &c->in[0].desc, *indices = &c->in[1].desc;
    spr_status status = spr_infer_type(c, 1, SPR_TYPES_INDEX);
    if (!status) status = spr_infer_rank(c, 0, 1, SPR_MAX_RANK);
    if (!status) status = spr_infer_rank(c, 1, 1, SPR_MAX_RANK);
    if (status) return status;
    int fits = batch < x->rank && batch < indices->rank && indices->dim[indices->rank - 1] <= x->rank - batch;
    for (int i = 0; i < batch && fits; i++) fits = x->dim[i] == indices->dim[i];
    if (!fits)
        return spr_infer_fail(
            c, SPR_ERROR_SHAPE,
            "the last dimension of the indices %s should be at most the number of dimensions of %s less "
            "%d batch dimensions, which should be equal",
            SPR_TEXT(c, 1), SPR_TEXT(c, 0), batch);
    for (int i = batch; i < batch + indices->dim[indices->rank - 1]; i++)
        if (!x->dim[i] && spr_desc_count(indices))
            return spr_infer_fail(c, SPR_ERROR_SHAPE, "dimension %d of %s is 0: there is nothing to index", i,
                                  SPR_TEXT(c, 0));
    return SPR_OK;
}

/* The dimensions that count tuples, then those of x from `first` on. */
static spr_status tuples_and_slices(const spr_infer *c, int first, spr_desc *shape) {
    const spr_desc *x = &c->in[0].desc, *indices = &c->in[1].desc;
    spr_status status = spr_infer_out_rank(c, indices->rank - 1 + x->rank - first);
    if (status) return status;
    shape->rank = 0;
    for (int i = 0; i < indices->rank - 1; i++) shape->dim[shape->rank++] = indices->dim[i];
    for (int i = first; i < x->rank; i++) shape->dim[shape->rank++] = x->dim[i];
    return SPR_OK;
}

spr_status spr_infer_gather_nd(spr_infer *c) {
    const spr_desc *indices = &c->in[1].desc;
    int batch = (int)SPR_INFER_ATTR(c, GatherND, batch_dims)->i;
    spr_status status = check_tuples(c, batch);
    return status ? status : tuples_and_slices(c, batch + (int)indices->dim[indices->rank - 1], &c->out[0]);
}

spr_status spr_infer_scatter_nd(spr_infer *c) {
    const spr_desc *indices = &c->in[1].desc, *updates = &c->in[2].desc;
    spr_desc wanted = {0};
    char dims[SPR_DIMS_TEXT];
    spr_status status = check_tuples(c, 0);
    if (!status) status = check_updates(c, SPR_INFER_ATTR(c, ScatterND, reduction)->s);
    if (!status) status = tuples_and_slices(c, (int)indices->dim[indices->rank - 1], &wanted);
    if (status) return status;
    if (updates->rank != wanted.rank || memcmp(updates->dim, wanted.dim, (size_t)wanted.rank * sizeof(*wanted.dim)))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "updates %s should have the shape %s, as the indices %s say",
                              SPR_TEXT(c, 2), spr_dims_text(dims, wanted.rank, wanted.dim), SPR_TEXT(c, 1));
    spr_infer_like(c, 0);
    return SPR_OK;
}

spr_status spr_infer_grid_sample(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *grid = &c->in[1].desc;
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    if (!status) status = spr_infer_type(c, 1, SPR_TYPES_FLOAT32);
    if (!status) status = spr_infer_rank(c, 0, 4, 4);
    if (!status) status = spr_infer_rank(c, 1, 4, 4);
    if (status) return status;
    if (grid->dim[0] != x->dim[0] || grid->dim[3] != 2)
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "grid %s should have the shape [%lld, height, width, 2]",
                              SPR_TEXT(c, 1), (long long)x->dim[0]);
    if (!x->dim[2] || !x->dim[3])
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s has no pixels to be sampled", SPR_TEXT(c, 0));
    spr_infer_like(c, 0);
    c->out[0].dim[2] = grid->dim[1];
    c->out[0].dim[3] = grid->dim[2];
    return SPR_OK;
}

spr_status spr_infer_roi_align(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc, *boxes = &c->in[1].desc, *images = &c->in[2].desc;
    spr_status status = spr_infer_type(c, 0, SPR_TYPES_FLOAT32);
    if (!status) status = spr_infer_type(c, 1, SPR_TYPES_FLOAT32);
    if (!status) status = spr_infer_type(c, 2, SPR_TYPES_INDEX);
    if (!status) status = spr_infer_rank(c, 0, 4, 4);
    if (!status) status = spr_infer_rank(c, 1, 2, 2);
    if (!status) status = spr_infer_rank(c, 2, 1, 1);
    if (status) return status;
    if (boxes->dim[1] != 4 || images->dim[0] != boxes->dim[0])
        return spr_infer_fail(c, SPR_ERROR_SHAPE,
                              "boxes %s and images %s should have the shapes [boxes, 4] and [boxes]", SPR_TEXT(c, 1),
                              SPR_TEXT(c, 2));
    if (boxes->dim[0] && !(x->dim[0] && x->dim[2] && x->dim[3]))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "input %s has no pixels to be sampled", SPR_TEXT(c, 0));
    spr_infer_like(c, 0);
    c->out[0].dim[0] = boxes->dim[0];
    c->out[0].dim[2] = SPR_INFER_ATTR(c, RoiAlign, output_height)->i;
    c->out[0].dim[3] = SPR_INFER_ATTR(c, RoiAlign, output_width)->i;
    return SPR_OK;
}

/* ---- Range ------------------------------------------------------------------------------------------------------- */

/* One of start, limit and delta. */
static spr_status read_number(const spr_infer *c, int input, double *f, int64_t *i) {
    const spr_desc *desc = &c->in[input].desc;
    spr_status status = spr_infer_type(c, input, SPR_TYPES_FLOAT32 | SPR_TYPE_BIT(SPR_FLOAT64) | SPR_TYPES_INDEX);
    if (!status) status = check_same_type(c, 0, input);
    if (!status && spr_desc_count(desc) != 1)
        status = spr_infer_fail(c, SPR_ERROR_SHAPE, "%s should be one number", SPR_TEXT(c, input));
    if (!status) status = spr_infer_contents(c, input);
    if (status) return status;
    float narrow;
    if (desc->dtype == SPR_FLOAT64) {
        memcpy(f, c->in[input].data, sizeof(*f));
    } else if (desc->dtype == SPR_FLOAT32) {
        memcpy(&narrow, c->in[input].data, sizeof(narrow));
        *f = narrow;
    } else {
        *i = spr_read_int(c->in[input].data, desc->dtype, 0);
        *f = (double)*i;
    }
    return SPR_OK;
}

spr_status spr_infer_range(spr_infer *c) {
    double f[3], count;
    int64_t i[3] = {0};
    spr_status status = SPR_OK;
    for (int k = 0; k < 3 && !status; k++) status = read_number(c, k, &f[k], &i[k]);
    if (status) return status;
    int floats = c->in[0].desc.dtype == SPR_FLOAT32 || c->in[0].desc.dtype == SPR_FLOAT64;
    if (f[2] == 0) return spr_infer_fail(c, SPR_ERROR_SHAPE, "delta %s should not be 0", SPR_TEXT(c, 2));
    count = ceil((f[1] - f[0]) / f[2]);
    if (!floats) { /* exactly: the numbers may be larger than a double holds, their difference than int64 */
        uint64_t span = i[2] > 0 ? (uint64_t)i[1] - (uint64_t)i[0] : (uint64_t)i[0] - (uint64_t)i[1];
        uint64_t pace = i[2] > 0 ? (uint64_t)i[2] : 0 - (uint64_t)i[2];
        count = (i[2] > 0 ? i[0] < i[1] : i[0] > i[1]) ? (double)(span / pace + (span % pace != 0)) : 0;
    }
    if (!(count < INT32_MAX))
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "the output would have 2^31 elements or more");
    c->out[0].rank = 1;
    c->out[0].dim[0] = count > 0 ? (int64_t)count : 0;
    return SPR_OK;
}
