/* Quantized pooling against sums of integers and double precision: exact but where rounding is left to
 * chance; and there all kernels must round alike. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_q8.h"

typedef struct pooling {
    spr_pool_q8_args args;
    check_q8_image x, y;
    spr_q8 *want; /* y as plain C has it */
} pooling;

typedef struct pool_call {
    spr_pool_q8_args args;
    spr_pool_q8_fn *fn;
} pool_call;

static void call_pool(const void *p) { ((const pool_call *)p)->fn(&((const pool_call *)p)->args); }

static double pool_value(const pooling *p, uint32_t c, uint32_t oy, uint32_t ox) {
    const spr_window *w = &p->args.win;
    int64_t sum = 0, most = INT32_MIN, count = 0, padded = 0;
    for (uint32_t ky = 0; ky < w->kh; ky++)
        for (uint32_t kx = 0; kx < w->kw; kx++) {
            const int64_t iy = (int64_t)oy * w->sh + ky * w->dh - w->pt, ix = (int64_t)ox * w->sw + kx * w->dw - w->pl;
            padded += iy < (int64_t)w->ih + w->pb && ix < (int64_t)w->iw + w->pr;
            if (iy < 0 || iy >= w->ih || ix < 0 || ix >= w->iw) continue;
            const int64_t q = p->x.copy[(c / 4 * p->x.stride + (size_t)(iy * w->iw + ix)) * 4 + c % 4] - p->args.x_zero;
            sum += q;
            count++;
            most = q > most ? q : most;
        }
    if (p->args.kind == SPR_POOL_MAX) return (double)most * p->args.scale;
    return (double)sum / (double)(p->args.kind == SPR_POOL_AVG ? count : padded) * p->args.scale;
}

static void pool_body(size_t i, void *context) {
    pooling *p = context;
    pool_call call = {p->args, spr_kernels[i].run.pool_q8};
    uint64_t compared = 0;
    memcpy(p->y.data, p->y.copy, p->y.bytes);
    check_call(call_pool, &call);
    for (uint32_t c = 4 * p->args.group0; c < 4 * p->args.group1; c++)
        for (uint32_t oy = 0; oy < p->args.win.oh; oy++)
            for (uint32_t ox = 0; ox < p->args.win.ow; ox++, compared++) {
                const size_t at = (c / 4 * p->y.stride + (size_t)oy * p->args.win.ow + ox) * 4 + c % 4;
                const int got = p->y.data[at];
                const double v = pool_value(p, c, oy, ox);
                if (!check_q8_agrees(got, v, p->args.y_zero, p->args.lo, p->args.hi))
                    check_fail("channel %u, row %u, pixel %u is %d, not %g above %d", c, oy, ox, got, v,
                               p->args.y_zero);
                else if (got != p->want[at])
                    check_fail("channel %u, row %u, pixel %u is %d, but %d in plain C", c, oy, ox, got, p->want[at]);
                else
                    continue;
                return;
            }
    check_count_outputs(compared, compared);
    check_q8_outside(&p->y, p->args.group0, p->args.group1, 0, p->y.pixels);
    if (memcmp(p->x.data, p->x.copy, p->x.bytes)) check_fail("it changed an input");
}

/* Whether each of `out` windows along an axis has a tap within the image. */
static int has_taps(uint32_t out, uint32_t stride, int32_t pad, uint32_t dilation, uint32_t kernel, uint32_t in) {
    for (uint32_t o = 0; o < out; o++) {
        int any = 0;
        for (uint32_t k = 0; k < kernel; k++) {
            const int64_t at = (int64_t)o * stride + k * dilation - pad;
            any |= at >= 0 && at < in;
        }
        if (!any) return 0;
    }
    return 1;
}

/* A window like those of convolutions, one over the whole image, one of a wide image, or one of many taps. */
static void make_pool_window(check_rng *r, spr_window *w) {
    check_q8_window(r, w);
    const uint32_t kind = check_below(r, 40);
    if (kind < 10) {
        if (kind == 0) w->ih = w->iw = 50 + check_below(r, 30); /* sums beyond 16 bits */
        *w = (spr_window){
            .ih = w->ih, .iw = w->iw, .oh = 1, .ow = 1, .kh = w->ih, .kw = w->iw, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    } else if (kind == 10) {
        const uint32_t k = 1 + check_below(r, 3), s = 1 + check_below(r, 3), width = 900 + check_below(r, 1500);
        *w = (spr_window){.ih = 3,
                          .iw = width,
                          .oh = 2,
                          .ow = (width + 1 - k) / s + 1,
                          .kh = 2,
                          .kw = k,
                          .sh = 1,
                          .sw = s,
                          .dh = 1,
                          .dw = 1,
                          .pr = 1};
    } else if (kind == 11) {
        *w = (spr_window){
            .ih = 20, .iw = 21, .oh = 4, .ow = 3, .kh = 17, .kw = 16, .sh = 1, .sw = 3, .dh = 1, .dw = 1, .pl = 1};
    }
}

void check_q8_pooling(void) {
    for (uint32_t index = 0; index < check_cases(400); index++) {
        check_rng r = check_rng_of("pool_q8", index);
        const check_place place = (check_place)check_below(&r, 2);
        pooling p = {.args = {.kind = (spr_pool_kind)check_below(&r, 3),
                              .x_zero = check_q8_zero(&r),
                              .y_zero = check_q8_zero(&r),
                              .lo = SPR_Q8_MIN,
                              .hi = SPR_Q8_MAX,
                              .scale = check_chance(&r, 2) ? 1 : check_uniform(&r, 0.3f, 3)}};
        spr_window *w = &p.args.win;
        make_pool_window(&r, w);
        if (!has_taps(w->oh, w->sh, w->pt, w->dh, w->kh, w->ih) || !has_taps(w->ow, w->sw, w->pl, w->dw, w->kw, w->iw))
            continue;
        const uint32_t groups = 1 + check_below(&r, 4);
        p.x = check_q8_make_image(&r, CHECK_X, groups, (size_t)w->ih * w->iw, place);
        p.y = check_q8_make_image(&r, CHECK_Y, groups, (size_t)w->oh * w->ow, place);
        p.args.x = p.x.data;
        p.args.y = p.y.data;
        p.args.x_stride = p.x.stride;
        p.args.y_stride = p.y.stride;
        check_part(&r, groups, 1, &p.args.group0, &p.args.group1);
        spr_pool_q8_args plain = p.args;
        plain.y = p.want = check_alloc(p.y.bytes, 1);
        spr_kernel_best(SPR_K_POOL_Q8, SPR_ISA_REF)->run.pool_q8(&plain);
        char text[256];
        const int n =
            snprintf(text, sizeof text, "case %u: kind %d, scale %g, ", index, (int)p.args.kind, p.args.scale);
        check_q8_describe(text + n, sizeof text - (size_t)n, w);
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_POOL_Q8 && check_wanted(i)) check_case(i, text, pool_body, &p);
        free(p.x.copy);
        free(p.y.copy);
        free(p.want);
    }
}
