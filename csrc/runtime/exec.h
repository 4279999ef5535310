/* How an operator is executed: the contract between the plan and the operators (runtime/ops/). */
#ifndef SPR_RUNTIME_EXEC_H
#define SPR_RUNTIME_EXEC_H

#include "graph/graph.h"
#include "kernels/kernel.h"
#include "threads/pool.h"

/* Images in strips (runtime/strips.h) only where they have been measured. */
#define SPR_STRIPS SPR_X86_64

/* A tensor in memory. Strides are in elements. The layout is fixed by the plan:
 *   rank 4: the last two dimensions are contiguous (a plane); planes are stride[1] apart and have padding lanes as
 *           kernel.h says; stride[0] is anything (the tensor may be a channel range of a larger one).
 *           Quantized: in groups of four channels (kernels/q8.h). stride[1] is that of a channel on average, a quarter
 *           of the bytes from one group to the next, so that channel ranges which start and end with a group have the
 *           usual strides.
 *   other ranks, and constants of any rank: contiguous, without padding lanes. */
typedef struct spr_view {
    spr_desc desc;
    int64_t stride[SPR_MAX_RANK];
    void *data; /* NULL for an input not given, and while planning for what is not constant */
#if SPR_STRIPS
    uint32_t strips, halo; /* of an image in strips (runtime/strips.h), whose `desc` is that of a batch; else 0 */
#endif
} spr_view;

typedef struct spr_step spr_step;
typedef struct spr_tune spr_tune;

typedef struct spr_plan_ctx {
    const spr_graph *graph;
    spr_arena *arena; /* lives as long as the plan */
    uint32_t features;
    int threads;
    spr_sparse sparse; /* never SPR_SPARSE_MODEL */
    spr_tune *tune;    /* NULL: kernels are chosen by estimates */
    uint32_t part_rows; /* rows of the image that are computed at a time, 0 for all (runtime/chain.c) */
    spr_error *err;
} spr_plan_ctx;

typedef struct spr_run_ctx {
    spr_pool *pool;
    char *scratch;         /* of all threads */
    size_t scratch_stride; /* bytes between two threads' scratch */
    int profile;           /* chains of layers time their members */
#if SPR_STRIPS
    int lanes, lane; /* where joined steps run (spr_step.joined): how many strips there are, and which it is; else 0 */
    int thread;      /* the lane's */
#endif
} spr_run_ctx;

SPR_INLINE void *spr_scratch(const spr_run_ctx *ctx, int thread) {
    return ctx->scratch + ctx->scratch_stride * (size_t)thread;
}

/* Calls fn for all tasks, on all threads; of joined steps for the lane's share of them, which are its strip's. */
SPR_INLINE void spr_run_tasks(const spr_run_ctx *ctx, int tasks, spr_task_fn *fn, void *arg) {
#if SPR_STRIPS
    if (ctx->lanes) {
        for (int task = tasks * ctx->lane / ctx->lanes; task < tasks * (ctx->lane + 1) / ctx->lanes; task++)
            fn(arg, task, ctx->thread);
        return;
    }
#endif
    spr_pool_run(ctx->pool, tasks, fn, arg);
}

/* One operator. Functions may be NULL unless noted. */
typedef struct spr_exec {
    /* Bit i: output 0 may take the memory of input i where that has equal type, shape and strides and dies here. */
    uint32_t in_place;
    /* Whether output `out` can be a view of input 0: if so sets its strides (keeping the layout rules above)
       and *offset in elements from input 0's data, and returns 1. The plan may use that or not (step->out_is_view); run
       computes the outputs that are not views, and is not called if all are. */
    int (*view)(const spr_step *step, int out, int64_t *stride, int64_t *offset);
    /* Chooses kernels, packs weights, sets step->state, ->scratch and the explain fields. Views have their final shapes
       and strides; constants have data. Strides do not change afterwards, pointers are set before run. */
    spr_status (*plan)(spr_plan_ctx *ctx, spr_step *step);
    /* Whether a planned step's run takes input 0 from anywhere: with contiguous strides, aligned to its elements, where
       planes are a multiple of SPR_PX. */
    int (*lends)(const spr_step *step);
    /* Required. Cannot fail: whatever can go wrong is found while planning. */
    void (*run)(const spr_run_ctx *ctx, const spr_step *step);
} spr_exec;

struct spr_step {
    const spr_graph *graph;
    const spr_node *node;
    spr_exec exec;
    spr_view *in;  /* [node->in_count] */
    spr_view *out; /* [node->out_count] */
    uint8_t *out_is_view;
    void *state;    /* the operator's own, in the plan's arena */
    size_t scratch; /* bytes each thread needs */
#if SPR_STRIPS
    uint8_t strip_kind; /* spr_strips_kind: how it runs in strips, if it does */
    uint32_t strips;    /* if it takes its images as batches of so many strips, else 0 */
    int joined;         /* a thread runs it and so many steps behind it for its strip before it waits for others */
#endif
    size_t workspace_bytes; /* memory that all threads share during this step, aligned to SPR_LINE */
    void *workspace;
    /* for explain */
    double balance; /* see spr_layer_info; 0 where the operator does not say */
    const spr_kernel *kernel;
    char reason[160];
    double macs, sparsity, fill_2x1;
    size_t weight_bytes, packed_bytes;
    uint64_t ns;
};

/* Executor of an operator: each row of ops.inc has its `spr_exec spr_exec_<Op>(void)` in runtime/ops/. (Functions, because
   tables of pointers take 32 bytes for each of them, most of it relocation.) */
spr_exec spr_exec_get(spr_op op);

#if SPR_STRIPS
SPR_INLINE uint32_t spr_view_strips(const spr_view *view) { return view->strips; }
SPR_INLINE uint32_t spr_step_strips(const spr_step *step) { return step->strips; }
#else
SPR_INLINE uint32_t spr_view_strips(const spr_view *view) { return (void)view, 0; }
SPR_INLINE uint32_t spr_step_strips(const spr_step *step) { return (void)step, 0; }
#endif

/* ---- helpers for operators --------------------------------------------------------------------------------------- */

#define SPR_ATTR_OF(step, op, name) (&(step)->node->attr[SPR_ATTR_##op##_##name])

/* The value behind input i, NULL if not given. */
SPR_INLINE const spr_value *spr_step_value(const spr_step *step, int i) {
    return i < step->node->in_count && step->node->in[i] >= 0 ? &step->graph->values[step->node->in[i]] : NULL;
}
SPR_INLINE int spr_step_has(const spr_step *step, int i) { return spr_step_value(step, i) != NULL; }

/* Contiguous strides; and the plan's layout for a tensor that is not a constant. */
void spr_strides_contiguous(const spr_desc *desc, int64_t *stride);
void spr_strides_planes(const spr_desc *desc, int64_t *stride);
int spr_view_is_contiguous(const spr_view *view);

/* Copies src to dst, equal element sizes and shapes, any strides (src strides may be 0 for broadcasting or negative),
   and zeroes dst's padding lanes. Does nothing if src already lies at dst. Parallel when it is worth it; ctx may be
   NULL. */
void spr_view_copy(const spr_run_ctx *ctx, const spr_view *src, const spr_view *dst);
/* The elements only: for a dst that is a part of a tensor, whose lanes may be another part. */
void spr_view_copy_elements(const spr_run_ctx *ctx, const spr_view *src, const spr_view *dst);
/* Zeroes the padding lanes of a tensor that has them. */
void spr_view_zero_padding(const spr_view *view);

/* Activation of a node: its `act`, `act_a`, `act_b` and, for prelu, a slope array of `rows` floats copied into the
   plan. */
spr_status spr_plan_act(spr_plan_ctx *ctx, const spr_step *step, const spr_attr *act, const spr_attr *a,
                        const spr_attr *b, int slope_input, uint32_t rows, spr_act *out);
/* Kernels on planes need padding lanes, which constants lack: replaces a constant input by a copy that has them. */
spr_status spr_plan_planes(spr_plan_ctx *ctx, spr_step *step, int input);
/* Aligned memory that lives as long as the plan; on failure fills ctx->err and returns NULL. */
void *spr_plan_alloc(spr_plan_ctx *ctx, size_t bytes, const char *what);

#endif
