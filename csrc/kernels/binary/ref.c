/* Functions of two variables in plain C. */
#include <math.h>

#include "kernels/kernel.h"

static float floor_mod(float a, float b) {
    float rest = fmodf(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

#define LOOP(expression)                                              \
    for (size_t i = 0; i < n; i++) {                                  \
        float v = a_step ? a[i] : a0, w = b_step ? b[i] : b0;         \
        y[i] = expression;                                            \
    }                                                                 \
    return

void spr_binary_f32_ref(spr_binary f, const float *a, int a_step, const float *b, int b_step, float *y, size_t n) {
    if (n == 0) return;
    const float a0 = a[0], b0 = b[0]; /* y may overwrite them */
    switch (f) {
    case SPR_BIN_ADD: LOOP(v + w);
    case SPR_BIN_SUB: LOOP(v - w);
    case SPR_BIN_MUL: LOOP(v * w);
    case SPR_BIN_DIV: LOOP(v / w);
    case SPR_BIN_MIN: LOOP(v < w || v != v ? v : w);
    case SPR_BIN_MAX: LOOP(v > w || v != v ? v : w);
    case SPR_BIN_POW: LOOP(powf(v, w));
    case SPR_BIN_MOD: LOOP(floor_mod(v, w));
    case SPR_BIN_FMOD: LOOP(fmodf(v, w));
    default: return;
    }
}
