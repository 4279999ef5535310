/* RoiAlign: bins of boxes, each the mean or maximum of samples between the pixels of an image. */
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

/* Samples along one side of a bin at most, whatever box is fed. */
enum { MOST_SAMPLES = 1024 };

/* The bins of a box along one axis. */
typedef struct bins {
    float start, size;
    int64_t samples, dim;
} bins;

static bins bins_of(const spr_step *step, float begin, float end, int64_t count, int64_t dim) {
    float scale = SPR_ATTR_OF(step, RoiAlign, spatial_scale)->f;
    int half_pixel = (int)SPR_ATTR_OF(step, RoiAlign, half_pixel)->i;
    int64_t ratio = SPR_ATTR_OF(step, RoiAlign, sampling_ratio)->i;
    float offset = half_pixel ? 0.5f : 0.0f, start = begin * scale - offset, length = end * scale - offset - start;
    if (!half_pixel && length < 1) length = 1;
    bins b = {start, length / (float)count, ratio, dim};
    if (!ratio) {
        float pixels = ceilf(b.size);
        b.samples = pixels > 0 ? pixels < MOST_SAMPLES ? (int64_t)pixels : MOST_SAMPLES : 0;
    }
    return b;
}

/* The pixels around a sample, 0 if it lies outside, and their weights. */
typedef struct around {
    int inside;
    int64_t at[2];
    float weight[2];
} around;

static around sample(const bins *b, int64_t bin, int64_t i) {
    float v = b->start + (float)bin * b->size + ((float)i + 0.5f) * b->size / (float)b->samples;
    around s = {v >= -1 && v <= (float)b->dim, {0, 0}, {1, 0}};
    if (!s.inside) return s;
    if (v < 0) v = 0;
    int64_t low = (int64_t)v, last = b->dim - 1;
    s.at[0] = low < last ? low : last;
    s.at[1] = low < last ? low + 1 : last;
    s.weight[1] = low < last ? v - (float)low : 0;
    s.weight[0] = 1 - s.weight[1];
    return s;
}

static float bin_of(const float *plane, const bins *rows, const bins *columns, int64_t y, int64_t x, int maximum) {
    float result = 0;
    int first = 1;
    for (int64_t i = 0; i < rows->samples; i++) {
        around r = sample(rows, y, i);
        for (int64_t j = 0; j < columns->samples; j++) {
            around c = sample(columns, x, j);
            float part[4] = {0};
            for (int k = 0; k < 4 && r.inside && c.inside; k++)
                part[k] = plane[r.at[k / 2] * columns->dim + c.at[k % 2]] * (r.weight[k / 2] * c.weight[k % 2]);
            if (maximum) {
                float most = fmaxf(fmaxf(part[0], part[1]), fmaxf(part[2], part[3]));
                result = first ? most : fmaxf(result, most);
                first = 0;
            } else {
                result += part[0] + part[1] + part[2] + part[3];
            }
        }
    }
    int64_t count = rows->samples * columns->samples;
    return maximum || count < 2 ? result : result / (float)count;
}

static void roi_planes(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_view *x = &step->in[0], *boxes = &step->in[1], *images = &step->in[2], *y = &step->out[0];
    int maximum = !strcmp(SPR_ATTR_OF(step, RoiAlign, mode)->s, "max");
    for (int64_t i = begin; i < end; i++) {
        int64_t roi = i / y->desc.dim[1], channel = i % y->desc.dim[1];
        const float *box = (const float *)boxes->data + roi * boxes->stride[0];
        int64_t image = spr_load_int(images->data, images->desc.dtype, roi * images->stride[0]);
        image = spr_clamp_index(image, x->desc.dim[0]);
        bins columns = bins_of(step, box[0], box[2 * boxes->stride[1]], y->desc.dim[3], x->desc.dim[3]);
        bins rows = bins_of(step, box[boxes->stride[1]], box[3 * boxes->stride[1]], y->desc.dim[2], x->desc.dim[2]);
        const float *plane = (const float *)x->data + image * x->stride[0] + channel * x->stride[1];
        float *out = (float *)y->data + roi * y->stride[0] + channel * y->stride[1];
        for (int64_t row = 0; row < y->desc.dim[2]; row++)
            for (int64_t column = 0; column < y->desc.dim[3]; column++)
                *out++ = bin_of(plane, &rows, &columns, row, column, maximum);
    }
}

/* Without a sampling ratio the boxes decide how many samples there are: two by two, say. */
static SPR_COLD spr_status roi_plan(spr_plan_ctx *ctx, spr_step *step) {
    (void)ctx;
    double ratio = (double)SPR_ATTR_OF(step, RoiAlign, sampling_ratio)->i;
    step->macs = 4 * (double)spr_desc_count(&step->out[0].desc) * (ratio > 0 ? ratio * ratio : 4);
    return SPR_OK;
}

static void roi_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    int64_t worth = step->macs > 1e15 ? INT64_MAX : (int64_t)step->macs / 4;
    if (worth) spr_parallel_range(ctx, y->dim[0] * y->dim[1], worth, roi_planes, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_RoiAlign(void) { return (spr_exec){.plan = roi_plan, .run = roi_run}; }
