/* Quantized fully connected layers with SDOT, which adds the products of four inputs to the sums of four rows. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/fc_q8/pack.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

typedef struct fc_sums {
    int32x4_t q[4];
} fc_sums;
typedef int8x16_t fc_input;

SPR_INLINE void fc_begin(fc_sums *s) {
    SPR_UNROLL for (int i = 0; i < 4; i++) s->q[i] = vdupq_n_s32(0);
}
SPR_INLINE fc_input fc_input_of(const spr_q8 *x) {
    return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)x));
}
SPR_INLINE void fc_dot(fc_sums *s, const int8_t *w, const fc_input *x) {
    SPR_UNROLL for (int i = 0; i < 4; i++) s->q[i] = vdotq_s32(s->q[i], vld1q_s8(w + 16 * i), *x);
}
SPR_INLINE void fc_settle(fc_sums *s) { (void)s; }
SPR_INLINE void fc_store(int32_t *sum, const fc_sums *s) {
    SPR_UNROLL for (int i = 0; i < 4; i++) vst1q_s32(sum + 4 * i, s->q[i]);
}

#define FC_STEPS UINT32_MAX
#define FC_BLOCKS 1 /* as weights come from memory, more gain nothing */
#define FC_NAME spr_fc_dense_q8_dotprod
#include "kernels/fc_q8/dense.tmpl.h"

SPR_TARGET_POP
#endif
