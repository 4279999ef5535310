/* The mean of each channel of an image, for GlobalAveragePool where images may lie in strips: it is added up in parts
   of the image that do not depend on how many strips there are, and neither do the results. */
#include "runtime/ops/pool_mean.h"

#if SPR_STRIPS
#include "runtime/ops/ops.h"

#define MEAN_PIECE 4096 /* floats: a longer sum of equal numbers drifts, as all its steps round the same way */

typedef float mean_lanes __attribute__((vector_size(16)));
typedef float mean_lanes_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

SPR_INLINE mean_lanes load_lanes(const float *x) { return *(const mean_lanes_anywhere *)x; }

/* The sum of n floats, in four lanes that are not added up yet. */
static mean_lanes sum_piece(const float *x, size_t n) {
    mean_lanes a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0}, last = {0};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        a += load_lanes(x + i);
        b += load_lanes(x + i + 4);
        c += load_lanes(x + i + 8);
        d += load_lanes(x + i + 12);
        e += load_lanes(x + i + 16);
        f += load_lanes(x + i + 20);
        g += load_lanes(x + i + 24);
        h += load_lanes(x + i + 28);
    }
    for (; i + 8 <= n; i += 8) {
        a += load_lanes(x + i);
        b += load_lanes(x + i + 4);
    }
    if (i + 4 <= n) {
        c += load_lanes(x + i);
        i += 4;
    }
    if (i + 1 <= n) last[0] = x[i];
    if (i + 2 <= n) last[1] = x[i + 1];
    if (i + 3 <= n) last[2] = x[i + 2];
    return ((a + b) + (c + d)) + ((e + f) + (g + h)) + last;
}

static mean_lanes sum_part(const float *x, size_t n) {
    mean_lanes sum = {0};
    for (size_t i = 0; i < n; i += MEAN_PIECE) sum += sum_piece(x + i, n - i < MEAN_PIECE ? n - i : MEAN_PIECE);
    return sum;
}

/* `parts`, 1, 2 or 4 of them, n floats each. */
static mean_lanes sum_parts(const float *x, size_t n, uint32_t parts) {
    mean_lanes sum = sum_part(x, n);
    if (parts > 1) sum += sum_part(x + n, n);
    if (parts > 2) sum += sum_part(x + 2 * n, n) + sum_part(x + 3 * n, n);
    return sum;
}

typedef struct mean_job {
    const spr_step *step;
    uint32_t parts; /* of the image, or of a strip */
    size_t n;       /* floats of a part */
} mean_job;

static float mean_of(mean_lanes sum, size_t n) { return ((sum[0] + sum[1]) + (sum[2] + sum[3])) / (float)n; }

/* Planes [begin, end) of all images. */
static void mean_planes(void *arg, int64_t begin, int64_t end) {
    const mean_job *job = arg;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0];
    const int64_t channels = x->desc.dim[1];
    for (int64_t p = begin; p < end; p++) {
        int64_t image = p / channels, c = p % channels;
        const float *plane = (const float *)x->data + image * x->stride[0] + c * x->stride[1];
        mean_lanes sum = sum_parts(plane, job->n, job->parts);
        ((float *)y->data)[image * y->stride[0] + c * y->stride[1]] = mean_of(sum, job->n * job->parts);
    }
}

/* The sums of a strip's channels, four lanes each. */
static void sum_strip(void *arg, int task, int thread) {
    (void)thread;
    const mean_job *job = arg;
    const spr_view *x = &job->step->in[0];
    const int64_t channels = x->desc.dim[1];
    mean_lanes *sums = (mean_lanes *)job->step->workspace + task * channels;
    for (int64_t c = 0; c < channels; c++)
        sums[c] = sum_parts((const float *)x->data + task * x->stride[0] + c * x->stride[1], job->n, job->parts);
}

void spr_pool_mean_plan(spr_step *step) {
    const spr_view *x = &step->in[0];
    if (x->strips) step->workspace_bytes = (size_t)(x->strips * x->desc.dim[1]) * sizeof(mean_lanes);
}

void spr_pool_mean(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    spr_desc desc;
    const spr_desc *whole = spr_strips_whole(x, &desc);
    const size_t pixels = (size_t)(whole->dim[2] * whole->dim[3]);
    const uint32_t parts = whole->dim[2] % 4 == 0 ? 4 : whole->dim[2] % 2 == 0 ? 2 : 1;
    mean_job job = {step, parts, pixels / parts};
    if (!x->strips) {
        spr_parallel_range(ctx, x->desc.dim[0] * x->desc.dim[1], spr_desc_count(&x->desc), mean_planes, &job);
        return;
    }
    job.parts /= x->strips;
    spr_pool_run(ctx->pool, (int)x->strips, sum_strip, &job);
    const mean_lanes *sums = step->workspace;
    const int64_t channels = x->desc.dim[1];
    for (int64_t c = 0; c < channels; c++) {
        mean_lanes sum = sums[c] + sums[channels + c];
        if (x->strips == 4) sum += sums[2 * channels + c] + sums[3 * channels + c];
        ((float *)y->data)[c * y->stride[1]] = mean_of(sum, pixels);
    }
}
#endif
