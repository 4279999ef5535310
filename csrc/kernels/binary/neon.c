/* Functions of two variables by NEON. */
#include "base/compiler.h"

#if SPR_AARCH64

#include <arm_neon.h>
#include <string.h>

#include "kernels/kernel.h"

#define WIDTH 4


#define LOOP(op)                                                                                          \
    for (; i + WIDTH <= n; i += WIDTH)                                                                    \
        vst1q_f32(y + i, op(vld1q_f32(a + i * sa), vld1q_f32(b + i * sb)));                               \
    if (i < n) {                                                                                          \
        float ta[WIDTH] = {0}, tb[WIDTH] = {0};                                                           \
        memcpy(ta, a + i * sa, (n - i) * sizeof(float));                                                  \
        memcpy(tb, b + i * sb, (n - i) * sizeof(float));                                                  \
        vst1q_f32(ta, op(vld1q_f32(ta), vld1q_f32(tb)));                                                  \
        memcpy(y + i, ta, (n - i) * sizeof(float));                                                       \
    }                                                                                                     \
    return

void spr_binary_f32_neon(spr_binary f, const float *a, int a_step, const float *b, int b_step, float *y, size_t n) {
    /* One value for all becomes a vector that is read again and again. */
    float a0[WIDTH], b0[WIDTH];
    const size_t sa = a_step != 0, sb = b_step != 0;
    size_t i = 0;
    if (n == 0) return;
    if (f == SPR_BIN_POW) {
        spr_binary_f32_ref(f, a, a_step, b, b_step, y, n);
        return;
    }
    if (!sa) vst1q_f32(a0, vdupq_n_f32(*a)), a = a0;
    if (!sb) vst1q_f32(b0, vdupq_n_f32(*b)), b = b0;
    switch (f) {
    case SPR_BIN_ADD: LOOP(vaddq_f32);
    case SPR_BIN_SUB: LOOP(vsubq_f32);
    case SPR_BIN_MUL: LOOP(vmulq_f32);
    case SPR_BIN_DIV: LOOP(vdivq_f32);
    case SPR_BIN_MIN: LOOP(vminq_f32);
    case SPR_BIN_MAX: LOOP(vmaxq_f32);
    default: return;
    }
}

#endif
