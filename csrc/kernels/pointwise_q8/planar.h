/* Packed weights of the quantized pointwise kernels that take single channels, and how those see a tile of the input:
 * each channel that any weight asks for becomes a line of bytes in scratch, `stride` pixels of it.
 *
 * A quad is four weights of a row, or of two, and where their lines begin, in bytes from the start of scratch. Quads
 * that are not full have weights of 0 at the end. */
#ifndef SPR_KERNELS_POINTWISE_Q8_PLANAR_H
#define SPR_KERNELS_POINTWISE_Q8_PLANAR_H

#include "kernels/pointwise_q8/pack.h"

typedef struct spr_q8_quad1 {
    uint32_t at[4];
    int8_t w[4];
} spr_q8_quad1;

typedef struct spr_q8_quad2 {
    uint32_t at[4];
    int8_t w[8]; /* those of the first row first */
} spr_q8_quad2;

/* Arrays, each aligned to SPR_LINE, of the rows rounded up to whole groups of channels. Quads ptr[2 i] ... ptr[2 i + 2]
   - 1 are those of rows h i ... h i + h - 1. In bounded packings the magnitudes of the weights of a quad add up to at
   most SPR_Q8_BOUND in each row, so that the sum of its products fits 16 bits; from ptr[2 i + 1] on only those of its
   first and of its second half do. Line 4 g + i is channel i of the group at offset[g], g < groups: those that any
   weight asks for. narrow: what spr_pw_q8_narrow() says.
   An empty quad follows, for kernels that load early. */
typedef struct spr_pw_q8_planar {
    const int32_t *bias;
    const float *scale;
    const uint32_t *offset, *ptr;
    const void *quads;
    uint32_t groups, stride, narrow;
} spr_pw_q8_planar;

spr_pw_q8_planar spr_pw_q8_planar_of(const void *packed);

/* Lines of all channels over 8 `eights` pixels from px on; NEON. */
void spr_q8_to_lines_neon(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, uint32_t px, uint32_t eights);

#define SPR_Q8_BOUND 255

#endif
