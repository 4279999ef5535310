/* Quantized pointwise kernels against sums of integers: random sizes, sparsity, activations and placement, each case on
 * all kernels, split in several ways. Before rounding the kernels' sums must be exact, and so must rounded outputs
 * without an activation; with one they may be a quantum off, as floats are computed in another order. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_q8.h"
#include "kernels/q8_scalar.h"

typedef struct layer {
    uint32_t m, n, groups;
    float sparsity;
    int windows;  /* offsets are anywhere, as for convolutions */
    int extreme;  /* numbers at the ends of their range */
    int far;      /* sums and scales beyond what quick ways of rounding can take */
    int residual; /* 0 none, 1 of its own, 2 in y */
    check_place place;
    spr_q8_finish finish;
    size_t x_stride, y_stride, z_stride, x_bytes, y_bytes, z_bytes;
    spr_q8 *x0, *z0, *x, *z;
    uint8_t *y, *full, *before;
    void *scratch; /* of the kernel at hand */
    spr_pw_q8_weights w;
    int32_t *sum; /* [n][m] */
} layer;

static uint32_t quads(uint32_t n) { return (n + 3) / 4; }

/* The ends of the range only, where sums of few bits would overflow. */
static void fill_extremes(check_rng *r, spr_q8 *p, size_t n) {
    const uint32_t rare = 2 + check_below(r, 8);
    for (size_t i = 0; i < n; i++) p[i] = (spr_q8)(check_chance(r, rare) ? SPR_Q8_MAX : SPR_Q8_MIN);
}

static void make_weights(layer *l, check_rng *r) {
    const size_t count = (size_t)l->n * l->groups;
    int8_t *w = check_buffer(CHECK_DENSE, count * 4, 1, CHECK_END);
    const int pairs = check_chance(r, 2), single = check_chance(r, 2);
    for (uint32_t row = 0; row < l->n; row++)
        for (uint32_t g = 0; g < l->groups; g++) {
            int8_t *four = w + ((size_t)row * l->groups + g) * 4;
            const int same = pairs && row % 2; /* zeros where the row above has them */
            for (int i = 0; i < 4; i++) {
                const int zero = same ? four[i - (ptrdiff_t)l->groups * 4] == 0 : check_uniform(r, 0, 1) < l->sparsity;
                const int v = l->extreme ? (check_chance(r, 9) ? 127 : -128)
                                         : ((int)check_below(r, 127) + 1) * (check_chance(r, 2) ? 1 : -1);
                four[i] = (int8_t)(zero ? 0 : v);
                if (single && i) four[i] = 0;
            }
        }
    uint32_t *offset = check_buffer(CHECK_COL, l->groups * sizeof *offset, 4, CHECK_END);
    int32_t *bias = check_buffer(CHECK_BIAS, l->n * sizeof *bias, 4, CHECK_END);
    float *scale = check_buffer(CHECK_VAL, l->n * sizeof *scale, 4, CHECK_END);
    const uint32_t lanes = (uint32_t)spr_round_up(l->m, SPR_PX);
    for (uint32_t g = 0; g < l->groups; g++)
        offset[g] = l->windows ? check_below(r, (uint32_t)(l->x_bytes / 4) - lanes + 1) : g * (uint32_t)l->x_stride;
    static const float far[] = {100, 1, 0.01f, 1e-5f, 1e-6f};
    const int32_t reach = l->far ? 1 << (21 + check_below(r, 9)) : 20000;
    const float quanta = l->finish.to_float ? 1 : l->far ? CHECK_PICK(r, far) : 0.003f;
    for (uint32_t row = 0; row < l->n; row++) {
        bias[row] = (int32_t)check_below(r, 2 * (uint32_t)reach) - reach;
        scale[row] = l->finish.to_float && check_chance(r, 2) ? 1 : check_uniform(r, 0.2f, 1) * quanta;
    }
    l->w = (spr_pw_q8_weights){.n = l->n, .groups = l->groups, .w = w, .offset = offset, .bias = bias, .scale = scale};
}

static void make_finish(layer *l, check_rng *r) {
    spr_q8_finish *f = &l->finish;
    *f = (spr_q8_finish){.y_zero = check_q8_zero(r), .z_zero = check_q8_zero(r), .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX,
                         .z_scale = check_uniform(r, 0.1f, 2), .to_float = check_chance(r, 3)};
    if (l->far) {
        f->y_zero = SPR_Q8_MIN;
        f->to_float = 0;
        return;
    }
    do f->act = check_chance(r, 2) ? (spr_act){.fn = SPR_FN_NONE} : check_random_act(r);
    while (!SPR_ACT_IN_REGISTERS(f->act.fn) || (f->act.fn == SPR_FN_CLIP && !f->to_float));
    f->y_inv = check_uniform(r, 0.5f, 40);
    if (check_chance(r, 3)) {
        f->y_zero = SPR_Q8_MIN; /* as it is behind a relu; all numbers are allowed */
    } else if (check_chance(r, 3)) {
        f->lo = f->y_zero;
        f->hi = f->lo + (int32_t)check_below(r, (uint32_t)(SPR_Q8_MAX - f->lo + 1));
    }
}

static void reference(layer *l) {
    for (uint32_t row = 0; row < l->n; row++)
        for (uint32_t p = 0; p < l->m; p++) {
            int64_t sum = l->w.bias[row];
            for (uint32_t g = 0; g < l->groups; g++)
                for (uint32_t i = 0; i < 4; i++)
                    sum += (int64_t)l->w.w[((size_t)row * l->groups + g) * 4 + i] *
                           l->x0[((size_t)l->w.offset[g] + p) * 4 + i];
            l->sum[(size_t)row * l->m + p] = (int32_t)sum;
        }
}

static size_t plane_pixels(check_rng *r, uint32_t m) {
    return m == 1 ? 1 : spr_round_up(m, SPR_PX) + check_below(r, 3) * SPR_PX;
}

static void make_layer(layer *l, uint32_t index, check_rng *r) {
    static const uint16_t sizes[] = {2, 7, 15, 16, 17, 25, 31, 33, 48, 49, 64, 100, 109, 113, 128, 196, 225, 400};
    static const uint16_t rows[] = {1, 2, 3, 4, 5, 8, 9, 12, 16, 17, 24, 33, 64},
                          groups[] = {1, 2, 3, 4, 7, 9, 16, 27, 32, 64};
    static const float sparsities[] = {0, 0.5f, 0.8f, 0.9f, 0.97f, 1};
    memset(l, 0, sizeof *l);
    l->m = sizes[index % SPR_COUNTOF(sizes)];
    do {
        l->n = CHECK_PICK(r, rows);
        l->groups = CHECK_PICK(r, groups);
    } while ((double)l->m * l->n * l->groups > 3e5);
    do l->sparsity = CHECK_PICK(r, sparsities);
    while ((1 - l->sparsity) * (float)l->groups < 2 && !check_chance(r, 6) && l->groups > 1);
    l->windows = check_chance(r, 3);
    l->extreme = check_chance(r, 8);
    l->far = check_chance(r, 6);
    make_finish(l, r);
    l->residual = l->far ? 0 : l->finish.to_float ? (int)check_below(r, 2) : (int)check_below(r, 3);
    l->place = (check_place)check_below(r, 2);
    l->x_stride = plane_pixels(r, l->m);
    l->y_stride = plane_pixels(r, l->m);
    l->z_stride = l->residual == 2 ? l->y_stride : plane_pixels(r, l->m);
    const size_t lanes = spr_round_up(l->m, SPR_PX);
    l->x_bytes = ((l->groups - 1) * l->x_stride + lanes) * 4;
    l->z_bytes = ((quads(l->n) - 1) * l->z_stride + lanes) * 4;
    l->y_bytes =
        l->finish.to_float ? ((l->n - 1) * l->y_stride + lanes) * 4 : ((quads(l->n) - 1) * l->y_stride + lanes) * 4;
    l->x0 = check_alloc(l->x_bytes, 1);
    if (l->extreme)
        fill_extremes(r, l->x0, l->x_bytes);
    else
        check_fill_bytes(r, l->x0, l->x_bytes);
    l->x = check_buffer(CHECK_X, l->x_bytes, SPR_LINE, l->place);
    memcpy(l->x, l->x0, l->x_bytes);
    l->y = check_buffer(CHECK_Y, l->y_bytes, SPR_LINE, l->place);
    if (l->residual) {
        l->z0 = check_alloc(l->z_bytes, 1);
        check_fill_bytes(r, l->z0, l->z_bytes);
        l->z = l->residual == 2 ? l->y : check_buffer(CHECK_Z, l->z_bytes, SPR_LINE, l->place);
        memcpy(l->z, l->z0, l->z_bytes);
    }
    if (l->finish.act.fn == SPR_FN_PRELU) {
        float *slope = check_buffer(CHECK_SLOPE, l->n * sizeof(float), sizeof(float), l->place);
        check_fill(r, slope, l->n);
        l->finish.act.slope = slope;
    }
    make_weights(l, r);
    l->sum = check_alloc((size_t)l->n * l->m, sizeof *l->sum);
    l->full = check_alloc(l->y_bytes, 1);
    l->before = check_alloc(l->y_bytes, 1);
    reference(l);
}

static void free_layer(layer *l) {
    free(l->x0);
    free(l->z0);
    free(l->sum);
    free(l->full);
    free(l->before);
}

typedef struct call {
    spr_pw_q8_args args;
    spr_pw_q8_fn *fn;
} call;

static void do_call(const void *p) {
    const call *c = p;
    c->fn(&c->args);
}

static void compute(const layer *l, const spr_kernel *kernel, const void *packed, uint32_t row0, uint32_t row1,
                    uint32_t px0, uint32_t px1) {
    const call c = {{.x = l->x, .y = l->y, .z = l->z, .y_stride = l->y_stride, .z_stride = l->z_stride,
                     .packed = packed,
                     .n = l->n, .row0 = row0, .row1 = row1, .px0 = px0, .px1 = px1, .finish = &l->finish,
                     .scratch = l->scratch},
                    kernel->run.pw_q8};
    check_call(do_call, &c);
}

static void prepare_output(layer *l) {
    if (l->residual == 2)
        memcpy(l->y, l->z0, l->y_bytes);
    else
        memset(l->y, 0xa7, l->y_bytes);
    memcpy(l->before, l->y, l->y_bytes);
}

static spr_q8 z_at(const layer *l, uint32_t row, uint32_t p) {
    return l->z0 ? l->z0[(row / 4 * l->z_stride + p) * 4 + row % 4] : 0;
}

static void compare(const layer *l) {
    const spr_q8_finish *f = &l->finish;
    uint64_t busy = 0;
    for (uint32_t row = 0; row < l->n; row++) {
        int terms = 0;
        for (size_t i = 0; i < (size_t)l->groups * 4; i++) terms += l->w.w[(size_t)row * l->groups * 4 + i] != 0;
        for (uint32_t p = 0; p < l->m; p++) {
            const float v =
                spr_q8_value(l->sum[(size_t)row * l->m + p], l->w.scale[row], l->z0 != NULL, z_at(l, row, p), f, row);
            busy += terms != 0;
            if (f->to_float) {
                float got;
                memcpy(&got, l->y + (row * l->y_stride + p) * 4, 4);
                const double bound = f->act.fn == SPR_FN_NONE ? 0 : 4 * CHECK_EPS * fabs(v) + 1e-6;
                if (fabs((double)got - v) > bound) {
                    check_fail("row %u, pixel %u is %.9g, not %.9g", row, p, got, v);
                    return;
                }
            } else {
                const spr_q8 got = ((spr_q8 *)l->y)[(row / 4 * l->y_stride + p) * 4 + row % 4],
                             want = spr_q8_requantize(v, f);
                if (abs((int)got - (int)want) > (f->act.fn != SPR_FN_NONE)) {
                    check_fail("row %u, pixel %u is %d, not %d", row, p, got, want);
                    return;
                }
            }
        }
    }
    check_count_outputs((uint64_t)l->n * l->m, busy);
}

/* Bytes of y that a run over a part may change, and those (1) that must be as in the full run. */
static uint8_t *mark(const layer *l, uint32_t row0, uint32_t row1, uint32_t px0, uint32_t px1) {
    uint8_t *mine = check_alloc(l->y_bytes, 1);
    const uint32_t lanes = px1 == l->m ? (uint32_t)spr_round_up(px1, SPR_PX) : px1;
    for (uint32_t row = row0; row < (l->finish.to_float ? row1 : quads(row1) * 4); row++)
        for (uint32_t p = px0; p < lanes; p++) {
            const uint8_t what = row < l->n && p < px1 ? 1 : 2;
            if (l->finish.to_float)
                memset(mine + (row * l->y_stride + p) * 4, what, 4);
            else
                mine[(row / 4 * l->y_stride + p) * 4 + row % 4] = what;
        }
    return mine;
}

static void compare_part(const layer *l, uint32_t row0, uint32_t row1, uint32_t px0, uint32_t px1) {
    uint8_t *mine = mark(l, row0, row1, px0, px1);
    for (size_t i = 0; i < l->y_bytes; i++) {
        if (mine[i] == 2 || l->y[i] == (mine[i] ? l->full[i] : l->before[i])) continue;
        check_fail("rows %u to %u, pixels %u to %u: byte %zu of the output %s", row0, row1, px0, px1, i,
                   mine[i] ? "is not what the full run gives" : "is outside and was changed");
        break;
    }
    free(mine);
}

typedef struct run {
    layer *l;
    check_rng rng;
} run;

static void body(size_t i, void *context) {
    const spr_kernel *kernel = &spr_kernels[i];
    run *r = context;
    layer *l = r->l;
    const size_t bytes = kernel->packing_q8->size(&l->w);
    void *packed = check_buffer(CHECK_PACKED, bytes, SPR_LINE, l->place);
    memset(packed, 0xff, bytes);
    kernel->packing_q8->pack(&l->w, packed);
    const size_t scratch_bytes = kernel->packing_q8->scratch ? kernel->packing_q8->scratch(&l->w) : 0;
    l->scratch = check_buffer(CHECK_SCRATCH, scratch_bytes, SPR_LINE, l->place);
    memset(l->scratch, 0xee, scratch_bytes);
    prepare_output(l);
    compute(l, kernel, packed, 0, l->n, 0, l->m);
    memcpy(l->full, l->y, l->y_bytes);
    compare(l);
    if (check_failing()) return;
    compare_part(l, 0, l->n, 0, l->m);
    for (int part = 0; part < 2; part++) {
        uint32_t row0, row1, px0, px1;
        check_part(&r->rng, l->n, kernel->row_step, &row0, &row1);
        check_part(&r->rng, l->m, SPR_PX, &px0, &px1);
        prepare_output(l);
        compute(l, kernel, packed, row0, row1, px0, px1);
        compare_part(l, row0, row1, px0, px1);
    }
    if (memcmp(l->x, l->x0, l->x_bytes) || (l->residual == 1 && memcmp(l->z, l->z0, l->z_bytes)))
        check_fail("it changed an input");
}

void check_quantized_pointwise(void) {
    static const char *const residuals[] = {"", ", z", ", z = y"};
    for (uint32_t index = 0; index < check_cases(600); index++) {
        check_rng rng = check_rng_of("pw_q8", index);
        layer l;
        char text[256];
        make_layer(&l, index, &rng);
        snprintf(text, sizeof text, "case %u: m %u, n %u, groups %u, sparsity %g, %s, %s%s%s%s%s%s", index, l.m, l.n,
                 l.groups, l.sparsity, spr_function_name(l.finish.act.fn), l.finish.to_float ? "to float" : "to q8",
                 residuals[l.residual], l.windows ? ", windows" : "", l.extreme ? ", extreme" : "",
                 l.far ? ", far" : "",
                 l.place == CHECK_END ? ", end" : ", start");
        for (size_t i = 0; i < spr_kernel_count; i++) {
            run r = {&l, rng};
            const spr_kernel_class cls = spr_kernels[i].cls;
            if (spr_is_pw_q8(cls) && check_wanted(i)) check_case(i, text, body, &r);
        }
        free_layer(&l);
    }
}
