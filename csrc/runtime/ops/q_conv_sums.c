/* QConv on the pointwise kernels: a matrix of weights with a column for each group of input channels and tap of the
   window. */

#include "runtime/ops/q_conv.h"

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

/* The weights as the pointwise kernels see them, [oc][groups][4] with a group for each group of channels and tap, the
   second copies behind them; and where each group lies. */
static void arrange(const spr_q_conv *s, const int16_t *w, size_t x_stride, const uint8_t *second, uint32_t total,
                    int8_t *out, uint32_t *offset) {
    const spr_window *win = &s->win;
    const spr_q_band *b = &s->band;
    uint32_t icg = s->ic / s->group, ocg = s->oc / s->group, groups = (s->ic + 3) / 4, taps = win->kh * win->kw;
    uint32_t *const first = offset;
    for (uint32_t g = 0; g < groups; g++)
        for (uint32_t ky = 0; ky < win->kh; ky++)
            for (uint32_t kx = 0; kx < win->kw; kx++) {
                uint32_t y = ky * win->dh, x = kx * win->dw;
                size_t phase = (g * b->phases_y + y % win->sh) * b->phases_x + x % win->sw;
                *offset++ =
                    (uint32_t)(s->way == SPR_Q_POINTWISE ? g * x_stride
                                                         : phase * b->plane + y / win->sh * b->width + x / win->sw);
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

/* Chooses the kernel, packs the weights for it and splits the work. */
static spr_status make(spr_plan_ctx *ctx, spr_step *step, const spr_pw_q8_weights *w, spr_q_conv *s) {
    const size_t pixels = (size_t)s->win.oh * s->win.ow, images = (size_t)step->out[0].desc.dim[0];
    const spr_q_band *b = &s->band;
    spr_q_pixels use = {.all = pixels, .part = pixels, .images = images};
    if (s->way == SPR_Q_WINDOW)
        use = (spr_q_pixels){.all = (size_t)s->win.oh * b->width, .part = (size_t)b->rows * b->width, .images = images};
    spr_status status = spr_q_choose(ctx, step, w, &use, s);
    if (!status && s->way == SPR_Q_POINTWISE) status = spr_q_split(ctx, w, &use, s);
    if (status) return status;
    if (s->way == SPR_Q_WINDOW && ctx->threads > 1)
        s->balance = spr_q_balance(ctx->threads, images, 1, 1, s->win.oh, b->rows);
    step->balance = s->balance;
    const spr_pw_q8_packing *packing = s->kernel->packing_q8;
    step->packed_bytes = packing->size(w);
    s->packed = spr_plan_alloc(ctx, step->packed_bytes, "packed weights");
    if (!s->packed) return SPR_ERROR_MEMORY;
    packing->pack(w, s->packed);
    if (packing->scratch) s->kernel_scratch = spr_round_up(packing->scratch(w), SPR_LINE);
    step->scratch = s->kernel_scratch;
    if (s->way == SPR_Q_WINDOW) step->scratch += b->x_bytes + b->y_bytes + (spr_step_has(step, 4) ? b->z_bytes : 0);
    return SPR_OK;
}

SPR_COLD spr_status spr_q_plan_sums(spr_plan_ctx *ctx, spr_step *step, const spr_q_weights *w, spr_q_conv *s) {
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
        spr_pw_q8_weights weights = {.n = s->oc, .groups = total, .w = arranged, .offset = offset, .bias = w->bias,
                                     .scale = w->scale};
        status = make(ctx, step, &weights, s);
    }
    spr_release(allocator, arranged);
    spr_release(allocator, offset);
    spr_release(allocator, second);
    return status;
}

void spr_q_run_pointwise(const spr_q_conv *s, const spr_step *step, int64_t image, uint32_t row_task, uint32_t px0,
                         char *scratch) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    uint32_t pixels = s->win.oh * s->win.ow, px1 = px0 + s->px_per_task;
    spr_pw_q8_args args = {
        .x = spr_q8_plane(x, image, 0),
        .y = spr_q_output(y, image),
        .z = z ? spr_q8_plane(z, image, 0) : NULL,
        .y_stride = (size_t)y->stride[1],
        .z_stride = z ? (size_t)z->stride[1] : 0,
        .packed = s->packed,
        .n = s->oc,
        .row0 = s->row_bound[row_task],
        .row1 = s->row_bound[row_task + 1],
        .px0 = px0,
        .px1 = px1 < pixels ? px1 : pixels,
        .finish = &s->finish,
        .scratch = scratch,
    };
    s->kernel->run.pw_q8(&args);
}
