/* Pointwise convolutions and fully connected layers: Y = act(W X + bias + Z), one case after another with random sizes,
 * sparsity, activation and placement; each case runs on all kernels of the classes, split in several ways. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { IMAGES = 3 };

typedef enum pattern { PATTERN_ROWS, PATTERN_PAIRS, PATTERN_EMPTY_ROWS } pattern;
typedef enum residual { RESIDUAL_NONE, RESIDUAL_OTHER, RESIDUAL_SAME } residual;

/* Stored weights of the rows; a dense kernel stores all, a 2x1 kernel the union of two rows. */
typedef struct stored {
    uint32_t *ptr, *col;
    float *val;
} stored;

typedef struct layer {
    int fc;
    uint32_t m, n, k; /* pixels or vectors, output channels, input channels */
    uint32_t images;
    float sparsity;
    pattern pattern;
    residual residual;
    int special; /* whether NaN and Inf are among the inputs */
    check_place place;
    spr_act act;
    size_t lanes;                        /* of a plane, or of all in one for fc */
    size_t x_stride, y_stride, z_stride; /* between channels (pointwise) or vectors (fc) */
    size_t x_floats, y_floats, z_floats; /* of one image */
    float *x0, *z0;                      /* what the inputs hold */
    float *x, *y, *z;
    const float *bias;
    uint32_t *bound; /* [n + 1]: of groups of rows */
    spr_pw_weights dense, csr;
    double *sum, *size; /* reference before the activation and sum of magnitudes: [image][n][m] */
    uint32_t *terms;    /* [n]: weights that are not 0 */
    uint8_t *chosen;    /* [n]: rows that are compared */
    float *full, *before;
} layer;

static size_t at(const layer *l, size_t stride, uint32_t channel, uint32_t pixel) {
    return l->fc ? pixel * stride + channel : channel * stride + pixel;
}

/* ---- making a case ---- */

static float weight(check_rng *r) {
    float v = check_uniform(r, 0.05f, 1);
    return check_chance(r, 2) ? v : -v;
}

static void make_weights(layer *l, check_rng *r) {
    float *dense = check_buffer(CHECK_DENSE, (size_t)l->n * l->k * sizeof(float), 4, CHECK_END);
    const uint32_t zero = (uint32_t)(l->sparsity * 4294967295.0);
    size_t count = 0;
    for (uint32_t row = 0; row < l->n; row++) {
        const int follows = l->pattern == PATTERN_PAIRS && row % 2 == 1;
        const int empty = l->pattern == PATTERN_EMPTY_ROWS && check_chance(r, 3);
        for (uint32_t k = 0; k < l->k; k++) {
            float *w = dense + (size_t)row * l->k + k;
            int is_zero = follows ? w[-(ptrdiff_t)l->k] == 0 : empty || (uint32_t)(check_random(r) >> 32) < zero;
            if (l->sparsity == 1) is_zero = 1;
            if (l->sparsity == 0 && !empty) is_zero = 0;
            *w = is_zero ? 0 : weight(r);
            count += !is_zero;
        }
    }
    uint32_t *ptr = check_buffer(CHECK_ROW_PTR, (l->n + 1) * sizeof *ptr, 4, CHECK_END);
    uint32_t *col = check_buffer(CHECK_COL, count * sizeof *col, 4, CHECK_END);
    float *val = check_buffer(CHECK_VAL, count * sizeof *val, 4, CHECK_END);
    ptr[0] = 0;
    for (uint32_t row = 0, i = 0; row < l->n; row++) {
        for (uint32_t k = 0; k < l->k; k++)
            if (dense[(size_t)row * l->k + k] != 0) {
                col[i] = k;
                val[i++] = dense[(size_t)row * l->k + k];
            }
        ptr[row + 1] = i;
        l->terms[row] = i - ptr[row];
    }
    l->dense = (spr_pw_weights){.n = l->n, .k = l->k, .dense = dense, .bias = l->bias};
    l->csr = (spr_pw_weights){.n = l->n, .k = l->k, .row_ptr = ptr, .col = col, .val = val, .bias = l->bias,
                              .row_bound = l->bound};
}

/* Numbers in the lanes of all images' channels, a NaN between them. */
static void make_input(const layer *l, float *p, size_t floats, size_t stride, uint32_t channels, check_rng *r) {
    check_blank(p, floats * l->images);
    for (uint32_t i = 0; i < l->images; i++)
        for (uint32_t j = 0; j < (l->fc ? l->m : channels); j++)
            check_fill(r, p + i * floats + j * stride, l->fc ? channels : l->lanes);
}

static void make_special(layer *l, check_rng *r) {
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++)
        l->x0[at(l, l->x_stride, check_below(r, l->k), check_below(r, l->m))] = CHECK_PICK(r, values);
}

static size_t image_floats(const layer *l, size_t stride, uint32_t channels) {
    return l->fc ? (l->m - 1) * stride + channels : (channels - 1) * stride + l->lanes;
}

static size_t pad(const layer *l, check_rng *r) {
    return check_chance(r, 2) ? 0 : l->fc ? check_below(r, 20) : (1 + check_below(r, 3)) * SPR_PX;
}

static void make_layer(layer *l, int fc, uint32_t index, check_rng *r) {
    static const uint16_t dims[] = {1,  2,  3,   4,   7,   8,   16,  17,  25,  32, 33,
                                    49, 64, 100, 109, 128, 196, 256, 400, 512, 784};
    static const uint16_t vectors[] = {1, 2, 3, 4, 7, 8, 16, 17, 25, 33};
    static const float sparsities[] = {0, 0.5f, 0.7f, 0.8f, 0.9f, 0.99f, 1};
    static const residual residuals[] = {RESIDUAL_NONE, RESIDUAL_NONE, RESIDUAL_OTHER, RESIDUAL_SAME};
    const double most = check_chance(r, 24) ? 1e7 : 4e5; /* multiplications */
    memset(l, 0, sizeof *l);
    l->fc = fc;
    l->m = fc ? vectors[index % SPR_COUNTOF(vectors)] : dims[1 + index % (SPR_COUNTOF(dims) - 1)];
    do {
        l->n = CHECK_PICK(r, dims);
        l->k = CHECK_PICK(r, dims);
    } while ((double)l->m * l->n * l->k > most);
    if (fc && index % 100 == 50) { /* more channels than 16 bits count; m is 1 */
        l->n = 18;
        l->k = 70001;
    }
    /* Rows that are mostly empty are few: they leave nothing to compare. */
    do l->sparsity = CHECK_PICK(r, sparsities);
    while ((1 - l->sparsity) * (float)l->k < 2 && !check_chance(r, 5) && l->k > 1);
    if (l->k == 1 && !check_chance(r, 5)) l->sparsity = 0;
    l->pattern = (pattern)check_below(r, 3);
    l->residual = CHECK_PICK(r, residuals);
    l->special = check_chance(r, 8);
    l->place = (check_place)check_below(r, 2);
    l->images = !fc && check_chance(r, 6) ? IMAGES : 1;
    l->act = check_random_act(r);
    l->lanes = fc ? 0 : spr_round_up(l->m, SPR_PX);
    l->x_stride = (fc ? l->k : l->lanes) + pad(l, r);
    l->y_stride = (fc ? l->n : l->lanes) + pad(l, r);
    l->z_stride = l->residual == RESIDUAL_SAME ? l->y_stride : (fc ? l->n : l->lanes) + pad(l, r);
    l->x_floats = image_floats(l, l->x_stride, l->k);
    l->y_floats = image_floats(l, l->y_stride, l->n);
    l->z_floats = image_floats(l, l->z_stride, l->n);
    l->terms = check_alloc(l->n, sizeof *l->terms);
    l->bound = check_alloc(l->n + 1, sizeof *l->bound);

    const size_t align = fc ? sizeof(float) : SPR_LINE;
    l->x0 = check_alloc(l->x_floats * l->images, sizeof(float));
    make_input(l, l->x0, l->x_floats, l->x_stride, l->k, r);
    if (l->special) make_special(l, r);
    l->x = check_buffer(CHECK_X, l->x_floats * l->images * sizeof(float), align, l->place);
    memcpy(l->x, l->x0, l->x_floats * l->images * sizeof(float));
    l->y = check_buffer(CHECK_Y, l->y_floats * l->images * sizeof(float), align, l->place);
    if (l->residual != RESIDUAL_NONE) {
        l->z0 = check_alloc(l->z_floats * l->images, sizeof(float));
        make_input(l, l->z0, l->z_floats, l->z_stride, l->n, r);
        l->z = l->y;
        if (l->residual == RESIDUAL_OTHER) {
            l->z = check_buffer(CHECK_Z, l->z_floats * l->images * sizeof(float), align, l->place);
            memcpy(l->z, l->z0, l->z_floats * l->images * sizeof(float));
        }
    }
    if (check_chance(r, 2)) {
        float *bias = check_buffer(CHECK_BIAS, l->n * sizeof(float), sizeof(float), CHECK_END);
        check_fill(r, bias, l->n);
        l->bias = bias;
    }
    if (l->act.fn == SPR_FN_PRELU) {
        float *slope = check_buffer(CHECK_SLOPE, l->n * sizeof(float), sizeof(float), l->place);
        check_fill(r, slope, l->n);
        l->act.slope = slope;
    }
    make_weights(l, r);
    const size_t outputs = (size_t)l->images * l->n * l->m;
    l->sum = check_alloc(outputs, sizeof(double));
    l->size = check_alloc(outputs, sizeof(double));
    l->chosen = check_alloc(l->n, 1);
    l->full = check_alloc(l->y_floats * l->images, sizeof(float));
    l->before = check_alloc(l->y_floats * l->images, sizeof(float));
    /* A large layer is compared in some rows, the first and the last among them. */
    const double work = (double)l->m * l->csr.row_ptr[l->n] * l->images;
    const uint32_t once_in = work > 1e6 ? (uint32_t)(work / 1e6) + 1 : 1;
    for (uint32_t row = 0; row < l->n; row++)
        l->chosen[row] = row == 0 || row + 1 == l->n || check_chance(r, once_in);
}

static void free_layer(layer *l) {
    free(l->x0);
    free(l->z0);
    free(l->terms);
    free(l->bound);
    free(l->sum);
    free(l->size);
    free(l->chosen);
    free(l->full);
    free(l->before);
}

/* ---- the reference ---- */

/* The columns a kernel of the class multiplies by; zeros count only where an input is not finite. */
static stored stored_by(const layer *l, spr_kernel_class cls) {
    const int all = cls == SPR_K_PW_DENSE || cls == SPR_K_FC_DENSE, pairs = cls == SPR_K_PW_2X1;
    const size_t most = pairs ? 2 * (size_t)l->csr.row_ptr[l->n] : (size_t)l->n * l->k;
    stored s = {check_alloc(l->n + 1, sizeof *s.ptr), check_alloc(most, sizeof *s.col),
                check_alloc(most, sizeof *s.val)};
    for (uint32_t row = 0, i = 0; row < l->n; row++) {
        const float *w = l->dense.dense + (size_t)row * l->k;
        const uint32_t mate = (row ^ 1) < l->n ? row ^ 1 : row;
        const float *other = l->dense.dense + (size_t)mate * l->k;
        for (uint32_t k = 0; k < l->k; k++)
            if (all || w[k] != 0 || (pairs && other[k] != 0)) {
                s.col[i] = k;
                s.val[i++] = w[k];
            }
        s.ptr[row + 1] = i;
    }
    return s;
}

static void reference(layer *l, const stored *s) {
    for (uint32_t image = 0; image < l->images; image++)
        for (uint32_t row = 0; row < l->n; row++) {
            if (!l->chosen[row]) continue;
            double *sum = l->sum + ((size_t)image * l->n + row) * l->m, *size = l->size + (sum - l->sum);
            const double bias = l->bias ? l->bias[row] : 0;
            for (uint32_t p = 0; p < l->m; p++) {
                const double z = l->z0 ? l->z0[image * l->z_floats + at(l, l->z_stride, row, p)] : 0;
                sum[p] = bias + z;
                size[p] = fabs(bias) + fabs(z);
            }
            for (uint32_t i = s->ptr[row]; i < s->ptr[row + 1]; i++)
                for (uint32_t p = 0; p < l->m; p++) {
                    const double x = l->x0[image * l->x_floats + at(l, l->x_stride, s->col[i], p)];
                    sum[p] += s->val[i] * x;
                    size[p] += fabs(s->val[i] * x);
                }
        }
}

/* ---- running ---- */

typedef struct run {
    layer *l;
    check_rng rng;
} run;

typedef struct pw_call {
    spr_pw_args args;
    spr_pw_fn *fn;
} pw_call;

static void call_pw(const void *p) {
    const pw_call *c = p;
    c->fn(&c->args);
}

typedef struct fc_call {
    spr_fc_args args;
    spr_fc_fn *fn;
} fc_call;

static void call_fc(const void *p) {
    const fc_call *c = p;
    c->fn(&c->args);
}

static void compute(const layer *l, const spr_kernel *kernel, const void *packed, uint32_t row0, uint32_t row1,
                    uint32_t px0, uint32_t px1) {
    spr_unary_fn *unary = spr_kernel_best(SPR_K_UNARY, check_features)->run.unary;
    if (l->fc) {
        const fc_call c = {{.x = l->x, .y = l->y, .z = l->z, .x_stride = l->x_stride, .y_stride = l->y_stride,
                .z_stride = l->z_stride, .packed = packed, .m = l->m, .n = l->n, .k = l->k, .row0 = row0, .row1 = row1,
                .act = l->act, .unary = unary}, kernel->run.fc};
        check_call(call_fc, &c);
        return;
    }
    for (uint32_t image = 0; image < l->images; image++) {
        const pw_call c = {{.x = l->x + image * l->x_floats, .y = l->y + image * l->y_floats,
                .z = l->z ? l->z + image * l->z_floats : NULL, .x_stride = l->x_stride, .y_stride = l->y_stride,
                .z_stride = l->z_stride, .packed = packed, .n = l->n, .k = l->k, .row0 = row0, .row1 = row1, .px0 = px0,
                .px1 = px1, .shared = row1 - row0 < l->n || px1 - px0 < l->m, .act = l->act, .unary = unary},
                kernel->run.pw};
        check_call(call_pw, &c);
    }
}

/* What y holds before a run: nothing, or the residual. */
static void prepare_output(layer *l) {
    const size_t floats = l->y_floats * l->images;
    if (l->residual == RESIDUAL_SAME)
        memcpy(l->y, l->z0, floats * sizeof(float));
    else
        check_blank(l->y, floats);
    memcpy(l->before, l->y, floats * sizeof(float));
}

static void compare(const layer *l) {
    uint64_t compared = 0, busy = 0;
    for (uint32_t image = 0; image < l->images && !check_failing(); image++)
        for (uint32_t row = 0; row < l->n; row++) {
            if (!l->chosen[row]) continue;
            for (uint32_t p = 0; p < l->m; p++) {
                const size_t i = ((size_t)image * l->n + row) * l->m + p;
                const float v = l->y[image * l->y_floats + at(l, l->y_stride, row, p)];
                const double sum = l->sum[i], expected = check_function(&l->act, sum, row);
                /* n + 2 additions and n products in f32, whatever their order: |error| <= (n + 3) eps * sum |terms|. */
                const double off = isfinite(sum) ? (l->terms[row] + 3) * CHECK_EPS * l->size[i] : 0;
                if (!check_close(v, expected, check_function_bound(&l->act, sum, row, off))) {
                    check_fail("image %u, row %u, pixel %u is %.9g, not %.9g", image, row, p, v, expected);
                    return;
                }
                compared++;
                busy += l->terms[row] != 0;
            }
            for (size_t p = l->m; p < l->lanes; p++) {
                const float v = l->y[image * l->y_floats + row * l->y_stride + p];
                if (!check_ordinary(v)) {
                    check_fail("image %u, row %u: padding lane %zu holds %g", image, row, p, v);
                    return;
                }
            }
        }
    check_count_outputs(compared, busy);
}

/* Checks after a run over some rows and pixels: there the result is that of the full run, all else is as it was. */
static void compare_part(const layer *l, uint32_t row0, uint32_t row1, uint32_t px0, uint32_t px1) {
    const size_t floats = l->y_floats * l->images;
    uint8_t *mine = check_alloc(floats, 1);
    for (uint32_t image = 0; image < l->images; image++)
        for (uint32_t row = row0; row < row1; row++)
            for (size_t p = px0; p < (px1 == l->m && !l->fc ? l->lanes : px1); p++)
                mine[image * l->y_floats + at(l, l->y_stride, row, (uint32_t)p)] = p < l->m ? 1 : 2;
    for (size_t i = 0; i < floats; i++) {
        if (mine[i] == 2) continue; /* padding lanes */
        if (mine[i] ? check_same_result(l->y[i], l->full[i]) : check_same(l->y + i, l->before + i, 1)) continue;
        check_fail("rows %u to %u, pixels %u to %u: float %zu of the output %s", row0, row1, px0, px1, i,
                   mine[i] ? "is not what the full run gives" : "is outside and was changed");
        break;
    }
    free(mine);
}

/* Runs the layer in parts as `threads` threads would. */
static void run_split(const layer *l, const spr_kernel *kernel, const void *packed, uint32_t by_rows,
                      uint32_t by_pixels) {
    const uint32_t step = kernel->row_step, row_steps = (l->n + step - 1) / step;
    const uint32_t px_steps = (l->m + SPR_PX - 1) / SPR_PX;
    for (uint32_t i = by_rows; i-- > 0;)
        for (uint32_t j = by_pixels; j-- > 0;) {
            uint32_t row0 = row_steps * i / by_rows * step, row1 = row_steps * (i + 1) / by_rows * step;
            uint32_t px0 = px_steps * j / by_pixels * SPR_PX, px1 = px_steps * (j + 1) / by_pixels * SPR_PX;
            if (row1 > l->n) row1 = l->n;
            if (px1 > l->m) px1 = l->m;
            if (row0 < row1 && px0 < px1) compute(l, kernel, packed, row0, row1, px0, px1);
        }
}

/* `groups`: of rows, whose bounds are in l->bound. */
static const void *pack(const layer *l, const spr_kernel *kernel, uint32_t groups) {
    const int sparse = kernel->cls != SPR_K_PW_DENSE && kernel->cls != SPR_K_FC_DENSE;
    spr_pw_weights w = sparse ? l->csr : l->dense;
    w.row_groups = groups;
    const size_t stride = l->fc ? 1 : l->x_stride, bytes = kernel->packing->size(&w, stride);
    void *packed = check_buffer(CHECK_PACKED, bytes, SPR_LINE, l->place);
    memset(packed, 0xff, bytes);
    kernel->packing->pack(&w, stride, packed);
    return packed;
}

/* Up to three groups of rows, within which packings choose their order: in one call, and each in one of its own. */
static void run_groups(run *r, const spr_kernel *kernel) {
    layer *l = r->l;
    const uint32_t step = kernel->row_step;
    uint32_t groups = 0;
    for (int i = 0; i < 2; i++) {
        const uint32_t row = l->bound[groups] + check_below(&r->rng, (l->n - l->bound[groups]) / step + 1) * step;
        if (row > l->bound[groups] && row < l->n) l->bound[++groups] = row;
    }
    l->bound[++groups] = l->n;
    const void *packed = pack(l, kernel, groups);
    prepare_output(l);
    compute(l, kernel, packed, 0, l->n, 0, l->m);
    compare_part(l, 0, l->n, 0, l->m);

    prepare_output(l);
    uint32_t px0 = 0, px1 = l->m;
    if (!l->fc) check_part(&r->rng, l->m, SPR_PX, &px0, &px1);
    while (groups-- > 0) compute(l, kernel, packed, l->bound[groups], l->bound[groups + 1], px0, px1);
    compare_part(l, 0, l->n, px0, px1);
}

static void body(size_t i, void *context) {
    const spr_kernel *kernel = &spr_kernels[i];
    run *r = context;
    layer *l = r->l;
    const size_t floats = l->y_floats * l->images;
    uint32_t groups = 0; /* as small as may be, so that calls can ask for any rows */
    while (l->bound[groups] < l->n) {
        const uint32_t row = l->bound[groups] + kernel->row_step;
        l->bound[++groups] = row < l->n ? row : l->n;
    }
    const void *packed = pack(l, kernel, groups);

    prepare_output(l);
    compute(l, kernel, packed, 0, l->n, 0, l->m);
    memcpy(l->full, l->y, floats * sizeof(float));
    compare(l);
    if (check_failing()) return;
    compare_part(l, 0, l->n, 0, l->m);

    prepare_output(l);
    static const uint8_t splits[][2] = {{2, 1}, {4, 1}, {1, 2}, {1, 4}, {2, 2}};
    const uint8_t *split = CHECK_PICK(&r->rng, splits);
    run_split(l, kernel, packed, split[0], l->fc ? 1 : split[1]);
    compare_part(l, 0, l->n, 0, l->m);

    prepare_output(l);
    uint32_t row0, row1, px0 = 0, px1 = l->m;
    check_part(&r->rng, l->n, kernel->row_step, &row0, &row1);
    if (!l->fc) check_part(&r->rng, l->m, SPR_PX, &px0, &px1);
    compute(l, kernel, packed, row0, row1, px0, px1);
    compare_part(l, row0, row1, px0, px1);
    run_groups(r, kernel);

    if (!check_same(l->x, l->x0, l->x_floats * l->images) ||
        (l->residual == RESIDUAL_OTHER && !check_same(l->z, l->z0, l->z_floats * l->images)))
        check_fail("it changed an input");
}

static void sweep(int fc, const spr_kernel_class *classes, size_t class_count, uint32_t cases) {
    static const char *const patterns[] = {"rows", "pairs", "empty rows"}, *const residuals[] = {"", ", z", ", z = y"};
    int wanted = 0;
    for (size_t i = 0; i < spr_kernel_count; i++)
        for (size_t c = 0; c < class_count; c++) wanted |= spr_kernels[i].cls == classes[c] && check_wanted(i);
    for (uint32_t index = 0; index < cases && wanted; index++) {
        check_rng rng = check_rng_of(fc ? "fc" : "pw", index);
        layer l;
        char text[256];
        make_layer(&l, fc, index, &rng);
        snprintf(text, sizeof text,
                 "case %u: m %u, n %u, k %u, sparsity %g, %s, %s%s%s%s, images %u, strides %zu %zu %zu%s", index, l.m,
                 l.n, l.k, l.sparsity, patterns[l.pattern], spr_function_name(l.act.fn), l.bias ? ", bias" : "",
                 residuals[l.residual], l.special ? ", NaN and Inf" : "", l.images, l.x_stride, l.y_stride, l.z_stride,
                 l.place == CHECK_END ? ", end" : ", start");
        for (size_t c = 0; c < class_count; c++) {
            /* Only products of zeros with what is not finite tell the classes' references apart. */
            if (c == 0 || l.special) {
                stored s = stored_by(&l, l.special ? classes[c] : SPR_K_PW_CSR);
                reference(&l, &s);
                free(s.ptr);
                free(s.col);
                free(s.val);
            }
            for (size_t i = 0; i < spr_kernel_count; i++) {
                run r = {&l, rng};
                if (spr_kernels[i].cls == classes[c] && check_wanted(i)) check_case(i, text, body, &r);
            }
        }
        free_layer(&l);
    }
}

void check_pointwise_and_fc(void) {
    static const spr_kernel_class pw[] = {SPR_K_PW_DENSE, SPR_K_PW_CSR, SPR_K_PW_2X1};
    static const spr_kernel_class fc[] = {SPR_K_FC_DENSE, SPR_K_FC_CSR};
    sweep(0, pw, SPR_COUNTOF(pw), check_cases(600));
    sweep(1, fc, SPR_COUNTOF(fc), check_cases(300));
}
