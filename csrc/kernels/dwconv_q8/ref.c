/* Quantized depthwise convolution in plain C. Packed: bias and scale of the channels rounded up to groups, then weights
   [group][kh][kw][4]. */
#include <string.h>

#include "kernels/q8_scalar.h"

static size_t rows_of(uint32_t channels) { return spr_round_up(channels, SPR_Q8_GROUP); }

static int match(const spr_window *win) {
    (void)win;
    return 1;
}

static size_t size(const spr_dw_q8_weights *w) {
    return rows_of(w->channels) * (sizeof(int32_t) + sizeof(float) + w->win.kh * w->win.kw * sizeof(int16_t));
}

static void pack(const spr_dw_q8_weights *w, void *dst) {
    const size_t rows = rows_of(w->channels), taps = (size_t)w->win.kh * w->win.kw;
    int32_t *bias = dst;
    float *scale = (float *)(bias + rows);
    int16_t *out = (int16_t *)(scale + rows);
    memset(dst, 0, size(w));
    for (uint32_t c = 0; c < w->channels; c++) {
        bias[c] = w->bias[c];
        scale[c] = w->scale[c];
        for (size_t t = 0; t < taps; t++) out[(c / 4 * taps + t) * 4 + c % 4] = w->w[c * taps + t];
    }
}

static size_t scratch(const spr_window *win) {
    (void)win;
    return 0;
}

/* Sums of the four channels of one pixel; x: the group's plane, w: its weights. */
static void pixel(const spr_dw_q8_args *a, const spr_q8 *x, const int16_t *w, uint32_t oy, uint32_t ox,
                  int32_t sum[4]) {
    const spr_window *win = a->win;
    for (uint32_t ky = 0; ky < win->kh; ky++)
        for (uint32_t kx = 0; kx < win->kw; kx++, w += 4) {
            const int64_t iy = (int64_t)oy * win->sh + ky * win->dh - win->pt,
                          ix = (int64_t)ox * win->sw + kx * win->dw - win->pl;
            const int inside = iy >= 0 && iy < win->ih && ix >= 0 && ix < win->iw;
            const spr_q8 *p = x + (inside ? (size_t)(iy * win->iw + ix) * 4 : 0);
            for (int i = 0; i < 4; i++) sum[i] += w[i] * (int32_t)(inside ? p[i] : a->x_zero);
        }
}

void spr_dwconv_q8_ref(const spr_dw_q8_args *a) {
    const spr_window *win = a->win;
    const size_t rows = rows_of(a->channels), taps = (size_t)win->kh * win->kw;
    const int32_t *bias = a->packed;
    const float *scale = (const float *)(bias + rows);
    const int16_t *w = (const int16_t *)(scale + rows);
    for (uint32_t g = a->group0; g < a->group1; g++)
        for (uint32_t oy = a->oy0; oy < a->oy1; oy++)
            for (uint32_t ox = 0; ox < win->ow; ox++) {
                const size_t at = (size_t)oy * win->ow + ox;
                int32_t sum[4];
                memcpy(sum, bias + 4 * g, sizeof sum);
                pixel(a, a->x + g * a->x_stride * 4, w + g * taps * 4, oy, ox, sum);
                for (uint32_t i = 0; i < 4 && 4 * g + i < a->channels; i++) {
                    const spr_q8 z = a->z ? a->z[(g * a->z_stride + at) * 4 + i] : 0;
                    const float v = spr_q8_value(sum[i], scale[4 * g + i], a->z != NULL, z, a->finish, 4 * g + i);
                    a->y[(g * a->y_stride + at) * 4 + i] = spr_q8_requantize(v, a->finish);
                }
            }
}

const spr_dw_q8_traits spr_dwconv_traits_q8_ref = {match, size, pack, scratch};
