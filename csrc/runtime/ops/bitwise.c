/* Bitwise: and, or, xor and shifts of integers. */
#include <string.h>

#include "runtime/ops/ops.h"

typedef enum bit_fn { AND, OR, XOR, LEFT, RIGHT } bit_fn;

typedef struct bit_state {
    spr_loops loops;
    bit_fn fn;
} bit_state;

static spr_status bit_plan(spr_plan_ctx *ctx, spr_step *step) {
    static const char names[][4] = {"and", "or", "xor", "shl", "shr"};
    bit_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    for (int i = 0; i < (int)SPR_COUNTOF(names); i++)
        if (!strcmp(SPR_ATTR_OF(step, Bitwise, fn)->s, names[i])) state->fn = (bit_fn)i;
    spr_loops_init(&state->loops, &step->out[0], step->in, 2);
    step->state = state;
    return SPR_OK;
}

/* uint64 comes as its two's complement; narrower unsigned types are not negative. */
static int64_t shifted_right(spr_dtype dtype, int64_t a, int64_t b) {
    int far = b < 0 || b > 63;
    if (dtype == SPR_UINT64) return far ? 0 : (int64_t)((uint64_t)a >> b);
    if (far) return a < 0 ? -1 : 0;
    return a < 0 ? ~(int64_t)((uint64_t)~a >> b) : a >> b;
}

static int64_t of_two(bit_fn fn, spr_dtype dtype, int64_t a, int64_t b) {
    switch (fn) {
    case AND: return a & b;
    case OR: return a | b;
    case XOR: return a ^ b;
    case LEFT: return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b);
    default: return shifted_right(dtype, a, b);
    }
}

static void bit_inner(const spr_step *step, const spr_loops *loops, const int64_t *at, int64_t n) {
    bit_fn fn = ((const bit_state *)step->state)->fn;
    spr_dtype dtype = step->in[0].desc.dtype;
    int64_t a_pace = spr_loop_pace(loops, 1), b_pace = spr_loop_pace(loops, 2);
    for (int64_t i = 0; i < n; i++) {
        int64_t a = spr_load_int(step->in[0].data, dtype, at[1] + i * a_pace);
        int64_t b = spr_load_int(step->in[1].data, dtype, at[2] + i * b_pace);
        spr_store_int(step->out[0].data, dtype, at[0] + i, of_two(fn, dtype, a, b));
    }
}

static void bit_run(const spr_run_ctx *ctx, const spr_step *step) {
    spr_loops_run(ctx, step, &((const bit_state *)step->state)->loops, bit_inner);
}

spr_exec spr_exec_Bitwise(void) { return (spr_exec){.plan = bit_plan, .run = bit_run}; }
