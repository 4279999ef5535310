/* Resize of quantized images. */
#include <math.h>
#include <string.h>

#include "kernels/q8_scalar.h"
#include "runtime/ops/quantized.h"
#include "runtime/ops/resize.h"

/* Pixels are numbers of four bytes. */
static void nearest_plane(const spr_step *step, int64_t image, int64_t group) {
    const spr_view *x = &step->in[0], *y = &step->out[0];
    spr_resize_nearest(step->state, &x->desc, &y->desc, (const char *)spr_q8_plane(x, image, group),
                       (char *)spr_q8_plane(y, image, group), SPR_Q8_GROUP);
}

typedef struct corners {
    const spr_q8 *top, *low;
    int64_t left, right; /* bytes */
    float wy[2], wx[2];
} corners;

/* The one or two taps of an output position, weights of 0 for the second where there is none. */
static void take_weights(const axis_taps *axis, int64_t i, float weight[2]) {
    weight[0] = axis->weight[i * axis->taps];
    weight[1] = axis->taps > 1 ? axis->weight[i * axis->taps + 1] : 0;
}

static float interpolate(const corners *at, int channel, int32_t zero, float scale) {
    const spr_q8 *top = at->top + channel, *low = at->low + channel;
    return spr_bilinear(at->wy, at->wx, (float)(top[at->left] - zero) * scale, (float)(top[at->right] - zero) * scale,
                        (float)(low[at->left] - zero) * scale, (float)(low[at->right] - zero) * scale);
}

/* As on the numbers that they stand for, with the operations that float32 takes for dequantizing, resizing and
   quantizing. */
static void linear_plane(const spr_step *step, int64_t image, int64_t group) {
    const resize_state *state = step->state;
    const axis_taps *v = &state->axis[2], *h = &state->axis[3];
    const spr_quantum qx = SPR_QUANTUM(step, Resize, x), qy = SPR_QUANTUM(step, Resize, y);
    const float x_scale = (float)qx.scale, y_scale = (float)qy.scale;
    const int truncate = SPR_ATTR_OF(step, Resize, truncate)->i != 0;
    const int64_t width = step->in[0].desc.dim[3] * SPR_Q8_GROUP;
    const spr_q8 *x = spr_q8_plane(&step->in[0], image, group);
    spr_q8 *y = spr_q8_plane(&step->out[0], image, group);
    for (int64_t i = 0; i < step->out[0].desc.dim[2]; i++) {
        corners at = {.top = x + v->index[i * v->taps] * width, .low = x + v->index[(i + 1) * v->taps - 1] * width};
        take_weights(v, i, at.wy);
        for (int64_t k = 0; k < step->out[0].desc.dim[3]; k++) {
            at.left = SPR_Q8_GROUP * (int64_t)h->index[k * h->taps];
            at.right = SPR_Q8_GROUP * (int64_t)h->index[(k + 1) * h->taps - 1];
            take_weights(h, k, at.wx);
            for (int c = 0; c < SPR_Q8_GROUP; c++) {
                float r = interpolate(&at, c, qx.zero, x_scale) / y_scale;
                *y++ = spr_q8_round(truncate ? truncf(r) : r, qy.zero, SPR_Q8_MIN, SPR_Q8_MAX);
            }
        }
    }
}

void spr_resize_quantized(const spr_run_ctx *ctx, const spr_step *step) {
    int nearest = strcmp(SPR_ATTR_OF(step, Resize, mode)->s, "nearest") == 0;
    spr_q8_each_plane(ctx, step, nearest ? nearest_plane : linear_plane);
}
