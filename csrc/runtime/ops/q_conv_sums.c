/* QConv on the pointwise kernels: a matrix of weights with a column for each group of input channels and tap of the window. */
#include <stdio.h>

#include "runtime/ops/q_conv.h"

/* Weights in blocks of `height` rows and `width` channels that hold anything but zeros. */
static double stored_in(const spr_pw_q8_weights *w, uint32_t height, uint32_t width) {
    double count = 0;
    for (uint32_t row = 0; row < w->n; row += height)
        for (uint32_t c = 0; c < w->groups * SPR_Q8_GROUP; c += width) {
            int any = 0;
            for (uint32_t r = row; r < row + height && r < w->n; r++)
                for (uint32_t i = c; i < c + width; i++) any |= w->w[(size_t)r * w->groups * SPR_Q8_GROUP + i];
            count += any != 0;
        }
    return count * height * width;
}

/* The cheapest of dense and the forms without zeros, by what the kernels say a stored weight costs. */
static void choose(spr_plan_ctx *ctx, spr_step *step, const spr_pw_q8_weights *w, spr_q_conv *s) {
    static const struct {
        spr_kernel_class cls;
        uint32_t height, width;
    } forms[] = {{SPR_K_PW_DENSE_Q8, 0, 0}, {SPR_K_PW_1X4_Q8, 1, 4}, {SPR_K_PW_2X4_Q8, 2, 4}, {SPR_K_PW_CSR_Q8, 1, 1},
                 {SPR_K_PW_2X1_Q8, 2, 1}};
    enum { FORMS = SPR_COUNTOF(forms) };
    double cost[FORMS], share[FORMS], all = (double)spr_round_up(w->n, SPR_Q8_GROUP) * w->groups * SPR_Q8_GROUP;
    int best = -1;
    for (int i = 0; i < FORMS; i++) {
        const spr_kernel *kernel = spr_kernel_best(forms[i].cls, ctx->features);
        share[i] = i ? stored_in(w, forms[i].height, forms[i].width) / all : 1;
        cost[i] = kernel->cost.per_mac * share[i];
        if ((ctx->sparse == SPR_SPARSE_NEVER && i > 0) || (ctx->sparse == SPR_SPARSE_ALWAYS && i == 0)) continue;
        if (best >= 0 && cost[i] >= cost[best]) continue;
        best = i;
        s->kernel = kernel;
    }
    step->kernel = s->kernel;
    snprintf(step->reason, sizeof step->reason,
             "8 bits: blocks of 1x4 hold %.0f%%, of 2x4 %.0f%%; estimated %.2f dense, %.2f, %.2f; CSR %.2f, 2x1 %.2f", 100 * share[1],
             100 * share[2], cost[0], cost[1], cost[2], cost[3], cost[4]);
}

static void split_pointwise(const spr_plan_ctx *ctx, const spr_step *step, spr_q_conv *s) {
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
static uint32_t find_beyond(const spr_q_conv *s, const int16_t *w, uint8_t *second) {
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
static void arrange(const spr_q_conv *s, const int16_t *w, size_t x_stride, const uint8_t *second, uint32_t total, int8_t *out,
                    uint32_t *offset) {
    const spr_window *win = &s->win;
    const spr_q_band *b = &s->band;
    uint32_t icg = s->ic / s->group, ocg = s->oc / s->group, groups = (s->ic + 3) / 4, taps = win->kh * win->kw;
    uint32_t *const first = offset;
    for (uint32_t g = 0; g < groups; g++)
        for (uint32_t ky = 0; ky < win->kh; ky++)
            for (uint32_t kx = 0; kx < win->kw; kx++) {
                uint32_t y = ky * win->dh, x = kx * win->dw;
                size_t phase = (g * b->phases_y + y % win->sh) * b->phases_x + x % win->sw;
                *offset++ = (uint32_t)(s->way == SPR_Q_POINTWISE ? g * x_stride : phase * b->plane + y / win->sh * b->width + x / win->sw);
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

spr_status spr_q_plan_sums(spr_plan_ctx *ctx, spr_step *step, const spr_q_weights *w, spr_q_conv *s) {
    const spr_view *x = &step->in[0];
    uint32_t groups = (s->ic + 3) / 4 * s->win.kh * s->win.kw;
    const spr_allocator *allocator = ctx->arena->allocator;
    uint8_t *second = spr_alloc_zeroed(allocator, groups, 1);
    if (!second) return spr_fail_memory(ctx->err, "weights", groups);
    uint32_t total = groups + find_beyond(s, w->w, second);
    if (s->way == SPR_Q_WINDOW) spr_q_plan_band(ctx, s);
    if ((uint64_t)groups * (s->way == SPR_Q_WINDOW ? s->band.plane : (size_t)x->stride[1]) > UINT32_MAX) {
        spr_release(allocator, second);
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': the input is too large", step->node->name);
    }
    int8_t *arranged = spr_alloc_zeroed(allocator, (size_t)s->oc * total, 4);
    uint32_t *offset = spr_alloc(allocator, total * sizeof *offset);
    spr_status status = arranged && offset ? SPR_OK : spr_fail_memory(ctx->err, "weights", (size_t)s->oc * total * 4);
    if (!status) {
        arrange(s, w->w, (size_t)x->stride[1], second, total, arranged, offset);
        spr_pw_q8_weights weights = {.n = s->oc, .groups = total, .w = arranged, .offset = offset, .bias = w->bias, .scale = w->scale};
        choose(ctx, step, &weights, s);
        step->packed_bytes = s->kernel->packing_q8->size(&weights);
        s->packed = spr_plan_alloc(ctx, step->packed_bytes, "packed weights");
        if (!s->packed)
            status = SPR_ERROR_MEMORY;
        else
            s->kernel->packing_q8->pack(&weights, s->packed);
        if (s->kernel->packing_q8->scratch)
            s->kernel_scratch = spr_round_up(s->kernel->packing_q8->scratch(&weights), SPR_LINE);
    }
    spr_release(allocator, arranged);
    spr_release(allocator, offset);
    spr_release(allocator, second);
    if (status) return status;
    if (s->way == SPR_Q_POINTWISE) split_pointwise(ctx, step, s);
    step->scratch = s->kernel_scratch;
    if (s->way == SPR_Q_WINDOW) step->scratch += s->band.x_bytes + s->band.y_bytes + (spr_step_has(step, 4) ? s->band.z_bytes : 0);
    return SPR_OK;
}

void spr_q_run_pointwise(const spr_q_conv *s, const spr_step *step, int64_t image, uint32_t row0, uint32_t px0,
                         char *scratch) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    uint32_t pixels = s->win.oh * s->win.ow, row1 = row0 + s->rows_per_task, px1 = px0 + s->px_per_task;
    spr_pw_q8_args args = {
        .x = spr_q8_plane(x, image, 0), .y = spr_q_output(y, image), .z = z ? spr_q8_plane(z, image, 0) : NULL,
        .y_stride = (size_t)y->stride[1], .z_stride = z ? (size_t)z->stride[1] : 0, .packed = s->packed, .n = s->oc,
        .row0 = row0, .row1 = row1 < s->oc ? row1 : s->oc, .px0 = px0, .px1 = px1 < pixels ? px1 : pixels, .finish = &s->finish,
        .scratch = scratch,
    };
    s->kernel->run.pw_q8(&args);
}
