/* Small things that several operators share. */
#ifndef SPR_RUNTIME_OPS_OPS_H
#define SPR_RUNTIME_OPS_OPS_H

#include "runtime/exec.h"

/* Elements, or multiply-accumulates, below which an operator is not worth a fork-join; and tasks per thread above:
   enough to even out what the split gets wrong and what else the cores are doing. */
#define SPR_PARALLEL_ELEMENTS (32 * 1024)
#define SPR_PARALLEL_MACS 20000.0
#define SPR_PARALLEL_CYCLES 8000.0 /* where they can be estimated */
#define SPR_TASKS_PER_THREAD 4
/* Convolutions take one where cores are alike: with two threads MobileNetV1 and PicoDet-m are 1 to 5 % faster by it.
   What a core leaves is found by the others in their caches. */
SPR_INLINE uint32_t spr_tasks_per_thread(uint32_t features) {
#if SPR_X86_64
    if (features & SPR_ISA_AVX2 && !spr_cpu_is_hybrid()) return 1;
#endif
    (void)features;
    return SPR_TASKS_PER_THREAD;
}
#define SPR_EVEN 0.95 /* balance (see spr_layer_info) with which a split is taken without looking for a better one */

/* How evenly tasks spread over threads that take them in order, counted from the work each one is. */
typedef struct spr_loads {
    int threads;
    double of[256]; /* by thread */
} spr_loads;
/* The next task goes to the thread that is free first. */
void spr_loads_add(spr_loads *loads, double work);
/* Mean load by largest load, in (0, 1]. */
double spr_loads_balance(const spr_loads *loads);

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
/* The `elements` of a step: enough, if they are strips that lie in the threads' caches. */
SPR_INLINE int64_t spr_step_elements(const spr_step *step, int64_t elements) {
    return spr_step_strips(step) && elements < SPR_PARALLEL_ELEMENTS ? SPR_PARALLEL_ELEMENTS : elements;
}

/* Nested loops over an output and the inputs that are broadcast to it, the innermost last; strides in elements, 0 where
   an operand repeats. The output's innermost stride is 1. Operand 0 is the output. */
#define SPR_LOOP_OPERANDS 4
typedef struct spr_loops {
    int rank, operands;
    int64_t dim[SPR_MAX_RANK], stride[SPR_LOOP_OPERANDS][SPR_MAX_RANK];
    int64_t outer; /* iterations of all but the innermost */
} spr_loops;
void spr_loops_init(spr_loops *loops, const spr_view *out, const spr_view *in, int inputs);
/* Calls fn for each pass of the innermost loop, or for pieces of the only one: `at` has the offset of its first element
   in each operand, `n` is its length. */
typedef void spr_loop_fn(const spr_step *step, const spr_loops *loops, const int64_t *at, int64_t n);
void spr_loops_run(const spr_run_ctx *ctx, const spr_step *step, const spr_loops *loops, spr_loop_fn *fn);
SPR_INLINE int64_t spr_loop_pace(const spr_loops *loops, int operand) {
    return loops->stride[operand][loops->rank - 1];
}

/* The lines of a tensor along one axis: `count` of them, of `length` elements `step` apart, from x to y. */
typedef struct spr_lines {
    int64_t count, length;
    int64_t x_step, y_step;
    int rank;
    int64_t dim[SPR_MAX_RANK], x[SPR_MAX_RANK], y[SPR_MAX_RANK];
} spr_lines;
/* y has x's dimensions except along the axis, which it may lack. */
void spr_lines_init(spr_lines *lines, const spr_view *x, const spr_view *y, int axis);
/* Offsets of the first elements of line n. */
void spr_lines_at(const spr_lines *lines, int64_t n, int64_t *x, int64_t *y);

/* Binary's functions of two arrays of any type that inference allows, of n elements `*_step` apart, 0 for one that
   repeats; float32 by `kernel`. */
void spr_binary_any(spr_binary fn, spr_dtype dtype, spr_binary_fn *kernel, const void *a, int64_t a_step, const void *b,
                    int64_t b_step, void *y, int64_t n);

/* Counts an index up in row-major order. */
SPR_INLINE void spr_index_next(const spr_desc *desc, int64_t *index) {
    for (int i = desc->rank - 1; i >= 0; i--) {
        if (++index[i] < desc->dim[i]) return;
        index[i] = 0;
    }
}
SPR_INLINE int64_t spr_view_at(const spr_view *view, const int64_t *index) {
    int64_t at = 0;
    for (int i = 0; i < view->desc.rank; i++) at += index[i] * view->stride[i];
    return at;
}

/* Copies a tensor to another shape of as many elements, in row-major order. */
void spr_view_copy_reshaped(const spr_view *src, const spr_view *dst);

/* Element i of an array of any integer type or bool. uint64 as its two's complement; store keeps the low bits, bool
   tells whether there are any. */
int64_t spr_load_int(const void *data, spr_dtype dtype, int64_t i);
void spr_store_int(void *data, spr_dtype dtype, int64_t i, int64_t value);
/* The same for n elements that lie `pace` apart (0: one for all), and n in a row. What computes with all types of
   integers does so in pieces of SPR_INTS. */
#define SPR_INTS 64
void spr_load_ints(const void *data, spr_dtype dtype, int64_t pace, int64_t *v, int64_t n);
void spr_store_ints(void *data, spr_dtype dtype, const int64_t *v, int64_t n);

/* Index `value` of an axis of `dim` > 0 elements: negative ones count from the end, those out of range are clamped, as
   indices come at run time and the specification leaves them undefined. */
SPR_INLINE int64_t spr_clamp_index(int64_t value, int64_t dim) {
    if (value < 0) value += dim;
    return value < 0 ? 0 : value >= dim ? dim - 1 : value;
}

/* Ints of input i (int32 or int64), of which there are *count; the input must be known, which inference has checked. */
SPR_INLINE int64_t spr_step_int(const spr_step *step, int input, int64_t i) {
    return spr_read_int(step->in[input].data, step->in[input].desc.dtype, i);
}

#endif
