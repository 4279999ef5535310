/* Small things that several operators share. */
#ifndef SPR_RUNTIME_OPS_OPS_H
#define SPR_RUNTIME_OPS_OPS_H

#include "runtime/exec.h"

/* Elements, or multiply-accumulates, below which an operator is not worth a fork-join; and tasks per thread above: enough to
   even out what the split gets wrong and what else the cores are doing. */
#define SPR_PARALLEL_ELEMENTS (32 * 1024)
#define SPR_PARALLEL_MACS 20000.0
#define SPR_TASKS_PER_THREAD 4

/* A tensor as `count` contiguous runs of `length` elements: planes if it is of rank 4, else one. */
typedef struct spr_runs {
    int64_t count, length;
    int64_t channels, stride0, stride1; /* of a run's index: image = i / channels, channel = i % channels */
} spr_runs;
spr_runs spr_view_runs(const spr_view *view);
SPR_INLINE int64_t spr_run_offset(const spr_runs *runs, int64_t i) {
    return i / runs->channels * runs->stride0 + i % runs->channels * runs->stride1;
}

/* Calls fn(arg, begin, end) over [0, count) in pieces, on all threads if `elements` makes it worth it. */
typedef void spr_range_fn(void *arg, int64_t begin, int64_t end);
void spr_parallel_range(const spr_run_ctx *ctx, int64_t count, int64_t elements, spr_range_fn *fn, void *arg);

/* Copies a tensor to another shape of as many elements, in row-major order. */
void spr_view_copy_reshaped(const spr_view *src, const spr_view *dst);

/* Element i of an array of any integer type or bool. uint64 as its two's complement; store keeps the low bits, bool tells
   whether there are any. */
int64_t spr_load_int(const void *data, spr_dtype dtype, int64_t i);
void spr_store_int(void *data, spr_dtype dtype, int64_t i, int64_t value);

/* Ints of input i (int32 or int64), of which there are *count; the input must be known, which inference has checked. */
SPR_INLINE int64_t spr_step_int(const spr_step *step, int input, int64_t i) {
    return spr_read_int(step->in[input].data, step->in[input].desc.dtype, i);
}

#endif
