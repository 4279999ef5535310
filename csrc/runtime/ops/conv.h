/* What a chain of fused convolutions (runtime/chain.c) needs of Conv. */
#ifndef SPR_RUNTIME_OPS_CONV_H
#define SPR_RUNTIME_OPS_CONV_H

#include "runtime/ops/pointwise.h"

/* Which kernels a Conv node runs on, from shapes alone. */
typedef enum spr_conv_way {
    SPR_CONV_POINTWISE,  /* 1x1 on planes, without a stride */
    SPR_CONV_SUBSAMPLED, /* 1x1 with a stride, on gathered pixels */
    SPR_CONV_FC,         /* an output of one pixel, 1x1 or SPR_WINDOWS_AS_FC and without padding */
    SPR_CONV_DEPTHWISE,
    SPR_CONV_WINDOW,     /* anything else */
} spr_conv_way;

/* x, w, y: shapes of input, weights and output. Fills in the geometry. */
spr_status spr_conv_classify(const spr_graph *graph, const spr_node *node, const spr_desc *x, const spr_desc *w,
                             const spr_desc *y, spr_conv_shape *shape, spr_conv_way *way, spr_error *err);

/* Computes a part of a planned Conv step of way POINTWISE, DEPTHWISE or WINDOW: all channels. */
void spr_conv_run_part(const spr_step *step, const spr_part *part);

#endif
