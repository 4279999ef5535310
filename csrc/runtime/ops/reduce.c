/* Softmax and Reduce: one result per set of elements along some axes. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

/* A tensor's axes in two groups: those kept, over which the work is split, and those reduced. */
typedef struct axes {
    int kept, reduced;
    int64_t kept_dim[SPR_MAX_RANK], kept_stride[SPR_MAX_RANK], kept_out[SPR_MAX_RANK];
    int64_t dim[SPR_MAX_RANK], stride[SPR_MAX_RANK];
    int64_t kept_count, count;
} axes;

static void axes_init(axes *a, const spr_view *x, const spr_view *y, uint32_t mask) {
    memset(a, 0, sizeof *a);
    a->kept_count = a->count = 1;
    int keepdims = y->desc.rank == x->desc.rank, k = 0;
    for (int i = 0; i < x->desc.rank; i++) {
        if (mask >> i & 1) {
            a->dim[a->reduced] = x->desc.dim[i];
            a->stride[a->reduced++] = x->stride[i];
            a->count *= x->desc.dim[i];
            k += keepdims;
        } else {
            a->kept_dim[a->kept] = x->desc.dim[i];
            a->kept_stride[a->kept] = x->stride[i];
            a->kept_out[a->kept++] = y->stride[k++];
            a->kept_count *= x->desc.dim[i];
        }
    }
}

static void kept_offsets(const axes *a, int64_t n, int64_t *in, int64_t *out) {
    *in = *out = 0;
    for (int i = a->kept - 1; i >= 0; i--) {
        int64_t k = n % a->kept_dim[i];
        n /= a->kept_dim[i];
        *in += k * a->kept_stride[i];
        *out += k * a->kept_out[i];
    }
}

/* ---- Softmax ----------------------------------------------------------------------------------------------------- */

#define SOFTMAX_BATCH 512 /* elements: short lines go together through the exponential function */

typedef struct softmax_state {
    axes a;
    int64_t lines; /* at a time */
    spr_unary_fn *unary;
} softmax_state;

static SPR_COLD spr_status softmax_plan(spr_plan_ctx *ctx, spr_step *step) {
    softmax_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, Softmax, axis)->i, step->in[0].desc.rank);
    axes_init(&state->a, &step->in[0], &step->out[0], 1u << axis);
    state->unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary;
    /* lines of the axis, gathered per thread */
    state->lines = state->a.count && state->a.count < SOFTMAX_BATCH ? SOFTMAX_BATCH / state->a.count : 1;
    step->scratch = (size_t)(state->a.count * state->lines) * sizeof(float);
    step->state = state;
    return SPR_OK;
}

typedef struct softmax_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    int64_t per_task;
} softmax_job;

/* A line without its largest element. */
static void softmax_gather(const float *x, int64_t x_step, float *line, int64_t n) {
    float top = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        line[i] = x[i * x_step];
        if (line[i] > top || isnan(line[i])) top = line[i];
    }
    for (int64_t i = 0; i < n; i++) line[i] -= top;
}

static void softmax_scatter(const float *line, float *y, int64_t y_step, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += line[i];
    float scale = (float)(1 / sum);
    for (int64_t i = 0; i < n; i++) y[i * y_step] = line[i] * scale;
}

static void softmax_task(void *arg, int task, int thread) {
    const softmax_job *job = arg;
    const softmax_state *state = job->step->state;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0];
    const int axis = spr_normalize_axis(SPR_ATTR_OF(job->step, Softmax, axis)->i, x->desc.rank);
    const int64_t length = state->a.count;
    const spr_act act = {.fn = SPR_FN_EXP};
    float *lines = spr_scratch(job->ctx, thread);
    int64_t end = (task + 1) * job->per_task;
    if (end > state->a.kept_count) end = state->a.kept_count;
    for (int64_t n = task * job->per_task; n < end; n += state->lines) {
        const int64_t count = end - n < state->lines ? end - n : state->lines;
        for (int64_t i = 0; i < count; i++) {
            int64_t in, out;
            kept_offsets(&state->a, n + i, &in, &out);
            softmax_gather((const float *)x->data + in, state->a.stride[0], lines + i * length, length);
        }
        state->unary(lines, lines, (size_t)(count * length), &act);
        for (int64_t i = 0; i < count; i++) {
            int64_t in, out;
            kept_offsets(&state->a, n + i, &in, &out);
            softmax_scatter(lines + i * length, (float *)y->data + out, y->stride[axis], length);
        }
    }
}

static void softmax_run(const spr_run_ctx *ctx, const spr_step *step) {
    const softmax_state *state = step->state;
    int64_t elements = spr_desc_count(&step->out[0].desc);
    if (!elements) return;
    int64_t tasks = elements < SPR_PARALLEL_ELEMENTS ? 1 : SPR_TASKS_PER_THREAD * spr_pool_threads(ctx->pool);
    softmax_job job = {ctx, step, (state->a.kept_count + tasks - 1) / tasks};
    spr_pool_run(ctx->pool, (int)((state->a.kept_count + job.per_task - 1) / job.per_task), softmax_task, &job);
    spr_view_zero_padding(&step->out[0]);
}

/* ---- Reduce ------------------------------------------------------------------------------------------------------ */

typedef enum reduction { MEAN, SUM, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP, REDUCTIONS } reduction;
static const char reduction_names[REDUCTIONS][12] = {"mean", "sum", "max",        "min",     "prod",
                                                     "l1",   "l2",  "sum_square", "log_sum", "log_sum_exp"};

typedef struct reduce_state {
    axes a;
    reduction fn;
} reduce_state;

static SPR_COLD spr_status reduce_plan(spr_plan_ctx *ctx, spr_step *step) {
    reduce_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    const char *fn = SPR_ATTR_OF(step, Reduce, fn)->s;
    int rank = step->in[0].desc.rank;
    uint32_t mask = 0;
    step->state = state;
    while (state->fn < REDUCTIONS && strcmp(reduction_names[state->fn], fn) != 0) state->fn++;
    if (state->fn == REDUCTIONS)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': unknown reduction '%s'", step->node->name, fn);
    int64_t n = spr_step_has(step, 1) ? spr_desc_count(&step->in[1].desc) : 0;
    for (int64_t i = 0; i < n; i++) mask |= 1u << spr_normalize_axis(spr_step_int(step, 1, i), rank);
    if (!n && !SPR_ATTR_OF(step, Reduce, noop_with_empty_axes)->i) mask = (1u << rank) - 1;
    axes_init(&state->a, &step->in[0], &step->out[0], mask);
    return SPR_OK;
}

/* Walks the reduced elements of one result in row-major order. */
typedef struct cursor {
    int64_t index[SPR_MAX_RANK], at;
} cursor;

static void advance(const axes *a, cursor *c) {
    for (int i = a->reduced - 1; i >= 0; i--) {
        c->at += a->stride[i];
        if (++c->index[i] < a->dim[i]) return;
        c->at -= a->stride[i] * a->dim[i];
        c->index[i] = 0;
    }
}

static double accumulate(reduction fn, double sum, double x, double top) {
    switch (fn) {
    case MAX: return x > sum || isnan(x) ? x : sum;
    case MIN: return x < sum || isnan(x) ? x : sum;
    case PROD: return sum * x;
    case L1: return sum + fabs(x);
    case L2:
    case SUM_SQUARE: return sum + x * x;
    case LOG_SUM_EXP: return sum + exp(x - top);
    default: return sum + x;
    }
}

static double reduce_floats(const axes *a, const void *data, spr_dtype dtype, int64_t base, reduction fn, double top) {
    double sum = fn == MAX ? -INFINITY : fn == MIN ? INFINITY : fn == PROD;
    cursor c = {.at = base};
    for (int64_t n = 0; n < a->count; n++, advance(a, &c))
        sum =
            accumulate(fn, sum, dtype == SPR_FLOAT32 ? ((const float *)data)[c.at] : ((const double *)data)[c.at], top);
    return sum;
}

static double finish(reduction fn, double sum, double count, double top) {
    switch (fn) {
    case MEAN: return sum / count;
    case L2: return sqrt(sum);
    case LOG_SUM:
    case LOG_SUM_EXP: return log(sum) + top;
    default: return sum;
    }
}

/* Smallest and largest number of an integer type, in two's complement. */
static uint64_t lowest(spr_dtype dtype, int is_unsigned) {
    return is_unsigned ? 0 : (uint64_t)-1 << (8 * spr_dtype_size(dtype) - 1);
}

static uint64_t highest(spr_dtype dtype, int is_unsigned) {
    if (dtype == SPR_BOOL) return 1;
    return (uint64_t)-1 >> (64 - 8 * spr_dtype_size(dtype) + !is_unsigned);
}

/* In 64 bits, modulo 2^64. The mean of nothing is 0. */
static uint64_t reduce_integers(const axes *a, const void *data, spr_dtype dtype, int64_t base, reduction fn) {
    int is_unsigned =
        dtype == SPR_UINT8 || dtype == SPR_UINT16 || dtype == SPR_UINT32 || dtype == SPR_UINT64 || dtype == SPR_BOOL;
    uint64_t sign = is_unsigned ? 0 : (uint64_t)1 << 63; /* flipped, signed numbers compare as unsigned ones */
    uint64_t sum = fn == MAX ? lowest(dtype, is_unsigned) : fn == MIN ? highest(dtype, is_unsigned) : fn == PROD;
    cursor c = {.at = base};
    for (int64_t n = 0; n < a->count; n++, advance(a, &c)) {
        uint64_t x = (uint64_t)spr_load_int(data, dtype, c.at);
        switch (fn) {
        case MAX: sum = (x ^ sign) > (sum ^ sign) ? x : sum; break;
        case MIN: sum = (x ^ sign) < (sum ^ sign) ? x : sum; break;
        case PROD: sum *= x; break;
        case L1: sum += x & sign ? 0 - x : x; break;
        case SUM_SQUARE: sum += x * x; break;
        default: sum += x; break;
        }
    }
    if (fn != MEAN || !a->count) return sum;
    return is_unsigned ? sum / (uint64_t)a->count : (uint64_t)((int64_t)sum / a->count);
}

static void reduce_range(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const reduce_state *state = step->state;
    const axes *a = &state->a;
    const void *x = step->in[0].data;
    void *y = step->out[0].data;
    spr_dtype dtype = step->in[0].desc.dtype;
    for (int64_t n = begin; n < end; n++) {
        int64_t in, out;
        kept_offsets(a, n, &in, &out);
        if (dtype != SPR_FLOAT32 && dtype != SPR_FLOAT64) {
            spr_store_int(y, dtype, out, (int64_t)reduce_integers(a, x, dtype, in, state->fn));
            continue;
        }
        double top = state->fn == LOG_SUM_EXP ? reduce_floats(a, x, dtype, in, MAX, 0) : 0;
        if (isinf(top)) top = 0;
        double result = finish(state->fn, reduce_floats(a, x, dtype, in, state->fn, top), (double)a->count, top);
        if (dtype == SPR_FLOAT32)
            ((float *)y)[out] = (float)result;
        else
            ((double *)y)[out] = result;
    }
}

static void reduce_run(const spr_run_ctx *ctx, const spr_step *step) {
    const reduce_state *state = step->state;
    spr_parallel_range(ctx, state->a.kept_count, spr_desc_count(&step->in[0].desc), reduce_range,
                       (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_Softmax(void) { return (spr_exec){.plan = softmax_plan, .run = softmax_run}; }
spr_exec spr_exec_Reduce(void) { return (spr_exec){.plan = reduce_plan, .run = reduce_run}; }
