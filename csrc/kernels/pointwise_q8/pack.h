/* Packed weights of the quantized pointwise kernels, the same for all instruction sets. */
#ifndef SPR_KERNELS_POINTWISE_Q8_PACK_H
#define SPR_KERNELS_POINTWISE_Q8_PACK_H

#include "kernels/kernel.h"

/* What holds for the sums of all rows, bias and all, whatever the input: their magnitudes are below 2^22; with their
   scale, below 32000. */
enum { SPR_Q8_NARROW_SUMS = 1, SPR_Q8_NARROW_VALUES = 2 };
uint32_t spr_pw_q8_narrow(const spr_pw_q8_weights *w);

/* Arrays, each aligned to SPR_LINE, of the rows rounded up to whole groups; rows beyond n have bias, scale, shift and
   weights 0. Dense: offset[groups] and w[quad][groups][4 rows][4]. Sparse, blocks of h rows: blocks
   ptr[i] ... ptr[i + 1] - 1 are those of rows h i ... h i + h - 1, in ascending order of groups; offset[blocks],
   w[blocks][h][4]. x86 packs an even number of sparse blocks, by a block of zeros if need be (..._even).
   Dense in halves, for AVX2: the sum of weights 0 and 1 of a group, and that of 2 and 3, is -128 ... 128, so that 16
   bits hold their products. What is beyond goes to groups of their own: for each quad ptr[quad] ... ptr[quad + 1] - 1,
   in offset[groups + 4 i + row] and behind the other weights [i][4 rows][4]. */
typedef struct spr_pw_q8_packed {
    const int32_t *bias;
    const float *scale, *shift; /* shift: x86 only, -SPR_Q8_START_VALUE scale */
    const uint32_t *offset;
    const int8_t *w;
    const uint32_t *ptr; /* sparse, and in halves */
    uint32_t groups;     /* of the input */
    uint32_t starts;     /* spr_q8_row_starts holds for all rows */
    uint32_t narrow;     /* what spr_pw_q8_narrow() says; 64-bit ARM only */
} spr_pw_q8_packed;

/* SMMLA: dense, an even number of groups, w[quad][groups / 2][4 rows][8]. Pixels are zipped in tiles of 8, as many at a
   time as leave room in L1 beside the weights of 8 rows: a multiple of 8. */
enum { SPR_Q8_EIGHTS_TILE = 8, SPR_Q8_EIGHTS_BYTES = 24 << 10, SPR_Q8_EIGHTS_PIXELS = 64 };
SPR_INLINE uint32_t spr_pw_q8_eights_pixels(uint32_t groups) {
    const uint32_t fit = SPR_Q8_EIGHTS_BYTES / (groups * SPR_Q8_GROUP) / SPR_Q8_EIGHTS_TILE * SPR_Q8_EIGHTS_TILE;
    return fit < SPR_Q8_EIGHTS_TILE ? SPR_Q8_EIGHTS_TILE : fit < SPR_Q8_EIGHTS_PIXELS ? fit : SPR_Q8_EIGHTS_PIXELS;
}

/* Whether spr_q8_row_starts holds for all rows. */
uint32_t spr_pw_q8_rows_start(const spr_pw_q8_weights *w);

spr_pw_q8_packed spr_pw_q8_packed_of(const void *packed);

#endif
