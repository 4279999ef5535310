/* The positions of the bits set in a bitmap, as the gaps between them in Rice codes: as good as the entropy of evenly
 * strewn zeros to 2 %. At 75, 85 and 90 % zeros they take 0.82, 0.61 and 0.48 bits per position, the bitmap 1.
 *
 *     u32 parameter   k, 0 to SPR_GAPS_MAX
 *     bits            for each bit set a code of the number g of zeros since the one before it: g >> k zeros, a one,
 *                     the k low bits of g, least significant first. If zeros follow the last one, there is a code for
 *                     them as if a one stood behind the end. Bit i is bit i % 8 of byte i / 8.
 *     zeros           up to a multiple of 4 bytes
 *
 * Bitmaps have bytes up to a multiple of 4, those past their bits zero. */
#ifndef SPR_MODEL_GAPS_H
#define SPR_MODEL_GAPS_H

#include <stddef.h>
#include <stdint.h>

/* Bounds what a few bytes can ask for: a bit of code stands for at most 2^k positions. Best for zeros of 99.5 %; above,
   positions take next to nothing anyway. */
#define SPR_GAPS_MAX 7

/* Bytes with the best parameter, which is *k. */
uint64_t spr_gaps_size(const unsigned char *bitmap, uint64_t bits, int *k);
/* Into spr_gaps_size bytes, which are zero. */
void spr_gaps_write(const unsigned char *bitmap, uint64_t bits, int k, unsigned char *dst);

/* The parameter of what lies in `bytes` bytes; -1 if they cannot be the gaps of `bits` bits. To be asked before memory
   for the bitmap is allocated. */
int spr_gaps_parameter(const unsigned char *src, size_t bytes, uint64_t bits);
/* Sets bits in a bitmap of zeros. The bytes that the gaps take, at most `bytes`; 0 if there is an error in them. */
size_t spr_gaps_read(const unsigned char *src, size_t bytes, int k, uint64_t bits, unsigned char *bitmap);

#endif
