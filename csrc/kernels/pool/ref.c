/* Pooling in plain C. */
#include <math.h>
#include <string.h>

#include "kernels/conv/window.h"

void spr_pool_f32_ref(const spr_pool_args *a) {
    const spr_window *g = &a->win;
    const size_t hw = (size_t)g->oh * g->ow;
    for (uint32_t c = a->c0; c < a->c1; c++) {
        const float *x = a->x + c * a->x_stride;
        float *y = a->y + c * a->y_stride;
        for (uint32_t oy = 0; oy < g->oh; oy++) {
            const int64_t top = (int64_t)oy * g->sh - g->pt;
            int64_t ky0, ky1, py0, py1; /* taps within the image, and within image and padding */
            spr_inside(top, g->dh, g->kh, 0, g->ih, &ky0, &ky1);
            spr_inside(top, g->dh, g->kh, -(int64_t)g->pt, (int64_t)g->ih + g->pb, &py0, &py1);
            for (uint32_t ox = 0; ox < g->ow; ox++) {
                const int64_t left = (int64_t)ox * g->sw - g->pl;
                int64_t kx0, kx1, px0, px1;
                spr_inside(left, g->dw, g->kw, 0, g->iw, &kx0, &kx1);
                spr_inside(left, g->dw, g->kw, -(int64_t)g->pl, (int64_t)g->iw + g->pr, &px0, &px1);
                float max = -INFINITY;
                double sum = 0;
                for (int64_t ky = ky0; ky < ky1; ky++)
                    for (int64_t kx = kx0; kx < kx1; kx++) {
                        float v = x[(top + ky * g->dh) * g->iw + left + kx * g->dw];
                        if (v > max || v != v) max = v;
                        sum += v;
                    }
                int64_t count = (ky1 - ky0) * (kx1 - kx0);
                if (a->kind == SPR_POOL_AVG_INCLUDE_PAD) count = (py1 - py0) * (px1 - px0);
                y[(size_t)oy * g->ow + ox] = a->kind == SPR_POOL_MAX ? max : count ? (float)(sum / (double)count) : 0;
            }
        }
        memset(y + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof(float));
    }
}
