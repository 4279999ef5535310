/* QConv with windows: a band of the padded input in scratch, where each tap of the window is one more group of channels
   at a fixed distance for the pointwise kernels. */
#include <string.h>

#include "runtime/ops/q_conv.h"

void spr_q_plan_band(const spr_plan_ctx *ctx, spr_q_conv *s) {
    enum { WANTED = 128 * 1024 };
    const spr_window *w = &s->win;
    spr_q_band *b = &s->band;
    uint32_t groups = (s->ic + 3) / 4, reach = ((w->kh - 1) * w->dh) / w->sh;
    b->phases_y = w->kh == 1 ? 1 : w->sh;
    b->phases_x = w->kw == 1 ? 1 : w->sw;
    b->width = w->ow + ((w->kw - 1) * w->dw) / w->sw;
    size_t row_bytes = (size_t)groups * b->phases_y * b->phases_x * b->width * 4;
    size_t fit = WANTED / row_bytes;
    b->rows = fit > reach ? (uint32_t)(fit - reach) : 1;
    if (ctx->threads > 1) {
        uint32_t even = (w->oh + SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads - 1) /
                        (SPR_TASKS_PER_THREAD * (uint32_t)ctx->threads);
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

/* Row `line` of a phase of a group's input, from pixel 0 of the padded row on: every sw-th pixel, the zero outside. */
static void fill_line(const spr_q_conv *s, const spr_q8 *x, int64_t iy, uint32_t phase_x, uint32_t *restrict out) {
    const spr_window *w = &s->win;
    const uint32_t pattern = (uint8_t)s->x_zero * 0x01010101u, width = s->band.width;
    uint32_t i = 0;
    if (iy < 0 || iy >= w->ih) {
        for (; i < width; i++) out[i] = pattern;
        return;
    }
    int64_t ix = (int64_t)phase_x - w->pl;
    for (; i < width && ix < 0; i++, ix += w->sw) out[i] = pattern;
    if (ix < w->iw) {
        const uint32_t *row = (const uint32_t *)(const void *)x + (size_t)iy * w->iw + ix;
        uint32_t n = ((uint32_t)(w->iw - ix) + w->sw - 1) / w->sw;
        if (n > width - i) n = width - i;
        if (w->sw == 1)
            memcpy(out + i, row, (size_t)n * 4);
        else if (w->sw == 2)
            for (size_t k = 0; k < n; k++) out[i + k] = row[2 * k];
        else
            for (size_t k = 0; k < n; k++) out[i + k] = row[k * w->sw];
        i += n;
    }
    for (; i < width; i++) out[i] = pattern;
}

/* The padded input of output rows [oy0, oy1). */
static void fill_band(const spr_q_conv *s, const spr_view *x, int64_t image, uint32_t oy0, uint32_t oy1,
                      spr_q8 *scratch) {
    const spr_q_band *b = &s->band;
    const spr_window *w = &s->win;
    uint32_t lines = oy1 - oy0 + ((w->kh - 1) * w->dh) / w->sh;
    for (uint32_t g = 0; g < (s->ic + 3) / 4; g++)
        for (uint32_t py = 0; py < b->phases_y; py++)
            for (uint32_t px = 0; px < b->phases_x; px++) {
                uint32_t *out = (uint32_t *)(void *)scratch + ((g * b->phases_y + py) * b->phases_x + px) * b->plane;
                for (uint32_t line = 0; line < lines; line++)
                    fill_line(s, spr_q8_plane(x, image, g), (int64_t)(oy0 + line) * w->sh + py - w->pt, px,
                              out + (size_t)line * b->width);
            }
}

void spr_q_run_band(const spr_q_conv *s, const spr_step *step, int64_t image, uint32_t oy0, char *scratch) {
    const spr_view *x = &step->in[0], *y = &step->out[0], *z = spr_step_has(step, 4) ? &step->in[4] : NULL;
    const spr_window *w = &s->win;
    uint32_t oy1 = oy0 + s->px_per_task < w->oh ? oy0 + s->px_per_task : w->oh;
    char *band = scratch + s->kernel_scratch, *result = band + s->band.x_bytes, *residual = result + s->band.y_bytes;
    size_t run = s->band.run, pixel = 4; /* bytes, of a group as of a float */
    uint32_t planes = s->finish.to_float ? s->oc : (s->oc + 3) / 4;
    fill_band(s, x, image, oy0, oy1, (spr_q8 *)band);
    if (z)
        for (uint32_t g = 0; g < (s->oc + 3) / 4; g++)
            for (uint32_t oy = oy0; oy < oy1; oy++)
                memcpy(residual + (g * run + (size_t)(oy - oy0) * s->band.width) * pixel,
                       spr_q8_plane(z, image, g) + (size_t)oy * w->ow * pixel, w->ow * pixel);
    spr_pw_q8_args args = {
        .x = (spr_q8 *)band,
        .y = result,
        .z = z ? (spr_q8 *)residual : NULL,
        .y_stride = run,
        .z_stride = run,
        .packed = s->packed,
        .n = s->oc,
        .row1 = s->oc,
        .px1 = (oy1 - oy0) * s->band.width,
        .finish = &s->finish,
        .scratch = scratch,
    };
    s->kernel->run.pw_q8(&args);
    size_t stride = (size_t)y->stride[1] * pixel; /* of groups, or of planes of floats */
    for (uint32_t g = 0; g < planes; g++)
        for (uint32_t oy = oy0; oy < oy1; oy++)
            memcpy((char *)spr_q_output(y, image) + g * stride + (size_t)oy * w->ow * pixel,
                   result + (g * run + (size_t)(oy - oy0) * s->band.width) * pixel, w->ow * pixel);
}
