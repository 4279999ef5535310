/* Compare and Where. */
#include <string.h>

#include "runtime/ops/ops.h"

typedef enum comparison { EQUAL, LESS, LESS_EQUAL } comparison;

typedef struct compare_state {
    spr_loops loops;
    comparison fn;
} compare_state;

static spr_status compare_plan(spr_plan_ctx *ctx, spr_step *step) {
    compare_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    const char *fn = SPR_ATTR_OF(step, Compare, fn)->s;
    state->fn = !strcmp(fn, "equal") ? EQUAL : !strcmp(fn, "less") ? LESS : LESS_EQUAL;
    spr_loops_init(&state->loops, &step->out[0], step->in, 2);
    step->state = state;
    return SPR_OK;
}

#define LOOP(type, operator)                                                                  \
    for (int64_t i = 0; i < n; i++)                                                           \
        y[i] = ((const type *)a)[i * a_pace] operator ((const type *)b)[i * b_pace];
#define COMPARE(type)                         \
    if (fn == EQUAL) LOOP(type, ==)           \
    else if (fn == LESS) LOOP(type, <)        \
    else LOOP(type, <=)

static void compare_integers(comparison fn, spr_dtype dtype, const char *u, int64_t u_pace, const char *v,
                             int64_t v_pace, uint8_t *y, int64_t count) {
    const int64_t size = (int64_t)spr_dtype_size(dtype), a_pace = 1, b_pace = 1;
    const uint64_t sign = dtype == SPR_UINT64 ? (uint64_t)1 << 63 : 0; /* turned over, they are in the order of int64 */
    for (int64_t at = 0, n; at < count; at += n, y += n) {
        int64_t a[SPR_INTS], b[SPR_INTS];
        n = count - at < SPR_INTS ? count - at : SPR_INTS;
        spr_load_ints(u + at * u_pace * size, dtype, u_pace, a, n);
        spr_load_ints(v + at * v_pace * size, dtype, v_pace, b, n);
        for (int64_t i = 0; sign && i < n; i++) {
            a[i] = (int64_t)((uint64_t)a[i] ^ sign);
            b[i] = (int64_t)((uint64_t)b[i] ^ sign);
        }
        COMPARE(int64_t)
    }
}

static void compare_inner(const spr_step *step, const spr_loops *loops, const int64_t *at, int64_t n) {
    comparison fn = ((const compare_state *)step->state)->fn;
    spr_dtype dtype = step->in[0].desc.dtype;
    int64_t size = (int64_t)spr_dtype_size(dtype), a_pace = spr_loop_pace(loops, 1), b_pace = spr_loop_pace(loops, 2);
    const void *a = (const char *)step->in[0].data + at[1] * size, *b = (const char *)step->in[1].data + at[2] * size;
    uint8_t *y = (uint8_t *)step->out[0].data + at[0];
    if (dtype == SPR_FLOAT32) {
        COMPARE(float)
    } else if (dtype == SPR_FLOAT64) {
        COMPARE(double)
    } else {
        compare_integers(fn, dtype, a, a_pace, b, b_pace, y, n);
    }
}

static void compare_run(const spr_run_ctx *ctx, const spr_step *step) {
    spr_loops_run(ctx, step, &((const compare_state *)step->state)->loops, compare_inner);
}

/* ---- Where ------------------------------------------------------------------------------------------------------- */

static spr_status where_plan(spr_plan_ctx *ctx, spr_step *step) {
    spr_loops *loops = spr_plan_alloc(ctx, sizeof *loops, "a layer");
    if (!loops) return SPR_ERROR_MEMORY;
    spr_loops_init(loops, &step->out[0], step->in, 3);
    step->state = loops;
    return SPR_OK;
}

#define SELECT(type)                                                                                                   \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((type *)y)[i] = condition[i * paces[0]] ? ((const type *)a)[i * paces[1]] : ((const type *)b)[i * paces[2]];  \
    break;

static void where_inner(const spr_step *step, const spr_loops *loops, const int64_t *at, int64_t n) {
    int64_t size = (int64_t)spr_dtype_size(step->out[0].desc.dtype);
    int64_t paces[] = {spr_loop_pace(loops, 1), spr_loop_pace(loops, 2), spr_loop_pace(loops, 3)};
    const uint8_t *condition = (const uint8_t *)step->in[0].data + at[1];
    const char *a = (const char *)step->in[1].data + at[2] * size, *b = (const char *)step->in[2].data + at[3] * size;
    char *y = (char *)step->out[0].data + at[0] * size;
    switch (size) {
    case 1: SELECT(uint8_t)
    case 2: SELECT(uint16_t)
    case 4: SELECT(uint32_t)
    default: SELECT(uint64_t)
    }
}

static void where_run(const spr_run_ctx *ctx, const spr_step *step) {
    spr_loops_run(ctx, step, step->state, where_inner);
}

spr_exec spr_exec_Compare(void) { return (spr_exec){.plan = compare_plan, .run = compare_run}; }
spr_exec spr_exec_Where(void) { return (spr_exec){.in_place = 6u, .plan = where_plan, .run = where_run}; }
