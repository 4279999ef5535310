/* Sparse convolutions with windows of more than one pixel or in groups: every tap of every input channel becomes a
   plane of its own (im2col), for as many pixels at a time as fit into the cache, and the matrix of all weights, block
   diagonal if there are groups, is multiplied with these planes by the pointwise kernels. Copying costs little where a
   plane is read by many output channels, and loads stay aligned. */
#ifndef SPR_RUNTIME_OPS_UNROLL_H
#define SPR_RUNTIME_OPS_UNROLL_H

#include "base/tailor.h"
#include "runtime/ops/pointwise.h"

/* Whether this build has it. */
#define SPR_UNROLLS SPR_KEPT(unrolled, 1, 0)

typedef struct spr_unrolled spr_unrolled;

/* Plans a Conv whose weights are stored sparse. *out stays NULL where a dense kernel is estimated to be faster; else
   fills in step->kernel, reason, scratch, workspace_bytes, packed_bytes and balance. */
spr_status spr_unrolled_plan(spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const float *bias,
                             const spr_conv_shape *shape, const spr_act *act, spr_unrolled **out);

void spr_unrolled_run(const spr_run_ctx *ctx, const spr_step *step, const spr_unrolled *u);

#endif
