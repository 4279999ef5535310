/* Quantized fully connected layers with the multiplications that all NEON has: products of 16 bits, added in pairs to
   sums of 32 bits, two of which belong to a row. */
#include "base/compiler.h"

#if SPR_NEON
#include "base/neon.h"

#include "kernels/fc_q8/pack.h"

SPR_NEON_PUSH

typedef struct fc_sums {
    int32x4_t pair[8]; /* of two rows each */
} fc_sums;
typedef int8x8_t fc_input; /* four inputs twice */

SPR_INLINE void fc_begin(fc_sums *s) {
    SPR_UNROLL for (int i = 0; i < 8; i++) s->pair[i] = vdupq_n_s32(0);
}
SPR_INLINE fc_input fc_input_of(const spr_q8 *x) {
    return vreinterpret_s8_s32(vld1_dup_s32((const int32_t *)(const void *)x));
}
SPR_INLINE void fc_dot(fc_sums *s, const int8_t *w, const fc_input *x) {
    SPR_UNROLL for (int i = 0; i < 4; i++) {
        const int8x16_t rows = vld1q_s8(w + 16 * i);
        s->pair[2 * i] = vpadalq_s16(s->pair[2 * i], vmull_s8(vget_low_s8(rows), *x));
        s->pair[2 * i + 1] = vpadalq_s16(s->pair[2 * i + 1], vmull_s8(vget_high_s8(rows), *x));
    }
}
SPR_INLINE void fc_settle(fc_sums *s) { (void)s; }
SPR_INLINE void fc_store(int32_t *sum, const fc_sums *s) {
    SPR_UNROLL for (int i = 0; i < 8; i++)
        vst1_s32(sum + 2 * i, vpadd_s32(vget_low_s32(s->pair[i]), vget_high_s32(s->pair[i])));
}

#define FC_STEPS UINT32_MAX
#define FC_BLOCKS 1 /* as weights come from memory, more gain nothing */
#define FC_NAME spr_fc_dense_q8_neon
#include "kernels/fc_q8/dense.tmpl.h"

SPR_NEON_POP
#endif
