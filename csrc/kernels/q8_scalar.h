/* Quantized arithmetic on one number, for the plain C kernels. */
#ifndef SPR_KERNELS_Q8_SCALAR_H
#define SPR_KERNELS_Q8_SCALAR_H

#include <string.h>

#include "kernels/unary/act.h"

/* The nearest integer, the even one of two, of |v| up to 2^22: in a sum with 1.5 * 2^23 the last bit counts ones. Unlike
   rintf vectors of any CPU have it. */
SPR_INLINE int32_t spr_round_small(float v) {
    int32_t bits;
    v += 12582912.0f;
    memcpy(&bits, &v, sizeof bits);
    return bits - 0x4b400000;
}

/* clamp(round(v), lo - zero, hi - zero) + zero; lo where v is no number, as differences of infinities are. */
SPR_INLINE spr_q8 spr_q8_round(float v, int32_t zero, int32_t lo, int32_t hi) {
    const float least = (float)(lo - zero), most = (float)(hi - zero);
    return (spr_q8)(spr_round_small(v > least ? v < most ? v : most : least) + zero);
}

/* The number that is added to scaled a and b; see spr_binary_q8. */
SPR_INLINE float spr_q8_shift(const spr_binary_q8 *f, float b_scale) {
    return (float)f->y_zero - fmaf(f->a_scale, (float)f->a_zero, b_scale * (float)f->b_zero);
}

/* What a row's output is before it is rounded; z is read if the layer has one. */
SPR_INLINE float spr_q8_value(int32_t sum, float scale, int has_z, spr_q8 z, const spr_q8_finish *f, uint32_t row) {
    float v = (float)sum * scale;
    if (has_z) v += (float)((int32_t)z - f->z_zero) * f->z_scale;
    return spr_act_scalar(v, &f->act, row);
}

SPR_INLINE spr_q8 spr_q8_requantize(float v, const spr_q8_finish *f) {
    return spr_q8_round(f->act.fn == SPR_FN_NONE ? v : v * f->y_inv, f->y_zero, f->lo, f->hi);
}

#endif
