/* QConv. 1x1 layers go to the pointwise kernels as they lie in memory; other windows too, on a band of the padded input in scratch
   memory, where each tap of the window is one more group of channels at a fixed distance; depthwise layers have kernels of
   their own. Grouped layers are such with many zeros. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/compress.h"
#include "runtime/ops/pointwise.h"
#include "runtime/ops/quantized.h"

typedef enum way { WAY_POINTWISE, WAY_WINDOW, WAY_DEPTHWISE } way;

/* A band of padded rows in scratch: stride by stride phases of the input, in each of which neighbours of the output are neighbours. */
typedef struct band {
    uint32_t rows;               /* of the output, at most */
    uint32_t width;              /* pixels of a row, those between the rows' ends included */
    uint32_t phases_y, phases_x;
    uint32_t lines;              /* rows of a phase */
    size_t plane;                /* pixels of a phase of a group */
    size_t run;                  /* pixels of the result's planes */
    size_t x_bytes, y_bytes, z_bytes; /* of scratch, each a multiple of SPR_LINE */
} band;

typedef struct q_conv {
    way way;
    spr_window win;
    uint32_t ic, oc, group;
    const spr_kernel *kernel;
    void *packed;
    spr_q8_finish finish;
    spr_q8 x_zero;
    band band;
    uint32_t rows_per_task, row_tasks; /* of output channels (pointwise), of groups (depthwise) or of the image (windows) */
    uint32_t px_per_task, px_tasks;    /* pixels, or rows of the image (depthwise) */
} q_conv;

void spr_q8_bounds(spr_act *act, const spr_quantum *y, int32_t *lo, int32_t *hi) {
    *lo = SPR_Q8_MIN;
    *hi = SPR_Q8_MAX;
    if (act->fn != SPR_FN_CLIP) return;
    double low = fmin(fmax(nearbyint(act->a / y->scale) + y->zero, SPR_Q8_MIN), SPR_Q8_MAX);
    double high = fmin(fmax(nearbyint(act->b / y->scale) + y->zero, SPR_Q8_MIN), SPR_Q8_MAX);
    *lo = (int32_t)low;
    *hi = (int32_t)fmax(low, high);
    act->fn = SPR_FN_NONE;
}

/* ---- planning ------------------------------------------------------------------------------------------------------------------ */

static spr_status plan_finish(spr_plan_ctx *ctx, const spr_step *step, q_conv *s) {
    const spr_quantum y = SPR_QUANTUM(step, QConv, y), z = SPR_QUANTUM(step, QConv, z);
    spr_q8_finish *f = &s->finish;
    spr_status status = spr_plan_act(ctx, step, SPR_ATTR_OF(step, QConv, act), SPR_ATTR_OF(step, QConv, act_a),
                                     SPR_ATTR_OF(step, QConv, act_b), 5, s->oc, &f->act);
    if (status) return status;
    if (!SPR_ACT_IN_REGISTERS(f->act.fn))
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': activation '%s' is not possible in 8 bits; QUnary does it",
                        step->node->name, spr_function_name(f->act.fn));
    f->to_float = y.scale == 0;
    f->z_zero = z.zero;
    f->z_scale = (float)z.scale;
    if (f->to_float) return SPR_OK;
    f->y_zero = y.zero;
    f->y_inv = (float)(1 / y.scale);
    spr_q8_bounds(&f->act, &y, &f->lo, &f->hi);
    if (f->act.fn == SPR_FN_NONE) f->z_scale = (float)(z.scale / y.scale);
    return SPR_OK;
}

/* Scales of the sums, and the bias with what the zero of x contributes; fails where a sum might not fit int32. */
static spr_status plan_rows(spr_plan_ctx *ctx, const spr_step *step, const q_conv *s, const int16_t *w, size_t taps,
                            float *scale, int32_t *bias) {
    const spr_quantum x = SPR_QUANTUM(step, QConv, x), y = SPR_QUANTUM(step, QConv, y);
    const float *given = step->in[2].data;
    const int32_t *b = spr_step_has(step, 3) ? step->in[3].data : NULL;
    int one = spr_desc_count(&step->in[2].desc) == 1, in_quanta = !s->finish.to_float && s->finish.act.fn == SPR_FN_NONE;
    if (!given || (spr_step_has(step, 3) && !b))
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': scales and bias must be constant", step->node->name);
    for (uint32_t row = 0; row < s->oc; row++) {
        int64_t sum = b ? b[row] : 0, size = 0;
        double quantum = x.scale * given[one ? 0 : row];
        for (size_t i = 0; i < taps; i++) {
            sum -= (int64_t)x.zero * w[row * taps + i];
            size += 255 * llabs((long long)w[row * taps + i]);
        }
        if (!(quantum >= 0 && quantum <= 3e38) || llabs((long long)sum) + size > INT32_MAX)
            return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': row %u of weights '%s': %s", step->node->name, row,
                            spr_step_value(step, 1)->name,
                            quantum >= 0 && quantum <= 3e38 ? "sums and bias exceed 32 bits" : "the scale is not a positive number");
        bias[row] = (int32_t)sum;
        scale[row] = (float)(in_quanta ? quantum / y.scale : quantum);
    }
    return SPR_OK;
}

static double blocks_of(const spr_pw_q8_weights *w, uint32_t height) {
    double count = 0;
    for (uint32_t row = 0; row < w->n; row += height)
        for (uint32_t g = 0; g < w->groups; g++) {
            int any = 0;
            for (uint32_t r = row; r < row + height && r < w->n; r++)
                for (int i = 0; i < 4; i++) any |= w->w[((size_t)r * w->groups + g) * 4 + (size_t)i];
            count += any != 0;
        }
    return count * height;
}

/* The cheapest of dense and blocks, by what the kernels say a block costs. */
static void choose(spr_plan_ctx *ctx, spr_step *step, const spr_pw_q8_weights *w, q_conv *s) {
    static const spr_kernel_class classes[] = {SPR_K_PW_DENSE_Q8, SPR_K_PW_1X4_Q8, SPR_K_PW_2X4_Q8};
    double cost[3], all = (double)spr_round_up(w->n, 4) * w->groups, share[3] = {1, blocks_of(w, 1) / all, blocks_of(w, 2) / all};
    int best = -1;
    for (int i = 0; i < 3; i++) {
        const spr_kernel *kernel = spr_kernel_best(classes[i], ctx->features);
        cost[i] = kernel->cost.per_mac * share[i];
        if ((ctx->sparse == SPR_SPARSE_NEVER && i > 0) || (ctx->sparse == SPR_SPARSE_ALWAYS && i == 0)) continue;
        if (best >= 0 && cost[i] >= cost[best]) continue;
        best = i;
        s->kernel = kernel;
    }
    step->kernel = s->kernel;
    snprintf(step->reason, sizeof step->reason, "8 bits: blocks of 1x4 hold %.0f%%, of 2x4 %.0f%%; estimated %.2f dense, %.2f, %.2f",
             100 * share[1], 100 * share[2], cost[0], cost[1], cost[2]);
}

static void plan_band(const spr_plan_ctx *ctx, q_conv *s) {
    enum { WANTED = 128 * 1024 };
    const spr_window *w = &s->win;
    band *b = &s->band;
    uint32_t groups = (s->ic + 3) / 4, reach = ((w->kh - 1) * w->dh) / w->sh;
    b->phases_y = w->kh == 1 ? 1 : w->sh;
    b->phases_x = w->kw == 1 ? 1 : w->sw;
    b->width = w->ow + ((w->kw - 1) * w->dw) / w->sw;
    size_t row_bytes = (size_t)groups * b->phases_y * b->phases_x * b->width * 4;
    size_t fit = WANTED / row_bytes;
    b->rows = fit > reach ? (uint32_t)(fit - reach) : 1;
    if (ctx->threads > 1) {
        uint32_t even = (w->oh + SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads - 1) / (SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads);
        if (b->rows > even) b->rows = even;
    }
    if (b->rows > w->oh) b->rows = w->oh;
    b->lines = b->rows + reach;
    /* the last vectors of the run reach beyond it, by as much as a tap is away */
    b->plane = spr_round_up((size_t)b->lines * b->width + w->kw * w->dw, SPR_PX) + SPR_PX;
    b->run = spr_round_up((size_t)b->rows * b->width, SPR_PX);
    b->x_bytes = groups * b->phases_y * b->phases_x * b->plane * 4;
    b->z_bytes = b->run * spr_round_up(s->oc, 4);
    b->y_bytes = s->finish.to_float ? b->run * s->oc * sizeof(float) : b->z_bytes;
    s->px_per_task = b->rows;
    s->px_tasks = (w->oh + b->rows - 1) / b->rows;
    s->row_tasks = 1;
}

static void split_pointwise(const spr_plan_ctx *ctx, const spr_step *step, q_conv *s) {
    uint32_t pixels = s->win.oh * s->win.ow, want = SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads, quads = (s->oc + 3) / 4;
    s->px_per_task = pixels;
    s->rows_per_task = s->oc;
    if (ctx->threads > 1 && step->macs >= SPR_PARALLEL_MACS) {
        s->px_per_task = (uint32_t)spr_round_up((pixels + want - 1) / want, spr_round_up(s->kernel->cost.tile, SPR_PX));
        uint32_t blocks = (pixels + s->px_per_task - 1) / s->px_per_task, rows = (want + blocks - 1) / blocks;
        s->rows_per_task = (quads + rows - 1) / rows * 4;
    }
    s->px_tasks = (pixels + s->px_per_task - 1) / s->px_per_task;
    s->row_tasks = (s->oc + s->rows_per_task - 1) / s->rows_per_task;
}

/* Weights less their zero may take nine bits. What is beyond int8 goes to a second copy of its group of channels. */
static int32_t beyond(int32_t w) { return w > 127 ? w - 127 : w < -128 ? w + 128 : 0; }

/* Marks the groups of which a second copy is needed; returns their number. `second` has one entry per group and tap. */
static uint32_t find_beyond(const q_conv *s, const int16_t *w, uint8_t *second) {
    uint32_t icg = s->ic / s->group, ocg = s->oc / s->group, taps = s->win.kh * s->win.kw, count = 0;
    for (uint32_t oc = 0; oc < s->oc; oc++)
        for (uint32_t ic = 0; ic < icg; ic++)
            for (uint32_t t = 0; t < taps; t++) {
                uint8_t *mark = &second[(oc / ocg * icg + ic) / 4 * taps + t];
                if (*mark || !beyond(w[((size_t)oc * icg + ic) * taps + t])) continue;
                *mark = 1;
                count++;
            }
    return count;
}

/* The weights as the pointwise kernels see them, [oc][groups][4] with a group for each group of channels and tap, the second copies
   behind them; and where each group lies. */
static void arrange(const q_conv *s, const int16_t *w, size_t x_stride, const uint8_t *second, uint32_t total, int8_t *out,
                    uint32_t *offset) {
    const spr_window *win = &s->win;
    const band *b = &s->band;
    uint32_t icg = s->ic / s->group, ocg = s->oc / s->group, groups = (s->ic + 3) / 4, taps = win->kh * win->kw;
    uint32_t *const first = offset;
    for (uint32_t g = 0; g < groups; g++)
        for (uint32_t ky = 0; ky < win->kh; ky++)
            for (uint32_t kx = 0; kx < win->kw; kx++) {
                uint32_t y = ky * win->dh, x = kx * win->dw;
                size_t phase = (g * b->phases_y + y % win->sh) * b->phases_x + x % win->sw;
                *offset++ = (uint32_t)(s->way == WAY_POINTWISE ? g * x_stride : phase * b->plane + y / win->sh * b->width + x / win->sw);
            }
    for (uint32_t i = 0; i < groups * taps; i++)
        if (second[i]) *offset++ = first[i];
    for (uint32_t oc = 0; oc < s->oc; oc++) {
        int8_t *row = out + (size_t)oc * total * 4;
        for (uint32_t ic = 0; ic < icg; ic++)
            for (uint32_t t = 0; t < taps; t++) {
                uint32_t at = oc / ocg * icg + ic;
                int32_t v = w[((size_t)oc * icg + ic) * taps + t];
                row[(at / 4 * taps + t) * 4 + at % 4] = (int8_t)(v - beyond(v));
            }
        uint32_t copy = groups * taps;
        for (uint32_t i = 0; i < groups * taps; i++) {
            if (!second[i]) continue;
            for (uint32_t c = i / taps * 4; c < i / taps * 4 + 4 && c < s->ic; c++)
                if (c / icg == oc / ocg)
                    row[copy * 4 + c % 4] = (int8_t)beyond(w[((size_t)oc * icg + c % icg) * taps + i % taps]);
            copy++;
        }
    }
}

static spr_status plan_sums(spr_plan_ctx *ctx, spr_step *step, const int16_t *w, const float *scale, const int32_t *bias, q_conv *s) {
    const spr_view *x = &step->in[0];
    uint32_t groups = (s->ic + 3) / 4 * s->win.kh * s->win.kw;
    uint8_t *second = calloc(groups, 1);
    if (!second) return spr_fail_memory(ctx->err, "weights", groups);
    uint32_t total = groups + find_beyond(s, w, second);
    if (s->way == WAY_WINDOW) plan_band(ctx, s);
    if ((uint64_t)groups * (s->way == WAY_WINDOW ? s->band.plane : (size_t)x->stride[1]) > UINT32_MAX) {
        free(second);
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': the input is too large", step->node->name);
    }
    int8_t *arranged = calloc((size_t)s->oc * total, 4);
    uint32_t *offset = malloc(total * sizeof *offset);
    spr_status status = arranged && offset ? SPR_OK : spr_fail_memory(ctx->err, "weights", (size_t)s->oc * total * 4);
    if (!status) {
        arrange(s, w, (size_t)x->stride[1], second, total, arranged, offset);
        spr_pw_q8_weights weights = {.n = s->oc, .groups = total, .w = arranged, .offset = offset, .bias = bias, .scale = scale};
        choose(ctx, step, &weights, s);
        step->packed_bytes = s->kernel->packing_q8->size(&weights);
        s->packed = spr_plan_alloc(ctx, step->packed_bytes, "packed weights");
        if (!s->packed)
            status = SPR_ERROR_MEMORY;
        else
            s->kernel->packing_q8->pack(&weights, s->packed);
    }
    free(arranged);
    free(offset);
    free(second);
    if (status) return status;
    if (s->way == WAY_POINTWISE) split_pointwise(ctx, step, s);
    if (s->way == WAY_WINDOW) step->scratch = s->band.x_bytes + s->band.y_bytes + (spr_step_has(step, 4) ? s->band.z_bytes : 0);
    return SPR_OK;
}

static spr_status plan_depthwise(spr_plan_ctx *ctx, spr_step *step, const int16_t *w, const float *scale, const int32_t *bias,
                                 q_conv *s) {
    spr_dw_q8_weights weights = {.channels = s->oc, .win = s->win, .w = w, .bias = bias, .scale = scale};
    s->kernel = step->kernel = spr_kernel_best_dw_q8(&s->win, ctx->features);
    snprintf(step->reason, sizeof step->reason, "8 bits: depthwise %ux%u: no sparse kernel", s->win.kh, s->win.kw);
    step->packed_bytes = s->kernel->dw_q8->size(&weights);
    step->scratch = s->kernel->dw_q8->scratch(&s->win);
    s->packed = spr_plan_alloc(ctx, step->packed_bytes, "packed weights");
    if (!s->packed) return SPR_ERROR_MEMORY;
    s->kernel->dw_q8->pack(&weights, s->packed);
    uint32_t groups = (s->oc + 3) / 4, want = ctx->threads > 1 ? SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads : 1;
    s->rows_per_task = (groups + want - 1) / want;
    s->row_tasks = (groups + s->rows_per_task - 1) / s->rows_per_task;
    s->px_per_task = s->win.oh;
    s->px_tasks = 1;
    return SPR_OK;
}

/* The weights less their zero, to be freed. */
static spr_status load_weights(spr_plan_ctx *ctx, spr_step *step, int16_t **w) {
    spr_value value = *spr_step_value(step, 1);
    if (!value.is_const)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': weights '%s' are computed, they must be constant",
                        step->node->name, value.name);
    spr_step_note_weights(step, &value);
    size_t count = (size_t)spr_desc_count(&value.desc);
    int zero = (int)SPR_ATTR_OF(step, QConv, w_zero)->i;
    *w = malloc(count * sizeof **w);
    if (!*w) return spr_fail_memory(ctx->err, "decoded weights", count * sizeof **w);
    int8_t *stored = (int8_t *)*w + count; /* the upper half: read before it is written */
    spr_decode_dense(&value, stored);
    int fits = 1;
    for (size_t i = 0; i < count; i++) {
        (*w)[i] = (int16_t)(stored[i] - zero);
        fits &= (*w)[i] < 255; /* two int8 hold the others */
    }
    if (fits) return SPR_OK;
    free(*w);
    return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': a weight of '%s' is 255 above the zero, at most 254 is supported",
                    step->node->name, value.name);
}

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    const spr_desc *x = &step->in[0].desc, *wd = &step->in[1].desc, *y = &step->out[0].desc;
    q_conv *s = spr_plan_alloc(ctx, sizeof *s, "a layer");
    if (!s) return SPR_ERROR_MEMORY;
    step->state = s;
    if (!spr_desc_count(y)) return SPR_OK; /* nothing will be computed */
    s->ic = (uint32_t)x->dim[1];
    s->oc = (uint32_t)y->dim[1];
    s->group = (uint32_t)SPR_ATTR_OF(step, QConv, group)->i;
    spr_window *win = &s->win;
    spr_status status = spr_resolve_window(step->graph, step->node, x->dim[2], x->dim[3], wd->dim[2], wd->dim[3], win, ctx->err);
    if (!status) status = plan_finish(ctx, step, s);
    int16_t *w = NULL;
    if (!status) status = load_weights(ctx, step, &w);
    if (status) return status;
    size_t taps = (size_t)(s->ic / s->group) * win->kh * win->kw;
    step->macs = (double)spr_desc_count(y) * (double)taps;
    s->x_zero = (spr_q8)(SPR_ATTR_OF(step, QConv, x_zero)->i + SPR_Q8_SHIFT);
    float *scale = malloc(s->oc * (sizeof(float) + sizeof(int32_t)));
    if (!scale) {
        free(w);
        return spr_fail_memory(ctx->err, "a layer", s->oc * 8);
    }
    int32_t *bias = (int32_t *)(scale + s->oc);
    int plain = win->kh == 1 && win->kw == 1 && !win->pt && !win->pl && !win->pb && !win->pr && win->sh == 1 && win->sw == 1;
    s->way = WAY_WINDOW;
    if (s->group == s->ic && s->ic == s->oc && s->group > 1 && !s->finish.to_float)
        s->way = WAY_DEPTHWISE;
    else if (plain && win->oh * win->ow > 1)
        s->way = WAY_POINTWISE;
    status = plan_rows(ctx, step, s, w, taps, scale, bias);
    if (!status) status = (s->way == WAY_DEPTHWISE ? plan_depthwise : plan_sums)(ctx, step, w, scale, bias, s);
    free(scale);
    free(w);
    return status;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------- */

typedef struct job {
    const spr_run_ctx *run;
    const spr_step *step;
} job;

/* Pixels (bytes of a channel group) or floats of the output image. */
static void *output(const spr_view *y, int64_t image) {
    return (char *)y->data + (size_t)(image * y->stride[0]) * spr_dtype_size(y->desc.dtype);
}

static void pointwise_task(const q_conv *s, const spr_step *step, int64_t image, uint32_t row0, uint32_t px0) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    uint32_t pixels = s->win.oh * s->win.ow, row1 = row0 + s->rows_per_task, px1 = px0 + s->px_per_task;
    spr_pw_q8_args args = {
        .x = spr_q8_plane(x, image, 0), .y = output(y, image), .z = z ? spr_q8_plane(z, image, 0) : NULL,
        .y_stride = (size_t)y->stride[1], .z_stride = z ? (size_t)z->stride[1] : 0, .packed = s->packed, .n = s->oc,
        .row0 = row0, .row1 = row1 < s->oc ? row1 : s->oc, .px0 = px0, .px1 = px1 < pixels ? px1 : pixels, .finish = &s->finish,
    };
    s->kernel->run.pw_q8(&args);
}

/* Row `line` of a phase of a group's input, from pixel 0 of the padded row on: every sw-th pixel, the zero outside. */
static void fill_line(const q_conv *s, const spr_q8 *x, int64_t iy, uint32_t phase_x, uint32_t *out) {
    const spr_window *w = &s->win;
    const uint32_t pattern = (uint8_t)s->x_zero * 0x01010101u, width = s->band.width;
    uint32_t i = 0;
    if (iy < 0 || iy >= w->ih) {
        for (; i < width; i++) out[i] = pattern;
        return;
    }
    const spr_q8 *row = x + (size_t)iy * w->iw * 4;
    int64_t ix = (int64_t)phase_x - w->pl;
    for (; i < width && ix < 0; i++, ix += w->sw) out[i] = pattern;
    if (w->sw == 1 && ix < w->iw) {
        uint32_t n = (uint32_t)(w->iw - ix) < width - i ? (uint32_t)(w->iw - ix) : width - i;
        memcpy(out + i, row + ix * 4, (size_t)n * 4);
        i += n;
        ix += n;
    }
    for (; i < width && ix < w->iw; i++, ix += w->sw) memcpy(out + i, row + ix * 4, 4);
    for (; i < width; i++) out[i] = pattern;
}

/* The padded input of output rows [oy0, oy1). */
static void fill_band(const q_conv *s, const spr_view *x, int64_t image, uint32_t oy0, uint32_t oy1, spr_q8 *scratch) {
    const band *b = &s->band;
    const spr_window *w = &s->win;
    uint32_t lines = oy1 - oy0 + ((w->kh - 1) * w->dh) / w->sh;
    for (uint32_t g = 0; g < (s->ic + 3) / 4; g++)
        for (uint32_t py = 0; py < b->phases_y; py++)
            for (uint32_t px = 0; px < b->phases_x; px++) {
                uint32_t *out = (uint32_t *)(void *)scratch + ((g * b->phases_y + py) * b->phases_x + px) * b->plane;
                for (uint32_t line = 0; line < lines; line++)
                    fill_line(s, spr_q8_plane(x, image, g), (int64_t)(oy0 + line) * w->sh + py - w->pt, px, out + (size_t)line * b->width);
            }
}

static void window_task(const q_conv *s, const spr_step *step, int64_t image, uint32_t oy0, char *scratch) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    const spr_window *w = &s->win;
    uint32_t oy1 = oy0 + s->px_per_task < w->oh ? oy0 + s->px_per_task : w->oh;
    char *result = scratch + s->band.x_bytes, *residual = result + s->band.y_bytes;
    size_t run = s->band.run, pixel = 4; /* bytes, of a group as of a float */
    uint32_t planes = s->finish.to_float ? s->oc : (s->oc + 3) / 4;
    fill_band(s, x, image, oy0, oy1, (spr_q8 *)scratch);
    if (z)
        for (uint32_t g = 0; g < (s->oc + 3) / 4; g++)
            for (uint32_t oy = oy0; oy < oy1; oy++)
                memcpy(residual + (g * run + (size_t)(oy - oy0) * s->band.width) * pixel,
                       spr_q8_plane(z, image, g) + (size_t)oy * w->ow * pixel, w->ow * pixel);
    spr_pw_q8_args args = {
        .x = (spr_q8 *)scratch, .y = result, .z = z ? (spr_q8 *)residual : NULL, .y_stride = run, .z_stride = run, .packed = s->packed,
        .n = s->oc, .row1 = s->oc, .px1 = (oy1 - oy0) * s->band.width, .finish = &s->finish,
    };
    s->kernel->run.pw_q8(&args);
    size_t stride = (size_t)y->stride[1] * pixel; /* of groups, or of planes of floats */
    for (uint32_t g = 0; g < planes; g++)
        for (uint32_t oy = oy0; oy < oy1; oy++)
            memcpy((char *)output(y, image) + g * stride + (size_t)oy * w->ow * pixel,
                   result + (g * run + (size_t)(oy - oy0) * s->band.width) * pixel, w->ow * pixel);
}

static void depthwise_task(const q_conv *s, const spr_step *step, int64_t image, uint32_t group0, char *scratch) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    uint32_t groups = (s->oc + 3) / 4, group1 = group0 + s->rows_per_task;
    spr_dw_q8_args args = {
        .x = spr_q8_plane(x, image, 0), .y = spr_q8_plane(y, image, 0), .z = z ? spr_q8_plane(z, image, 0) : NULL,
        .x_stride = (size_t)x->stride[1], .y_stride = (size_t)y->stride[1], .z_stride = z ? (size_t)z->stride[1] : 0,
        .packed = s->packed, .channels = s->oc, .win = &s->win, .x_zero = s->x_zero, .group0 = group0,
        .group1 = group1 < groups ? group1 : groups, .oy0 = 0, .oy1 = s->win.oh, .finish = &s->finish, .scratch = scratch,
    };
    s->kernel->run.dw_q8(&args);
}

static void task(void *arg, int index, int thread) {
    const job *j = arg;
    const q_conv *s = j->step->state;
    uint32_t px = (uint32_t)index % s->px_tasks, rest = (uint32_t)index / s->px_tasks, row = rest % s->row_tasks;
    int64_t image = rest / s->row_tasks;
    char *scratch = spr_scratch(j->run, thread);
    if (s->way == WAY_POINTWISE)
        pointwise_task(s, j->step, image, row * s->rows_per_task, px * s->px_per_task);
    else if (s->way == WAY_WINDOW)
        window_task(s, j->step, image, px * s->px_per_task, scratch);
    else
        depthwise_task(s, j->step, image, row * s->rows_per_task, scratch);
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const q_conv *s = step->state;
    const spr_desc *y = &step->out[0].desc;
    job j = {ctx, step};
    if (!spr_desc_count(y)) return;
    spr_pool_run(ctx->pool, (int)(s->px_tasks * s->row_tasks * (uint32_t)y->dim[0]), task, &j);
    spr_view_zero_padding(&step->out[0]);
}

const spr_exec spr_exec_QConv = {.in_place = 1u << 4, .plan = plan, .run = run};
