/* Functions that all quantized pointwise kernels with NEON share; apart from finish_neon.h, as that is for a file's own
   instruction set. */
#ifndef SPR_KERNELS_POINTWISE_Q8_ENDS_NEON_H
#define SPR_KERNELS_POINTWISE_Q8_ENDS_NEON_H

#include "base/neon.h"
#include "kernels/kernel.h"

#if SPR_NEON

/* Pixels of the widest tile. */
#define SPR_Q8_LINE_PIXELS 64

/* v vectors of any sums of a row, from pixel px on: quantized outputs go to line[0 ... 4 v), rounded up to sixteen,
   floats to y. */
void spr_q8_finish_row_neon(int v, const spr_pw_q8_args *a, const int32x4_t *sum, float scale, uint32_t row,
                            uint32_t px, int8_t *line);

/* Four lines of bytes to pixels of four channels, `row` being the first; v vectors, rounded up to eight pixels. Nothing
   where outputs are floats. */
void spr_q8_store_lines_neon(int v, const spr_pw_q8_args *a, uint32_t row, uint32_t px,
                             int8_t (*line)[SPR_Q8_LINE_PIXELS]);

#endif
#endif
