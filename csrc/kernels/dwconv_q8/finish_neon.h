/* From sums of the quantized depthwise kernels to what they store, with NEON. */
#ifndef SPR_KERNELS_DWCONV_Q8_FINISH_NEON_H
#define SPR_KERNELS_DWCONV_Q8_FINISH_NEON_H

#include "kernels/dwconv_q8/ends_neon.h"
#include "kernels/pointwise_q8/round_neon.h"

SPR_NEON_PUSH

/* What finishing needs of a call, in registers. */
typedef struct finish_consts {
    spr_q8_rounding rounding;
    int plain; /* no residual, no activation */
} finish_consts;

SPR_INLINE finish_consts finish_of(const spr_dw_q8_args *a) {
    const spr_q8_finish *f = a->finish;
    return (finish_consts){spr_q8_rounding_of(f), !a->z && f->act.fn == SPR_FN_NONE};
}

/* Four times `quads` pixels (one or two) of four channels, from pixel `at` of group g on; n of them, at least one, are
   stored. */
SPR_INLINE void finish(const int quads, const spr_dw_q8_args *a, const finish_consts *f, const int32x4_t *sum,
                       float32x4_t scale, uint32_t g, size_t at, uint32_t n) {
    if (!f->plain || n < 4 * (uint32_t)quads) { /* not inlined, as most are not of this kind */
        int32x4_t memory[8];
        SPR_UNROLL for (int i = 0; i < 4 * quads; i++) memory[i] = sum[i];
        spr_dw_q8_finish_neon(a, memory, scale, g, at, n < 4 * (uint32_t)quads ? n : 4 * (uint32_t)quads);
        return;
    }
    spr_q8 *const y = a->y + (g * a->y_stride + at) * SPR_Q8_GROUP;
    float32x4_t value[8];
    SPR_UNROLL for (int i = 0; i < 4 * quads; i++) value[i] = vmulq_f32(vcvtq_f32_s32(sum[i]), scale);
    SPR_UNROLL for (int i = 0; i < quads; i++) vst1q_s8(y + 16 * i, spr_q8_to_bytes(&f->rounding, value + 4 * i));
}

SPR_NEON_POP

#endif
