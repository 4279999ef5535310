/* From sums of the quantized pointwise kernels to what they store, with NEON: what is the same for all instruction
   sets. Rows go in fours, as channels do in memory. */
#ifndef SPR_KERNELS_POINTWISE_Q8_FINISH_NEON_H
#define SPR_KERNELS_POINTWISE_Q8_FINISH_NEON_H

#include "kernels/pointwise_q8/ends_neon.h"
#include "kernels/pointwise_q8/pack.h"

SPR_NEON_PUSH

/* Pixels of a vector of sums, and of the widest tile. */
enum { LANES = 4, LINE_PIXELS = SPR_Q8_LINE_PIXELS };

/* Whether outputs are quantized, without residual or activation. */
SPR_INLINE int is_plain(const spr_pw_q8_args *a) {
    return !a->finish->to_float && !a->z && a->finish->act.fn == SPR_FN_NONE;
}

/* spr_q8_store_lines_neon where it pays to have its loop unrolled. */
SPR_INLINE void store_lines(const int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px,
                            int8_t (*line)[LINE_PIXELS]) {
    if (a->finish->to_float) return;
    spr_q8 *y = (spr_q8 *)a->y + ((size_t)(row / SPR_Q8_GROUP) * a->y_stride + px) * SPR_Q8_GROUP;
    const int8_t *l = line[0];
    SPR_UNROLL for (int j = 0; j < v; j += 4, l += 16, y += 64) {
        if (v - j > 2) {
            const int8x16x4_t rows = {
                {vld1q_s8(l), vld1q_s8(l + LINE_PIXELS), vld1q_s8(l + 2 * LINE_PIXELS), vld1q_s8(l + 3 * LINE_PIXELS)}};
            vst4q_s8(y, rows);
        } else {
            const int8x8x4_t rows = {
                {vld1_s8(l), vld1_s8(l + LINE_PIXELS), vld1_s8(l + 2 * LINE_PIXELS), vld1_s8(l + 3 * LINE_PIXELS)}};
            vst4_s8(y, rows);
        }
    }
}

/* spr_q8_finish_row_neon for h rows (one or two) whose sums are in registers. */
SPR_INLINE void end_any(const int h, const int v, const spr_pw_q8_args *a, const int32x4_t *sum0,
                        const int32x4_t *sum1, const float *scale, uint32_t row, uint32_t px,
                        int8_t (*line)[LINE_PIXELS]) {
    int32x4_t memory[2][LINE_PIXELS / LANES]; /* so that they stay there */
    SPR_UNROLL for (int j = 0; j < v; j++) {
        memory[0][j] = sum0[j];
        if (h == 2) memory[1][j] = sum1[j];
    }
    for (uint32_t r = 0; r < (uint32_t)h; r++)
        spr_q8_finish_row_neon(v, a, memory[r], scale[r], row + r, px, line[r]);
}

SPR_NEON_POP

#endif
