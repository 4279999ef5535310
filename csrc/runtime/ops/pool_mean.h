/* GlobalAveragePool of images on builds that have strips. */
#ifndef SPR_RUNTIME_OPS_POOL_MEAN_H
#define SPR_RUNTIME_OPS_POOL_MEAN_H

#include "runtime/strips.h"

/* For inputs of rank 4 that are not empty. Strips may be 2 or 4 (SPR_STRIPS_INPUT). */
void spr_pool_mean_plan(spr_step *step);
void spr_pool_mean(const spr_run_ctx *ctx, const spr_step *step);

#endif
