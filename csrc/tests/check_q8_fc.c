/* Quantized fully connected kernels against sums of integers: random sizes, zeros of weights, activations and
 * placement, each case on all kernels, the rows also in parts. Results must be exact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_q8.h"
#include "kernels/q8_scalar.h"

typedef struct layer {
    uint32_t m, n, k;
    size_t x_stride, y_stride, z_stride, element, x_bytes, y_bytes, z_bytes; /* element: bytes of an output */
    check_place place;
    spr_q8_finish finish;
    spr_fc_q8_weights w;
    spr_q8 *x, *x0, *z, *z0;
    int in_place;
    uint8_t *y, *before, *want; /* `want` holds all rows */
    check_rng rng;
} layer;

typedef struct fc_call {
    spr_fc_q8_args args;
    spr_fc_q8_fn *fn;
} fc_call;

static void call_fc(const void *p) { ((const fc_call *)p)->fn(&((const fc_call *)p)->args); }

static void make_finish(spr_q8_finish *f, check_rng *r) {
    *f = (spr_q8_finish){.y_zero = check_q8_zero(r),
                         .z_zero = check_q8_zero(r),
                         .lo = SPR_Q8_MIN,
                         .hi = SPR_Q8_MAX,
                         .y_inv = check_uniform(r, 0.5f, 40),
                         .z_scale = check_uniform(r, 0.1f, 2),
                         .to_float = check_chance(r, 4)};
    f->act = (spr_act){.fn = SPR_FN_NONE};
    if (check_chance(r, 4)) f->act = (spr_act){.fn = check_chance(r, 2)
                                               ? SPR_FN_HARD_SWISH : SPR_FN_LEAKY_RELU, .a = 1.0f / 6, .b = 0.5f};
    if (check_chance(r, 3)) {
        f->lo = f->y_zero;
        f->hi = f->lo + (int32_t)check_below(r, (uint32_t)(SPR_Q8_MAX - f->lo + 1));
    }
}

static void make_weights(layer *l, check_rng *r) {
    const size_t count = (size_t)l->n * l->k;
    const int extreme = check_chance(r, 4); /* as far from 0 as they can be */
    int8_t *w = check_buffer(CHECK_DENSE, count, 1, CHECK_END);
    int32_t *bias = check_buffer(CHECK_BIAS, l->n * sizeof *bias, 4, CHECK_END);
    float *scale = check_buffer(CHECK_VAL, l->n * sizeof *scale, 4, CHECK_END);
    check_fill_bytes(r, w, count);
    for (size_t i = 0; i < count && extreme; i++) w[i] = check_chance(r, 8) ? 127 : -128;
    for (uint32_t row = 0; row < l->n; row++) {
        bias[row] = (int32_t)check_below(r, 40000) - 20000;
        scale[row] = l->finish.to_float ? 1 : check_uniform(r, 0.2f, 1) * 0.003f;
    }
    l->w = (spr_fc_q8_weights){.n = l->n, .k = l->k, .w = w, .bias = bias, .scale = scale,
                               .w_zero = check_chance(r, 2) ? 0 : (int32_t)check_below(r, 256) - 128};
}

static void make_want(layer *l) {
    const spr_q8_finish *f = &l->finish;
    for (uint32_t i = 0; i < l->m; i++)
        for (uint32_t row = 0; row < l->n; row++) {
            int64_t sum = l->w.bias[row];
            for (uint32_t k = 0; k < l->k; k++)
                sum += (int64_t)(l->w.w[(size_t)row * l->k + k] - l->w.w_zero) * l->x0[i * l->x_stride + k];
            const spr_q8 z = l->z0 ? l->z0[i * l->z_stride + row] : 0;
            const float v = spr_q8_value((int32_t)sum, l->w.scale[row], l->z0 != NULL, z, f, row);
            const spr_q8 q = f->to_float ? 0 : spr_q8_requantize(v, f);
            memcpy(l->want + (i * l->y_stride + row) * l->element, f->to_float ? (const void *)&v : &q, l->element);
        }
}

static void make_layer(layer *l, check_rng *r) {
    static const uint16_t rows[] = {1, 2, 5, 15, 16, 17, 31, 32, 40, 48, 100, 127, 128, 129, 144, 250, 300},
                          sizes[] = {1, 3, 4, 5, 8, 17, 64, 130, 505, 508, 509, 700, 1024};
    memset(l, 0, sizeof *l);
    l->m = check_chance(r, 2) ? 1 : 1 + check_below(r, 4);
    l->n = CHECK_PICK(r, rows);
    l->k = CHECK_PICK(r, sizes);
    l->place = (check_place)check_below(r, 2);
    make_finish(&l->finish, r);
    l->element = l->finish.to_float ? sizeof(float) : 1;
    l->x_stride = spr_round_up(l->k, 4) + 4 * check_below(r, 3);
    l->y_stride = spr_round_up(l->n, 4) + 4 * check_below(r, 3);
    l->x_bytes = (l->m - 1) * l->x_stride + spr_round_up(l->k, 4);
    l->y_bytes = ((l->m - 1) * l->y_stride + l->n) * l->element;
    l->x0 = check_alloc(l->x_bytes, 1);
    check_fill_bytes(r, l->x0, l->x_bytes);
    l->x = check_buffer(CHECK_X, l->x_bytes, 4, l->place);
    memcpy(l->x, l->x0, l->x_bytes);
    l->y = check_buffer(CHECK_Y, l->y_bytes, l->element, l->place);
    l->before = check_alloc(l->y_bytes, 1);
    l->want = check_alloc(l->y_bytes, 1);
    check_fill_bytes(r, l->before, l->y_bytes);
    if (check_chance(r, 3)) {
        l->in_place = !l->finish.to_float && check_chance(r, 2);
        l->z_stride = l->in_place ? l->y_stride : l->n + check_below(r, 3);
        l->z_bytes = (l->m - 1) * l->z_stride + l->n;
        l->z = l->in_place ? l->y : check_buffer(CHECK_Z, l->z_bytes, 1, l->place);
        l->z0 = check_alloc(l->z_bytes, 1);
        if (l->in_place)
            memcpy(l->z0, l->before, l->z_bytes);
        else
            check_fill_bytes(r, l->z0, l->z_bytes);
    }
    make_weights(l, r);
    make_want(l);
}

static void compare(const layer *l, uint32_t row0, uint32_t row1) {
    for (size_t at = 0; at < l->y_bytes; at++) {
        const size_t row = at / l->element % l->y_stride;
        const int mine = row >= row0 && row < row1;
        if (l->y[at] == (mine ? l->want : l->before)[at]) continue;
        check_fail("rows %u to %u: byte %zu of image %zu, row %zu is %u, not %u", row0, row1, at % l->element,
                   at / l->element / l->y_stride, row, l->y[at], (mine ? l->want : l->before)[at]);
        return;
    }
    check_count_outputs((uint64_t)l->m * (row1 - row0), (uint64_t)l->m * (row1 - row0));
}

static void body(size_t i, void *context) {
    const spr_kernel *kernel = &spr_kernels[i];
    layer *l = context;
    check_rng rng = l->rng;
    const size_t bytes = kernel->fc_q8->size(&l->w);
    void *packed = check_buffer(CHECK_PACKED, bytes, SPR_LINE, CHECK_END);
    memset(packed, 0xff, bytes);
    kernel->fc_q8->pack(&l->w, packed);
    for (int part = 0; part < 3 && !check_failing(); part++) {
        uint32_t row0 = 0, row1 = l->n;
        if (part) check_part(&rng, l->n, kernel->row_step, &row0, &row1);
        memcpy(l->y, l->before, l->y_bytes);
        if (l->z && !l->in_place) memcpy(l->z, l->z0, l->z_bytes);
        const fc_call c = {{.x = l->x, .y = l->y, .z = l->z, .x_stride = l->x_stride, .y_stride = l->y_stride,
                            .z_stride = l->z_stride,
                            .packed = packed, .m = l->m, .n = l->n, .row0 = row0, .row1 = row1, .finish = &l->finish},
                           kernel->run.fc_q8};
        check_call(call_fc, &c);
        compare(l, row0, row1);
    }
    if (memcmp(l->x, l->x0, l->x_bytes) || (l->z && !l->in_place && memcmp(l->z, l->z0, l->z_bytes)))
        check_fail("it changed an input");
}

void check_q8_fully_connected(void) {
    for (uint32_t index = 0; index < check_cases(300); index++) {
        check_rng rng = check_rng_of("fc_q8", index);
        layer l;
        char text[256];
        make_layer(&l, &rng);
        l.rng = rng;
        snprintf(text, sizeof text, "case %u: m %u, n %u, k %u, zero %d, %s, %s%s", index, l.m, l.n, l.k, l.w.w_zero,
                 spr_function_name(l.finish.act.fn), l.finish.to_float ? "to float" : "to q8",
                 !l.z         ? ""
                 : l.in_place ? ", z = y"
                              : ", z");
        for (size_t i = 0; i < spr_kernel_count; i++)
            if (spr_kernels[i].cls == SPR_K_FC_DENSE_Q8 && check_wanted(i)) check_case(i, text, body, &l);
        free(l.x0);
        free(l.z0);
        free(l.before);
        free(l.want);
    }
}
