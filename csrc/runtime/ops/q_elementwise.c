/* Quantize, Dequantize, QPool, QBinary and QUnary. */
#include <math.h>
#include <string.h>

#include "kernels/q8_scalar.h"
#include "runtime/ops/quantized.h"

/* ---- Quantize, Dequantize ---------------------------------------------------------------------------------------- */

static SPR_COLD spr_status quantize_plan(spr_plan_ctx *ctx, spr_step *step) {
    if (step->in[0].desc.dtype == SPR_FLOAT32) step->kernel = spr_kernel_best(SPR_K_QUANTIZE_Q8, ctx->features);
    return SPR_OK;
}

/* Four planes of bytes to lines of four, and one plane from them; whole words, so that compilers make vectors of them.
   `flip` turns numbers of the planes into those of memory or back: 128 more or less is the other highest bit. */
static void join_bytes(const unsigned char *const x[4], uint32_t lanes, uint32_t flip, spr_q8 *restrict y, size_t n) {
    const unsigned char *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    for (size_t p = 0; p < n; p++) {
        uint32_t word = (uint32_t)a[p] | (uint32_t)b[p] << 8 | (uint32_t)c[p] << 16 | (uint32_t)d[p] << 24;
        word = (word ^ flip) & lanes;
        memcpy(y + 4 * p, &word, 4);
    }
}

static void split_bytes(const spr_q8 *x, int lane, unsigned flip, unsigned char *restrict y, size_t n) {
    for (size_t p = 0; p < n; p++) {
        uint32_t word;
        memcpy(&word, x + 4 * p, 4);
        y[p] = (unsigned char)(word >> 8 * lane ^ flip);
    }
}

static uint32_t flip_of(spr_dtype dtype) { return ((dtype == SPR_UINT8) ^ (SPR_Q8_SHIFT != 0)) ? 128 : 0; }

static void quantize_plane(const spr_step *step, int64_t image, int64_t group) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const spr_quantum q = SPR_QUANTUM(step, Quantize, y);
    spr_q8 *out = spr_q8_plane(y, image, group);
    size_t n = spr_q8_pixels(y);
    const char *plane[4] = {0};
    const unsigned char *bytes[4];
    for (int64_t i = 0; i < 4 && 4 * group + i < x->desc.dim[1]; i++)
        plane[i] = (const char *)x->data + (size_t)(image * x->stride[0] + (4 * group + i) * x->stride[1]) *
                                               spr_dtype_size(x->desc.dtype);
    if (step->kernel) {
        const float *const floats[4] = {(const float *)(const void *)plane[0], (const float *)(const void *)plane[1],
                                        (const float *)(const void *)plane[2], (const float *)(const void *)plane[3]};
        step->kernel->run.quantize_q8(floats, out, n, (float)q.scale, q.zero);
        return;
    }
    uint32_t lanes = 0; /* those that are channels; 0 is in the others */
    for (int i = 0; i < 4; i++) {
        if (plane[i]) lanes |= 0xffu << 8 * i;
        bytes[i] = (const unsigned char *)plane[plane[i] ? i : 0];
    }
    join_bytes(bytes, lanes, flip_of(x->desc.dtype) * 0x01010101u, out, n);
}

static void quantize_run(const spr_run_ctx *ctx, const spr_step *step) { spr_q8_each_plane(ctx, step, quantize_plane); }

static int quantize_lends(const spr_step *step) {
    (void)step;
    return 1;
}

/* Images of one pixel, whose channels lie side by side on both sides. */
static int is_row(const spr_step *step) {
    return spr_q8_pixels(&step->out[0]) == 1 && step->in[0].stride[1] == 1 && step->out[0].stride[1] == 1;
}

static SPR_COLD spr_status dequantize_plan(spr_plan_ctx *ctx, spr_step *step) {
    if (step->out[0].desc.dtype == SPR_FLOAT32 && !is_row(step))
        step->kernel = spr_kernel_best(SPR_K_DEQUANTIZE_Q8, ctx->features);
    return SPR_OK;
}

static void dequantize_row(const spr_step *step, int64_t image) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const spr_quantum q = SPR_QUANTUM(step, Dequantize, x);
    const spr_q8 *restrict in = spr_q8_plane(x, image, 0);
    const size_t n = (size_t)y->desc.dim[1], from = (size_t)(image * y->stride[0]);
    const float scale = (float)q.scale;
    float *restrict floats = (float *)y->data + from;
    unsigned char *restrict bytes = (unsigned char *)y->data + from;
    if (y->desc.dtype == SPR_FLOAT32)
        for (size_t c = 0; c < n; c++) floats[c] = (float)(in[c] - q.zero) * scale;
    else
        for (size_t c = 0; c < n; c++) bytes[c] = (unsigned char)((uint32_t)in[c] ^ flip_of(y->desc.dtype));
}

static void dequantize_plane(const spr_step *step, int64_t image, int64_t group) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const spr_quantum q = SPR_QUANTUM(step, Dequantize, x);
    const spr_q8 *in = spr_q8_plane(x, image, group);
    size_t n = spr_q8_pixels(y);
    char *plane[4] = {0};
    for (int64_t i = 0; i < 4 && 4 * group + i < y->desc.dim[1]; i++)
        plane[i] = (char *)y->data +
                   (size_t)(image * y->stride[0] + (4 * group + i) * y->stride[1]) * spr_dtype_size(y->desc.dtype);
    if (step->kernel) {
        float *const floats[4] = {(float *)(void *)plane[0], (float *)(void *)plane[1], (float *)(void *)plane[2],
                                  (float *)(void *)plane[3]};
        step->kernel->run.dequantize_q8(in, floats, n, (float)q.scale, q.zero);
        return;
    }
    for (int i = 0; i < 4 && plane[i]; i++)
        split_bytes(in, i, flip_of(y->desc.dtype), (unsigned char *)plane[i], n);
}

static void dequantize_run(const spr_run_ctx *ctx, const spr_step *step) {
    if (is_row(step))
        for (int64_t image = 0; image < step->out[0].desc.dim[0]; image++) dequantize_row(step, image);
    else
        spr_q8_each_plane(ctx, step, dequantize_plane);
    spr_view_zero_padding(&step->out[0]);
}

/* ---- QPool ------------------------------------------------------------------------------------------------------- */

static SPR_COLD spr_status pool_plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *x = &step->in[0].desc;
    const spr_attr *shape = SPR_ATTR_OF(step, QPool, kernel_shape);
    const char *kind = SPR_ATTR_OF(step, QPool, kind)->s;
    const spr_quantum qx = SPR_QUANTUM(step, QPool, x), qy = SPR_QUANTUM(step, QPool, y);
    spr_pool_q8_args *a = spr_plan_alloc(ctx, sizeof *a, "a layer");
    if (!a) return SPR_ERROR_MEMORY;
    step->state = a;
    step->kernel = spr_kernel_best(SPR_K_POOL_Q8, ctx->features);
    if (!spr_desc_count(&step->out[0].desc)) return SPR_OK;
    uint32_t h = (uint32_t)x->dim[2], w = (uint32_t)x->dim[3];
    *a = (spr_pool_q8_args){
        .x_stride = (size_t)step->in[0].stride[1],
        .y_stride = (size_t)step->out[0].stride[1],
        .scale = (float)(qx.scale / qy.scale),
        .x_zero = qx.zero,
        .y_zero = qy.zero,
        .lo = SPR_Q8_MIN,
        .hi = SPR_Q8_MAX,
        .win = {.ih = h, .iw = w, .oh = 1, .ow = 1, .kh = h, .kw = w, .sh = 1, .sw = 1, .dh = 1, .dw = 1},
        .kind = !strcmp(kind, "max")       ? SPR_POOL_MAX
                : !strcmp(kind, "average") ? SPR_POOL_AVG
                                           : SPR_POOL_AVG_INCLUDE_PAD,
    };
    if (SPR_ATTR_OF(step, QPool, in_order)->i) {
        step->kernel = NULL;
        if (a->kind != SPR_POOL_AVG)
            return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': only plain averages are taken in order",
                            step->node->name);
    }
    if (shape->ints.n != 2) return SPR_OK;
    return spr_resolve_window(step->graph, step->node, h, w, shape->ints.v[0], shape->ints.v[1], &a->win, ctx->err);
}

/* The mean of a group's window by sums of float32 in the order of the taps. */
static void mean_in_order(const spr_pool_q8_args *a, int64_t top, int64_t left, float x_scale, float y_scale,
                          spr_q8 *y) {
    const spr_window *w = &a->win;
    float sum[SPR_Q8_GROUP] = {0}, count = 0;
    for (int64_t iy = top; iy < top + (int64_t)w->kh * w->dh; iy += w->dh)
        for (int64_t ix = left; ix < left + (int64_t)w->kw * w->dw; ix += w->dw) {
            if (iy < 0 || iy >= w->ih || ix < 0 || ix >= w->iw) continue;
            for (int i = 0; i < SPR_Q8_GROUP; i++)
                sum[i] += (float)((int32_t)a->x[(iy * w->iw + ix) * SPR_Q8_GROUP + i] - a->x_zero) * x_scale;
            count++;
        }
    for (int i = 0; i < SPR_Q8_GROUP; i++) y[i] = spr_q8_round(sum[i] / count / y_scale, a->y_zero, a->lo, a->hi);
}

static void mean_plane(const spr_step *step, int64_t image, int64_t group) {
    const spr_quantum qx = SPR_QUANTUM(step, QPool, x), qy = SPR_QUANTUM(step, QPool, y);
    spr_pool_q8_args a = *(const spr_pool_q8_args *)step->state;
    spr_q8 *y = spr_q8_plane(&step->out[0], image, group);
    a.x = spr_q8_plane(&step->in[0], image, group);
    for (uint32_t oy = 0; oy < a.win.oh; oy++)
        for (uint32_t ox = 0; ox < a.win.ow; ox++, y += SPR_Q8_GROUP)
            mean_in_order(&a, (int64_t)oy * a.win.sh - a.win.pt, (int64_t)ox * a.win.sw - a.win.pl, (float)qx.scale,
                          (float)qy.scale, y);
}

/* As many groups at once as lie together: the kernel finds their windows once. */
static void pool_range(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    spr_pool_q8_args a = *(const spr_pool_q8_args *)step->state;
    const int64_t groups = spr_q8_groups(&step->out[0]);
    for (int64_t image = begin / groups; image * groups < end; image++) {
        a.x = spr_q8_plane(&step->in[0], image, 0);
        a.y = spr_q8_plane(&step->out[0], image, 0);
        a.group0 = (uint32_t)(begin > image * groups ? begin - image * groups : 0);
        a.group1 = (uint32_t)(end < (image + 1) * groups ? end - image * groups : groups);
        step->kernel->run.pool_q8(&a);
    }
}

static void pool_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    if (!step->kernel)
        spr_q8_each_plane(ctx, step, mean_plane);
    else if (spr_desc_count(y))
        spr_parallel_range(ctx, y->dim[0] * spr_q8_groups(&step->out[0]), spr_desc_count(y), pool_range,
                           (void *)(uintptr_t)step);
}

/* ---- QBinary ----------------------------------------------------------------------------------------------------- */

static SPR_COLD spr_status binary_plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_quantum a = SPR_QUANTUM(step, QBinary, a), b = SPR_QUANTUM(step, QBinary, b),
                      y = SPR_QUANTUM(step, QBinary, y);
    const char *fn = SPR_ATTR_OF(step, QBinary, fn)->s;
    spr_binary_q8 *f = spr_plan_alloc(ctx, sizeof *f, "a layer");
    spr_act act;
    if (!f) return SPR_ERROR_MEMORY;
    spr_status status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, QBinary, act), SPR_ATTR_OF(step, QBinary, act_a),
                                     SPR_ATTR_OF(step, QBinary, act_b), -1, 1, &act);
    int mul = !strcmp(fn, "mul");
    step->state = f;
    step->kernel = spr_kernel_best(SPR_K_BINARY_Q8, ctx->features);
    const float as = (float)a.scale, bs = (float)b.scale, ys = (float)y.scale;
    *f = (spr_binary_q8){.f = mul                  ? SPR_BIN_MUL
                              : !strcmp(fn, "sub") ? SPR_BIN_SUB
                                                   : SPR_BIN_ADD,
                         .a_zero = a.zero,
                         .b_zero = b.zero,
                         .y_zero = y.zero,
                         .a_scale = mul ? as * bs / ys : as / ys,
                         .b_scale = mul ? 1 : bs / ys};
    spr_q8_bounds(&act, &y, &f->lo, &f->hi);
    return status;
}

static void binary_plane(const spr_step *step, int64_t image, int64_t group) {
    const spr_view *a = &step->in[0], *b = &step->in[1], *y = &step->out[0];
    size_t n = spr_q8_pixels(y);
    step->kernel->run.binary_q8(step->state, spr_q8_plane(a, image, group), spr_q8_pixels(a) == n,
                                spr_q8_plane(b, image, group), spr_q8_pixels(b) == n, spr_q8_plane(y, image, group), n);
}

static void binary_run(const spr_run_ctx *ctx, const spr_step *step) { spr_q8_each_plane(ctx, step, binary_plane); }

/* ---- QUnary ------------------------------------------------------------------------------------------------------ */

/* y of each of the 256 values that x can have. */
static SPR_COLD spr_status unary_plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_quantum x = SPR_QUANTUM(step, QUnary, x), y = SPR_QUANTUM(step, QUnary, y);
    spr_q8 *table = spr_plan_alloc(ctx, 256, "a table");
    const float mul = (float)SPR_ATTR_OF(step, QUnary, mul)->f, add = (float)SPR_ATTR_OF(step, QUnary, add)->f;
    spr_act act;
    if (!table) return SPR_ERROR_MEMORY;
    spr_status status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, QUnary, fn), SPR_ATTR_OF(step, QUnary, a),
                                     SPR_ATTR_OF(step, QUnary, b), -1, 1, &act);
    if (status) return status;
    for (int i = 0; i < 256; i++) {
        spr_q8 q = (spr_q8)i;
        float v = (float)(x.scale * ((int32_t)q - x.zero)) * mul + add;
        if (act.fn != SPR_FN_NONE) spr_unary_f32_ref(&v, &v, 1, &act);
        double quanta = nearbyint(v / (float)y.scale) + y.zero;
        /* NaN: the least */
        table[i] = (spr_q8)(quanta >= SPR_Q8_MIN ? quanta <= SPR_Q8_MAX ? quanta : SPR_Q8_MAX : SPR_Q8_MIN);
    }
    step->state = table;
    step->kernel = spr_kernel_best(SPR_K_TABLE_Q8, ctx->features);
    return SPR_OK;
}

static void unary_plane(const spr_step *step, int64_t image, int64_t group) {
    step->kernel->run.table_q8(spr_q8_plane(&step->in[0], image, group), spr_q8_plane(&step->out[0], image, group),
                               spr_q8_pixels(&step->out[0]), step->state);
}

static void unary_run(const spr_run_ctx *ctx, const spr_step *step) { spr_q8_each_plane(ctx, step, unary_plane); }

spr_exec spr_exec_Quantize(void) {
    return (spr_exec){.plan = quantize_plan, .lends = quantize_lends, .run = quantize_run};
}
spr_exec spr_exec_Dequantize(void) { return (spr_exec){.plan = dequantize_plan, .run = dequantize_run}; }
spr_exec spr_exec_QPool(void) { return (spr_exec){.plan = pool_plan, .run = pool_run}; }
spr_exec spr_exec_QBinary(void) { return (spr_exec){.in_place = 3u, .plan = binary_plan, .run = binary_run}; }
spr_exec spr_exec_QUnary(void) { return (spr_exec){.in_place = 1u, .plan = unary_plan, .run = unary_run}; }
