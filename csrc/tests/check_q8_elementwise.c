/* Quantized elementwise functions and conversions against double precision: exact but where
 * rounding is left to chance; and there all kernels must round alike. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check_q8.h"

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
        const double sum = f->f == SPR_BIN_ADD ? u + v : f->f == SPR_BIN_SUB ? u - v : u * v;
        return check_q8_agrees(got, sum + f->y_zero, 0, f->lo, f->hi);
    }
    case SPR_K_TABLE_Q8: return got == e->table[(uint8_t)e->a0[4 * p + i]];
    case SPR_K_QUANTIZE_Q8: {
        const float x = e->plane[i] ? e->plane0[i][p] : 0;
        return !e->plane[i] ||
               (isnan(x) ? got == SPR_Q8_MIN
                         : check_q8_agrees(got, (double)x / e->scale, f->y_zero, SPR_Q8_MIN, SPR_Q8_MAX));
    }
    default: return !e->plane[i] || e->plane[i][p] == (float)((int32_t)e->a0[4 * p + i] - f->a_zero) * e->scale;
    }
}

static void e_run(elementwise *e, const spr_kernel *kernel) {
    const e_call c = {e, kernel};
    memcpy(e->a, e->a0, (e->a_step ? e->n : 1) * 4);
    if (e->b) memcpy(e->b, e->b0, (e->b_step ? e->n : 1) * 4);
    for (int i = 0; i < 4; i++)
        if (e->plane[i]) memcpy(e->plane[i], e->plane0[i], e->n * sizeof(float));
    check_call(call_e, &c);
}

/* Complains if results are not those of plain C. */
static void e_same(elementwise *e) {
    const int floats = e->cls == SPR_K_DEQUANTIZE_Q8;
    spr_q8 y[MOST * 4];
    float plane[4][MOST];
    if (!floats) memcpy(y, e->y, e->n * 4);
    for (int i = 0; i < 4 && floats; i++)
        if (e->plane[i]) memcpy(plane[i], e->plane[i], e->n * sizeof(float));
    e_run(e, spr_kernel_best(e->cls, SPR_ISA_REF));
    if (!floats && memcmp(y, e->y, e->n * 4)) check_fail("bytes are not those of plain C");
    for (int i = 0; i < 4 && floats; i++)
        if (e->plane[i] && !check_same(plane[i], e->plane[i], e->n)) check_fail("channel %d is not that of plain C", i);
}

static void e_body(size_t k, void *context) {
    elementwise *e = context;
    e_run(e, &spr_kernels[k]);
    for (size_t p = 0; p < e->n; p++)
        for (size_t i = 0; i < 4; i++)
            if (!e_right(e, p, i)) {
                check_fail("pixel %zu, channel %zu is wrong", p, i);
                return;
            }
    check_count_outputs(e->n * 4, e->n * 4);
    e_same(e);
}

/* A number at, or next to, the middle of two quanta. */
static float near_tie(check_rng *r, float scale) {
    const float middle = ((float)check_below(r, 300) - 149.5f) * scale;
    const int way = (int)check_below(r, 3);
    return way == 0 ? middle : nextafterf(middle, way == 1 ? INFINITY : -INFINITY);
}

static void make_elementwise(elementwise *e, spr_kernel_class cls, check_rng *r) {
    static const uint16_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 25, 31, 33, 49, 64, 100, 257, MOST};
    static const spr_binary functions[] = {SPR_BIN_ADD, SPR_BIN_ADD, SPR_BIN_SUB, SPR_BIN_MUL};
    static const check_slot slots[4] = {CHECK_DENSE, CHECK_COL, CHECK_VAL, CHECK_BIAS};
    const check_place place = (check_place)check_below(r, 2);
    memset(e, 0, sizeof *e);
    e->cls = cls;
    e->n = CHECK_PICK(r, lengths);
    static const float scales[] = {1, 1, 1, 1, 1, 1, 1e-25f, 1e25f};
    e->scale = check_uniform(r, 0.005f, 0.1f) * (cls == SPR_K_QUANTIZE_Q8 ? CHECK_PICK(r, scales) : 1);
    e->f = (spr_binary_q8){.f = CHECK_PICK(r, functions),
                           .a_scale = check_uniform(r, 0.2f, 1.5f),
                           .b_scale = check_uniform(r, 0.2f, 1.5f),
                           .a_zero = check_q8_zero(r),
                           .b_zero = check_q8_zero(r),
                           .y_zero = check_q8_zero(r),
                           .lo = SPR_Q8_MIN,
                           .hi = SPR_Q8_MAX};
    if (e->f.f == SPR_BIN_MUL) e->f.a_scale /= 100, e->f.b_scale = 1;
    if (check_chance(r, 3)) e->f.lo = e->f.y_zero;
    const int binary = cls == SPR_K_BINARY_Q8, in_place = cls != SPR_K_QUANTIZE_Q8 && check_chance(r, 3);
    e->a_step = !binary || check_chance(r, 3) == 0;
    e->b_step = check_chance(r, 3) == 0 || !e->a_step;
    check_fill_bytes(r, e->a0, sizeof e->a0);
    check_fill_bytes(r, e->b0, sizeof e->b0);
    check_fill_bytes(r, e->table, sizeof e->table);
    e->a = check_buffer(CHECK_X, (e->a_step ? e->n : 1) * 4, 4, place);
    if (binary) e->b = check_buffer(CHECK_Z, (e->b_step ? e->n : 1) * 4, 4, place);
    e->y = in_place && e->a_step ? e->a : check_buffer(CHECK_Y, e->n * 4, 4, place);
    e->channels = 1 + (int)check_below(r, 4);
    for (int i = 0; i < e->channels && cls >= SPR_K_QUANTIZE_Q8; i++) {
        e->plane[i] = check_buffer(slots[i], e->n * sizeof(float), 4, place);
        for (size_t p = 0; p < MOST; p++)
            e->plane0[i][p] = check_chance(r, 50)   ? NAN
                              : check_chance(r, 50) ? (check_chance(r, 2) ? INFINITY : -INFINITY)
                              : check_chance(r, 20) ? check_uniform(r, -1e30f, 1e30f)
                              : check_chance(r, 2)  ? near_tie(r, e->scale)
                                                    : check_uniform(r, -9, 9);
    }
}

void check_q8_elementwise(void) {
    static const spr_kernel_class classes[] = {SPR_K_BINARY_Q8, SPR_K_TABLE_Q8, SPR_K_QUANTIZE_Q8, SPR_K_DEQUANTIZE_Q8};
    for (uint32_t index = 0; index < check_cases(600); index++) {
        check_rng r = check_rng_of("elementwise_q8", index);
        elementwise e;
        make_elementwise(&e, classes[index % SPR_COUNTOF(classes)], &r);
        char text[160];
        snprintf(text, sizeof text, "case %u: n %zu, %s, steps %d %d, %d channels, scales %g %g", index, e.n,
                 spr_binary_name(e.f.f), e.a_step, e.b_step, e.channels, e.f.a_scale, e.f.b_scale);
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == e.cls && check_wanted(i)) check_case(i, text, e_body, &e);
    }
}
