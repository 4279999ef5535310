/* Functions of one variable in plain C, by libm. */
#include "base/tailor.h"
#include "kernels/unary/act.h"

SPR_INLINE float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

#define LOOP(expression)              \
    for (size_t i = 0; i < n; i++) {  \
        float v = x[i];               \
        y[i] = expression;            \
    }                                 \
    return
#define LOOP_CASE(id, expression) case SPR_FN_##id: LOOP(expression);
#define NO_CASE(id, expression)
#define CASE(id, expression) SPR_KEPT(fn_##id, LOOP_CASE, NO_CASE)(id, expression)

void spr_unary_f32_ref(const float *x, float *y, size_t n, const spr_act *act) {
    switch (act->fn) {
    CASE(SIGMOID, 1 / (1 + expf(-v)))
    CASE(SILU, v / (1 + expf(-v)))
    CASE(TANH, tanhf(v))
    CASE(ELU, v < 0 ? act->a * expm1f(v) : v)
    CASE(GELU, 0.5f * v * erfcf(v * -0.707106781f))
    CASE(SOFTPLUS, softplus(v))
    CASE(MISH, v * tanhf(softplus(v)))
    CASE(EXP, expf(v))
    CASE(LOG, logf(v))
    CASE(SQRT, sqrtf(v))
    CASE(RECIPROCAL, 1 / v)
    CASE(ABS, fabsf(v))
    CASE(NEG, -v)
    CASE(FLOOR, floorf(v))
    CASE(CEIL, ceilf(v))
    CASE(ROUND, rintf(v))
    CASE(SIGN, v > 0 ? 1 : v < 0 ? -1 : v)
    CASE(ERF, erff(v))
    CASE(SIN, sinf(v))
    CASE(COS, cosf(v))
    CASE(TAN, tanf(v))
    CASE(ASIN, asinf(v))
    CASE(ACOS, acosf(v))
    CASE(ATAN, atanf(v))
    CASE(SINH, sinhf(v))
    CASE(COSH, coshf(v))
    CASE(ASINH, asinhf(v))
    CASE(ACOSH, acoshf(v))
    CASE(ATANH, atanhf(v))
    default: LOOP(spr_act_scalar(v, act, 0));
    }
}
