#include "runtime/ops/unroll.h"

#include <stdio.h>
#include <string.h>

#include "runtime/ops/ops.h"

struct spr_unrolled {
    spr_conv_shape shape;
    spr_pointwise pw;
    uint32_t k, pixels;
    uint32_t stripe, stripes; /* pixels unrolled at a time, a multiple of SPR_PX unless there is one stripe only */
    size_t stride;            /* floats between unrolled planes */
    int shifts;               /* a tap's plane is the input's, shifted, but for columns beyond its ends */
    int64_t first, last;      /* then: the least and the greatest shift */
    const uint32_t *column;   /* then: [kw][pixels and a line], all ones where the tap stands within the row, else 0 */
    size_t planes_bytes;      /* of the unrolled planes at the beginning of a thread's scratch, if there are stripes */
};

/* ---- unrolling --------------------------------------------------------------------------------------------------- */

static size_t column_stride(const spr_unrolled *u) { return spr_round_up(u->pixels, SPR_PX); }

static int shifts(const spr_window *win) { return win->sh == 1 && win->sw == 1 && win->ow == win->iw; }

static int64_t shift_of(const spr_window *win, uint32_t ky, uint32_t kx) {
    return ((int64_t)ky * win->dh - win->pt) * win->iw + (int64_t)kx * win->dw - win->pl;
}

/* Taps of one channel for pixels [p0, p1): kh * kw planes at dst. `window` has room for the pixels that any tap
   reads. */
static void unroll_shifted(const spr_unrolled *u, const float *x, size_t p0, size_t p1, float *dst, uint32_t *window) {
    const spr_window *win = &u->shape.win;
    const int64_t begin = (int64_t)p0 + u->first, end = (int64_t)p1 + u->last, all = (int64_t)win->ih * win->iw;
    const int64_t lo = begin < 0 ? 0 : begin > all ? all : begin, hi = end < lo ? lo : end > all ? all : end;
    const size_t lanes = spr_round_up(p1 - p0, SPR_PX);
    memset(window, 0, (size_t)(lo - begin) * sizeof *window);
    memcpy(window + (lo - begin), x + lo, (size_t)(hi - lo) * sizeof *window);
    memset(window + (hi - begin), 0, ((size_t)(end - hi) + SPR_PX) * sizeof *window);
    for (uint32_t ky = 0; ky < win->kh; ky++)
        for (uint32_t kx = 0; kx < win->kw; kx++, dst += u->stride) {
            const uint32_t *from = window + (shift_of(win, ky, kx) - u->first),
                           *mask = u->column + kx * column_stride(u) + p0;
            uint32_t *to = (uint32_t *)(void *)dst;
            for (size_t i = 0; i < lanes; i++) to[i] = from[i] & mask[i];
        }
}

/* Output columns [0, *before) and [*behind, ow) of a row have their tap kx outside the image. */
static void columns_inside(const spr_window *win, uint32_t kx, uint32_t *before, uint32_t *behind) {
    int64_t at = (int64_t)kx * win->dw - win->pl; /* input column of output column 0 */
    int64_t lo = at < 0 ? (-at + win->sw - 1) / win->sw : 0,
            hi = at < win->iw ? (win->iw - at + win->sw - 1) / win->sw : 0;
    if (hi > win->ow) hi = win->ow;
    *before = (uint32_t)(lo < hi ? lo : hi);
    *behind = (uint32_t)hi;
}

/* The same for any window, row by row. */
static void unroll_any(const spr_unrolled *u, const float *x, size_t p0, size_t p1, float *dst) {
    const spr_window *win = &u->shape.win;
    const uint32_t oy0 = (uint32_t)(p0 / win->ow);
    for (uint32_t ky = 0; ky < win->kh; ky++)
        for (uint32_t kx = 0; kx < win->kw; kx++, dst += u->stride) {
            uint32_t before, behind;
            columns_inside(win, kx, &before, &behind);
            int64_t iy = (int64_t)oy0 * win->sh - win->pt + (int64_t)ky * win->dh;
            float *to = dst;
            uint32_t ox = (uint32_t)(p0 % win->ow);
            for (size_t p = p0; p < p1; iy += win->sh, ox = 0) {
                const uint32_t end = p1 - p < win->ow - ox ? ox + (uint32_t)(p1 - p) : win->ow;
                const int inside = iy >= 0 && iy < win->ih;
                const float *row = x + (inside ? iy * win->iw + (int64_t)kx * win->dw - win->pl : 0);
                const uint32_t hi = inside ? behind < end ? behind : end : 0;
                p += end - ox;
                for (; ox < end && (!inside || ox < before); ox++) *to++ = 0;
                for (const size_t step = win->sw; ox < hi; ox++) *to++ = row[ox * step];
                for (; ox < end; ox++) *to++ = 0;
            }
            memset(to, 0, (spr_round_up(p1 - p0, SPR_PX) - (p1 - p0)) * sizeof *to);
        }
}

static void unroll(const spr_unrolled *u, const float *x, size_t p0, size_t p1, float *dst, void *window) {
    if (u->shifts)
        unroll_shifted(u, x, p0, p1, dst, window);
    else
        unroll_any(u, x, p0, p1, dst);
}

static size_t window_bytes(const spr_unrolled *u) {
    return u->shifts ? ((size_t)(u->last - u->first) + u->stripe + SPR_PX) * sizeof(float) : 0;
}

/* Images of one pixel lie without gaps, but kernels write vectors: the output of one such image, with room for them. */
static size_t single_bytes(const spr_unrolled *u) { return (size_t)u->shape.oc * SPR_PX * sizeof(float); }

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* Bytes of unrolled planes that stay in L2 beside weights and outputs. */
static size_t planes_budget(uint32_t features) {
    if (features & SPR_ISA_AVX2) return 768 << 10;
    return features & SPR_ISA_INORDER ? 128 << 10 : 256 << 10;
}

/* Cycles to unroll a pixel of a plane, shifted or row by row: measured on ResNet-18's layers with AVX-512; on ARM by
   counting instructions, four pixels to a vector. */
static double unroll_cycles(const spr_window *win, uint32_t features) {
    if (features & SPR_ISA_AVX2) return shifts(win) ? 0.5 : 1.0;
    return (shifts(win) ? 0.75 : 2.0) * (features & SPR_ISA_INORDER ? 2 : 1);
}

/* Cycles of a dense convolution in those of a dense pointwise layer with as many multiply-accumulates, measured
   likewise. */
#define DENSE_CYCLES 1.0
#define SPARSE_MARGIN 0.9 /* estimates err, and sparse must not lose */

/* Pixels of a stripe: all, or whole tiles of the kernels, and enough stripes for the threads. */
static void choose_stripes(const spr_plan_ctx *ctx, size_t images, spr_unrolled *u) {
    size_t fit = planes_budget(ctx->features) / (sizeof(float) * u->k),
           tile = spr_kernel_best(SPR_K_PW_CSR, ctx->features)->cost.tile;
    tile = spr_round_up(tile, SPR_PX);
    if (u->pixels <= fit || u->pixels <= tile) {
        u->stripe = u->pixels;
    } else {
        size_t want = ctx->threads > 1 ? SPR_TASKS_PER_THREAD * (size_t)ctx->threads / images : 1, tiles = fit / tile;
        size_t most = u->pixels / tile / (want ? want : 1);
        if (tiles > most) tiles = most;
        u->stripe = (uint32_t)((tiles ? tiles : 1) * tile);
    }
    u->stripes = (u->pixels + u->stripe - 1) / u->stripe;
    u->stride = (spr_round_up(u->stripe, SPR_PX) / SPR_PX | 1) * SPR_PX;
}

static SPR_COLD spr_status plan_shifts(spr_plan_ctx *ctx, spr_unrolled *u) {
    const spr_window *win = &u->shape.win;
    u->shifts = shifts(win);
    if (!u->shifts) return SPR_OK;
    u->first = shift_of(win, 0, 0);
    u->last = shift_of(win, win->kh - 1, win->kw - 1);
    size_t stride = column_stride(u);
    uint32_t *column = spr_plan_alloc(ctx, win->kw * stride * sizeof *column, "masks of columns");
    if (!column) return SPR_ERROR_MEMORY;
    for (uint32_t kx = 0; kx < win->kw; kx++)
        for (size_t p = 0; p < stride; p++) {
            int64_t ix = (int64_t)(p % win->ow) + (int64_t)kx * win->dw - win->pl;
            column[kx * stride + p] = p < u->pixels && ix >= 0 && ix < win->iw ? UINT32_MAX : 0;
        }
    u->column = column;
    return SPR_OK;
}

SPR_COLD spr_status spr_unrolled_plan(spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const float *bias,
                                      const spr_conv_shape *shape, const spr_act *act, spr_unrolled **out) {
    const spr_window *win = &shape->win;
    const size_t images = (size_t)step->in[0].desc.dim[0];
    const double k = (double)shape->ic * win->kh * win->kw;
    *out = NULL;
    spr_unrolled made = {.shape = *shape, .k = (uint32_t)k, .pixels = win->oh * win->ow};
    if (k >= 1 << 24 || (made.pixels == 1 && spr_step_has(step, 3))) return SPR_OK; /* kernels load vectors of Z */
    choose_stripes(ctx, images, &made);
    if (k * (double)made.stride * sizeof(float) >= INT32_MAX) return SPR_OK; /* kernels may keep offsets in 32 bits */

    spr_value matrix = *weights;
    matrix.desc = (spr_desc){.dtype = SPR_FLOAT32, .rank = 2, .dim = {shape->oc, made.k / shape->group}};
    spr_pointwise_use use = {.pixels = made.pixels, .images = images, .x_stride = made.stride, .groups = shape->group};
    if (made.stripes > 1) use.part_pixels = made.stripe;
    spr_work work = spr_pointwise_work(&matrix, &use);
    const spr_kernel *csr = spr_kernel_best(SPR_K_PW_CSR, ctx->features),
                     *pair = spr_kernel_best(SPR_K_PW_2X1, ctx->features);
    const double dense =
        DENSE_CYCLES * spr_estimate(spr_kernel_best(SPR_K_PW_DENSE, ctx->features), ctx->features, &work);
    work.channels = k;
    const double copies = unroll_cycles(win, ctx->features) * k * (double)made.pixels * (double)images;
    const double cycles[2] = {copies + spr_estimate(csr, ctx->features, &work),
                              copies + spr_estimate(pair, ctx->features, &work)};
    const int two = cycles[1] < cycles[0];
    const int wins = cycles[two] < SPARSE_MARGIN * dense;
    snprintf(step->reason, sizeof step->reason, "%s%ux%u: kcycles: dense %.0f csr %.0f 2x1 %.0f",
             shape->group > 1 ? "grouped " : "", win->kh, win->kw, dense / 1e3, cycles[0] / 1e3, cycles[1] / 1e3);
    if (!wins && ctx->sparse != SPR_SPARSE_ALWAYS) return SPR_OK;
    if (!wins) {
        size_t used = strlen(step->reason);
        snprintf(step->reason + used, sizeof step->reason - used, " (sparse=always)");
    }

    spr_unrolled *u = spr_plan_alloc(ctx, sizeof *u, "a layer");
    if (!u) return SPR_ERROR_MEMORY;
    *u = made;
    spr_status status = plan_shifts(ctx, u);
    if (status) return status;
    step->kernel = two ? pair : csr;
    size_t planes = u->k * u->stride * sizeof(float);
    if (u->stripes == 1) {
        step->workspace_bytes = images * (planes + (u->pixels == 1 ? single_bytes(u) : 0));
        step->scratch = window_bytes(u);
        status = spr_pointwise_make(ctx, &matrix, bias, step->kernel, &use, act, &u->pw, &step->packed_bytes);
        step->balance = u->pw.balance;
    } else {
        spr_plan_ctx alone = *ctx; /* a stripe's rows are not split */
        alone.threads = 1;
        u->planes_bytes = spr_round_up(planes, SPR_LINE);
        step->scratch = u->planes_bytes + window_bytes(u);
        status = spr_pointwise_make(&alone, &matrix, bias, step->kernel, &use, act, &u->pw, &step->packed_bytes);
        spr_loads loads = {.threads = ctx->threads};
        for (size_t image = 0; image < images; image++)
            for (uint32_t p = 0; p < u->pixels; p += u->stripe)
                spr_loads_add(&loads, u->pixels - p < u->stripe ? u->pixels - p : u->stripe);
        step->balance = ctx->threads > 1 ? spr_loads_balance(&loads) : 0;
    }
    if (!status) *out = u;
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct unroll_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    const spr_unrolled *u;
    const spr_view *z;
} unroll_job;

/* One channel of one image, all pixels, into the workspace. */
static void channel_task(void *arg, int task, int thread) {
    const unroll_job *job = arg;
    const spr_unrolled *u = job->u;
    const spr_view *x = &job->step->in[0];
    const size_t channel = (size_t)task % u->shape.ic, image = (size_t)task / u->shape.ic;
    const float *plane = (const float *)x->data + image * (size_t)x->stride[0] + channel * (size_t)x->stride[1];
    const size_t taps = (size_t)u->shape.win.kh * u->shape.win.kw;
    float *dst = (float *)job->step->workspace + (image * u->k + channel * taps) * u->stride;
    unroll(u, plane, 0, u->pixels, dst, spr_scratch(job->ctx, thread));
}

/* One stripe of one image: all taps into scratch, and all rows from there. */
static void stripe_task(void *arg, int task, int thread) {
    const unroll_job *job = arg;
    const spr_unrolled *u = job->u;
    const uint32_t stripe = (uint32_t)task % u->stripes, p0 = stripe * u->stripe;
    const uint32_t p1 = u->pixels - p0 < u->stripe ? u->pixels : p0 + u->stripe;
    spr_part part = spr_part_of(&job->step->in[0], &job->step->out[0], job->z, (size_t)task / u->stripes);
    const size_t taps = (size_t)u->shape.win.kh * u->shape.win.kw;
    char *scratch = spr_scratch(job->ctx, thread);
    float *planes = (float *)(void *)scratch;
    for (size_t c = 0; c < u->shape.ic; c++)
        unroll(u, part.x + c * part.x_stride, p0, p1, planes + c * taps * u->stride, scratch + u->planes_bytes);
    part.x = (const float *)((uintptr_t)planes - p0 * sizeof(float)); /* where pixel 0 would lie */
    part.x_stride = u->stride;
    part.begin = p0;
    part.end = p1;
    spr_pointwise_run_part(&u->pw, &part, 0, u->pw.n);
}

void spr_unrolled_run(const spr_run_ctx *ctx, const spr_step *step, const spr_unrolled *u) {
    const spr_view *y = &step->out[0], *z = spr_step_has(step, 3) ? &step->in[3] : NULL;
    unroll_job job = {ctx, step, u, z};
    const int images = (int)y->desc.dim[0];
    if (u->stripes > 1) {
        spr_pool_run(ctx->pool, (int)u->stripes * images, stripe_task, &job);
        return;
    }
    spr_pool_run(ctx->pool, (int)u->shape.ic * images, channel_task, &job);
    spr_view x = {.desc = y->desc, .data = step->workspace};
    x.desc.dim[1] = u->k;
    x.stride[0] = (int64_t)(u->k * u->stride);
    x.stride[1] = (int64_t)u->stride;
    x.stride[2] = y->desc.dim[3];
    x.stride[3] = 1;
    if (u->pixels > 1) {
        spr_pointwise_run(ctx, &u->pw, &x, y, z);
        return;
    }
    spr_view wide = *y;
    wide.data = (char *)step->workspace + (size_t)images * u->k * u->stride * sizeof(float);
    wide.stride[0] = (int64_t)u->shape.oc * SPR_PX;
    wide.stride[1] = SPR_PX;
    spr_pointwise_run(ctx, &u->pw, &x, &wide, NULL);
    spr_view_copy(ctx, &wide, y);
}
