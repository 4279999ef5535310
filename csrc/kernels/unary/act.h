/* Activations on one number, for the plain C kernels. */
#ifndef SPR_KERNELS_UNARY_ACT_H
#define SPR_KERNELS_UNARY_ACT_H

#include <math.h>

#include "kernels/kernel.h"

/* a * b + c, fused where that is an instruction. */
SPR_INLINE float spr_fma(float a, float b, float c) {
#ifdef FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* min(max(x, lo), hi); NaN where x is. */
SPR_INLINE float spr_clip(float x, float lo, float hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/* Applies a function of SPR_ACT_IN_REGISTERS, on output channel `row`; x itself for all others. */
SPR_INLINE float spr_act_scalar(float x, const spr_act *act, uint32_t row) {
    switch (act->fn) {
    case SPR_FN_CLIP: return spr_clip(x, act->a, act->b);
    case SPR_FN_HARD_SWISH: return x * spr_clip(spr_fma(x, act->a, act->b), 0, 1);
    case SPR_FN_HARD_SIGMOID: return spr_clip(spr_fma(x, act->a, act->b), 0, 1);
    case SPR_FN_LEAKY_RELU: return x < 0 ? act->a * x : x;
    case SPR_FN_PRELU: return x < 0 ? act->slope[row] * x : x;
    default: return x;
    }
}

#endif
