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

/* ---- Softmax --------------------------------------------------------------------------------------------------------------- */

typedef struct softmax_state {
    axes a;
    spr_unary_fn *unary;
} softmax_state;

static spr_status softmax_plan(spr_plan_ctx *ctx, spr_step *step) {
    softmax_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, Softmax, axis)->i, step->in[0].desc.rank);
    axes_init(&state->a, &step->in[0], &step->out[0], 1u << axis);
    state->unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary;
    /* a line of the axis, gathered per thread when it is not contiguous */
    step->scratch = (size_t)state->a.count * sizeof(float);
    step->state = state;
    return SPR_OK;
}

typedef struct softmax_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    int64_t per_task;
} softmax_job;

static void softmax_line(const softmax_state *state, const float *x, int64_t x_step, float *y, int64_t y_step, float *line) {
    int64_t n = state->a.count;
    float top = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        line[i] = x[i * x_step];
        if (line[i] > top || isnan(line[i])) top = line[i];
    }
    for (int64_t i = 0; i < n; i++) line[i] -= top;
    spr_act act = {.fn = SPR_FN_EXP};
    state->unary(line, line, (size_t)n, &act);
    for (int64_t i = 0; i < n; i++) sum += line[i];
    float scale = (float)(1 / sum);
    for (int64_t i = 0; i < n; i++) y[i * y_step] = line[i] * scale;
}

static void softmax_task(void *arg, int task, int thread) {
    const softmax_job *job = arg;
    const softmax_state *state = job->step->state;
    int axis = spr_normalize_axis(SPR_ATTR_OF(job->step, Softmax, axis)->i, job->step->in[0].desc.rank);
    int64_t end = (task + 1) * job->per_task;
    for (int64_t n = task * job->per_task; n < end && n < state->a.kept_count; n++) {
        int64_t in, out;
        kept_offsets(&state->a, n, &in, &out);
        softmax_line(state, (const float *)job->step->in[0].data + in, state->a.stride[0],
                     (float *)job->step->out[0].data + out, job->step->out[0].stride[axis],
                     spr_scratch(job->ctx, thread));
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

/* ---- Reduce ---------------------------------------------------------------------------------------------------------------- */

typedef enum reduction { MEAN, SUM, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP, REDUCTIONS } reduction;
static const char *const reduction_names[REDUCTIONS] = {"mean", "sum", "max",        "min",     "prod",
                                                        "l1",   "l2",  "sum_square", "log_sum", "log_sum_exp"};

typedef struct reduce_state {
    axes a;
    reduction fn;
} reduce_state;

static spr_status reduce_plan(spr_plan_ctx *ctx, spr_step *step) {
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

static double load(const void *data, spr_dtype dtype, int64_t i) {
    if (dtype == SPR_FLOAT32) return ((const float *)data)[i];
    if (dtype == SPR_FLOAT64) return ((const double *)data)[i];
    return (double)spr_read_int(data, dtype, i);
}

static void store(void *data, spr_dtype dtype, int64_t i, double value) {
    if (dtype == SPR_FLOAT32) ((float *)data)[i] = (float)value;
    else if (dtype == SPR_FLOAT64) ((double *)data)[i] = value;
    else if (dtype == SPR_INT32) ((int32_t *)data)[i] = (int32_t)value;
    else ((int64_t *)data)[i] = (int64_t)value;
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

/* Accumulates the reduced elements behind `base`, in row-major order. */
static double walk(const axes *a, const void *data, spr_dtype dtype, int64_t base, reduction fn, double sum, double top) {
    int64_t index[SPR_MAX_RANK] = {0}, at = base;
    for (int64_t n = 0; n < a->count; n++) {
        sum = accumulate(fn, sum, load(data, dtype, at), top);
        for (int i = a->reduced - 1; i >= 0; i--) {
            at += a->stride[i];
            if (++index[i] < a->dim[i]) break;
            at -= a->stride[i] * a->dim[i];
            index[i] = 0;
        }
    }
    return sum;
}

static void reduce_range(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const reduce_state *state = step->state;
    const void *x = step->in[0].data;
    spr_dtype dtype = step->in[0].desc.dtype;
    for (int64_t n = begin; n < end; n++) {
        int64_t in, out;
        kept_offsets(&state->a, n, &in, &out);
        double start = state->fn == MAX ? -INFINITY : state->fn == MIN ? INFINITY : state->fn == PROD ? 1 : 0, top = 0;
        if (state->fn == LOG_SUM_EXP) {
            top = walk(&state->a, x, dtype, in, MAX, -INFINITY, 0);
            if (isinf(top)) top = 0;
        }
        double result = walk(&state->a, x, dtype, in, state->fn, start, top);
        if (state->fn == MEAN) result /= (double)state->a.count;
        if (state->fn == L2) result = sqrt(result);
        if (state->fn == LOG_SUM || state->fn == LOG_SUM_EXP) result = log(result) + top;
        store(step->out[0].data, dtype, out, result);
    }
}

static void reduce_run(const spr_run_ctx *ctx, const spr_step *step) {
    const reduce_state *state = step->state;
    spr_parallel_range(ctx, state->a.kept_count, spr_desc_count(&step->in[0].desc), reduce_range, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

const spr_exec spr_exec_Softmax = {.plan = softmax_plan, .run = softmax_run};
const spr_exec spr_exec_Reduce = {.plan = reduce_plan, .run = reduce_run};
