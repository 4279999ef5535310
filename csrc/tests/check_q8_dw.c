/* Quantized depthwise convolution against sums of integers and double precision: exact but where rounding is left to
   chance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_q8.h"

typedef struct depthwise {
    spr_window win;
    uint32_t channels;
    int wide;
    int far; /* sums and scales beyond what quick ways of rounding can take */
    spr_q8 x_zero;
    spr_q8_finish finish;
    check_q8_image x, y, z;
    int has_z;
    check_place place;
    spr_dw_q8_weights w;
    check_rng rng;
} depthwise;

typedef struct dw_call {
    spr_dw_q8_args args;
    spr_dw_q8_fn *fn;
} dw_call;

static void call_dw(const void *p) { ((const dw_call *)p)->fn(&((const dw_call *)p)->args); }

static double dw_value(const depthwise *d, uint32_t c, uint32_t oy, uint32_t ox) {
    const spr_window *w = &d->win;
    int64_t sum = d->w.bias[c];
    for (uint32_t ky = 0; ky < w->kh; ky++)
        for (uint32_t kx = 0; kx < w->kw; kx++) {
            const int64_t iy = (int64_t)oy * w->sh + ky * w->dh - w->pt, ix = (int64_t)ox * w->sw + kx * w->dw - w->pl;
            const int inside = iy >= 0 && iy < w->ih && ix >= 0 && ix < w->iw;
            const int32_t x =
                inside ? d->x.copy[(c / 4 * d->x.stride + (size_t)(iy * w->iw + ix)) * 4 + c % 4] : d->x_zero;
            sum += x * d->w.w[(c * w->kh + ky) * w->kw + kx];
        }
    double v = (double)sum * d->w.scale[c];
    const size_t at = (size_t)oy * w->ow + ox;
    if (d->has_z)
        v += ((double)d->z.copy[(c / 4 * d->z.stride + at) * 4 + c % 4] - d->finish.z_zero) * d->finish.z_scale;
    v = check_function(&d->finish.act, v, c);
    return d->finish.act.fn == SPR_FN_NONE ? v : v * d->finish.y_inv;
}

static void dw_run(const depthwise *d, const spr_kernel *kernel, const void *packed, uint32_t g0, uint32_t g1,
                   uint32_t oy0, uint32_t oy1) {
    const size_t scratch = kernel->dw_q8->scratch(&d->win);
    const dw_call c = {{.x = d->x.data,
                        .y = d->y.data,
                        .z = d->has_z ? d->z.data : NULL,
                        .x_stride = d->x.stride,
                        .y_stride = d->y.stride,
                        .z_stride = d->has_z ? d->z.stride : 0,
                        .packed = packed,
                        .channels = d->channels,
                        .win = &d->win,
                        .x_zero = d->x_zero,
                        .group0 = g0,
                        .group1 = g1,
                        .oy0 = oy0,
                        .oy1 = oy1,
                        .finish = &d->finish,
                        .scratch = scratch ? check_buffer(CHECK_SCRATCH, scratch, SPR_LINE, d->place) : NULL},
                       kernel->run.dw_q8};
    check_call(call_dw, &c);
}

static void dw_compare(const depthwise *d, uint32_t g0, uint32_t g1, uint32_t oy0, uint32_t oy1) {
    uint64_t compared = 0;
    for (uint32_t c = 4 * g0; c < 4 * g1 && c < d->channels; c++)
        for (uint32_t oy = oy0; oy < oy1; oy++)
            for (uint32_t ox = 0; ox < d->win.ow; ox++) {
                const int got = d->y.data[(c / 4 * d->y.stride + (size_t)oy * d->win.ow + ox) * 4 + c % 4];
                const double v = dw_value(d, c, oy, ox);
                if (!check_q8_agrees(got, v, d->finish.y_zero, d->finish.lo, d->finish.hi)) {
                    check_fail("channel %u, row %u, pixel %u is %d, not %g above %d", c, oy, ox, got, v,
                               d->finish.y_zero);
                    return;
                }
                compared++;
            }
    check_count_outputs(compared, compared);
    check_q8_outside(&d->y, g0, g1, (size_t)oy0 * d->win.ow, (size_t)oy1 * d->win.ow);
}

static void dw_body(size_t i, void *context) {
    const spr_kernel *kernel = &spr_kernels[i];
    depthwise *d = context;
    check_rng rng = d->rng;
    const size_t bytes = kernel->dw_q8->size(&d->w);
    void *packed = check_buffer(CHECK_PACKED, bytes, SPR_LINE, d->place);
    memset(packed, 0xff, bytes);
    kernel->dw_q8->pack(&d->w, packed);
    for (int part = 0; part < 2 && !check_failing(); part++) {
        uint32_t g0 = 0, g1 = d->y.groups, oy0 = 0, oy1 = d->win.oh;
        if (part) check_part(&rng, d->y.groups, 1, &g0, &g1);
        if (part) check_part(&rng, d->win.oh, 1, &oy0, &oy1);
        memcpy(d->y.data, d->y.copy, d->y.bytes);
        dw_run(d, kernel, packed, g0, g1, oy0, oy1);
        dw_compare(d, g0, g1, oy0, oy1);
    }
    if (memcmp(d->x.data, d->x.copy, d->x.bytes)) check_fail("it changed an input");
}

static void make_depthwise(depthwise *d, check_rng *r) {
    static const uint8_t channels[] = {1, 3, 4, 5, 8, 12, 17, 24};
    memset(d, 0, sizeof *d);
    check_q8_window(r, &d->win);
    d->channels = CHECK_PICK(r, channels);
    d->wide = check_chance(r, 4);
    d->far = check_chance(r, 4);
    d->x_zero = (spr_q8)check_q8_zero(r);
    d->place = (check_place)check_below(r, 2);
    d->has_z = !d->far && check_chance(r, 4);
    spr_q8_finish *f = &d->finish;
    *f = (spr_q8_finish){.y_zero = check_q8_zero(r),
                         .lo = SPR_Q8_MIN,
                         .hi = SPR_Q8_MAX,
                         .y_inv = check_uniform(r, 1, 30),
                         .z_zero = check_q8_zero(r),
                         .z_scale = check_uniform(r, 0.1f, 1)};
    f->act = (spr_act){.fn = SPR_FN_NONE};
    if (!d->far && check_chance(r, 3))
        f->act = (spr_act){.fn = check_chance(r, 2) ? SPR_FN_HARD_SWISH : SPR_FN_LEAKY_RELU, .a = 1.0f / 6, .b = 0.5f};
    if (d->far || check_chance(r, 3))
        f->y_zero = SPR_Q8_MIN; /* as it is behind a relu; all numbers are allowed */
    else if (check_chance(r, 3))
        f->lo = f->y_zero;
    const uint32_t groups = (d->channels + 3) / 4;
    d->x = check_q8_make_image(r, CHECK_X, groups, (size_t)d->win.ih * d->win.iw, d->place);
    d->y = check_q8_make_image(r, CHECK_Y, groups, (size_t)d->win.oh * d->win.ow, d->place);
    if (d->has_z) d->z = check_q8_make_image(r, CHECK_Z, groups, (size_t)d->win.oh * d->win.ow, d->place);
    const size_t taps = (size_t)d->win.kh * d->win.kw;
    int16_t *w = check_buffer(CHECK_DENSE, d->channels * taps * sizeof *w, sizeof *w, CHECK_END);
    int32_t *bias = check_buffer(CHECK_BIAS, d->channels * sizeof *bias, sizeof *bias, CHECK_END);
    float *scale = check_buffer(CHECK_VAL, d->channels * sizeof *scale, sizeof *scale, CHECK_END);
    for (size_t i = 0; i < d->channels * taps; i++)
        w[i] = (int16_t)(d->wide ? (int)check_below(r, 511) - 255 : (int)check_below(r, 256) - 128);
    static const float far[] = {100, 1, 0.01f, 1e-5f, 1e-6f};
    const int32_t reach = d->far ? 1 << (21 + check_below(r, 9)) : 2000;
    const float quanta = d->far ? CHECK_PICK(r, far) : 0.01f;
    for (uint32_t c = 0; c < d->channels; c++) {
        bias[c] = (int32_t)check_below(r, 2 * (uint32_t)reach) - reach;
        scale[c] = check_uniform(r, 0.1f, 1) * quanta;
    }
    d->w = (spr_dw_q8_weights){.channels = d->channels, .win = d->win, .w = w, .bias = bias, .scale = scale};
}

void check_q8_depthwise(void) {
    for (uint32_t index = 0; index < check_cases(600); index++) {
        check_rng rng = check_rng_of("dw_q8", index);
        depthwise d;
        char text[256];
        make_depthwise(&d, &rng);
        d.rng = rng;
        const int n = snprintf(text, sizeof text, "case %u: %u channels, %s%s%s, %s, ", index, d.channels,
                               d.wide ? "wide, " : "", d.far ? "far, " : "", spr_function_name(d.finish.act.fn),
                               d.has_z ? "z" : "no z");
        check_q8_describe(text + n, sizeof text - (size_t)n, &d.win);
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_DWCONV_Q8 && check_wanted(i) && spr_kernels[i].dw_q8->match(&d.win))
                check_case(i, text, dw_body, &d);
        free(d.x.copy);
        free(d.y.copy);
        free(d.z.copy);
    }
}
