/* Quantized depthwise convolution without dot products (ARMv8.0), windows of up to eight columns. */
#include "base/compiler.h"

#if SPR_NEON
#include <string.h>

#include "kernels/dwconv_q8/finish_neon.h"
#include "kernels/dwconv_q8/interleave_neon.h"

SPR_NEON_PUSH

#define V int8x16_t
#define S int32x4_t
#define PIXELS 4
#define NAME(x) x##_neon
#define LOAD(p) vld1q_s8((const int8_t *)(p))
#define STORE(p, v) vst1q_s8(p, v)
#define LOAD_WEIGHTS(p) vld1q_s8(p)
#define SUMS(p) vld1q_s32(p)
#define DOT(sum, x, w) (sum) = dot(sum, x, w)
#define INTERLEAVE(t, out) interleave_taps(t, out)
#define FINISH(a, sum, scale, c, y, z, n) finish_block(a, sum, scale, c, y, z, n)

SPR_INLINE int32x4_t dot(int32x4_t sum, int8x16_t x, int8x16_t w) {
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(w))),
                    high = vpaddlq_s16(vmull_high_s8(x, w));
    return vaddq_s32(sum, vpaddq_s32(low, high));
}

SPR_INLINE void finish_block(const spr_dw_q8_args *a, const int32x4_t *sum, const float *scale, uint32_t c,
                             const spr_q8 *y, const spr_q8 *z, uint32_t n) {
    (void)z; /* finish finds it */
    const finish_consts consts = finish_of(a);
    const uint32_t g = c / SPR_Q8_GROUP;
    finish(1, a, &consts, sum, vld1q_f32(scale), g, (size_t)(y - a->y) / SPR_Q8_GROUP - g * a->y_stride, n);
}

#include "kernels/dwconv_q8/rows.tmpl.h"

void spr_dwconv_q8_neon(const spr_dw_q8_args *a) { run_neon(a); }

const spr_dw_q8_traits spr_dwconv_traits_q8_neon = {match_neon, size_neon, pack_neon, scratch_neon};

SPR_NEON_POP
#endif
