/* What the operators on quantized tensors share. */
#ifndef SPR_RUNTIME_OPS_QUANTIZED_H
#define SPR_RUNTIME_OPS_QUANTIZED_H

#include "runtime/ops/ops.h"

/* Scale and zero of a tensor, the zero as memory holds it (kernels/q8.h). */
typedef struct spr_quantum {
    double scale;
    int32_t zero;
} spr_quantum;

#define SPR_QUANTUM(step, op, name)                        \
    ((spr_quantum){SPR_ATTR_OF(step, op, name##_scale)->f, \
                   (int32_t)SPR_ATTR_OF(step, op, name##_zero)->i + SPR_Q8_SHIFT})

/* Groups of four channels of an image. */
SPR_INLINE uint32_t spr_q8_groups(const spr_view *view) {
    return (uint32_t)((view->desc.dim[1] + SPR_Q8_GROUP - 1) / SPR_Q8_GROUP);
}
SPR_INLINE size_t spr_q8_pixels(const spr_view *view) { return (size_t)(view->desc.dim[2] * view->desc.dim[3]); }
/* Where a group of an image begins; pixels from one group to the next are view->stride[1]. */
SPR_INLINE spr_q8 *spr_q8_plane(const spr_view *view, int64_t image, int64_t group) {
    return (spr_q8 *)view->data + image * view->stride[0] + group * SPR_Q8_GROUP * view->stride[1];
}

/* Calls fn for every group of every image of the step's result, on all threads if it is worth it. */
typedef void spr_q8_plane_fn(const spr_step *step, int64_t image, int64_t group);
void spr_q8_each_plane(const spr_run_ctx *ctx, const spr_step *step, spr_q8_plane_fn *fn);

/* Bounds of quantized outputs that express the clip of an activation; act->fn becomes NONE. Others keep the whole
   range. */
void spr_q8_bounds(spr_act *act, const spr_quantum *y, int32_t *lo, int32_t *hi);

#endif
