/* Chains of convolutions run stripe by stripe: what one computes is read by the next while it is in the cache, and
   never goes to memory. A chain is one step of the plan; its members are steps of their own, told of one by one. */
#ifndef SPR_RUNTIME_CHAIN_H
#define SPR_RUNTIME_CHAIN_H

#include "runtime/plan.h"

/* Joins steps of a plan into chains where that pays. Called when shapes are known and nothing is laid out yet. */
spr_status spr_plan_chains(spr_plan *plan, spr_plan_ctx *ctx);

/* Executor of the steps so made. */
spr_exec spr_exec_chain(void);

/* Layers of a step: its members if it is a chain, else itself. */
int spr_step_layers(const spr_step *step);
const spr_step *spr_step_layer(const spr_step *step, int i);
/* Share of the step's time that the layer took in the last profiled run. */
double spr_step_layer_share(const spr_step *step, int i);

#endif
