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
