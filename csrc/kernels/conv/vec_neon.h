/* NEON vectors, see vec.h. */
#ifndef SPR_KERNELS_CONV_VEC_NEON_H
#define SPR_KERNELS_CONV_VEC_NEON_H

#include "kernels/conv/vec.h"
#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

#define SPR_VL 4
#define SPR_MIN_WIDTH 0
#define SPR_CONV_NAME(x) x##_neon
#define SPR_BAND_SHARED 1

typedef float32x4_t spr_v;

SPR_INLINE spr_v spr_vzero(void) { return vdupq_n_f32(0); }
SPR_INLINE spr_v spr_vset(float f) { return vdupq_n_f32(f); }
SPR_INLINE spr_v spr_vload(const float *p) { return vld1q_f32(p); }
SPR_INLINE void spr_vstore(float *p, spr_v v) { vst1q_f32(p, v); }
SPR_INLINE spr_v spr_vload_n(const float *p, size_t n) {
    const float32x2_t zero = vdup_n_f32(0);
    switch (n) {
    case 0: return vdupq_n_f32(0);
    case 1: return vcombine_f32(vld1_lane_f32(p, zero, 0), zero);
    case 2: return vcombine_f32(vld1_f32(p), zero);
    case 3: return vcombine_f32(vld1_f32(p), vld1_lane_f32(p + 2, zero, 0));
    default: return vld1q_f32(p);
    }
}
SPR_INLINE void spr_vstore_n(float *p, spr_v v, size_t n) {
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    if (n & 2) vst1_f32(p, vget_low_f32(v));
    if (n == 1) vst1q_lane_f32(p, v, 0);
    if (n == 3) vst1q_lane_f32(p + 2, v, 2);
}
SPR_INLINE spr_v spr_vfma(spr_v acc, spr_v a, spr_v b) { return spr_neon_fma(acc, a, b); }
SPR_INLINE spr_v spr_vadd(spr_v a, spr_v b) { return vaddq_f32(a, b); }
SPR_INLINE spr_v spr_vmul(spr_v a, spr_v b) { return vmulq_f32(a, b); }
SPR_INLINE spr_v spr_vdiv(spr_v a, spr_v b) { return spr_neon_div(a, b); }
SPR_INLINE spr_v spr_vmaxc(spr_v x, spr_v c) { return vmaxq_f32(x, c); }
SPR_INLINE spr_v spr_vminc(spr_v x, spr_v c) { return vminq_f32(x, c); }
SPR_INLINE spr_v spr_vmaxn(spr_v acc, spr_v x) { return vmaxq_f32(acc, x); }
SPR_INLINE void spr_vsplit(spr_v a, spr_v b, spr_v *even, spr_v *odd) {
    *even = spr_neon_even(a, b);
    *odd = spr_neon_odd(a, b);
}

/* n zeros, then the first lanes of v; n is 1 or 2. */
SPR_INLINE spr_v spr_vshift_in(spr_v v, int n) {
    return n == 1 ? vextq_f32(vdupq_n_f32(0), v, 3) : vextq_f32(vdupq_n_f32(0), v, 2);
}

/* Mask of the lanes below n, and its use. */
SPR_INLINE spr_v spr_vmask_below(int n) {
    const int32x4_t lane = {0, 1, 2, 3};
    return vreinterpretq_f32_u32(vcltq_s32(lane, vdupq_n_s32(n)));
}
SPR_INLINE spr_v spr_vand(spr_v a, spr_v mask) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(mask)));
}

/* Multipliers stay four to a register. */
typedef struct spr_w {
    float32x4_t q[7];
} spr_w;
#define SPR_W_LOAD(w, p, n)                        \
    SPR_UNROLL                                     \
    for (int w_i = 0; w_i < ((n) + 3) / 4; w_i++) \
        (w).q[w_i] = vld1q_f32((p) + 4 * w_i);
#if SPR_AARCH64
/* Compilers are not shown the lanes: gcc 12 would hoist a broadcast of each out of loops, spill them, and line up
   dependent products; clang would spill sums. They keep these in order. */
#define SPR_FMA_LANE(acc, x, q, lane) \
    __asm__ volatile("fmla %0.4s, %1.4s, %2.s[" #lane "]" : "+w"(acc) : "w"(x), "w"(q))
SPR_INLINE spr_v spr_vfma_w(spr_v acc, spr_v x, const spr_w *w, int i) {
    switch (i % 4) {
    case 0: SPR_FMA_LANE(acc, x, w->q[i / 4], 0); break;
    case 1: SPR_FMA_LANE(acc, x, w->q[i / 4], 1); break;
    case 2: SPR_FMA_LANE(acc, x, w->q[i / 4], 2); break;
    default: SPR_FMA_LANE(acc, x, w->q[i / 4], 3); break;
    }
    return acc;
}
/* Weight 0 begins sums. */
SPR_INLINE spr_v spr_vmul_w0(spr_v x, const spr_w *w) {
    spr_v product;
    __asm__ volatile("fmul %0.4s, %1.4s, %2.s[0]" : "=w"(product) : "w"(x), "w"(w->q[0]));
    return product;
}

#else /* no fused multiply-add by a lane */
SPR_INLINE spr_v spr_w_all(const spr_w *w, int i) {
    const float32x2_t half = i % 4 < 2 ? vget_low_f32(w->q[i / 4]) : vget_high_f32(w->q[i / 4]);
    return i % 2 ? vdupq_lane_f32(half, 1) : vdupq_lane_f32(half, 0);
}
SPR_INLINE spr_v spr_vfma_w(spr_v acc, spr_v x, const spr_w *w, int i) { return spr_neon_fma(acc, x, spr_w_all(w, i)); }
SPR_INLINE spr_v spr_vmul_w0(spr_v x, const spr_w *w) { return vmulq_f32(x, spr_w_all(w, 0)); }
#endif

#define SPR_ACT(x) x##_neon
#include "kernels/conv/vec_finish.h"

SPR_NEON_POP

#endif
