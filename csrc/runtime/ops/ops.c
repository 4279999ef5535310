#include "runtime/ops/ops.h"

#include <string.h>

spr_runs spr_view_runs(const spr_view *view) {
    if (view->desc.rank != 4 || spr_view_is_contiguous(view))
        return (spr_runs){.count = 1, .length = spr_desc_count(&view->desc), .channels = 1};
    return (spr_runs){.count = view->desc.dim[0] * view->desc.dim[1],
                      .length = view->desc.dim[2] * view->desc.dim[3],
                      .channels = view->desc.dim[1],
                      .stride0 = view->stride[0],
                      .stride1 = view->stride[1]};
}

void spr_loads_add(spr_loads *loads, double work) {
    int least = 0;
    for (int t = 1; t < loads->threads; t++)
        if (loads->of[t] < loads->of[least]) least = t;
    loads->of[least] += work;
}

double spr_loads_balance(const spr_loads *loads) {
    double sum = 0, most = 0;
    for (int t = 0; t < loads->threads; t++) {
        sum += loads->of[t];
        if (loads->of[t] > most) most = loads->of[t];
    }
    return most > 0 ? sum / most / loads->threads : 1;
}

typedef struct range_job {
    int64_t count, per_task;
    spr_range_fn *fn;
    void *arg;
} range_job;

static void range_task(void *arg, int task, int thread) {
    (void)thread;
    const range_job *job = arg;
    int64_t begin = task * job->per_task, end = begin + job->per_task;
    job->fn(job->arg, begin, end < job->count ? end : job->count);
}

void spr_parallel_range(const spr_run_ctx *ctx, int64_t count, int64_t elements, spr_range_fn *fn, void *arg) {
#if SPR_STRIPS
    if (ctx->lanes) {
        fn(arg, count * ctx->lane / ctx->lanes, count * (ctx->lane + 1) / ctx->lanes);
        return;
    }
#endif
    int threads = spr_pool_threads(ctx->pool);
    int64_t tasks = threads > 1 && elements >= SPR_PARALLEL_ELEMENTS ? SPR_TASKS_PER_THREAD * threads : 1;
    if (tasks > count) tasks = count;
    if (tasks <= 1) {
        if (count) fn(arg, 0, count);
        return;
    }
    range_job job = {.count = count, .per_task = (count + tasks - 1) / tasks, .fn = fn, .arg = arg};
    spr_pool_run(ctx->pool, (int)((count + job.per_task - 1) / job.per_task), range_task, &job);
}

/* ---- loops ------------------------------------------------------------------------------------------------------- */

static int64_t broadcast_stride(const spr_view *view, int rank, int i) {
    int k = i - (rank - view->desc.rank);
    return k < 0 || view->desc.dim[k] == 1 ? 0 : view->stride[k];
}

void spr_loops_init(spr_loops *l, const spr_view *out, const spr_view *in, int inputs) {
    const spr_desc *y = &out->desc;
    *l = (spr_loops){.operands = inputs + 1, .outer = 1};
    for (int i = 0; i < y->rank; i++) {
        int64_t dim = y->dim[i], stride[SPR_LOOP_OPERANDS] = {out->stride[i]};
        int last = l->rank - 1, same = l->rank > 0;
        if (dim == 1) continue;
        for (int k = 0; k < inputs; k++) stride[k + 1] = broadcast_stride(&in[k], y->rank, i);
        for (int k = 0; k <= inputs && same; k++) same = l->stride[k][last] == stride[k] * dim;
        if (same) {
            l->dim[last] *= dim;
        } else {
            last = l->rank++;
            l->dim[last] = dim;
        }
        for (int k = 0; k <= inputs; k++) l->stride[k][last] = stride[k];
    }
    /* a contiguous run is written: a scalar, or [N, 1, 1, 1] as a part of a concatenation, has runs of one element */
    if (!l->rank || l->stride[0][l->rank - 1] != 1) {
        l->dim[l->rank] = l->stride[0][l->rank] = 1;
        l->rank++;
    }
    for (int i = 0; i < l->rank - 1; i++) l->outer *= l->dim[i];
}

typedef struct loop_job {
    const spr_step *step;
    const spr_loops *loops;
    spr_loop_fn *fn;
} loop_job;

static void loop_outer(void *arg, int64_t begin, int64_t end) {
    const loop_job *job = arg;
    const spr_loops *l = job->loops;
    for (int64_t n = begin; n < end; n++) {
        int64_t rest = n, at[SPR_LOOP_OPERANDS] = {0};
        for (int i = l->rank - 2; i >= 0; i--) {
            int64_t index = rest % l->dim[i];
            rest /= l->dim[i];
            for (int k = 0; k < l->operands; k++) at[k] += index * l->stride[k][i];
        }
        job->fn(job->step, l, at, l->dim[l->rank - 1]);
    }
}

static void loop_piece(void *arg, int64_t begin, int64_t end) {
    const loop_job *job = arg;
    int64_t at[SPR_LOOP_OPERANDS];
    for (int k = 0; k < job->loops->operands; k++) at[k] = begin * job->loops->stride[k][0];
    job->fn(job->step, job->loops, at, end - begin);
}

void spr_loops_run(const spr_run_ctx *ctx, const spr_step *step, const spr_loops *loops, spr_loop_fn *fn) {
    const spr_view *y = &step->out[0];
    int64_t count = spr_desc_count(&y->desc);
    loop_job job = {step, loops, fn};
    if (!count) return;
    if (loops->rank == 1)
        spr_parallel_range(ctx, count, count, loop_piece, &job);
    else
        spr_parallel_range(ctx, loops->outer, spr_step_elements(step, count), loop_outer, &job);
    spr_view_zero_padding(y);
}

void spr_lines_init(spr_lines *l, const spr_view *x, const spr_view *y, int axis) {
    int keeps = y->desc.rank == x->desc.rank;
    *l = (spr_lines){
        .count = 1, .length = x->desc.dim[axis], .x_step = x->stride[axis], .y_step = keeps ? y->stride[axis] : 0};
    for (int i = 0; i < x->desc.rank; i++) {
        if (i == axis) continue;
        l->dim[l->rank] = x->desc.dim[i];
        l->x[l->rank] = x->stride[i];
        l->y[l->rank++] = y->stride[keeps || i < axis ? i : i - 1];
        l->count *= x->desc.dim[i];
    }
}

void spr_lines_at(const spr_lines *l, int64_t n, int64_t *x, int64_t *y) {
    *x = *y = 0;
    for (int i = l->rank - 1; i >= 0; i--) {
        int64_t k = n % l->dim[i];
        n /= l->dim[i];
        *x += k * l->x[i];
        *y += k * l->y[i];
    }
}

/* ---- elements ---------------------------------------------------------------------------------------------------- */

void spr_view_copy_reshaped(const spr_view *src, const spr_view *dst) {
    if (src->data == dst->data) return;
    size_t size = spr_dtype_size(dst->desc.dtype);
    spr_runs from = spr_view_runs(src), to = spr_view_runs(dst);
    int64_t left = spr_desc_count(&dst->desc), i = 0, k = 0, at = 0, put = 0;
    while (left > 0) {
        int64_t n = from.length - at < to.length - put ? from.length - at : to.length - put;
        memcpy((char *)dst->data + (size_t)(spr_run_offset(&to, k) + put) * size,
               (const char *)src->data + (size_t)(spr_run_offset(&from, i) + at) * size, (size_t)n * size);
        at += n;
        put += n;
        left -= n;
        if (at == from.length) i++, at = 0;
        if (put == to.length) k++, put = 0;
    }
    spr_view_zero_padding(dst);
}

int64_t spr_load_int(const void *data, spr_dtype dtype, int64_t i) {
    switch (dtype) {
    case SPR_BOOL: return ((const uint8_t *)data)[i] != 0;
    case SPR_UINT8: return ((const uint8_t *)data)[i];
    case SPR_INT8: return ((const int8_t *)data)[i];
    case SPR_UINT16: return ((const uint16_t *)data)[i];
    case SPR_INT16: return ((const int16_t *)data)[i];
    case SPR_UINT32: return ((const uint32_t *)data)[i];
    case SPR_INT32: return ((const int32_t *)data)[i];
    default: return ((const int64_t *)data)[i];
    }
}

void spr_store_int(void *data, spr_dtype dtype, int64_t i, int64_t value) {
    switch (dtype) {
    case SPR_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case SPR_UINT8:
    case SPR_INT8: ((uint8_t *)data)[i] = (uint8_t)value; break;
    case SPR_UINT16:
    case SPR_INT16: ((uint16_t *)data)[i] = (uint16_t)value; break;
    case SPR_UINT32:
    case SPR_INT32: ((uint32_t *)data)[i] = (uint32_t)value; break;
    default: ((int64_t *)data)[i] = value;
    }
}

#define LOAD(type)                                                              \
    for (int64_t i = 0; i < n; i++) v[i] = (int64_t)((const type *)data)[i * pace]; \
    break;

void spr_load_ints(const void *data, spr_dtype dtype, int64_t pace, int64_t *v, int64_t n) {
    switch (dtype) {
    case SPR_BOOL:
        for (int64_t i = 0; i < n; i++) v[i] = ((const uint8_t *)data)[i * pace] != 0;
        break;
    case SPR_UINT8: LOAD(uint8_t)
    case SPR_INT8: LOAD(int8_t)
    case SPR_UINT16: LOAD(uint16_t)
    case SPR_INT16: LOAD(int16_t)
    case SPR_UINT32: LOAD(uint32_t)
    case SPR_INT32: LOAD(int32_t)
    default: LOAD(int64_t)
    }
}

#define STORE(type)                                                  \
    for (int64_t i = 0; i < n; i++) ((type *)data)[i] = (type)v[i];  \
    break;

void spr_store_ints(void *data, spr_dtype dtype, const int64_t *v, int64_t n) {
    switch (spr_dtype_size(dtype)) {
    case 1: STORE(uint8_t)
    case 2: STORE(uint16_t)
    case 4: STORE(uint32_t)
    default: STORE(int64_t)
    }
}
