/* Operators that only change the shape: views where the layout allows it, copies where not. */
#include <string.h>

#include "runtime/ops/ops.h"

/* An image stays a view while its planes do; anything else must be contiguous on both sides. Images are not made views
   of what is not one: their planes would not start at cache lines. */
static int view(const spr_step *step, int out, int64_t *stride, int64_t *offset) {
    const spr_view *x = &step->in[0];
    const spr_desc *y = &step->out[out].desc;
    *offset = 0;
    if (x->desc.rank == 4 && y->rank == 4 && x->desc.dim[0] == y->dim[0] && x->desc.dim[1] == y->dim[1]) {
        spr_strides_contiguous(y, stride);
        stride[0] = x->stride[0];
        stride[1] = x->stride[1];
        return 1;
    }
    if (!spr_view_is_contiguous(x)) return 0;
    if (y->rank == 4 && y->dim[2] * y->dim[3] != 1) return 0;
    spr_strides_contiguous(y, stride);
    return 1;
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    (void)ctx;
    spr_view_copy_reshaped(&step->in[0], &step->out[0]);
}

spr_exec spr_exec_Reshape(void) { return (spr_exec){.view = view, .run = run}; }
spr_exec spr_exec_Flatten(void) { return (spr_exec){.view = view, .run = run}; }
spr_exec spr_exec_Squeeze(void) { return (spr_exec){.view = view, .run = run}; }
spr_exec spr_exec_Unsqueeze(void) { return (spr_exec){.view = view, .run = run}; }
spr_exec spr_exec_Identity(void) { return (spr_exec){.view = view, .run = run}; }
