/* Functions of one and of two variables: lengths around the vectors, any alignment, in place or not, ordinary and
 * extreme numbers. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

enum { MOST = 1000 };

static const uint16_t lengths[] = {0,  1,  2,  3,  4,  5,  7,  8,   9,   15,  16,  17,  31, 32,
                                   33, 49, 63, 64, 65, 100, 127, 196, 257, 400, 999, 1000};

/* Ordinary numbers of several magnitudes, the whole range of exponents, and where functions change their ways. */
static float any_number(check_rng *r) {
    static const float edges[] = {0.0f, -0.0f, 1, -1, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 0x1p-149f, -0x1p-149f, FLT_MIN,
                                  -FLT_MIN, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN, 3, -3, 87, -87, 88.7f, 88.8f,
                                  -88, -103.9f, -104.1f, 8388607.5f, -8388607.5f, 16777216.0f, 4, -4, 10, -10};
    if (check_chance(r, 100)) return NAN;
    switch (check_below(r, 8)) {
    case 0: return CHECK_PICK(r, edges);
    case 1: {
        uint32_t bits = (uint32_t)check_random(r);
        float v;
        memcpy(&v, &bits, sizeof v);
        return isnan(v) ? NAN : v; /* no signaling NaN: libm treats it otherwise */
    }
    case 2: return check_uniform(r, -110, 110);
    case 3: return check_uniform(r, -0.01f, 0.01f);
    default: return check_uniform(r, -8, 8);
    }
}

static float number(check_rng *r) {
    const float v = any_number(r);
    return fabsf(v) < CHECK_FLUSHED ? 0 : v;
}

/* ---- one variable ---- */

typedef struct unary {
    size_t n;
    int in_place;
    spr_act act;
    float *x, *y;
    float x0[MOST];
    float full[MOST];
} unary;

typedef struct unary_call {
    const float *x;
    float *y;
    size_t n;
    const spr_act *act;
    spr_unary_fn *fn;
} unary_call;

static void call_unary(const void *p) {
    const unary_call *c = p;
    c->fn(c->x, c->y, c->n, c->act);
}

static void run_unary(unary *u, const spr_kernel *kernel, size_t first, size_t n) {
    memcpy(u->x, u->x0, u->n * sizeof(float));
    if (!u->in_place) check_blank(u->y, u->n);
    const unary_call c = {u->x + first, u->y + first, n, &u->act, kernel->run.unary};
    check_call(call_unary, &c);
}

static void unary_body(size_t i, void *context) {
    unary *u = context;
    run_unary(u, &spr_kernels[i], 0, u->n);
    uint64_t busy = 0;
    for (size_t j = 0; j < u->n; j++) {
        const double x = u->x0[j], expected = check_function(&u->act, x, 0);
        if (!check_close(u->y[j], expected, check_function_bound(&u->act, x, 0, 0))) {
            check_fail("%s(%.9g) is %.9g, not %.9g", spr_function_name(u->act.fn), x, u->y[j], expected);
            return;
        }
        busy += x != 0;
    }
    check_count_outputs(u->n, busy);
    if (!u->in_place && !check_same(u->x, u->x0, u->n)) check_fail("it changed its input");
    /* Wherever a number stands, and whatever is next to it, the result is the same. */
    memcpy(u->full, u->y, u->n * sizeof(float));
    for (size_t first = 0, n = 1; first < u->n && !check_failing(); first += n, n = n % 7 + 1) {
        if (n > u->n - first) n = u->n - first;
        run_unary(u, &spr_kernels[i], first, n);
        for (size_t j = 0; j < u->n; j++) {
            const int mine = j >= first && j < first + n;
            if (mine ? !check_same_result(u->y[j], u->full[j])
                     : u->in_place ? !check_same(u->y + j, u->x0 + j, 1) : !check_is_blank(u->y + j)) {
                check_fail("%zu numbers from %zu: number %zu %s", n, first, j,
                           mine ? "differs from the full run" : "is outside and was changed");
                return;
            }
        }
        if (first > 40) n = u->n; /* enough of it */
    }
}

static void sweep_unary(void) {
    static const spr_act clips[] = {{SPR_FN_CLIP, 0, INFINITY, NULL}, {SPR_FN_CLIP, 0, 6, NULL},
                                    {SPR_FN_CLIP, -1, 1, NULL}};
    for (uint32_t index = 0; index < check_cases(SPR_FN_COUNT * 40); index++) {
        check_rng r = check_rng_of("unary", index);
        unary u = {.n = lengths[index / SPR_FN_COUNT % SPR_COUNTOF(lengths)], .in_place = check_chance(&r, 2)};
        u.act = (spr_act){(spr_function)(index % SPR_FN_COUNT), check_uniform(&r, 0.01f, 1), 0.5f, NULL};
        if (u.act.fn == SPR_FN_CLIP) u.act = CHECK_PICK(&r, clips);
        const check_place place = (check_place)check_below(&r, 2);
        if (u.act.fn == SPR_FN_PRELU) {
            float *slope = check_buffer(CHECK_SLOPE, sizeof(float), sizeof(float), place);
            *slope = check_uniform(&r, -1, 1);
            u.act.slope = slope;
        }
        for (size_t i = 0; i < u.n; i++) u.x0[i] = number(&r);
        u.x = check_buffer(CHECK_X, u.n * sizeof(float), sizeof(float), place);
        u.y = u.in_place ? u.x : check_buffer(CHECK_Y, u.n * sizeof(float), sizeof(float), place);
        char text[160];
        snprintf(text, sizeof text, "case %u: %s, n %zu, a %g%s%s", index, spr_function_name(u.act.fn), u.n, u.act.a,
                 u.in_place ? ", in place" : "", place == CHECK_END ? ", end" : ", start");
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_UNARY && check_wanted(i)) check_case(i, text, unary_body, &u);
    }
}

/* ---- two variables ---- */

typedef enum aliasing { Y_IS_OWN, Y_IS_A, Y_IS_B } aliasing;

typedef struct binary {
    spr_binary f;
    size_t n;
    int a_step, b_step;
    aliasing aliasing;
    float *a, *b, *y;
    float a0[MOST], b0[MOST];
} binary;

typedef struct binary_call {
    const binary *l;
    spr_binary_fn *fn;
} binary_call;

static void call_binary(const void *p) {
    const binary_call *c = p;
    c->fn(c->l->f, c->l->a, c->l->a_step, c->l->b, c->l->b_step, c->l->y, c->l->n);
}

static double binary_reference(spr_binary f, double a, double b, double *bound) {
    const double eps = CHECK_EPS;
    *bound = 0;
    double v = NAN;
    switch (f) {
    case SPR_BIN_ADD: v = a + b; break;
    case SPR_BIN_SUB: v = a - b; break;
    case SPR_BIN_MUL: v = a * b; break;
    case SPR_BIN_DIV: v = a / b; break;
    case SPR_BIN_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case SPR_BIN_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case SPR_BIN_POW:
        v = pow(a, b);
        *bound = 4 * eps * fabs(v) + 0x1p-148;
        return v;
    case SPR_BIN_MOD:
        v = fmod(a, b);
        if (v != 0 && (v < 0) != (b < 0)) v += b;
        break;
    case SPR_BIN_FMOD: return fmod(a, b);
    case SPR_BIN_COUNT: return NAN;
    }
    *bound = 2 * eps * fabs(v) + 0x1p-149;
    return v;
}

static void binary_body(size_t i, void *context) {
    binary *l = context;
    memcpy(l->a, l->a0, (l->a_step ? l->n : 1) * sizeof(float));
    memcpy(l->b, l->b0, (l->b_step ? l->n : 1) * sizeof(float));
    const binary_call c = {l, spr_kernels[i].run.binary};
    check_call(call_binary, &c);
    uint64_t busy = 0;
    for (size_t j = 0; j < l->n; j++) {
        const float a = l->a0[l->a_step ? j : 0], b = l->b0[l->b_step ? j : 0];
        double bound;
        const double expected = binary_reference(l->f, a, b, &bound);
        if (!check_close(l->y[j], expected, bound)) {
            check_fail("number %zu: %s(%.9g, %.9g) is %.9g, not %.9g", j, spr_binary_name(l->f), a, b, l->y[j],
                       expected);
            return;
        }
        busy += a != 0 || b != 0;
    }
    check_count_outputs(l->n, busy);
    if ((l->aliasing != Y_IS_A && !check_same(l->a, l->a0, l->a_step ? l->n : 1)) ||
        (l->aliasing != Y_IS_B && !check_same(l->b, l->b0, l->b_step ? l->n : 1)))
        check_fail("it changed an input");
}

static void sweep_binary(void) {
    static const char *const aliases[] = {"", ", y = a", ", y = b"};
    for (uint32_t index = 0; index < check_cases(SPR_BIN_COUNT * 100); index++) {
        check_rng r = check_rng_of("binary", index);
        binary l = {.f = (spr_binary)(index % SPR_BIN_COUNT), .n = CHECK_PICK(&r, lengths)};
        l.a_step = !check_chance(&r, 4);
        l.b_step = !check_chance(&r, 4);
        l.aliasing = (aliasing)check_below(&r, 3);
        const check_place place = (check_place)check_below(&r, 2);
        for (size_t i = 0; i < MOST; i++) {
            l.a0[i] = number(&r);
            l.b0[i] = number(&r);
        }
        /* The operand in whose place y stands has room for all of y, the other for what is read. */
        const size_t a_floats = l.a_step || l.aliasing == Y_IS_A ? l.n : 1;
        const size_t b_floats = l.b_step || l.aliasing == Y_IS_B ? l.n : 1;
        l.a = check_buffer(CHECK_X, (a_floats ? a_floats : 1) * sizeof(float), sizeof(float), place);
        l.b = check_buffer(CHECK_Z, (b_floats ? b_floats : 1) * sizeof(float), sizeof(float), place);
        l.y = l.aliasing == Y_IS_A   ? l.a
              : l.aliasing == Y_IS_B ? l.b
                                     : check_buffer(CHECK_Y, l.n * sizeof(float), sizeof(float), place);
        char text[160];
        snprintf(text, sizeof text, "case %u: %s, n %zu, steps %d %d%s%s", index, spr_binary_name(l.f), l.n, l.a_step,
                 l.b_step, aliases[l.aliasing], place == CHECK_END ? ", end" : ", start");
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_BINARY && check_wanted(i)) check_case(i, text, binary_body, &l);
    }
}

void check_elementwise(void) {
    sweep_unary();
    sweep_binary();
}
