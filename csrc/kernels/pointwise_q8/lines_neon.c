/* Groups of four channels to lines of one channel and back, for the quantized pointwise kernels with NEON. */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/pointwise_q8/finish_neon.h"
#include "kernels/pointwise_q8/planar.h"

SPR_NEON_PUSH

void spr_q8_to_lines_neon(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, uint32_t px, uint32_t eights) {
    int8_t *line = a->scratch;
    const size_t stride = p->stride;
    for (uint32_t g = 0; g < p->groups; g++, line += stride * SPR_Q8_GROUP) {
        const spr_q8 *x = a->x + ((size_t)p->offset[g] + px) * SPR_Q8_GROUP;
        uint32_t i = 0;
        for (; i + 1 < eights; i += 2) {
            const int8x16x4_t c = vld4q_s8(x + i * 32);
            SPR_UNROLL for (size_t j = 0; j < 4; j++) vst1q_s8(line + j * stride + i * 8, c.val[j]);
        }
        if (i < eights) {
            const int8x8x4_t c = vld4_s8(x + i * 32);
            SPR_UNROLL for (size_t j = 0; j < 4; j++) vst1_s8(line + j * stride + i * 8, c.val[j]);
        }
    }
}

void spr_q8_store_lines_neon(int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px, int8_t (*line)[LINE_PIXELS]) {
    for (; v > 2; v -= 4, px += 4 * LANES, line = (int8_t(*)[LINE_PIXELS])(line[0] + 4 * LANES))
        store_lines(4, a, row, px, line);
    if (v > 0) store_lines(2, a, row, px, line);
}

SPR_NEON_POP
#endif
