/* Activations on NEON vectors: spr_act_load_neon(), spr_act_vec_neon() ...; see act.tmpl.h. */
#ifndef SPR_KERNELS_UNARY_ACT_NEON_H
#define SPR_KERNELS_UNARY_ACT_NEON_H

#include "base/neon.h"
#include "kernels/kernel.h"

SPR_NEON_PUSH

/* An estimate of 8 bits and two steps of Newton's method: a division takes up to 30 cycles. */
SPR_INLINE float32x4_t spr_rcp_neon(float32x4_t x) {
    float32x4_t y = vrecpeq_f32(x);
    y = vmulq_f32(y, vrecpsq_f32(x, y));
    return vmulq_f32(y, vrecpsq_f32(x, y));
}

#define V float32x4_t
#define M uint32x4_t
#define NAME(x) x##_neon
#define V_SET(f) vdupq_n_f32(f)
#define V_LOAD(p) vld1q_f32(p)
#define V_ADD(a, b) vaddq_f32(a, b)
#define V_SUB(a, b) vsubq_f32(a, b)
#define V_MUL(a, b) vmulq_f32(a, b)
#define V_DIV(a, b) spr_neon_div(a, b)
#define V_RCP(x) spr_rcp_neon(x)
#define V_FMA(a, b, c) spr_neon_fma(c, a, b)
#define V_MAXC(x, c) vmaxq_f32(x, c)
#define V_MINC(x, c) vminq_f32(x, c)
#define V_LT(a, b) vcltq_f32(a, b)
#define V_SELECT(m, a, b) vbslq_f32(m, a, b)
#define V_ABS(x) vabsq_f32(x)
#define V_NEG(x) vnegq_f32(x)
#define V_SQRT(x) spr_neon_sqrt(x)
#define V_FLOOR(x) spr_neon_floor(x)
#define V_CEIL(x) spr_neon_ceil(x)
#define V_ROUND(x) spr_neon_round(x)
#define V_COPYSIGN(m, s) vbslq_f32(vdupq_n_u32(0x80000000u), s, m)
#define V_POW2(t) \
    vreinterpretq_f32_u32(vaddq_u32(vshlq_n_u32(vreinterpretq_u32_f32(t), 23), vdupq_n_u32(0x3f800000u)))

#include "kernels/unary/act.tmpl.h"

SPR_NEON_POP

#endif
