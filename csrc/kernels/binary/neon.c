/* Functions of two variables by NEON. */
#include "base/compiler.h"

#if SPR_NEON

#include <string.h>

#include "base/neon.h"
#include "kernels/kernel.h"

SPR_NEON_PUSH

SPR_INLINE float32x4_t load_tail(const float *p, size_t n) {
    float lanes[4] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return vld1q_f32(lanes);
}

SPR_INLINE void store_tail(float *p, size_t n, float32x4_t v) {
    float lanes[4];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

#define NAME spr_binary_f32_neon
#define WIDTH 4
#define V_LOAD vld1q_f32
#define V_STORE vst1q_f32
#define V_LOAD_TAIL load_tail
#define V_STORE_TAIL store_tail
#define V_SET vdupq_n_f32
#define V_ADD vaddq_f32
#define V_SUB vsubq_f32
#define V_MUL vmulq_f32
#define V_DIV spr_neon_div
#define V_MIN vminq_f32
#define V_MAX vmaxq_f32
#include "kernels/binary/binary.tmpl.h"

SPR_NEON_POP

#endif
