/* Images in strips: with several threads, each computes the same lines of all layers where that is possible, and finds
   them in its own cache. A tensor [1, C, H, W] in strips has the shape and strides of a batch of images
   [strips, C, H / strips, W], and room for `halo` lines of its neighbours above and below each. To most operators it is
   that batch; those with windows copy the lines that they need into the halos. */
#ifndef SPR_RUNTIME_STRIPS_H
#define SPR_RUNTIME_STRIPS_H

#include "runtime/plan.h"

typedef struct spr_lines_range {
    uint32_t lo, hi;
} spr_lines_range;

#if SPR_STRIPS
/* What an operator can do with images in strips. */
typedef enum spr_strips_kind {
    SPR_STRIPS_NONE,
    SPR_STRIPS_ALIKE,  /* it takes all its images as batches of strips, or none */
    SPR_STRIPS_LOOSE,  /* so, but those whose strips are whole lines of the cache need not lie in strips */
    SPR_STRIPS_WINDOW, /* its input and its output may each lie in strips or not */
    SPR_STRIPS_LINES,  /* so, but its input only if its output does: its tasks are lines */
    SPR_STRIPS_INPUT,  /* its input may, in 2 or 4, and its output is no image */
} spr_strips_kind;

/* That of a step's operator (runtime/ops/in_strips.c), whose views still have the images' shapes; fills in the geometry
   of windows. */
spr_strips_kind spr_op_in_strips(const spr_step *step, spr_sparse sparse, spr_window *win);

/* Decides which values lie in strips: sets their views' shapes, strips and halo. Called when steps have their shapes,
   before the layout. */
spr_status spr_plan_strips(spr_plan *plan, spr_plan_ctx *ctx);
/* Shows images that lie as a whole like those in strips to a step that takes strips as a batch. */
void spr_strips_show(const spr_plan *plan, spr_step *step);

/* Strides of a tensor in strips; the floats before its data, 0 if it is not in strips; whether one may take the other's
   memory, if their shapes and strides are equal. */
void spr_strides_strips(spr_view *view);
int64_t spr_strips_front(const spr_view *view);
SPR_INLINE int spr_strips_same(const spr_view *a, const spr_view *b) { return a->halo == b->halo; }

/* The shape of the whole image: the view's, or in *whole. */
SPR_INLINE const spr_desc *spr_strips_whole(const spr_view *view, spr_desc *whole) {
    if (!view->strips) return &view->desc;
    *whole = view->desc;
    whole->dim[0] = 1;
    whole->dim[2] *= view->strips;
    return whole;
}

/* Where a strip's first plane would begin if it held all lines of the image. */
SPR_INLINE float *spr_strip_origin(const spr_view *view, uint32_t strip) {
    float *data = (float *)view->data;
    return view->strips ? data + strip * (view->stride[0] - view->desc.dim[2] * view->desc.dim[3]) : data;
}

/* Lines of the output that a strip's task computes: those of its output or, if only the input lies in strips, those
   whose windows without padding begin in them. */
spr_lines_range spr_strip_output(const spr_view *x, const spr_view *y, const spr_window *win, uint32_t strip);
/* Lines of the input that these need. */
spr_lines_range spr_strip_input(const spr_window *win, spr_lines_range out);
/* Copies the lines that are not the strip's own into its halos, for channels [c0, c1). */
void spr_strip_fill(const spr_view *x, uint32_t strip, spr_lines_range lines, uint32_t c0, uint32_t c1);

#else

#define spr_plan_strips(plan, ctx) ((void)(plan), (void)(ctx), SPR_OK)
#define spr_strips_show(plan, step) ((void)(plan), (void)(step))
#define spr_strides_strips(view) ((void)(view))
#define spr_strips_front(view) ((void)(view), 0)
#define spr_strips_same(a, b) ((void)(a), (void)(b), 1)
#define spr_strips_whole(view, whole) ((void)(whole), &(view)->desc)
#define spr_strip_origin(view, strip) ((float *)(view)->data)
#define spr_strip_output(x, y, win, strip) ((void)(x), (void)(y), (void)(win), (void)(strip), (spr_lines_range){0, 0})
#define spr_strip_input(win, out) (out)
#define spr_strip_fill(x, strip, lines, c0, c1) ((void)(lines))

#endif
#endif
