/* A plan: a graph made ready to run for given input shapes. */
#ifndef SPR_RUNTIME_PLAN_H
#define SPR_RUNTIME_PLAN_H

#include "base/tailor.h"
#include "runtime/exec.h"

typedef struct spr_plan {
    const spr_graph *graph;
    spr_arena arena;  /* steps, packed weights, folded constants */
    struct spr_layout *layout; /* of layout.c */
    spr_view *views;  /* by value */
    uint8_t *known;   /* by value: constant or computed while planning */
    spr_step *steps;  /* nodes that were not folded, in order */
    int step_count;
    int32_t *kept;    /* values that must be there when all steps have run: outputs, and what late nodes read */
    int kept_count;
    spr_view **lent; /* by graph input: the view of the one step that reads it, if that may lie anywhere (spr_exec.lends),
                        else NULL */
    /* Nodes whose outputs' shapes depend on contents, and all behind them: planned and run anew, one by one, after the
       steps. */
    const spr_node **late;
    int late_count;
    uint8_t *is_late;     /* by value */
    spr_arena late_arena; /* what they made in the last run */
    char *activations;
    size_t activation_bytes, live_bytes;
    size_t scratch; /* bytes per thread */
} spr_plan;

typedef struct spr_plan_options {
    uint32_t features;
    int threads;
    spr_sparse sparse;
    spr_tune *tune;  /* NULL: kernels are chosen by estimates */
    int shapes_only; /* stop after types, shapes and folding: nothing can be run */
    int partial;     /* with shapes_only: nodes that fail, and all behind them, are left out like late ones */
} spr_plan_options;

/* Whether this build has nodes that can be computed while planning (else what there is of them would run each time);
   and such whose outputs' shapes depend on contents (late.c). */
#define SPR_FOLDS SPR_KEPT(folding, 1, 0)
#define SPR_LATE SPR_KEPT(late, 1, 0)

/* `inputs` are the concrete descriptions of graph->inputs. The graph must outlive the plan. */
spr_status spr_plan_create(const spr_graph *graph, const spr_desc *inputs, const spr_plan_options *options,
                           spr_plan **plan, spr_error *err);
void spr_plan_free(spr_plan *plan);

/* Whether this machine has as much memory at all: what a system promises beyond that ends the process when it is
   used. */
int spr_plan_fits(size_t bytes);

/* Infers a node and, if all its inputs are known, computes it too; otherwise it becomes a step, or a late node. */
spr_status spr_plan_node(spr_plan *plan, spr_plan_ctx *ctx, const spr_node *node);
/* Runs the late nodes (late.c): their outputs' views have data then. Fails where contents do not fit: a shape that is
   not possible, more elements than there may be. */
spr_status spr_plan_run_late(spr_plan *plan, const spr_plan_options *options, spr_error *err);

/* A step for a node, its views as far as they are known. */
spr_status spr_plan_init_step(spr_plan *plan, const spr_node *node, spr_step *step, spr_error *err);

/* Where values live: decides aliases and offsets (layout.c). */
spr_status spr_plan_layout(spr_plan *plan, spr_error *err);
spr_status spr_plan_memory(spr_plan *plan, spr_error *err);

#endif
