/* Convolution in plain C: any kernel, stride, dilation, padding and group, depthwise too. One image row of one channel
   at a time is summed up in scratch, tap by tap. */
#include <string.h>

#include "kernels/conv/window.h"
#include "kernels/unary/act.h"

static int match(const spr_conv_shape *s) {
    (void)s;
    return 1;
}

static size_t weights(const spr_conv_shape *s) { return (size_t)s->oc * (s->ic / s->group) * s->win.kh * s->win.kw; }

/* Packed: bias[oc], w[oc][ic / group][kh][kw]. */
static size_t size(const spr_conv_shape *s) { return (s->oc + weights(s)) * sizeof(float); }

static void pack(const spr_conv_shape *s, const float *w, const float *bias, void *dst) {
    if (bias)
        memcpy(dst, bias, s->oc * sizeof(float));
    else
        memset(dst, 0, s->oc * sizeof(float));
    memcpy((float *)dst + s->oc, w, weights(s) * sizeof(float));
}

static size_t scratch(const spr_conv_shape *s) { return s->win.ow * sizeof(float); }

const spr_conv_traits spr_conv_traits_ref = {match, size, pack, scratch};

/* acc[i] += w * x[i * step] for i < n. */
static void accumulate(float *restrict acc, float w, const float *restrict x, size_t step, int64_t n) {
    if (step == 1)
        for (int64_t i = 0; i < n; i++) acc[i] = spr_fma(w, x[i], acc[i]);
    else
        for (int64_t i = 0; i < n; i++) acc[i] = spr_fma(w, x[i * (int64_t)step], acc[i]);
}

void spr_conv_f32_ref(const spr_conv_args *a) {
    const spr_conv_shape *s = a->shape;
    const spr_window *g = &s->win;
    const uint32_t icg = s->ic / s->group, ocg = s->oc / s->group;
    const float *bias = a->packed, *weight = bias + s->oc;
    float *acc = a->scratch;

    for (uint32_t row = a->row0; row < a->row1; row++) {
        float *plane = a->y + row * a->y_stride;
        for (uint32_t oy = a->oy0; oy < a->oy1; oy++) {
            for (uint32_t i = 0; i < g->ow; i++) acc[i] = bias[row];
            const int64_t top = (int64_t)oy * g->sh - g->pt;
            int64_t ky0, ky1;
            spr_inside(top, g->dh, g->kh, 0, g->ih, &ky0, &ky1);
            for (uint32_t c = 0; c < icg; c++) {
                const float *x = a->x + (row / ocg * icg + c) * a->x_stride;
                const float *w = weight + ((size_t)row * icg + c) * g->kh * g->kw;
                for (int64_t ky = ky0; ky < ky1; ky++)
                    for (uint32_t kx = 0; kx < g->kw; kx++) {
                        const int64_t left = (int64_t)kx * g->dw - g->pl;
                        int64_t ox0, ox1;
                        spr_inside(left, g->sw, g->ow, 0, g->iw, &ox0, &ox1);
                        if (ox0 < ox1)
                            accumulate(acc + ox0, w[ky * g->kw + kx],
                                       x + (top + ky * g->dh) * g->iw + left + ox0 * g->sw, g->sw, ox1 - ox0);
                    }
            }
            float *y = plane + (size_t)oy * g->ow;
            const float *z = a->z ? a->z + row * a->z_stride + (size_t)oy * g->ow : NULL;
            for (uint32_t i = 0; i < g->ow; i++) y[i] = spr_act_scalar(z ? acc[i] + z[i] : acc[i], &a->act, row);
            if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, g->ow, &a->act);
        }
        const size_t hw = (size_t)g->oh * g->ow;
        if (a->oy1 == g->oh) memset(plane + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof(float));
    }
}
