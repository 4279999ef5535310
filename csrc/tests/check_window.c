/* Convolutions, depthwise convolutions and pooling over random geometries: kernels, strides, dilations, paddings,
 * groups and sizes, half of them those which networks have. Every kernel whose match() accepts a shape runs it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ---- geometry ---- */

static int32_t spatial(uint32_t in, uint32_t k, uint32_t stride, uint32_t dilation, int32_t begin, int32_t end) {
    const int32_t left = (int32_t)in + begin + end - (int32_t)(dilation * (k - 1) + 1);
    return left < 0 ? 0 : left / (int32_t)stride + 1;
}

static const uint16_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 20, 28, 31, 32, 33, 40, 47, 64, 65, 112};

/* A window that a network may have: an odd square kernel that keeps the size or halves it, padded alike at all sides or
   as TensorFlow does. */
static void usual_window(check_rng *r, spr_window *w) {
    static const uint8_t kernels[] = {1, 3, 3, 5, 7};
    w->kh = w->kw = CHECK_PICK(r, kernels);
    w->sh = w->sw = 1 + check_below(r, 2);
    w->pt = w->pl = w->pb = w->pr = (int32_t)(w->kh / 2);
    if (w->sh == 2 && check_chance(r, 2)) w->pt--, w->pl--;
    if (check_chance(r, 6)) w->pt = w->pl = w->pb = w->pr = 0;
    if (w->pt < 0) w->pt = w->pl = 0;
}

static void any_window(check_rng *r, spr_window *w) {
    static const uint8_t kernels[] = {1, 2, 3, 5, 7};
    w->kh = CHECK_PICK(r, kernels);
    w->kw = CHECK_PICK(r, kernels);
    w->sh = 1 + check_below(r, 3);
    w->sw = 1 + check_below(r, 3);
    w->dh = 1 + check_below(r, 2);
    w->dw = 1 + check_below(r, 2);
    w->pt = (int32_t)check_below(r, w->kh + 1);
    w->pb = (int32_t)check_below(r, w->kh + 1);
    w->pl = (int32_t)check_below(r, w->kw + 1);
    w->pr = (int32_t)check_below(r, w->kw + 1);
}

static void make_window(check_rng *r, spr_window *w) {
    do {
        memset(w, 0, sizeof *w);
        w->dh = w->dw = 1;
        w->ih = CHECK_PICK(r, sizes);
        w->iw = CHECK_PICK(r, sizes);
        if (w->ih > 33 && w->iw > 33) w->ih = 1 + check_below(r, 12);
        if (check_chance(r, 2))
            usual_window(r, w);
        else
            any_window(r, w);
        int32_t oh = spatial(w->ih, w->kh, w->sh, w->dh, w->pt, w->pb);
        int32_t ow = spatial(w->iw, w->kw, w->sw, w->dw, w->pl, w->pr);
        /* As ceil_mode does it, or less than there could be. */
        if (check_chance(r, 8)) oh += (int32_t)check_below(r, 3) - 1;
        if (check_chance(r, 8)) ow += (int32_t)check_below(r, 3) - 1;
        w->oh = oh < 0 ? 0 : (uint32_t)oh;
        w->ow = ow < 0 ? 0 : (uint32_t)ow;
    } while (w->oh == 0 || w->ow == 0);
}

static int describe_window(char *text, size_t size, const spr_window *w) {
    return snprintf(text, size, "%ux%u to %ux%u, kernel %ux%u, stride %u %u, dilation %u %u, padding %d %d %d %d",
                    w->ih, w->iw, w->oh, w->ow, w->kh, w->kw, w->sh, w->sw, w->dh, w->dw, w->pt, w->pl, w->pb, w->pr);
}

/* ---- planes ---- */

typedef struct planes {
    uint32_t count;
    size_t hw, lanes, stride, floats;
    size_t skew; /* floats that the first plane lies behind a line */
    float *data, *copy; /* copy: what the data were */
} planes;

static planes make_planes(check_rng *r, uint32_t count, size_t hw) {
    planes p = {.count = count, .hw = hw, .lanes = spr_plane_lanes(hw)};
    p.stride = p.lanes;
    if (check_chance(r, 2)) p.stride = spr_round_up(hw, SPR_PX) + check_below(r, 3) * SPR_PX;
    p.floats = (count - 1) * p.stride + p.lanes;
    p.copy = check_alloc(p.floats, sizeof(float));
    check_blank(p.copy, p.floats);
    return p;
}

static void place_planes(planes *p, check_slot slot, check_place place) {
    const size_t align = p->stride % SPR_PX || p->skew ? sizeof(float) : SPR_LINE;
    p->data = check_buffer(slot, (p->floats + p->skew) * sizeof(float), align, place);
    if (place == CHECK_START) p->data += p->skew;
    memcpy(p->data, p->copy, p->floats * sizeof(float));
}

static void fill_planes(check_rng *r, planes *p) {
    for (uint32_t i = 0; i < p->count; i++) check_fill(r, p->copy + i * p->stride, p->lanes);
}

static void make_special(check_rng *r, planes *p) {
    const float values[] = {NAN, INFINITY, -INFINITY};
    p->copy[check_below(r, p->count) * p->stride + check_below(r, (uint32_t)p->hw)] = CHECK_PICK(r, values);
}

/* Complains unless the output is `full` in channels [row0, row1) and pixels [px0, px1) and `copy` everywhere else.
   Where the part ends at the end of the plane, the padding lanes are 0. */
static void compare_part(const planes *y, const float *full, uint32_t row0, uint32_t row1, size_t px0, size_t px1) {
    for (uint32_t row = 0; row < y->count; row++)
        for (size_t p = 0; p < y->stride && row * y->stride + p < y->floats; p++) {
            const size_t i = row * y->stride + p;
            const int mine = row >= row0 && row < row1;
            if (mine && px1 == y->hw && p >= y->hw && p < y->lanes) {
                if (y->data[i] != 0) {
                    check_fail("channel %u: padding lane %zu holds %g, not 0", row, p, y->data[i]);
                    return;
                }
            } else if (mine && p >= px0 && p < px1) {
                if (!check_same_result(y->data[i], full[i])) {
                    check_fail("channels %u to %u, pixels %zu to %zu: pixel %zu of channel %u differs",
                               row0, row1, px0, px1, p, row);
                    return;
                }
            } else if (!check_same(y->data + i, y->copy + i, 1)) {
                check_fail("channels %u to %u, pixels %zu to %zu: float %zu of channel %u is outside and was changed",
                           row0, row1, px0, px1, p, row);
                return;
            }
        }
}

/* ---- convolution ---- */

typedef struct conv {
    spr_conv_shape shape;
    spr_act act;
    int has_z, z_is_y, special;
    check_place place;
    planes x, y, z;
    const float *weight, *bias;
    double *sum, *size; /* [oc][oh * ow] */
    float *full;
    check_rng rng;
} conv;

static void make_channels(check_rng *r, int depthwise, spr_conv_shape *s) {
    static const uint8_t few[] = {1, 2, 3, 4, 5, 8}, more[] = {1, 3, 4, 6, 7, 8, 9, 15, 16, 17, 24, 32, 33};
    if (depthwise) {
        s->ic = s->group = CHECK_PICK(r, more);
        s->oc = s->ic * (check_chance(r, 4) ? 1 + check_below(r, 3) : 1);
    } else if (check_chance(r, 3)) {
        s->group = 2 + check_below(r, 3);
        s->ic = s->group * CHECK_PICK(r, few);
        s->oc = s->group * CHECK_PICK(r, few);
    } else {
        s->group = 1;
        s->ic = check_chance(r, 3) ? 3 : CHECK_PICK(r, more);
        s->oc = CHECK_PICK(r, more);
    }
}

static double work(const spr_conv_shape *s) {
    return (double)s->oc * (s->ic / s->group) * s->win.kh * s->win.kw * s->win.oh * s->win.ow;
}

static void reference(conv *c) {
    const spr_conv_shape *s = &c->shape;
    const spr_window *w = &s->win;
    const uint32_t icg = s->ic / s->group, ocg = s->oc / s->group;
    size_t i = 0;
    for (uint32_t oc = 0; oc < s->oc; oc++)
        for (uint32_t oy = 0; oy < w->oh; oy++)
            for (uint32_t ox = 0; ox < w->ow; ox++, i++) {
                const double bias = c->bias ? c->bias[oc] : 0;
                const double z = c->has_z ? c->z.copy[oc * c->z.stride + (size_t)oy * w->ow + ox] : 0;
                double sum = bias + z, size = fabs(bias) + fabs(z);
                for (uint32_t ky = 0; ky < w->kh; ky++)
                    for (uint32_t kx = 0; kx < w->kw; kx++) {
                        const int64_t iy = (int64_t)oy * w->sh + ky * w->dh - w->pt;
                        const int64_t ix = (int64_t)ox * w->sw + kx * w->dw - w->pl;
                        if (iy < 0 || iy >= w->ih || ix < 0 || ix >= w->iw) continue;
                        for (uint32_t ic = 0; ic < icg; ic++) {
                            const double x = c->x.copy[(oc / ocg * icg + ic) * c->x.stride + (size_t)(iy * w->iw + ix)];
                            const double v = x * c->weight[((size_t)oc * icg + ic) * w->kh * w->kw + ky * w->kw + kx];
                            sum += v;
                            size += fabs(v);
                        }
                    }
                c->sum[i] = sum;
                c->size[i] = size;
            }
}

static void make_conv(conv *c, int depthwise, check_rng *r) {
    const double most = check_chance(r, 16) ? 3e6 : 2e5;
    spr_conv_shape *s = &c->shape;
    memset(c, 0, sizeof *c);
    do {
        make_channels(r, depthwise, s);
        make_window(r, &s->win);
    } while (work(s) > most);
    c->act = check_random_act(r);
    c->place = (check_place)check_below(r, 2);
    c->has_z = check_chance(r, 3);
    c->z_is_y = c->has_z && check_chance(r, 2);
    c->special = check_chance(r, 8);
    const size_t taps = (size_t)s->ic / s->group * s->win.kh * s->win.kw, hw = (size_t)s->win.oh * s->win.ow;
    c->x = make_planes(r, s->ic, (size_t)s->win.ih * s->win.iw);
    fill_planes(r, &c->x);
    if (c->special) make_special(r, &c->x);
    if (!depthwise && check_chance(r, 3)) c->x.skew = check_below(r, SPR_PX);
    place_planes(&c->x, CHECK_X, c->place);
    c->y = make_planes(r, s->oc, hw);
    if (c->has_z) {
        c->z = c->z_is_y ? c->y : make_planes(r, s->oc, hw);
        fill_planes(r, &c->z);
        if (!c->z_is_y) place_planes(&c->z, CHECK_Z, c->place);
    }
    float *weight = check_buffer(CHECK_DENSE, s->oc * taps * sizeof(float), sizeof(float), c->place);
    check_fill(r, weight, s->oc * taps);
    c->weight = weight;
    if (check_chance(r, 2)) {
        float *bias = check_buffer(CHECK_BIAS, s->oc * sizeof(float), sizeof(float), c->place);
        check_fill(r, bias, s->oc);
        c->bias = bias;
    }
    if (c->act.fn == SPR_FN_PRELU) {
        float *slope = check_buffer(CHECK_SLOPE, s->oc * sizeof(float), sizeof(float), c->place);
        check_fill(r, slope, s->oc);
        c->act.slope = slope;
    }
    c->sum = check_alloc(s->oc * hw, sizeof(double));
    c->size = check_alloc(s->oc * hw, sizeof(double));
    c->full = check_alloc(c->y.floats, sizeof(float));
    reference(c);
    c->rng = *r;
}

static void free_conv(conv *c) {
    free(c->x.copy);
    free(c->y.copy);
    if (c->has_z && !c->z_is_y) free(c->z.copy);
    free(c->sum);
    free(c->size);
    free(c->full);
}

typedef struct conv_call {
    spr_conv_args args;
    spr_conv_fn *fn;
} conv_call;

static void call_conv(const void *p) {
    const conv_call *c = p;
    c->fn(&c->args);
}

/* Computes output rows [oy0, oy1) of the channels [row0, row1), group by group where the class asks for that. */
static void compute(const conv *c, const spr_kernel *kernel, const void *packed, uint32_t row0, uint32_t row1,
                    uint32_t oy0, uint32_t oy1) {
    const spr_conv_shape *s = &c->shape;
    const size_t bytes = kernel->conv->scratch(s);
    const uint32_t ocg = kernel->cls == SPR_K_CONV ? s->oc / s->group : s->oc;
    for (uint32_t from = row0, to; from < row1; from = to) {
        to = (from / ocg + 1) * ocg;
        if (to > row1) to = row1;
        void *scratch = check_buffer(CHECK_SCRATCH, bytes, SPR_LINE, c->place);
        memset(scratch, 0xff, bytes);
        const conv_call call = {{.x = c->x.data, .y = c->y.data, .z = c->z_is_y ? c->y.data : c->z.data,
                                 .x_stride = c->x.stride, .y_stride = c->y.stride, .z_stride = c->z.stride,
                                 .packed = packed, .shape = s, .row0 = from, .row1 = to, .oy0 = oy0, .oy1 = oy1,
                                 .act = c->act, .scratch = scratch,
                                 .unary = spr_kernel_best(SPR_K_UNARY, check_features)->run.unary}, kernel->run.conv};
        check_call(call_conv, &call);
        check_intact();
    }
}

static void restore_output(const planes *y) { memcpy(y->data, y->copy, y->floats * sizeof(float)); }

static void compare_conv(const conv *c) {
    const spr_conv_shape *s = &c->shape;
    const uint32_t taps = s->ic / s->group * s->win.kh * s->win.kw;
    uint64_t busy = 0;
    for (uint32_t row = 0; row < s->oc; row++)
        for (size_t p = 0; p < c->y.hw; p++) {
            const size_t i = row * c->y.hw + p;
            const double expected = check_function(&c->act, c->sum[i], row);
            /* taps + 2 additions of f32 and as many products, in any order. */
            const double off = isfinite(c->sum[i]) ? (taps + 3) * CHECK_EPS * c->size[i] : 0;
            const float v = c->y.data[row * c->y.stride + p];
            if (!check_close(v, expected, check_function_bound(&c->act, c->sum[i], row, off))) {
                check_fail("channel %u, pixel %zu is %.9g, not %.9g", row, p, v, expected);
                return;
            }
            busy += c->size[i] > 0;
        }
    check_count_outputs(s->oc * c->y.hw, busy);
}

static void conv_body(size_t i, void *context) {
    const spr_kernel *kernel = &spr_kernels[i];
    conv *c = context;
    const spr_conv_shape *s = &c->shape;
    check_rng rng = c->rng;
    const size_t bytes = kernel->conv->size(s);
    void *packed = check_buffer(CHECK_PACKED, bytes, SPR_LINE, c->place);
    memset(packed, 0xff, bytes);
    kernel->conv->pack(s, c->weight, c->bias, packed);
    place_planes(&c->y, CHECK_Y, c->place);
    if (kernel->cls == SPR_K_CONV && s->group > 1 && s->oc / s->group % kernel->row_step != 0) {
        check_fail("it matches groups of %u channels, which are no multiple of its row_step", s->oc / s->group);
        return;
    }

    compute(c, kernel, packed, 0, s->oc, 0, s->win.oh);
    memcpy(c->full, c->y.data, c->y.floats * sizeof(float));
    compare_conv(c);
    if (check_failing()) return;
    compare_part(&c->y, c->full, 0, s->oc, 0, c->y.hw);

    /* As 2 or 4 threads would: by channels, by image rows, or both. */
    restore_output(&c->y);
    const uint32_t step = kernel->row_step, row_steps = (s->oc + step - 1) / step;
    const uint32_t by_rows = 1u << check_below(&rng, 3), by_oy = 1u << check_below(&rng, 3);
    for (uint32_t a = by_rows; a-- > 0;)
        for (uint32_t b = 0; b < by_oy; b++) {
            const uint32_t row0 = row_steps * a / by_rows * step, row1 = row_steps * (a + 1) / by_rows * step;
            const uint32_t oy0 = s->win.oh * b / by_oy, oy1 = s->win.oh * (b + 1) / by_oy;
            if (row0 < row1 && oy0 < oy1) compute(c, kernel, packed, row0, row1 < s->oc ? row1 : s->oc, oy0, oy1);
        }
    compare_part(&c->y, c->full, 0, s->oc, 0, c->y.hw);

    restore_output(&c->y);
    uint32_t row0, row1, oy0, oy1;
    check_part(&rng, s->oc, step, &row0, &row1);
    check_part(&rng, s->win.oh, 1, &oy0, &oy1);
    compute(c, kernel, packed, row0, row1, oy0, oy1);
    compare_part(&c->y, c->full, row0, row1, (size_t)oy0 * s->win.ow, (size_t)oy1 * s->win.ow);

    if (!check_same(c->x.data, c->x.copy, c->x.floats) ||
        (c->has_z && !c->z_is_y && !check_same(c->z.data, c->z.copy, c->z.floats)))
        check_fail("it changed an input");
}

static int any_wanted(spr_kernel_class cls) {
    for (size_t i = 0; i < spr_kernel_count; i++)
        if (spr_kernels[i].cls == cls && check_wanted(i)) return 1;
    return 0;
}

static void sweep_conv(spr_kernel_class cls, uint32_t cases) {
    for (uint32_t index = 0; index < cases && any_wanted(cls); index++) {
        check_rng rng = check_rng_of(spr_kernel_class_name(cls), index);
        conv c;
        make_conv(&c, cls == SPR_K_DWCONV, &rng);
        char window[160], text[360];
        describe_window(window, sizeof window, &c.shape.win);
        snprintf(text, sizeof text, "case %u: %u to %u channels, groups %u, %s, %s%s%s%s, strides %zu %zu %zu%s", index,
                 c.shape.ic, c.shape.oc, c.shape.group, window, spr_function_name(c.act.fn), c.bias ? ", bias" : "",
                 c.z_is_y ? ", z = y" : c.has_z ? ", z" : "", c.special ? ", NaN or Inf" : "", c.x.stride, c.y.stride,
                 c.z.stride, c.place == CHECK_END ? ", end" : ", start");
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == cls && check_wanted(i) && spr_kernels[i].conv->match(&c.shape))
                check_case(i, text, conv_body, &c);
        free_conv(&c);
    }
}

void check_convolution(void) {
    sweep_conv(SPR_K_CONV, check_cases(800));
    sweep_conv(SPR_K_DWCONV, check_cases(800));
}

/* ---- pooling ---- */

typedef struct pool {
    spr_window win;
    spr_pool_kind kind;
    check_place place;
    planes x, y;
    float *full;
    check_rng rng;
} pool;

typedef struct pool_call {
    spr_pool_args args;
    spr_pool_fn *fn;
} pool_call;

static void call_pool(const void *p) {
    const pool_call *c = p;
    c->fn(&c->args);
}

static void run_pool(const pool *l, const spr_kernel *kernel, uint32_t c0, uint32_t c1) {
    const pool_call c = {{.x = l->x.data, .y = l->y.data, .x_stride = l->x.stride, .y_stride = l->y.stride,
                          .kind = l->kind, .win = l->win, .c0 = c0, .c1 = c1}, kernel->run.pool};
    check_call(call_pool, &c);
}

static double pool_reference(const pool *l, const float *x, uint32_t oy, uint32_t ox, double *bound, int *taps) {
    const spr_window *w = &l->win;
    double max = -INFINITY, sum = 0, size = 0;
    int inside = 0, padded = 0;
    for (uint32_t ky = 0; ky < w->kh; ky++)
        for (uint32_t kx = 0; kx < w->kw; kx++) {
            const int64_t iy = (int64_t)oy * w->sh + ky * w->dh - w->pt, ix = (int64_t)ox * w->sw + kx * w->dw - w->pl;
            padded += iy < (int64_t)w->ih + w->pb && ix < (int64_t)w->iw + w->pr;
            if (iy < 0 || iy >= w->ih || ix < 0 || ix >= w->iw) continue;
            const double v = x[iy * w->iw + ix];
            if (v > max || isnan(v)) max = v;
            sum += v;
            size += fabs(v);
            inside++;
        }
    *taps = inside;
    *bound = 0;
    if (l->kind == SPR_POOL_MAX) return max;
    const int count = l->kind == SPR_POOL_AVG ? inside : padded;
    if (count == 0) return 0;
    *bound = isfinite(sum) ? (inside + 2) * CHECK_EPS * size / count : 0; /* the sum, 1 / count and the product */
    return sum / count;
}

static void compare_pool(const pool *l) {
    uint64_t busy = 0;
    for (uint32_t c = 0; c < l->y.count; c++)
        for (uint32_t oy = 0; oy < l->win.oh; oy++)
            for (uint32_t ox = 0; ox < l->win.ow; ox++) {
                double bound;
                int taps;
                const double expected = pool_reference(l, l->x.copy + c * l->x.stride, oy, ox, &bound, &taps);
                const float v = l->y.data[c * l->y.stride + (size_t)oy * l->win.ow + ox];
                if (!check_close(v, expected, bound)) {
                    check_fail("channel %u, row %u, column %u is %.9g, not %.9g", c, oy, ox, v, expected);
                    return;
                }
                busy += taps != 0;
            }
    check_count_outputs(l->y.count * l->y.hw, busy);
}

static void pool_body(size_t i, void *context) {
    const spr_kernel *kernel = &spr_kernels[i];
    pool *l = context;
    check_rng rng = l->rng;
    place_planes(&l->y, CHECK_Y, l->place);
    run_pool(l, kernel, 0, l->y.count);
    memcpy(l->full, l->y.data, l->y.floats * sizeof(float));
    compare_pool(l);
    if (check_failing()) return;
    compare_part(&l->y, l->full, 0, l->y.count, 0, l->y.hw);

    restore_output(&l->y);
    uint32_t c0, c1;
    check_part(&rng, l->y.count, 1, &c0, &c1);
    run_pool(l, kernel, c0, c1);
    compare_part(&l->y, l->full, c0, c1, 0, l->y.hw);
    if (!check_same(l->x.data, l->x.copy, l->x.floats)) check_fail("it changed its input");
}

void check_pooling(void) {
    static const char *const kinds[] = {"max", "average", "average with padding"};
    static const uint8_t channels[] = {1, 2, 3, 5, 16, 17, 32};
    for (uint32_t index = 0; index < check_cases(800) && any_wanted(SPR_K_POOL); index++) {
        check_rng r = check_rng_of("pool", index);
        pool l = {.kind = (spr_pool_kind)check_below(&r, 3), .place = (check_place)check_below(&r, 2)};
        make_window(&r, &l.win);
        if (check_chance(&r, 4)) /* the whole image */
            l.win = (spr_window){l.win.ih, l.win.iw, 1, 1, l.win.ih, l.win.iw, 1, 1, 1, 1, 0, 0, 0, 0};
        const uint32_t count = CHECK_PICK(&r, channels);
        const int special = check_chance(&r, 4);
        l.x = make_planes(&r, count, (size_t)l.win.ih * l.win.iw);
        fill_planes(&r, &l.x);
        if (special) make_special(&r, &l.x);
        place_planes(&l.x, CHECK_X, l.place);
        l.y = make_planes(&r, count, (size_t)l.win.oh * l.win.ow);
        l.full = check_alloc(l.y.floats, sizeof(float));
        l.rng = r;
        char window[160], text[300];
        describe_window(window, sizeof window, &l.win);
        snprintf(text, sizeof text, "case %u: %s, %u channels, %s%s, strides %zu %zu%s", index, kinds[l.kind], count,
                 window, special ? ", NaN or Inf" : "", l.x.stride, l.y.stride,
                 l.place == CHECK_END ? ", end" : ", start");
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_POOL && check_wanted(i)) check_case(i, text, pool_body, &l);
        free(l.x.copy);
        free(l.y.copy);
        free(l.full);
    }
}
