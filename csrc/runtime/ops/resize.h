/* What Resize of floats and of quantized numbers share. */
#ifndef SPR_RUNTIME_OPS_RESIZE_H
#define SPR_RUNTIME_OPS_RESIZE_H

#include "runtime/ops/ops.h"

/* Output position i of an axis is the sum of weight[i * taps + t] * x[index[i * taps + t]]; index -1: outside, counts
   as the extrapolation value. */
typedef struct axis_taps {
    int taps;
    int32_t *index;
    float *weight;
} axis_taps;

typedef struct resize_state {
    axis_taps axis[SPR_MAX_RANK];
    int only_planes; /* only the last two axes of an image change */
    int doubled;     /* nearest, each row twice as wide as in the input */
    float extrapolation;
    /* Columns first_pair + 2 j and the next one, for j < pairs, both lie between j and j + 1 of the input, and have
       the weights of the first two: those of an image twice as wide. */
    int64_t first_pair, pairs;
} resize_state;

/* Linear interpolation between corners, in the order of additions that onnxruntime has, so that quantized results,
   which often lie right between two quanta, are its. wy, wx: weights of the two rows and columns. */
SPR_INLINE float spr_bilinear(const float *wy, const float *wx, float v00, float v01, float v10, float v11) {
    return wx[0] * wy[0] * v00 + wx[1] * wy[0] * v01 + wx[0] * wy[1] * v10 + wx[1] * wy[1] * v11;
}

/* A plane of pixels of `size` bytes, each the nearest of the input. */
void spr_resize_nearest(const resize_state *state, const spr_desc *xd, const spr_desc *yd, const char *x, char *y,
                        size_t size);
/* All of a quantized image; bytes of scratch memory that each thread needs. */
size_t spr_resize_quantized_scratch(const spr_step *step);
void spr_resize_quantized(const spr_run_ctx *ctx, const spr_step *step);

#endif
