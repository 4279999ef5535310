/* Resize: every axis is resampled by its own table of taps (input positions and weights), as the ONNX specification
   defines for each coordinate mode; the tables depend on the shapes only and are made while planning. */
#include <math.h>
#include <string.h>

#include "runtime/ops/resize.h"

/* ---- tables ------------------------------------------------------------------------------------------------------ */

typedef struct resampling {
    const char *mode, *transform, *nearest;
    double cubic_a, scale, roi_start, roi_end;
    int64_t in, out;
    int exclude_outside, antialias;
} resampling;

/* i / scale. The scales that a model has are rounded to float32, 1.6 to a little more; positions that are whole numbers
   or lie midway, where nearest decides, come out as such only where the quotient is rounded likewise. */
static double unscaled(const resampling *r, double i) {
    double in = i / r->scale;
    return strcmp(r->mode, "nearest") == 0 ? (double)(float)in : in;
}

/* Where the output position lies in the input. */
static double source(const resampling *r, double i) {
    double in = (double)r->in, out = (double)r->out;
    if (strcmp(r->transform, "asymmetric") == 0) return unscaled(r, i);
    if (strcmp(r->transform, "align_corners") == 0) return out == 1 ? 0 : i * (in - 1) / (out - 1);
    if (strcmp(r->transform, "pytorch_half_pixel") == 0) return out > 1 ? unscaled(r, i + 0.5) - 0.5 : 0;
    if (strcmp(r->transform, "tf_half_pixel_for_nn") == 0) return unscaled(r, i + 0.5);
    if (strcmp(r->transform, "tf_crop_and_resize") == 0)
        return out > 1 ? r->roi_start * (in - 1) + i * (r->roi_end - r->roi_start) * (in - 1) / (out - 1)
                       : 0.5 * (r->roi_start + r->roi_end) * (in - 1);
    if (strcmp(r->transform, "half_pixel_symmetric") == 0) {
        double adjustment = out / (r->scale * in), centre = in / 2;
        return centre * (1 - adjustment) + unscaled(r, i + 0.5) - 0.5;
    }
    return unscaled(r, i + 0.5) - 0.5; /* half_pixel */
}

static int64_t nearest(const char *mode, double x) {
    if (strcmp(mode, "floor") == 0) return (int64_t)floor(x);
    if (strcmp(mode, "ceil") == 0) return (int64_t)ceil(x);
    if (strcmp(mode, "round_prefer_ceil") == 0) return (int64_t)floor(x + 0.5);
    return (int64_t)ceil(x - 0.5); /* round_prefer_floor */
}

static double kernel_weight(const resampling *r, double distance) {
    double d = fabs(distance), a = r->cubic_a;
    if (strcmp(r->mode, "linear") == 0) return d < 1 ? 1 - d : 0;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

enum { MOST_TAPS = 1 << 20 };

/* More than MOST_TAPS if there are too many. */
static int tap_count(const resampling *r) {
    if (strcmp(r->mode, "nearest") == 0) return 1;
    double radius = strcmp(r->mode, "linear") == 0 ? 1 : 2;
    if (r->antialias && r->scale < 1) radius /= r->scale;
    return 2 * (int)ceil(radius < MOST_TAPS ? radius : MOST_TAPS);
}

static void fill_taps(const resampling *r, int64_t i, int taps, int32_t *index, float *weight) {
    double x = source(r, (double)i), sum = 0;
    int crop = strcmp(r->transform, "tf_crop_and_resize") == 0;
    if (crop && (x < 0 || x > (double)(r->in - 1))) {
        for (int t = 0; t < taps; t++) {
            index[t] = -1;
            weight[t] = t == 0;
        }
        return;
    }
    if (strcmp(r->mode, "nearest") == 0) {
        int64_t k = nearest(r->nearest, x);
        index[0] = (int32_t)(k < 0 ? 0 : k >= r->in ? r->in - 1 : k);
        weight[0] = 1;
        return;
    }
    const double last = (double)(r->in - 1);
    if (strcmp(r->mode, "linear") == 0 && taps == 2 && !r->exclude_outside && !r->antialias && (x < 0 || x >= last)) {
        /* Weights, of the first or the last position alone, that make it round as onnxruntime does (spr_bilinear). */
        index[0] = x < 0 ? 0 : (int32_t)last;
        index[1] = x < 0 && last > 0 ? 1 : index[0];
        weight[0] = index[0] == index[1] ? 0.5f : 1;
        weight[1] = 1 - weight[0];
        return;
    }
    double shrink = r->antialias && r->scale < 1 ? r->scale : 1;
    int64_t first = (int64_t)floor(x) - taps / 2 + 1;
    for (int t = 0; t < taps; t++) {
        int64_t k = first + t;
        double value = kernel_weight(r, (x - (double)k) * shrink);
        if (r->exclude_outside && (k < 0 || k >= r->in)) value = 0;
        index[t] = (int32_t)(k < 0 ? 0 : k >= r->in ? r->in - 1 : k);
        weight[t] = (float)value;
        sum += value;
    }
    if (r->exclude_outside || shrink < 1)
        for (int t = 0; t < taps; t++) weight[t] = (float)(weight[t] / sum);
}

static spr_status make_taps(spr_plan_ctx *ctx, const spr_node *node, const resampling *r, axis_taps *taps) {
    taps->taps = tap_count(r);
    if (taps->taps > MOST_TAPS)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': %lld pixels to %lld with antialias", node->name,
                        (long long)r->in, (long long)r->out);
    size_t count = (size_t)r->out * (size_t)taps->taps;
    taps->index = spr_plan_alloc(ctx, count * sizeof *taps->index + 1, "a resampling table");
    taps->weight = spr_plan_alloc(ctx, count * sizeof *taps->weight + 1, "a resampling table");
    if (!taps->index || !taps->weight) return SPR_ERROR_MEMORY;
    for (int64_t i = 0; i < r->out; i++)
        fill_taps(r, i, taps->taps, taps->index + i * taps->taps, taps->weight + i * taps->taps);
    return SPR_OK;
}

/* Position of an axis in the lists of roi, scales and sizes, -1 if it is not resized. */
static int listed_axis(const spr_step *step, int axis, int rank) {
    const spr_attr *axes = SPR_ATTR_OF(step, Resize, axes);
    if (!axes->ints.n) return axis;
    for (int i = 0; i < axes->ints.n; i++)
        if (spr_normalize_axis(axes->ints.v[i], rank) == axis) return i;
    return -1;
}

/* With sizes the scale is their ratio; with a common one (keep_aspect_ratio_policy) it is the one that led to the
   size. */
static double axis_scale(const spr_step *step, int listed, double in, double out) {
    int rank = step->in[0].desc.rank;
    if (spr_step_has(step, 2) && spr_desc_count(&step->in[2].desc)) return ((const float *)step->in[2].data)[listed];
    const char *policy = SPR_ATTR_OF(step, Resize, keep_aspect_ratio_policy)->s;
    if (strcmp(policy, "stretch") == 0) return out / in;
    int larger = strcmp(policy, "not_larger") != 0;
    double scale = 0;
    for (int i = 0, first = 1; i < rank; i++) {
        int k = listed_axis(step, i, rank);
        if (k < 0) continue;
        double ratio = (double)spr_step_int(step, 3, k) / (double)step->in[0].desc.dim[i];
        if (first || (larger ? ratio > scale : ratio < scale)) scale = ratio;
        first = 0;
    }
    return scale;
}

static int is_nearest(const spr_step *step) { return strcmp(SPR_ATTR_OF(step, Resize, mode)->s, "nearest") == 0; }
static int is_crop(const spr_step *step) {
    return strcmp(SPR_ATTR_OF(step, Resize, coordinate_transformation_mode)->s, "tf_crop_and_resize") == 0;
}

/* Of two taps, or one along an axis that stays. */
static int is_linear(const spr_step *step) {
    const resize_state *state = step->state;
    return strcmp(SPR_ATTR_OF(step, Resize, mode)->s, "linear") == 0 && state->axis[2].taps <= 2 &&
           state->axis[3].taps <= 2;
}

static SPR_COLD void find_pairs(resize_state *state, int64_t width) {
    const axis_taps *h = &state->axis[3];
    for (int64_t first = 0; first < 2; first++) {
        int64_t j = 0;
        for (; first + 2 * j + 1 < width; j++) {
            const int32_t *at = h->index + 2 * (first + 2 * j);
            if (at[0] != j || at[1] != j + 1 || at[2] != j || at[3] != j + 1 ||
                memcmp(h->weight + 2 * (first + 2 * j), h->weight + 2 * first, 4 * sizeof(float)) != 0)
                break;
        }
        if (j <= state->pairs) continue;
        state->first_pair = first;
        state->pairs = j;
    }
}

/* Whether columns 2 j and 2 j + 1 are column j of the input, and there are no others. */
static SPR_COLD int is_doubled(const axis_taps *h, int64_t width) {
    int64_t k = 0;
    while (k < width && h->index[k] == k / 2) k++;
    return k == width && width % 2 == 0;
}

static SPR_COLD spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    resize_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    step->state = state;
    state->extrapolation = (float)SPR_ATTR_OF(step, Resize, extrapolation_value)->f;
    const spr_desc *x = &step->in[0].desc, *y = &step->out[0].desc;
    if (!spr_desc_count(y)) return SPR_OK;
    state->only_planes = x->rank == 4;
    if (y->dtype == SPR_QUANTIZED) step->scratch = spr_resize_quantized_scratch(step);
    for (int i = 0; i < x->rank; i++) {
        int listed = listed_axis(step, i, x->rank), n = SPR_ATTR_OF(step, Resize, axes)->ints.n;
        if (!n) n = x->rank;
        resampling r = {
            .mode = SPR_ATTR_OF(step, Resize, mode)->s,
            .transform = SPR_ATTR_OF(step, Resize, coordinate_transformation_mode)->s,
            .nearest = SPR_ATTR_OF(step, Resize, nearest_mode)->s,
            .cubic_a = SPR_ATTR_OF(step, Resize, cubic_coeff_a)->f,
            .in = x->dim[i],
            .out = y->dim[i],
            .roi_end = 1,
            .exclude_outside = SPR_ATTR_OF(step, Resize, exclude_outside)->i != 0,
            .antialias = SPR_ATTR_OF(step, Resize, antialias)->i != 0,
        };
        r.scale = listed < 0 ? 1 : axis_scale(step, listed, (double)r.in, (double)r.out);
        int crop = strcmp(r.transform, "tf_crop_and_resize") == 0;
        if (crop && listed >= 0 && spr_step_has(step, 1) && spr_desc_count(&step->in[1].desc) == 2 * n) {
            r.roi_start = ((const float *)step->in[1].data)[listed];
            r.roi_end = ((const float *)step->in[1].data)[listed + n];
        }
        int same = r.in == r.out && r.scale == 1 && !(crop && (r.roi_start != 0 || r.roi_end != 1));
        if (same) r.mode = "nearest", r.transform = "asymmetric", r.nearest = "floor";
        if (!same && i < 2) state->only_planes = 0;
        spr_status status = make_taps(ctx, step->node, &r, &state->axis[i]);
        if (status) return status;
    }
    state->doubled = state->only_planes && is_nearest(step) && is_doubled(&state->axis[3], y->dim[3]);
    if (state->only_planes && y->dtype != SPR_QUANTIZED && is_linear(step)) {
        step->scratch = 2 * (size_t)y->dim[3] * sizeof(float);
        if (state->axis[3].taps == 2) find_pairs(state, y->dim[3]);
    }
    return SPR_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void double_row(const uint32_t *restrict x, uint32_t *restrict y, int64_t n) {
    for (int64_t k = 0; k < n; k++) y[2 * k] = y[2 * k + 1] = x[k];
}

void spr_resize_nearest(const resize_state *state, const spr_desc *xd, const spr_desc *yd, const char *x, char *y,
                        size_t size) {
    const int32_t *iy = state->axis[2].index, *ix = state->axis[3].index;
    int64_t w = yd->dim[3], row = w * (int64_t)size;
    for (int64_t i = 0; i < yd->dim[2]; i++, y += row) {
        if (i && iy[i] == iy[i - 1]) {
            memcpy(y, y - row, (size_t)row);
            continue;
        }
        const char *src = x + iy[i] * xd->dim[3] * (int64_t)size;
        if (size == 4 && state->doubled)
            double_row((const uint32_t *)src, (uint32_t *)y, w / 2);
        else if (size == 4)
            for (int64_t k = 0; k < w; k++) ((uint32_t *)y)[k] = ((const uint32_t *)src)[ix[k]];
        else
            for (int64_t k = 0; k < w; k++) memcpy(y + k * (int64_t)size, src + ix[k] * (int64_t)size, size);
    }
}

static void plane_weighted(const resize_state *state, const spr_desc *xd, const spr_desc *yd, const float *x,
                           float *y) {
    const axis_taps *v = &state->axis[2], *h = &state->axis[3];
    for (int64_t i = 0; i < yd->dim[2]; i++)
        for (int64_t k = 0; k < yd->dim[3]; k++) {
            float sum = 0;
            for (int t = 0; t < v->taps; t++) {
                const float *row = x + (int64_t)v->index[i * v->taps + t] * xd->dim[3];
                float line = 0;
                for (int u = 0; u < h->taps; u++) line += h->weight[k * h->taps + u] * row[h->index[k * h->taps + u]];
                sum += v->weight[i * v->taps + t] * line;
            }
            y[i * yd->dim[3] + k] = sum;
        }
}

static void planes_range(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_view *x = &step->in[0], *y = &step->out[0];
    size_t size = spr_dtype_size(x->desc.dtype);
    for (int64_t r = begin; r < end; r++) {
        int64_t image = r / y->desc.dim[1], channel = r % y->desc.dim[1];
        const char *from = (const char *)x->data + (image * x->stride[0] + channel * x->stride[1]) * (int64_t)size;
        char *to = (char *)y->data + (image * y->stride[0] + channel * y->stride[1]) * (int64_t)size;
        if (is_nearest(step))
            spr_resize_nearest(step->state, &x->desc, &y->desc, from, to, size);
        else
            plane_weighted(step->state, &x->desc, &y->desc, (const float *)from, (float *)to);
    }
}

/* ---- linear: each row of the input is interpolated once, then two of them -------------------------------------------- */

/* A thread's scratch memory. */
typedef struct lines {
    int64_t index[2]; /* which rows of the input; -1: none */
    float *row[2];
} lines;

static void columns(const axis_taps *h, const float *x, float *restrict y, int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++)
        y[k] = h->weight[2 * k] * x[h->index[2 * k]] + h->weight[2 * k + 1] * x[h->index[2 * k + 1]];
}

static void interpolate(const resize_state *state, const float *x, float *restrict y, int64_t width) {
    const axis_taps *h = &state->axis[3];
    const int64_t first = state->first_pair, n = state->pairs;
    columns(h, x, y, 0, first);
    columns(h, x, y, first + 2 * n, width);
    if (!n) return;
    const float a0 = h->weight[2 * first], a1 = h->weight[2 * first + 1];
    const float b0 = h->weight[2 * first + 2], b1 = h->weight[2 * first + 3];
    y += first;
    for (int64_t j = 0; j < n; j++) {
        y[2 * j] = a0 * x[j] + a1 * x[j + 1];
        y[2 * j + 1] = b0 * x[j] + b1 * x[j + 1];
    }
}

/* Row `index` of the input as wide as the output, in place of the one that is not `other`. */
static const float *line_of(lines *l, const spr_step *step, const float *x, int64_t index, int64_t other) {
    const resize_state *state = step->state;
    x += index * step->in[0].desc.dim[3];
    if (state->axis[3].taps == 1) return x;
    int at = l->index[1] == index || (l->index[0] != index && l->index[0] == other);
    if (l->index[at] != index) interpolate(state, x, l->row[at], step->out[0].desc.dim[3]);
    l->index[at] = index;
    return l->row[at];
}

static void linear_plane(const spr_step *step, const float *x, float *restrict y, float *scratch) {
    const axis_taps *v = &((const resize_state *)step->state)->axis[2];
    const int64_t width = step->out[0].desc.dim[3];
    lines l = {{-1, -1}, {scratch, scratch + width}};
    for (int64_t i = 0; i < step->out[0].desc.dim[2]; i++, y += width) {
        const int64_t first = v->index[i * v->taps], second = v->index[(i + 1) * v->taps - 1];
        const float *top = line_of(&l, step, x, first, second);
        if (v->taps == 1) {
            memcpy(y, top, (size_t)width * sizeof *y);
            continue;
        }
        const float *low = line_of(&l, step, x, second, first), a = v->weight[2 * i], b = v->weight[2 * i + 1];
        for (int64_t k = 0; k < width; k++) y[k] = a * top[k] + b * low[k];
    }
}

typedef struct linear_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    int64_t planes;
    int tasks;
} linear_job;

static void linear_task(void *arg, int task, int thread) {
    const linear_job *job = arg;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0];
    const int64_t channels = y->desc.dim[1], end = job->planes * (task + 1) / job->tasks;
    for (int64_t i = job->planes * task / job->tasks; i < end; i++)
        linear_plane(job->step, (const float *)x->data + i / channels * x->stride[0] + i % channels * x->stride[1],
                     (float *)y->data + i / channels * y->stride[0] + i % channels * y->stride[1],
                     spr_scratch(job->ctx, thread));
}

static void linear(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    linear_job job = {ctx, step, y->dim[0] * y->dim[1], 1};
    if (spr_desc_count(y) >= SPR_PARALLEL_ELEMENTS) job.tasks = SPR_TASKS_PER_THREAD * spr_pool_threads(ctx->pool);
    spr_pool_run(ctx->pool, job.tasks, linear_task, &job);
}

/* ---- any axes -------------------------------------------------------------------------------------------------------- */

/* Sum over the taps of axes `axis` and up, for the output position `index`. */
static double sum_taps(const spr_step *step, int axis, const int64_t *index, int64_t at) {
    const resize_state *state = step->state;
    const spr_view *x = &step->in[0];
    if (axis == x->desc.rank) return ((const float *)x->data)[at];
    const axis_taps *taps = &state->axis[axis];
    double sum = 0;
    for (int t = 0; t < taps->taps; t++) {
        int64_t k = index[axis] * taps->taps + t;
        if (taps->weight[k] == 0) continue;
        sum += taps->weight[k] * (taps->index[k] < 0
                                      ? (double)state->extrapolation
                                      : sum_taps(step, axis + 1, index, at + taps->index[k] * x->stride[axis]));
    }
    return sum;
}

/* Any rank, any axes: element by element. Nearest copies elements of any type, unless it extrapolates. */
static void any_range(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const resize_state *state = step->state;
    const spr_view *x = &step->in[0], *y = &step->out[0];
    size_t size = spr_dtype_size(x->desc.dtype);
    int copy = is_nearest(step) && !is_crop(step);
    for (int64_t n = begin; n < end; n++) {
        int64_t index[SPR_MAX_RANK], rest = n, put = 0, at = 0;
        for (int i = y->desc.rank - 1; i >= 0; i--) {
            index[i] = rest % y->desc.dim[i];
            rest /= y->desc.dim[i];
            put += index[i] * y->stride[i];
            if (copy) at += state->axis[i].index[index[i]] * x->stride[i];
        }
        if (copy)
            memcpy((char *)y->data + (size_t)put * size, (const char *)x->data + (size_t)at * size, size);
        else
            ((float *)y->data)[put] = (float)sum_taps(step, 0, index, 0);
    }
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const resize_state *state = step->state;
    const spr_desc *y = &step->out[0].desc;
    int64_t count = spr_desc_count(y);
    if (!count) return;
    if (y->dtype == SPR_QUANTIZED) {
        spr_resize_quantized(ctx, step);
        return;
    }
    if (state->only_planes && !is_crop(step) && is_linear(step))
        linear(ctx, step);
    else if (state->only_planes && !is_crop(step))
        spr_parallel_range(ctx, y->dim[0] * y->dim[1], spr_step_elements(step, count), planes_range,
                           (void *)(uintptr_t)step);
    else
        spr_parallel_range(ctx, count, count, any_range, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_Resize(void) { return (spr_exec){.plan = plan, .run = run}; }
