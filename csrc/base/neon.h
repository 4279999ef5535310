/* <arm_neon.h> for 64-bit and 32-bit ARM alike: files of kernels for both include this one, and put their code between
 * SPR_NEON_PUSH and SPR_NEON_POP. On 32-bit ARM "neon" means NEON with fused multiply-add (VFPv4: Cortex-A7, A15 and
 * later), which cpu.c asks for; compilers need not be told. There vectors flush denormal numbers to zero, which no
 * option changes. */
#ifndef SPR_BASE_NEON_H
#define SPR_BASE_NEON_H

#include "base/compiler.h"

#if SPR_NEON

#include <arm_neon.h>
#include <math.h>

#if SPR_ARM32 && !defined(__clang__)
#define SPR_NEON_PUSH SPR_TARGET_PUSH("fpu=neon-vfpv4")
#define SPR_NEON_POP SPR_TARGET_POP
#else
#define SPR_NEON_PUSH
#define SPR_NEON_POP
#endif

/* What arm_neon.h has for 64 bits only: acc + a * b rounded once, quotients, roots, rounding, lanes of even and odd
   index. */
#if SPR_AARCH64

#define spr_neon_fma(acc, a, b) vfmaq_f32(acc, a, b)
#define spr_neon_div(a, b) vdivq_f32(a, b)
#define spr_neon_sqrt(x) vsqrtq_f32(x)
#define spr_neon_floor(x) vrndmq_f32(x)
#define spr_neon_ceil(x) vrndpq_f32(x)
#define spr_neon_round(x) vrndnq_f32(x)
#define spr_neon_even(a, b) vuzp1q_f32(a, b)
#define spr_neon_odd(a, b) vuzp2q_f32(a, b)

#else

SPR_NEON_PUSH

/* In assembly, as clang hides vfmaq_f32 unless all files are compiled for VFPv4. */
SPR_INLINE float32x4_t spr_neon_fma(float32x4_t acc, float32x4_t a, float32x4_t b) {
    __asm__(".fpu neon-vfpv4\n\tvfma.f32 %q0, %q1, %q2" : "+w"(acc) : "w"(a), "w"(b));
    return acc;
}

SPR_INLINE float32x4_t spr_neon_div(float32x4_t a, float32x4_t b) {
    const float32x4_t q = {a[0] / b[0], a[1] / b[1], a[2] / b[2], a[3] / b[3]};
    return q;
}

SPR_INLINE float32x4_t spr_neon_sqrt(float32x4_t x) {
    const float32x4_t r = {sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])};
    return r;
}

/* Half to even: above 2^23 there are no fractions. */
SPR_INLINE float32x4_t spr_neon_round(float32x4_t x) {
    const float32x4_t whole = vdupq_n_f32(8388608.0f), size = vabsq_f32(x);
    const float32x4_t r = vsubq_f32(vaddq_f32(size, whole), whole);
    const uint32x4_t changes = vandq_u32(vcltq_f32(size, whole), vdupq_n_u32(0x7fffffffu));
    return vbslq_f32(changes, r, x);
}

SPR_INLINE float32x4_t spr_neon_floor(float32x4_t x) {
    const float32x4_t r = spr_neon_round(x);
    return vbslq_f32(vcgtq_f32(r, x), vsubq_f32(r, vdupq_n_f32(1)), r);
}

/* The sign stays that of x, as in -0.5 -> -0. */
SPR_INLINE float32x4_t spr_neon_ceil(float32x4_t x) { return vnegq_f32(spr_neon_floor(vnegq_f32(x))); }

SPR_INLINE float32x4_t spr_neon_even(float32x4_t a, float32x4_t b) { return vuzpq_f32(a, b).val[0]; }
SPR_INLINE float32x4_t spr_neon_odd(float32x4_t a, float32x4_t b) { return vuzpq_f32(a, b).val[1]; }

/* For integers, by their names of 64 bits. */
SPR_INLINE int16x8_t vmull_high_s8(int8x16_t a, int8x16_t b) { return vmull_s8(vget_high_s8(a), vget_high_s8(b)); }
SPR_INLINE int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t a, int8x16_t b) {
    return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b));
}
SPR_INLINE int32x4_t vaddw_high_s16(int32x4_t a, int16x8_t b) { return vaddw_s16(a, vget_high_s16(b)); }
SPR_INLINE int32x4_t vpaddq_s32(int32x4_t a, int32x4_t b) {
    return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
#define vdupq_laneq_s32(v, lane) vdupq_lane_s32((lane) < 2 ? vget_low_s32(v) : vget_high_s32(v), (lane) % 2)
SPR_INLINE int16x8_t vqmovn_high_s32(int16x4_t low, int32x4_t high) { return vcombine_s16(low, vqmovn_s32(high)); }
SPR_INLINE int8x16_t vqmovn_high_s16(int8x8_t low, int16x8_t high) { return vcombine_s8(low, vqmovn_s16(high)); }
SPR_INLINE int16x8_t vuzp1q_s16(int16x8_t a, int16x8_t b) { return vuzpq_s16(a, b).val[0]; }
SPR_INLINE int8x16_t vuzp1q_s8(int8x16_t a, int8x16_t b) { return vuzpq_s8(a, b).val[0]; }

/* Half to even, by adding 1.5 * 2^23; NaN becomes 0. As if saturated for those who narrow it to 16 bits. */
SPR_INLINE int32x4_t vcvtnq_s32_f32(float32x4_t x) {
    const float32x4_t magic = vdupq_n_f32(12582912.0f), most = vdupq_n_f32(65536.0f);
    const uint32x4_t number = vceqq_f32(x, x);
    const float32x4_t inside = vmaxq_f32(vminq_f32(x, most), vnegq_f32(most));
    const int32x4_t whole = vcvtq_s32_f32(vsubq_f32(vaddq_f32(inside, magic), magic));
    return vreinterpretq_s32_u32(vandq_u32(vreinterpretq_u32_s32(whole), number));
}

SPR_NEON_POP

#endif
#endif
#endif
