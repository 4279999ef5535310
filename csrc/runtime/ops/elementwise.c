/* Unary, Binary and BatchNormalization. */
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

/* ---- Unary ------------------------------------------------------------------------------------------------------- */

typedef struct unary_state {
    spr_act act;
    spr_unary_fn *fn;
    int per_channel; /* prelu with a slope per channel: axis 1 */
} unary_state;

static SPR_COLD spr_status unary_plan(spr_plan_ctx *ctx, spr_step *step) {
    unary_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    const spr_desc *x = &step->in[0].desc;
    uint32_t channels = x->rank > 1 ? (uint32_t)x->dim[1] : 1;
    step->state = state;
    step->kernel = spr_kernel_best(SPR_K_UNARY, ctx->features);
    state->fn = step->kernel->run.unary;
    state->per_channel = spr_step_has(step, 1) && spr_desc_count(&step->in[1].desc) > 1;
    return spr_plan_act(ctx, step, SPR_ATTR_OF(step, Unary, fn), SPR_ATTR_OF(step, Unary, a),
                        SPR_ATTR_OF(step, Unary, b), 1, channels, &state->act);
}

typedef struct unary_job {
    const unary_state *state;
    const spr_view *x, *y;
    spr_runs from, to;
} unary_job;

static void unary_runs(void *arg, int64_t begin, int64_t end) {
    const unary_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        spr_act act = job->state->act;
        if (job->state->per_channel) act.slope += i % job->to.channels;
        job->state->fn((const float *)job->x->data + spr_run_offset(&job->from, i),
                       (float *)job->y->data + spr_run_offset(&job->to, i), (size_t)job->to.length, &act);
    }
}

/* A contiguous tensor is one run: it is cut into pieces instead. */
static void unary_piece(void *arg, int64_t begin, int64_t end) {
    const unary_job *job = arg;
    job->state->fn((const float *)job->x->data + begin, (float *)job->y->data + begin, (size_t)(end - begin),
                   &job->state->act);
}

/* Neg, Abs and Sign of integers. */
static void unary_integers(const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    spr_function fn = ((const unary_state *)step->state)->act.fn;
    spr_view_copy(NULL, x, y);
    spr_runs to = spr_view_runs(y);
    for (int64_t r = 0; r < to.count; r++)
        for (int64_t i = 0; i < to.length; i++) {
            int64_t at = spr_run_offset(&to, r) + i, value = spr_read_int(y->data, y->desc.dtype, at);
            int64_t negated = (int64_t)(0 - (uint64_t)value); /* wraps at the smallest value, as numpy does */
            int64_t result = fn == SPR_FN_NEG   ? negated
                             : fn == SPR_FN_ABS ? (value < 0 ? negated : value)
                                                : (value > 0) - (value < 0);
            if (y->desc.dtype == SPR_INT64)
                memcpy((char *)y->data + at * 8, &result, 8);
            else
                ((int32_t *)y->data)[at] = (int32_t)result;
        }
}

static double of_double(spr_function fn, double x) {
    switch (fn) {
    case SPR_FN_EXP: return exp(x);
    case SPR_FN_LOG: return log(x);
    case SPR_FN_SQRT: return sqrt(x);
    case SPR_FN_RECIPROCAL: return 1 / x;
    case SPR_FN_ABS: return fabs(x);
    case SPR_FN_NEG: return -x;
    case SPR_FN_FLOOR: return floor(x);
    case SPR_FN_CEIL: return ceil(x);
    case SPR_FN_ROUND: return rint(x);
    case SPR_FN_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case SPR_FN_ERF: return erf(x);
    case SPR_FN_SIGMOID: return 1 / (1 + exp(-x));
    default: return tanh(x);
    }
}

static void unary_doubles(const spr_step *step) {
    const spr_view *y = &step->out[0];
    spr_function fn = ((const unary_state *)step->state)->act.fn;
    spr_view_copy(NULL, &step->in[0], y);
    spr_runs to = spr_view_runs(y);
    for (int64_t r = 0; r < to.count; r++)
        for (int64_t i = 0; i < to.length; i++) {
            double *at = (double *)y->data + spr_run_offset(&to, r) + i;
            *at = of_double(fn, *at);
        }
}

/* Runs of length 1 per channel: [N, C] counts as N * C runs, like the planes of an image. */
static spr_runs channel_runs(const spr_view *view) {
    int64_t inner = 1;
    for (int i = 2; i < view->desc.rank; i++) inner *= view->desc.dim[i];
    return (spr_runs){.count = view->desc.dim[0] * view->desc.dim[1], .length = inner, .channels = view->desc.dim[1],
                      .stride0 = view->stride[0], .stride1 = view->stride[1]};
}

static void unary_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    int64_t count = spr_desc_count(&y->desc);
    unary_job job = {.state = step->state, .x = x, .y = y, .from = spr_view_runs(x), .to = spr_view_runs(y)};
    if (!count) return;
    if (y->desc.dtype == SPR_FLOAT64) {
        unary_doubles(step);
        return;
    }
    if (y->desc.dtype != SPR_FLOAT32) {
        unary_integers(step);
        return;
    }
    if (job.state->per_channel) {
        job.from = channel_runs(x);
        job.to = channel_runs(y);
        spr_parallel_range(ctx, job.to.count, count, unary_runs, &job);
    } else if (job.from.count == 1 && job.to.count == 1) {
        spr_parallel_range(ctx, count, count, unary_piece, &job);
    } else { /* an image: planes on both sides, as constants have no padding lanes */
        job.from = channel_runs(x);
        job.to = channel_runs(y);
        spr_parallel_range(ctx, job.to.count, spr_step_elements(step, count), unary_runs, &job);
    }
    spr_view_zero_padding(y);
}

/* ---- Binary ------------------------------------------------------------------------------------------------------ */

typedef struct binary_state {
    spr_loops loops;
    spr_binary fn;
    spr_binary_fn *kernel;
    spr_act act;
    spr_unary_fn *unary;
} binary_state;

static SPR_COLD spr_status binary_plan(spr_plan_ctx *ctx, spr_step *step) {
    binary_state *s = spr_plan_alloc(ctx, sizeof *s, "a layer");
    if (!s) return SPR_ERROR_MEMORY;
    const char *fn = SPR_ATTR_OF(step, Binary, fn)->s;
    step->state = s;
    step->kernel = spr_kernel_best(SPR_K_BINARY, ctx->features);
    s->kernel = step->kernel->run.binary;
    s->unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary;
    while (s->fn < SPR_BIN_COUNT && strcmp(spr_binary_name(s->fn), fn) != 0) s->fn++;
    if (s->fn == SPR_BIN_COUNT)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': unknown function '%s'", step->node->name, fn);
    spr_loops_init(&s->loops, &step->out[0], step->in, 2);
    return spr_plan_act(ctx, step, SPR_ATTR_OF(step, Binary, act), SPR_ATTR_OF(step, Binary, act_a),
                        SPR_ATTR_OF(step, Binary, act_b), -1, 1, &s->act);
}

/* base to the power of e, both in two's complement, modulo 2^64 as other arithmetic; 1 / base^-e, towards zero, for a
   negative e. */
static uint64_t integer_power(uint64_t base, uint64_t e, int is_signed) {
    int negative = is_signed && e >> 63;
    if (negative && base != 1 && base != UINT64_MAX) return 0; /* and where it is 1 / 0 */
    uint64_t result = 1;
    for (uint64_t left = negative ? 0 - e : e; left; left >>= 1, base *= base)
        if (left & 1) result *= base;
    return result;
}

/* Of integers as int64, uint64 in two's complement; the result's lower bits are those of narrower types. */
static int64_t integer_of_two(spr_binary fn, int64_t p, int64_t q, int is_signed, int is_uint64) {
    const uint64_t a = (uint64_t)p, b = (uint64_t)q;
    int64_t r;
    switch (fn) {
    case SPR_BIN_ADD: return (int64_t)(a + b);
    case SPR_BIN_SUB: return (int64_t)(a - b);
    case SPR_BIN_MUL: return (int64_t)(a * b);
    case SPR_BIN_MIN: return (is_uint64 ? a < b : p < q) ? p : q;
    case SPR_BIN_MAX: return (is_uint64 ? a > b : p > q) ? p : q;
    case SPR_BIN_DIV:
        /* by zero there is no answer, and the smallest number by -1 overflows */
        if (q == 0) return 0;
        if (is_uint64) return (int64_t)(a / b);
        return q == -1 ? (int64_t)(0 - a) : p / q;
    case SPR_BIN_FMOD:
    case SPR_BIN_MOD:
        if (q == 0) return 0;
        if (is_uint64) return (int64_t)(a % b);
        r = q == -1 ? 0 : p % q;
        return fn == SPR_BIN_MOD && r != 0 && (r < 0) != (q < 0) ? r + q : r;
    default: return (int64_t)integer_power(a, b, is_signed);
    }
}

static void binary_integers(spr_binary fn, spr_dtype dtype, const char *a, int64_t a_step, const char *b,
                            int64_t b_step, char *y, int64_t n) {
    const int64_t size = (int64_t)spr_dtype_size(dtype);
    const int is_signed = dtype == SPR_INT8 || dtype == SPR_INT16 || dtype == SPR_INT32 || dtype == SPR_INT64;
    for (int64_t at = 0, some; at < n; at += some) {
        int64_t p[SPR_INTS], q[SPR_INTS];
        some = n - at < SPR_INTS ? n - at : SPR_INTS;
        spr_load_ints(a + at * a_step * size, dtype, a_step, p, some);
        spr_load_ints(b + at * b_step * size, dtype, b_step, q, some);
        for (int64_t i = 0; i < some; i++) p[i] = integer_of_two(fn, p[i], q[i], is_signed, dtype == SPR_UINT64);
        spr_store_ints(y + at * size, dtype, p, some);
    }
}

void spr_binary_any(spr_binary fn, spr_dtype dtype, spr_binary_fn *kernel, const void *a, int64_t a_step, const void *b,
                    int64_t b_step, void *y, int64_t n) {
    switch (dtype) {
    case SPR_FLOAT32:
        if (a_step <= 1 && b_step <= 1) {
            kernel(fn, a, (int)a_step, b, (int)b_step, y, (size_t)n);
            return;
        }
        for (int64_t i = 0; i < n; i++) /* rare: a broadcast of a transposed shape */
            kernel(fn, (const float *)a + i * a_step, 0, (const float *)b + i * b_step, 0, (float *)y + i, 1);
        return;
    case SPR_FLOAT64:
        for (int64_t i = 0; i < n; i++) {
            double p = ((const double *)a)[i * a_step], q = ((const double *)b)[i * b_step], r = 0;
            switch (fn) {
            case SPR_BIN_ADD: r = p + q; break;
            case SPR_BIN_SUB: r = p - q; break;
            case SPR_BIN_MUL: r = p * q; break;
            case SPR_BIN_DIV: r = p / q; break;
            case SPR_BIN_MIN: r = p < q || isnan(p) ? p : q; break;
            case SPR_BIN_MAX: r = p > q || isnan(p) ? p : q; break;
            case SPR_BIN_FMOD: r = fmod(p, q); break;
            case SPR_BIN_MOD:
                r = fmod(p, q);
                if (r != 0 && (r < 0) != (q < 0)) r += q;
                break;
            default: r = pow(p, q); break;
            }
            ((double *)y)[i] = r;
        }
        return;
    default: binary_integers(fn, dtype, a, a_step, b, b_step, y, n); /* of bool, min and max only */
    }
}

static void binary_inner(const spr_step *step, const spr_loops *loops, const int64_t *at, int64_t n) {
    const binary_state *s = step->state;
    spr_dtype dtype = step->in[0].desc.dtype;
    int64_t size = (int64_t)spr_dtype_size(dtype);
    char *y = (char *)step->out[0].data + at[0] * size;
    spr_binary_any(s->fn, dtype, s->kernel, (const char *)step->in[0].data + at[1] * size, spr_loop_pace(loops, 1),
                   (const char *)step->in[1].data + at[2] * size, spr_loop_pace(loops, 2), y, n);
    if (s->act.fn != SPR_FN_NONE) s->unary((float *)y, (float *)y, (size_t)n, &s->act);
}

static void binary_run(const spr_run_ctx *ctx, const spr_step *step) {
    const binary_state *s = step->state;
    spr_loops_run(ctx, step, &s->loops, binary_inner);
}

/* ---- BatchNormalization ------------------------------------------------------------------------------------------ */

typedef struct norm_state {
    float *scale, *shift; /* y = x * scale + shift, per channel */
} norm_state;

static SPR_COLD spr_status norm_plan(spr_plan_ctx *ctx, spr_step *step) {
    size_t channels = (size_t)spr_desc_count(&step->in[1].desc);
    norm_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    float *memory = spr_plan_alloc(ctx, 2 * channels * sizeof *memory + 1, "batch normalization");
    if (!state || !memory) return SPR_ERROR_MEMORY;
    *state = (norm_state){memory, memory + channels};
    step->state = state;
    for (int i = 1; i < 5; i++)
        if (!step->in[i].data)
            return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': '%s' is computed, it must be constant",
                            step->node->name, spr_step_value(step, i)->name);
    const float *scale = step->in[1].data, *bias = step->in[2].data, *mean = step->in[3].data, *var = step->in[4].data;
    double epsilon = SPR_ATTR_OF(step, BatchNormalization, epsilon)->f;
    for (size_t c = 0; c < channels; c++) {
        double s = (double)scale[c] / sqrt((double)var[c] + epsilon);
        state->scale[c] = (float)s;
        state->shift[c] = (float)((double)bias[c] - (double)mean[c] * s);
    }
    return SPR_OK;
}

static void norm_runs(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const norm_state *state = step->state;
    spr_runs from = channel_runs(&step->in[0]), to = channel_runs(&step->out[0]);
    for (int64_t r = begin; r < end; r++) {
        const float *x = (const float *)step->in[0].data + spr_run_offset(&from, r);
        float *y = (float *)step->out[0].data + spr_run_offset(&to, r);
        float scale = state->scale[r % to.channels], shift = state->shift[r % to.channels];
        for (int64_t i = 0; i < to.length; i++) y[i] = x[i] * scale + shift;
    }
}

static void norm_run(const spr_run_ctx *ctx, const spr_step *step) {
    int64_t count = spr_step_elements(step, spr_desc_count(&step->out[0].desc));
    if (count) spr_parallel_range(ctx, channel_runs(&step->out[0]).count, count, norm_runs, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_Unary(void) { return (spr_exec){.in_place = 1u, .plan = unary_plan, .run = unary_run}; }
spr_exec spr_exec_Binary(void) { return (spr_exec){.in_place = 3u, .plan = binary_plan, .run = binary_run}; }
spr_exec spr_exec_BatchNormalization(void) { return (spr_exec){.in_place = 1u, .plan = norm_plan, .run = norm_run}; }
