/* Along one axis: ArgReduce, TopK, CumSum. */
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

/* An element as a number that orders as the element does, whatever its type: NaN above all, the two zeros equal. */
static uint64_t order_key(const void *data, spr_dtype dtype, int64_t i) {
    const uint64_t sign = (uint64_t)1 << 63;
    if (dtype == SPR_FLOAT32 || dtype == SPR_FLOAT64) {
        double v = dtype == SPR_FLOAT32 ? ((const float *)data)[i] : ((const double *)data)[i];
        uint64_t bits;
        if (isnan(v)) return UINT64_MAX;
        v += 0.0; /* -0 becomes 0 */
        memcpy(&bits, &v, sizeof bits);
        return bits & sign ? ~bits : bits | sign;
    }
    uint64_t bits = (uint64_t)spr_load_int(data, dtype, i);
    return dtype == SPR_UINT64 ? bits : bits ^ sign;
}

/* ---- ArgReduce --------------------------------------------------------------------------------------------------- */

static SPR_COLD spr_status arg_plan(spr_plan_ctx *ctx, spr_step *step) {
    spr_lines *lines = spr_plan_alloc(ctx, sizeof *lines, "a layer");
    if (!lines) return SPR_ERROR_MEMORY;
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, ArgReduce, axis)->i, step->in[0].desc.rank);
    spr_lines_init(lines, &step->in[0], &step->out[0], axis);
    step->state = lines;
    return SPR_OK;
}

#define SIDE_BY_SIDE 64

/* `n` lines of floats, `step` from one to the next; whole loops, so that compilers make vectors of them. */
SPR_INLINE void arg_floats(const int min, const int last, const float *x, int64_t step, int n, int64_t length,
                           int64_t x_step, int32_t *restrict best) {
    float top[SIDE_BY_SIDE];
    for (int j = 0; j < n; j++) top[j] = x[j * step], best[j] = 0;
    for (int64_t i = 1; i < length; i++)
        for (int j = 0; j < n; j++) {
            const float v = x[i * x_step + j * step];
            const int more = min ? v < top[j] : v > top[j];
            /* NaN is above all */
            const int nan = min ? (top[j] != top[j]) & (last | (v == v)) : (v != v) & (last | (top[j] == top[j]));
            const int take = more | nan | (last & (v == top[j]));
            top[j] = take ? v : top[j];
            best[j] = take ? (int32_t)i : best[j];
        }
}

/* Lines [begin, end) of floats, as many side by side as lie in a row. */
static void arg_float_lines(const spr_step *step, int min, int last, int64_t begin, int64_t end) {
    const spr_lines *lines = step->state;
    const int inner = lines->rank - 1;
    const int64_t width = inner < 0 ? 1 : lines->dim[inner];
    int32_t best[SIDE_BY_SIDE];
    for (int64_t n = begin; n < end;) {
        int64_t at, put, count = width - n % width;
        count = count < end - n ? count : end - n;
        count = count < SIDE_BY_SIDE ? count : SIDE_BY_SIDE;
        spr_lines_at(lines, n, &at, &put);
        const float *x = (const float *)step->in[0].data + at;
        const int64_t next = inner < 0 ? 0 : lines->x[inner];
        if (next == 1 && !min && !last)
            arg_floats(0, 0, x, 1, (int)count, lines->length, lines->x_step, best);
        else
            arg_floats(min, last, x, next, (int)count, lines->length, lines->x_step, best);
        for (int64_t j = 0; j < count; j++)
            ((int64_t *)step->out[0].data)[put + (inner < 0 ? 0 : j * lines->y[inner])] = best[j];
        n += count;
    }
}

static void arg_lines(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_lines *lines = step->state;
    spr_dtype dtype = step->in[0].desc.dtype;
    int last = (int)SPR_ATTR_OF(step, ArgReduce, select_last_index)->i;
    uint64_t flip = strcmp(SPR_ATTR_OF(step, ArgReduce, fn)->s, "min") ? 0 : UINT64_MAX;
    if (dtype == SPR_FLOAT32) {
        arg_float_lines(step, flip != 0, last, begin, end);
        return;
    }
    for (int64_t n = begin; n < end; n++) {
        int64_t x, y, best = 0;
        spr_lines_at(lines, n, &x, &y);
        uint64_t top = order_key(step->in[0].data, dtype, x) ^ flip;
        for (int64_t i = 1; i < lines->length; i++) {
            uint64_t key = order_key(step->in[0].data, dtype, x + i * lines->x_step) ^ flip;
            if (key > top || (last && key == top)) top = key, best = i;
        }
        ((int64_t *)step->out[0].data)[y] = best;
    }
}

static void arg_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_lines *lines = step->state;
    spr_parallel_range(ctx, lines->count, lines->count * lines->length, arg_lines, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

/* ---- TopK -------------------------------------------------------------------------------------------------------- */

typedef struct ranked {
    uint64_t key;
    int64_t index;
} ranked;

/* Whether a comes before b in the result. */
static int precedes(ranked a, ranked b) { return a.key > b.key || (a.key == b.key && a.index < b.index); }

/* A heap whose root is the last of the result. */
static void sift_down(ranked *heap, int64_t root, int64_t count) {
    ranked moved = heap[root];
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && precedes(heap[child], heap[child + 1])) child++;
        if (!precedes(moved, heap[child])) break;
        heap[root] = heap[child];
    }
    heap[root] = moved;
}

typedef struct top_state {
    spr_lines values, indices;
    int64_t k;
} top_state;

static SPR_COLD spr_status top_plan(spr_plan_ctx *ctx, spr_step *step) {
    top_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    int axis = spr_normalize_axis(SPR_ATTR_OF(step, TopK, axis)->i, step->in[0].desc.rank);
    spr_lines_init(&state->values, &step->in[0], &step->out[0], axis);
    spr_lines_init(&state->indices, &step->in[0], &step->out[1], axis);
    state->k = step->out[0].desc.dim[axis];
    step->scratch = (size_t)state->k * sizeof(ranked);
    step->state = state;
    return SPR_OK;
}

typedef struct top_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    int64_t per_task;
} top_job;

static void top_line(const spr_step *step, int64_t n, ranked *heap) {
    const top_state *state = step->state;
    const spr_view *x = &step->in[0];
    size_t size = spr_dtype_size(x->desc.dtype);
    uint64_t flip = SPR_ATTR_OF(step, TopK, largest)->i ? 0 : UINT64_MAX;
    int64_t from, to, put, k = state->k, step_x = state->values.x_step;
    spr_lines_at(&state->values, n, &from, &to);
    spr_lines_at(&state->indices, n, &from, &put);
    for (int64_t i = 0; i < state->values.length; i++) {
        ranked next = {order_key(x->data, x->desc.dtype, from + i * step_x) ^ flip, i};
        if (i < k) {
            heap[i] = next;
            for (int64_t root = k / 2; i == k - 1 && root-- > 0;) sift_down(heap, root, k);
        } else if (precedes(next, heap[0])) {
            heap[0] = next;
            sift_down(heap, 0, k);
        }
    }
    for (int64_t left = k; left-- > 0;) {
        ranked last = heap[0];
        heap[0] = heap[left];
        sift_down(heap, 0, left);
        memcpy((char *)step->out[0].data + (size_t)(to + left * state->values.y_step) * size,
               (const char *)x->data + (size_t)(from + last.index * step_x) * size, size);
        ((int64_t *)step->out[1].data)[put + left * state->indices.y_step] = last.index;
    }
}

static void top_task(void *arg, int task, int thread) {
    const top_job *job = arg;
    const top_state *state = job->step->state;
    int64_t end = (task + 1) * job->per_task;
    for (int64_t n = task * job->per_task; n < end && n < state->values.count; n++)
        top_line(job->step, n, spr_scratch(job->ctx, thread));
}

static void top_run(const spr_run_ctx *ctx, const spr_step *step) {
    const top_state *state = step->state;
    int64_t lines = state->values.count, elements = lines * state->values.length;
    int64_t tasks = elements < SPR_PARALLEL_ELEMENTS ? 1 : SPR_TASKS_PER_THREAD * spr_pool_threads(ctx->pool);
    if (!lines || !state->k) return;
    top_job job = {ctx, step, (lines + tasks - 1) / tasks};
    spr_pool_run(ctx->pool, (int)((lines + job.per_task - 1) / job.per_task), top_task, &job);
    spr_view_zero_padding(&step->out[0]);
    spr_view_zero_padding(&step->out[1]);
}

/* ---- CumSum ------------------------------------------------------------------------------------------------------ */

static SPR_COLD spr_status sum_plan(spr_plan_ctx *ctx, spr_step *step) {
    spr_lines *lines = spr_plan_alloc(ctx, sizeof *lines, "a layer");
    if (!lines) return SPR_ERROR_MEMORY;
    spr_lines_init(lines, &step->in[0], &step->out[0],
                   spr_normalize_axis(spr_step_int(step, 1, 0), step->in[0].desc.rank));
    step->state = lines;
    return SPR_OK;
}

static void sum_line(const spr_step *step, const spr_lines *lines, int64_t from, int64_t to) {
    spr_dtype dtype = step->in[0].desc.dtype;
    int exclusive = (int)SPR_ATTR_OF(step, CumSum, exclusive)->i, reverse = (int)SPR_ATTR_OF(step, CumSum, reverse)->i;
    const void *x = step->in[0].data;
    void *y = step->out[0].data;
    double sum = 0, before;
    uint64_t count = 0, count_before;
    for (int64_t i = 0; i < lines->length; i++) {
        int64_t k = reverse ? lines->length - 1 - i : i, at = from + k * lines->x_step, put = to + k * lines->y_step;
        before = sum;
        count_before = count;
        if (dtype == SPR_FLOAT32) {
            sum += ((const float *)x)[at];
            ((float *)y)[put] = (float)(exclusive ? before : sum);
        } else if (dtype == SPR_FLOAT64) {
            sum += ((const double *)x)[at];
            ((double *)y)[put] = exclusive ? before : sum;
        } else {
            count += (uint64_t)spr_load_int(x, dtype, at);
            spr_store_int(y, dtype, put, (int64_t)(exclusive ? count_before : count));
        }
    }
}

static void sum_lines(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    for (int64_t n = begin; n < end; n++) {
        int64_t x, y;
        spr_lines_at(step->state, n, &x, &y);
        sum_line(step, step->state, x, y);
    }
}

static void sum_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_lines *lines = step->state;
    spr_parallel_range(ctx, lines->count, lines->count * lines->length, sum_lines, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_ArgReduce(void) { return (spr_exec){.plan = arg_plan, .run = arg_run}; }
spr_exec spr_exec_TopK(void) { return (spr_exec){.plan = top_plan, .run = top_run}; }
spr_exec spr_exec_CumSum(void) { return (spr_exec){.in_place = 1u, .plan = sum_plan, .run = sum_run}; }
