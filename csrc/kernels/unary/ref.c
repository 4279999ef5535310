/* Functions of one variable in plain C, by libm. */
#include "kernels/unary/act.h"

static float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

#define LOOP(expression)              \
    for (size_t i = 0; i < n; i++) {  \
        float v = x[i];               \
        y[i] = expression;            \
    }                                 \
    return

void spr_unary_f32_ref(const float *x, float *y, size_t n, const spr_act *act) {
    switch (act->fn) {
    case SPR_FN_SIGMOID: LOOP(1 / (1 + expf(-v)));
    case SPR_FN_SILU: LOOP(v / (1 + expf(-v)));
    case SPR_FN_TANH: LOOP(tanhf(v));
    case SPR_FN_ELU: LOOP(v < 0 ? act->a * expm1f(v) : v);
    case SPR_FN_GELU: LOOP(0.5f * v * erfcf(v * -0.707106781f));
    case SPR_FN_SOFTPLUS: LOOP(softplus(v));
    case SPR_FN_MISH: LOOP(v * tanhf(softplus(v)));
    case SPR_FN_EXP: LOOP(expf(v));
    case SPR_FN_LOG: LOOP(logf(v));
    case SPR_FN_SQRT: LOOP(sqrtf(v));
    case SPR_FN_RECIPROCAL: LOOP(1 / v);
    case SPR_FN_ABS: LOOP(fabsf(v));
    case SPR_FN_NEG: LOOP(-v);
    case SPR_FN_FLOOR: LOOP(floorf(v));
    case SPR_FN_CEIL: LOOP(ceilf(v));
    case SPR_FN_ROUND: LOOP(rintf(v));
    case SPR_FN_SIGN: LOOP(v > 0 ? 1 : v < 0 ? -1 : v);
    case SPR_FN_ERF: LOOP(erff(v));
    case SPR_FN_SIN: LOOP(sinf(v));
    case SPR_FN_COS: LOOP(cosf(v));
    case SPR_FN_TAN: LOOP(tanf(v));
    case SPR_FN_ASIN: LOOP(asinf(v));
    case SPR_FN_ACOS: LOOP(acosf(v));
    case SPR_FN_ATAN: LOOP(atanf(v));
    case SPR_FN_SINH: LOOP(sinhf(v));
    case SPR_FN_COSH: LOOP(coshf(v));
    case SPR_FN_ASINH: LOOP(asinhf(v));
    case SPR_FN_ACOSH: LOOP(acoshf(v));
    case SPR_FN_ATANH: LOOP(atanhf(v));
    default: LOOP(spr_act_scalar(v, act, 0));
    }
}
