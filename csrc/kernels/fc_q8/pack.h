/* Packed weights of the quantized fully connected kernels, the same for all instruction sets, and what ends their
   rows. */
#ifndef SPR_KERNELS_FC_Q8_PACK_H
#define SPR_KERNELS_FC_Q8_PACK_H

#include "kernels/q8_scalar.h"

/* Rows whose weights lie together. */
#define SPR_FC_Q8_ROWS 16

/* Arrays, each aligned to SPR_LINE, of the rows rounded up to SPR_FC_Q8_ROWS; rows beyond n have bias, scale and
   weights 0. Weights are w[rows / 16][groups][16][4]; those of channels beyond k are the zero of weights. */
typedef struct spr_fc_q8_packed {
    const int32_t *bias;
    const float *scale;
    const int8_t *w;
    uint32_t groups;
    int32_t w_zero;
} spr_fc_q8_packed;

spr_fc_q8_packed spr_fc_q8_packed_of(const void *packed);

/* What the zero of weights takes from each sum of an image: w_zero times the sum of its inputs. */
SPR_INLINE int32_t spr_fc_q8_less(const spr_fc_q8_packed *p, const spr_q8 *x) {
    int32_t sum = 0;
    if (!p->w_zero) return 0;
    for (uint32_t k = 0; k < 4 * p->groups; k++) sum += x[k];
    return (int32_t)((uint32_t)sum * (uint32_t)p->w_zero);
}

/* Outputs of the rows [row, row + count) of an image from their sums, which lack bias and zero of the weights: `less`.
   Without residual and activation, as most layers are, a loop that compilers turn into vectors. */
SPR_INLINE void spr_fc_q8_finish(const spr_fc_q8_args *a, const spr_fc_q8_packed *p, uint32_t image, uint32_t row,
                                 uint32_t count, const int32_t *sum, int32_t less) {
    const spr_q8_finish *f = a->finish;
    const int32_t *bias = p->bias + row;
    const float *scale = p->scale + row;
    const size_t at = image * a->y_stride + row;
    if (!a->z && f->act.fn == SPR_FN_NONE && !f->to_float) {
        const int32_t zero = f->y_zero;
        const float lo = (float)(f->lo - zero), hi = (float)(f->hi - zero);
        spr_q8 *y = (spr_q8 *)a->y + at;
        for (uint32_t r = 0; r < count; r++) {
            float v = (float)(int32_t)((uint32_t)sum[r] + (uint32_t)bias[r] - (uint32_t)less) * scale[r];
            v = v > lo ? v : lo;
            v = v < hi ? v : hi;
            y[r] = (spr_q8)((int32_t)rintf(v) + zero);
        }
        return;
    }
    for (uint32_t r = 0; r < count; r++) {
        const int32_t total = (int32_t)((uint32_t)sum[r] + (uint32_t)bias[r] - (uint32_t)less);
        const spr_q8 z = a->z ? a->z[image * a->z_stride + row + r] : 0;
        const float v = spr_q8_value(total, scale[r], a->z != NULL, z, f, row + r);
        if (f->to_float)
            ((float *)a->y)[at + r] = v;
        else
            ((spr_q8 *)a->y)[at + r] = spr_q8_requantize(v, f);
    }
}

#endif
