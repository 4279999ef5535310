/* Quantized pooling, elementwise functions and conversions in plain C. */
#include "kernels/q8_scalar.h"

/* The taps of one output pixel along an axis: [*begin, *end) of the kernel. */
static void taps(int64_t first, uint32_t dilation, uint32_t kernel, uint32_t in, uint32_t *begin, uint32_t *end) {
    *begin = *end = 0;
    while (*begin < kernel && first + *begin * (int64_t)dilation < 0) (*begin)++;
    *end = *begin;
    while (*end < kernel && first + *end * (int64_t)dilation < in) (*end)++;
}

/* Taps that count in an average which includes the padding: those up to its end. */
static uint32_t padded_taps(int64_t first, uint32_t dilation, uint32_t kernel, int64_t end) {
    uint32_t count = 0;
    while (count < kernel && first + count * (int64_t)dilation < end) count++;
    return count;
}

void spr_pool_q8_ref(const spr_pool_q8_args *a) {
    const spr_window *w = &a->win;
    for (uint32_t g = a->group0; g < a->group1; g++)
        for (uint32_t oy = 0; oy < w->oh; oy++)
            for (uint32_t ox = 0; ox < w->ow; ox++) {
                const int64_t top = (int64_t)oy * w->sh - w->pt, left = (int64_t)ox * w->sw - w->pl;
                int32_t sum[4] = {0}, most[4] = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
                uint32_t y0, y1, x0, x1;
                taps(top, w->dh, w->kh, w->ih, &y0, &y1);
                taps(left, w->dw, w->kw, w->iw, &x0, &x1);
                for (uint32_t ky = y0; ky < y1; ky++)
                    for (uint32_t kx = x0; kx < x1; kx++) {
                        const size_t at = (size_t)((top + ky * (int64_t)w->dh) * w->iw + left + kx * (int64_t)w->dw);
                        for (int i = 0; i < 4; i++) {
                            const int32_t q = (int32_t)a->x[(g * a->x_stride + at) * 4 + i] - a->x_zero;
                            sum[i] += q;
                            most[i] = q > most[i] ? q : most[i];
                        }
                    }
                uint32_t count = (y1 - y0) * (x1 - x0);
                if (a->kind == SPR_POOL_AVG_INCLUDE_PAD)
                    count = padded_taps(top, w->dh, w->kh, (int64_t)w->ih + w->pb) *
                            padded_taps(left, w->dw, w->kw, (int64_t)w->iw + w->pr);
                for (int i = 0; i < 4; i++) {
                    const float v = a->kind == SPR_POOL_MAX ? (float)most[i] : (float)sum[i] / (float)count;
                    a->y[(g * a->y_stride + (size_t)oy * w->ow + ox) * 4 + i] =
                        spr_q8_round(v * a->scale, a->y_zero, a->lo, a->hi);
                }
            }
}

void spr_binary_q8_ref(const spr_binary_q8 *f, const spr_q8 *a, int a_step, const spr_q8 *b, int b_step, spr_q8 *y,
                       size_t n) {
    const float b_scale = f->f == SPR_BIN_SUB ? -f->b_scale : f->b_scale, shift = spr_q8_shift(f, b_scale);
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < 4; i++) {
            const int32_t u = a[(a_step ? 4 * p : 0) + i], v = b[(b_step ? 4 * p : 0) + i];
            const float sum = f->f == SPR_BIN_MUL
                                  ? (float)((u - f->a_zero) * (v - f->b_zero)) * f->a_scale + (float)f->y_zero
                                  : fmaf((float)u, f->a_scale, fmaf((float)v, b_scale, shift));
            y[4 * p + i] = spr_q8_round(sum, 0, f->lo, f->hi);
        }
}

void spr_table_q8_ref(const spr_q8 *x, spr_q8 *y, size_t n, const spr_q8 *table) {
    for (size_t i = 0; i < 4 * n; i++) y[i] = table[(uint8_t)x[i]];
}

void spr_quantize_q8_ref(const float *const x[4], spr_q8 *y, size_t n, float scale, int32_t zero) {
    for (size_t p = 0; p < n; p++)
        for (int i = 0; i < 4; i++) {
            const float v = x[i] ? x[i][p] / scale : 0;
            y[4 * p + (size_t)i] = spr_q8_round(v, zero, SPR_Q8_MIN, SPR_Q8_MAX);
        }
}

void spr_dequantize_q8_ref(const spr_q8 *x, float *const y[4], size_t n, float scale, int32_t zero) {
    for (size_t p = 0; p < n; p++)
        for (int i = 0; i < 4; i++)
            if (y[i]) y[i][p] = (float)((int32_t)x[4 * p + (size_t)i] - zero) * scale;
}
