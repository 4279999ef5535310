/* Packed weights of the quantized pointwise kernels of x86 that take single channels, and how those see a tile of the
 * input: each channel that any weight asks for becomes a line in scratch of its bytes less 128, `stride` of them.
 *
 * A quad is two pairs of weights of a row, or of two rows. VPMADDUBSW multiplies a pair's magnitudes by signed bytes,
 * which 16 bits hold whatever the magnitudes are, and VPMADDWD by the pair's sign adds both: so weights of a pair have
 * one sign, in each of two rows. Sums lack 128 times the weights of their row, which the bias has instead. */
#ifndef SPR_KERNELS_POINTWISE_Q8_QUADS_X86_H
#define SPR_KERNELS_POINTWISE_Q8_QUADS_X86_H

#include "kernels/pointwise_q8/pack.h"

/* at: where the channels' lines begin, in bytes from the start of scratch. Places that are left over have weights
   of 0. */
typedef struct spr_q8_signed1 {
    uint32_t at[4];
    uint8_t w[1][4];
    int16_t sign[1][2];
} spr_q8_signed1;

typedef struct spr_q8_signed2 {
    uint32_t at[4];
    uint8_t w[2][4];
    int16_t sign[2][2];
} spr_q8_signed2;

/* Arrays, each aligned to SPR_LINE, of the rows rounded up to whole groups of channels. Quads ptr[i] ... ptr[i + 1] - 1
   are those of rows h i ... h i + h - 1. Lines 4 g ... 4 g + 3 are the channels of the group at offset[g]. */
typedef struct spr_pw_q8_signed {
    const int32_t *bias;
    const float *scale, *shift; /* as in pack.h, with starts */
    const uint32_t *offset, *ptr;
    const void *quads;
    uint32_t groups, stride, starts;
} spr_pw_q8_signed;

spr_pw_q8_signed spr_pw_q8_signed_of(const void *packed);

#endif
