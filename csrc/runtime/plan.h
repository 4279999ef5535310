/* A plan: a graph made ready to run for given input shapes. */
#ifndef SPR_RUNTIME_PLAN_H
#define SPR_RUNTIME_PLAN_H

#include "runtime/exec.h"

typedef struct spr_plan {
    const spr_graph *graph;
    spr_arena arena;  /* steps, packed weights, folded constants */
    struct layout *layout; /* of layout.c */
    spr_view *views;  /* by value */
    uint8_t *known;   /* by value: constant or computed while planning */
    spr_step *steps;  /* nodes that were not folded, in order */
    int step_count;
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
} spr_plan_options;

/* `inputs` are the concrete descriptions of graph->inputs. The graph must outlive the plan. */
spr_status spr_plan_create(const spr_graph *graph, const spr_desc *inputs, const spr_plan_options *options,
                           spr_plan **plan, spr_error *err);
void spr_plan_free(spr_plan *plan);

/* A step for a node, its views as far as they are known. */
spr_status spr_plan_init_step(spr_plan *plan, const spr_node *node, spr_step *step, spr_error *err);

/* Where values live: decides aliases and offsets (layout.c). */
spr_status spr_plan_layout(spr_plan *plan, spr_error *err);
spr_status spr_plan_memory(spr_plan *plan, spr_error *err);

#endif
