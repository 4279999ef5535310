/* Quantized depthwise convolution, pooling, elementwise functions and conversions against sums of integers and double precision:
 * within one quantum, and exact where no rounding is left to chance. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void fill_bytes(check_rng *r, void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)check_random(r);
}

static int32_t zero_of(check_rng *r) { return SPR_Q8_MIN + (int32_t)check_below(r, 256); }

/* Rounded and clamped; *open tells whether v is so near the middle of two quanta that both will do. */
static int quantum_of(double v, int32_t zero, int32_t lo, int32_t hi, int *open) {
    const double q = nearbyint(v) + zero;
    *open = fabs(fabs(v - floor(v)) - 0.5) < 1e-4 * (1 + fabs(v));
    return (int)(q < lo ? lo : q > hi ? hi : q);
}

static int agrees(int got, double v, int32_t zero, int32_t lo, int32_t hi) {
    int open;
    const int want = quantum_of(v, zero, lo, hi, &open);
    return got == want || (open && abs(got - want) <= 1);
}

/* ---- windows ---- */

static int32_t extent(uint32_t in, uint32_t k, uint32_t stride, uint32_t dilation, int32_t pads) {
    const int32_t rest = (int32_t)in + pads - (int32_t)(dilation * (k - 1) + 1);
    return rest < 0 ? 0 : rest / (int32_t)stride + 1;
}

static void make_window(check_rng *r, spr_window *w) {
    static const uint8_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 10, 14, 15, 16, 17, 20, 28, 33, 40}, kernels[] = {1, 2, 3, 3, 3, 5, 5, 7};
    do {
        const int usual = check_chance(r, 2);
        memset(w, 0, sizeof *w);
        w->ih = CHECK_PICK(r, sizes);
        w->iw = CHECK_PICK(r, sizes);
        w->kh = CHECK_PICK(r, kernels);
        w->kw = usual ? w->kh : CHECK_PICK(r, kernels);
        w->sh = 1 + check_below(r, 2);
        w->sw = usual ? w->sh : 1 + check_below(r, 3);
        w->dh = usual ? 1 : 1 + check_below(r, 2);
        w->dw = usual ? 1 : 1 + check_below(r, 2);
        w->pt = usual ? (int32_t)w->kh / 2 : (int32_t)check_below(r, w->kh);
        w->pl = usual ? (int32_t)w->kw / 2 : (int32_t)check_below(r, w->kw);
        w->pb = usual ? w->pt : (int32_t)check_below(r, w->kh);
        w->pr = usual ? w->pl : (int32_t)check_below(r, w->kw);
        if (usual && w->sh == 2 && check_chance(r, 2)) w->pt = w->pl = 0;
        w->oh = (uint32_t)extent(w->ih, w->kh, w->sh, w->dh, w->pt + w->pb);
        w->ow = (uint32_t)extent(w->iw, w->kw, w->sw, w->dw, w->pl + w->pr);
    } while (!w->oh || !w->ow);
}

static int describe(char *text, size_t size, const spr_window *w) {
    return snprintf(text, size, "%ux%u to %ux%u, kernel %ux%u, stride %u %u, dilation %u %u, padding %d %d %d %d", w->ih, w->iw, w->oh,
                    w->ow, w->kh, w->kw, w->sh, w->sw, w->dh, w->dw, w->pt, w->pl, w->pb, w->pr);
}

typedef struct image {
    uint32_t groups;
    size_t pixels, stride, bytes;
    spr_q8 *data, *copy;
} image;

static image make_image(check_rng *r, check_slot slot, uint32_t groups, size_t pixels, check_place place) {
    image m = {.groups = groups, .pixels = pixels};
    const size_t lanes = pixels == 1 ? 1 : spr_round_up(pixels, SPR_PX);
    m.stride = pixels == 1 ? 1 : lanes + check_below(r, 3) * SPR_PX;
    m.bytes = ((groups - 1) * m.stride + lanes) * 4;
    m.copy = check_alloc(m.bytes, 1);
    fill_bytes(r, m.copy, m.bytes);
    m.data = check_buffer(slot, m.bytes, pixels == 1 ? 4 : SPR_LINE, place);
    memcpy(m.data, m.copy, m.bytes);
    return m;
}

/* Complains if y was changed outside of the groups and pixels given; padding lanes and spare channels are the kernel's. */
static void check_outside(const image *y, uint32_t group0, uint32_t group1, size_t px0, size_t px1) {
    const size_t lanes = y->pixels == 1 ? 1 : spr_round_up(y->pixels, SPR_PX);
    for (uint32_t g = 0; g < y->groups; g++)
        for (size_t p = 0; p < y->stride && (g * y->stride + p + 1) * 4 <= y->bytes; p++) {
            const int mine = g >= group0 && g < group1 && p >= px0 && p < (px1 == y->pixels ? lanes : px1);
            const size_t at = (g * y->stride + p) * 4;
            if (mine || memcmp(y->data + at, y->copy + at, 4) == 0) continue;
            check_fail("groups %u to %u, pixels %zu to %zu: pixel %zu of group %u is outside and was changed", group0, group1, px0,
                       px1, p, g);
            return;
        }
}

/* ---- depthwise ---- */

typedef struct depthwise {
    spr_window win;
    uint32_t channels;
    int wide;
    spr_q8 x_zero;
    spr_q8_finish finish;
    image x, y, z;
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
            const int32_t x = inside ? d->x.copy[(c / 4 * d->x.stride + (size_t)(iy * w->iw + ix)) * 4 + c % 4] : d->x_zero;
            sum += x * d->w.w[(c * w->kh + ky) * w->kw + kx];
        }
    double v = (double)sum * d->w.scale[c];
    const size_t at = (size_t)oy * w->ow + ox;
    if (d->has_z) v += ((double)d->z.copy[(c / 4 * d->z.stride + at) * 4 + c % 4] - d->finish.z_zero) * d->finish.z_scale;
    v = check_function(&d->finish.act, v, c);
    return d->finish.act.fn == SPR_FN_NONE ? v : v * d->finish.y_inv;
}

static void dw_run(const depthwise *d, const spr_kernel *kernel, const void *packed, uint32_t g0, uint32_t g1, uint32_t oy0,
                   uint32_t oy1) {
    const size_t scratch = kernel->dw_q8->scratch(&d->win);
    const dw_call c = {{.x = d->x.data, .y = d->y.data, .z = d->has_z ? d->z.data : NULL, .x_stride = d->x.stride,
                        .y_stride = d->y.stride, .z_stride = d->has_z ? d->z.stride : 0, .packed = packed, .channels = d->channels,
                        .win = &d->win, .x_zero = d->x_zero, .group0 = g0, .group1 = g1, .oy0 = oy0, .oy1 = oy1,
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
                if (!agrees(got, v, d->finish.y_zero, d->finish.lo, d->finish.hi)) {
                    check_fail("channel %u, row %u, pixel %u is %d, not %g above %d", c, oy, ox, got, v, d->finish.y_zero);
                    return;
                }
                compared++;
            }
    check_count_outputs(compared, compared);
    check_outside(&d->y, g0, g1, (size_t)oy0 * d->win.ow, (size_t)oy1 * d->win.ow);
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
    make_window(r, &d->win);
    d->channels = CHECK_PICK(r, channels);
    d->wide = check_chance(r, 4);
    d->x_zero = (spr_q8)zero_of(r);
    d->place = (check_place)check_below(r, 2);
    d->has_z = check_chance(r, 4);
    spr_q8_finish *f = &d->finish;
    *f = (spr_q8_finish){.y_zero = zero_of(r), .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX, .y_inv = check_uniform(r, 1, 30),
                         .z_zero = zero_of(r), .z_scale = check_uniform(r, 0.1f, 1)};
    f->act = (spr_act){.fn = SPR_FN_NONE};
    if (check_chance(r, 3)) f->act = (spr_act){.fn = check_chance(r, 2) ? SPR_FN_HARD_SWISH : SPR_FN_LEAKY_RELU, .a = 1.0f / 6, .b = 0.5f};
    if (check_chance(r, 3)) f->lo = f->y_zero;
    const uint32_t groups = (d->channels + 3) / 4;
    d->x = make_image(r, CHECK_X, groups, (size_t)d->win.ih * d->win.iw, d->place);
    d->y = make_image(r, CHECK_Y, groups, (size_t)d->win.oh * d->win.ow, d->place);
    if (d->has_z) d->z = make_image(r, CHECK_Z, groups, (size_t)d->win.oh * d->win.ow, d->place);
    const size_t taps = (size_t)d->win.kh * d->win.kw;
    int16_t *w = check_buffer(CHECK_DENSE, d->channels * taps * sizeof *w, sizeof *w, CHECK_END);
    int32_t *bias = check_buffer(CHECK_BIAS, d->channels * sizeof *bias, sizeof *bias, CHECK_END);
    float *scale = check_buffer(CHECK_VAL, d->channels * sizeof *scale, sizeof *scale, CHECK_END);
    for (size_t i = 0; i < d->channels * taps; i++)
        w[i] = (int16_t)(d->wide ? (int)check_below(r, 511) - 255 : (int)check_below(r, 256) - 128);
    for (uint32_t c = 0; c < d->channels; c++) {
        bias[c] = (int32_t)check_below(r, 4000) - 2000;
        scale[c] = check_uniform(r, 0.001f, 0.01f);
    }
    d->w = (spr_dw_q8_weights){.channels = d->channels, .win = d->win, .w = w, .bias = bias, .scale = scale};
}

static void sweep_depthwise(void) {
    for (uint32_t index = 0; index < check_cases(600); index++) {
        check_rng rng = check_rng_of("dw_q8", index);
        depthwise d;
        char text[256];
        make_depthwise(&d, &rng);
        d.rng = rng;
        const int n = snprintf(text, sizeof text, "case %u: %u channels, %s%s, %s, ", index, d.channels, d.wide ? "wide, " : "",
                               spr_function_name(d.finish.act.fn), d.has_z ? "z" : "no z");
        describe(text + n, sizeof text - (size_t)n, &d.win);
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_DWCONV_Q8 && check_wanted(i) && spr_kernels[i].dw_q8->match(&d.win))
                check_case(i, text, dw_body, &d);
        free(d.x.copy);
        free(d.y.copy);
        free(d.z.copy);
    }
}

/* ---- pooling ---- */

typedef struct pooling {
    spr_pool_q8_args args;
    image x, y;
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
                const int got = p->y.data[(c / 4 * p->y.stride + (size_t)oy * p->args.win.ow + ox) * 4 + c % 4];
                const double v = pool_value(p, c, oy, ox);
                if (agrees(got, v, p->args.y_zero, p->args.lo, p->args.hi)) continue;
                check_fail("channel %u, row %u, pixel %u is %d, not %g above %d", c, oy, ox, got, v, p->args.y_zero);
                return;
            }
    check_count_outputs(compared, compared);
    check_outside(&p->y, p->args.group0, p->args.group1, 0, p->y.pixels);
    if (memcmp(p->x.data, p->x.copy, p->x.bytes)) check_fail("it changed an input");
}

static void sweep_pooling(void) {
    for (uint32_t index = 0; index < check_cases(400); index++) {
        check_rng r = check_rng_of("pool_q8", index);
        const check_place place = (check_place)check_below(&r, 2);
        pooling p = {.args = {.kind = (spr_pool_kind)check_below(&r, 3), .x_zero = zero_of(&r), .y_zero = zero_of(&r),
                              .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX, .scale = check_chance(&r, 2) ? 1 : check_uniform(&r, 0.3f, 3)}};
        spr_window *w = &p.args.win;
        make_window(&r, w);
        if (check_chance(&r, 4)) *w = (spr_window){.ih = w->ih, .iw = w->iw, .oh = 1, .ow = 1, .kh = w->ih, .kw = w->iw, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
        const uint32_t reach_y = (w->oh - 1) * w->sh, reach_x = (w->ow - 1) * w->sw; /* no window of padding alone */
        if (w->dh > 1 || w->dw > 1 || reach_y >= w->ih + (uint32_t)w->pt || reach_x >= w->iw + (uint32_t)w->pl) continue;
        const uint32_t groups = 1 + check_below(&r, 4);
        p.x = make_image(&r, CHECK_X, groups, (size_t)w->ih * w->iw, place);
        p.y = make_image(&r, CHECK_Y, groups, (size_t)w->oh * w->ow, place);
        p.args.x = p.x.data;
        p.args.y = p.y.data;
        p.args.x_stride = p.x.stride;
        p.args.y_stride = p.y.stride;
        check_part(&r, groups, 1, &p.args.group0, &p.args.group1);
        char text[256];
        const int n = snprintf(text, sizeof text, "case %u: kind %d, scale %g, ", index, (int)p.args.kind, p.args.scale);
        describe(text + n, sizeof text - (size_t)n, w);
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_POOL_Q8 && check_wanted(i)) check_case(i, text, pool_body, &p);
        free(p.x.copy);
        free(p.y.copy);
    }
}

/* ---- elementwise ---- */

enum { MOST = 300 };

typedef struct elementwise {
    size_t n;
    spr_binary_q8 f;
    int a_step, b_step, channels;
    float scale;
    spr_q8 *a, *b, *y, table[256], a0[MOST * 4], b0[MOST * 4];
    float *plane[4], plane0[4][MOST];
    spr_kernel_class cls;
} elementwise;

typedef struct e_call {
    const elementwise *e;
    const spr_kernel *kernel;
} e_call;

static void call_e(const void *p) {
    const e_call *c = p;
    const elementwise *e = c->e;
    switch (e->cls) {
    case SPR_K_BINARY_Q8: c->kernel->run.binary_q8(&e->f, e->a, e->a_step, e->b, e->b_step, e->y, e->n); return;
    case SPR_K_TABLE_Q8: c->kernel->run.table_q8(e->a, e->y, e->n, e->table); return;
    case SPR_K_QUANTIZE_Q8:
        c->kernel->run.quantize_q8((const float *const *)e->plane, e->y, e->n, e->scale, e->f.y_zero);
        return;
    default: c->kernel->run.dequantize_q8(e->a, e->plane, e->n, e->scale, e->f.a_zero);
    }
}

/* Whether byte i of a pixel p came out right. */
static int e_right(const elementwise *e, size_t p, size_t i) {
    const spr_binary_q8 *f = &e->f;
    const int got = e->cls == SPR_K_DEQUANTIZE_Q8 ? 0 : e->y[4 * p + i];
    const spr_q8 a = e->a0[(e->a_step ? 4 * p : 0) + i];
    switch (e->cls) {
    case SPR_K_BINARY_Q8: {
        const double u = ((double)a - f->a_zero) * f->a_scale;
        const double v = ((double)e->b0[(e->b_step ? 4 * p : 0) + i] - f->b_zero) * f->b_scale;
        return agrees(got, f->f == SPR_BIN_ADD ? u + v : f->f == SPR_BIN_SUB ? u - v : u * v, f->y_zero, f->lo, f->hi);
    }
    case SPR_K_TABLE_Q8: return got == e->table[(uint8_t)e->a0[4 * p + i]];
    case SPR_K_QUANTIZE_Q8: {
        const float x = e->plane[i] ? e->plane0[i][p] : 0;
        return !e->plane[i] || (isnan(x) ? got == SPR_Q8_MIN : agrees(got, (double)x / e->scale, f->y_zero, SPR_Q8_MIN, SPR_Q8_MAX));
    }
    default: return !e->plane[i] || e->plane[i][p] == (float)((int32_t)e->a0[4 * p + i] - f->a_zero) * e->scale;
    }
}

static void e_body(size_t k, void *context) {
    elementwise *e = context;
    const e_call c = {e, &spr_kernels[k]};
    memcpy(e->a, e->a0, (e->a_step ? e->n : 1) * 4);
    if (e->b) memcpy(e->b, e->b0, (e->b_step ? e->n : 1) * 4);
    for (int i = 0; i < 4; i++)
        if (e->plane[i]) memcpy(e->plane[i], e->plane0[i], e->n * sizeof(float));
    check_call(call_e, &c);
    for (size_t p = 0; p < e->n; p++)
        for (size_t i = 0; i < 4; i++)
            if (!e_right(e, p, i)) {
                check_fail("pixel %zu, channel %zu is wrong", p, i);
                return;
            }
    check_count_outputs(e->n * 4, e->n * 4);
}

static void make_elementwise(elementwise *e, spr_kernel_class cls, check_rng *r) {
    static const uint16_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 25, 31, 33, 49, 64, 100, 257, MOST};
    static const spr_binary functions[] = {SPR_BIN_ADD, SPR_BIN_ADD, SPR_BIN_SUB, SPR_BIN_MUL};
    static const check_slot slots[4] = {CHECK_DENSE, CHECK_COL, CHECK_VAL, CHECK_BIAS};
    const check_place place = (check_place)check_below(r, 2);
    memset(e, 0, sizeof *e);
    e->cls = cls;
    e->n = CHECK_PICK(r, lengths);
    e->scale = check_uniform(r, 0.005f, 0.1f);
    e->f = (spr_binary_q8){.f = CHECK_PICK(r, functions), .a_scale = check_uniform(r, 0.2f, 1.5f), .b_scale = check_uniform(r, 0.2f, 1.5f),
                           .a_zero = zero_of(r), .b_zero = zero_of(r), .y_zero = zero_of(r), .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX};
    if (e->f.f == SPR_BIN_MUL) e->f.a_scale /= 100, e->f.b_scale = 1;
    if (check_chance(r, 3)) e->f.lo = e->f.y_zero;
    const int binary = cls == SPR_K_BINARY_Q8, in_place = cls != SPR_K_QUANTIZE_Q8 && check_chance(r, 3);
    e->a_step = !binary || check_chance(r, 3) == 0;
    e->b_step = check_chance(r, 3) == 0 || !e->a_step;
    fill_bytes(r, e->a0, sizeof e->a0);
    fill_bytes(r, e->b0, sizeof e->b0);
    fill_bytes(r, e->table, sizeof e->table);
    e->a = check_buffer(CHECK_X, (e->a_step ? e->n : 1) * 4, 4, place);
    if (binary) e->b = check_buffer(CHECK_Z, (e->b_step ? e->n : 1) * 4, 4, place);
    e->y = in_place && e->a_step ? e->a : check_buffer(CHECK_Y, e->n * 4, 4, place);
    e->channels = 1 + (int)check_below(r, 4);
    for (int i = 0; i < e->channels && cls >= SPR_K_QUANTIZE_Q8; i++) {
        e->plane[i] = check_buffer(slots[i], e->n * sizeof(float), 4, place);
        for (size_t p = 0; p < MOST; p++)
            e->plane0[i][p] = check_chance(r, 50) ? NAN : check_chance(r, 20) ? check_uniform(r, -1e30f, 1e30f) : check_uniform(r, -9, 9);
    }
}

static void sweep_elementwise(void) {
    static const spr_kernel_class classes[] = {SPR_K_BINARY_Q8, SPR_K_TABLE_Q8, SPR_K_QUANTIZE_Q8, SPR_K_DEQUANTIZE_Q8};
    for (uint32_t index = 0; index < check_cases(600); index++) {
        check_rng r = check_rng_of("elementwise_q8", index);
        elementwise e;
        make_elementwise(&e, classes[index % SPR_COUNTOF(classes)], &r);
        char text[160];
        snprintf(text, sizeof text, "case %u: n %zu, %s, steps %d %d, %d channels, scales %g %g", index, e.n, spr_binary_name(e.f.f),
                 e.a_step, e.b_step, e.channels, e.f.a_scale, e.f.b_scale);
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == e.cls && check_wanted(i)) check_case(i, text, e_body, &e);
    }
}

void check_quantized(void) {
    sweep_depthwise();
    sweep_pooling();
    sweep_elementwise();
}
