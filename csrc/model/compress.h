/* Encodings of constant tensors. Sparse ones see a tensor [n, ...] of rank >= 2 as a matrix of n rows and k columns, k
 * the product of the other dimensions; elements have 1, 2 or 4 bytes.
 *
 *   SPR_ENC_DENSE       n * k elements, row-major.
 *   SPR_ENC_BITMAP      n * k bits, row-major, set where the element is stored; then these elements in the same order.
 *   SPR_ENC_BITMAP_2X1  rows (0,1), (2,3) ... are paired: k bits per pair, set where either element is not zero;
 *                       then for each set bit the two elements, the even row's first. An odd last row is alone:
 *                       k bits, one element for each set bit.
 *
 * Bit i is bit i % 8 of byte i / 8; the bits are followed by zero bits up to a multiple of 4 bytes, so that elements
 * are as aligned as the data is. In a file, gaps (gaps.h) may stand for the bits; the encoding's number is then larger
 * by SPR_FILE_GAPS. They become a bitmap in memory when the file is read, and everything below knows bitmaps only.
 * Zero means +0 and, for floating point, -0: encoding turns -0 into +0. NaN is not 0. */
#ifndef SPR_MODEL_COMPRESS_H
#define SPR_MODEL_COMPRESS_H

#include "graph/graph.h"

/* "dense", "bitmap", "bitmap 2x1", "gaps", "gaps 2x1"; NULL for an encoding that files do not have. */
const char *spr_encoding_name(int stored_encoding);

/* Rows and columns of a constant seen as a matrix; rank 0 is 1 x 1, rank 1 a single row. */
void spr_matrix_size(const spr_desc *desc, uint64_t *n, uint64_t *k);

/* Bytes in memory that `dense` takes when encoded. desc must be encodable. */
size_t spr_encoded_size(spr_encoding encoding, const spr_desc *desc, const void *dense);
/* Encodes into `dst`, aligned to 4, of spr_encoded_size `bytes`, and makes it the value's data; its desc must be set.
   Decides whether a file gets the bitmap or gaps. */
void spr_encode(spr_encoding encoding, const void *dense, void *dst, size_t bytes, spr_value *value);

/* A constant as a file has it: its encoding there, and value->bytes bytes, into zeroed memory. */
int spr_stored_encoding(const spr_value *value);
void spr_store(const spr_value *value, unsigned char *dst);
/* The other way: a value with name, desc, and data and bytes of the file. Whatever is in them, this fails, or the value
   is as after spr_encode, with elements in the file, and the bitmap there too or, from gaps, in the arena. */
spr_status spr_constant_read(spr_value *value, int stored_encoding, spr_arena *arena, spr_error *err);

/* Decodes to the contiguous row-major tensor. */
void spr_decode_dense(const spr_value *value, void *dst);

typedef struct spr_sparsity {
    uint64_t elements;  /* n * k */
    uint64_t nonzeros;
    uint64_t block_elements; /* elements in the 2x1 blocks that are not all zero; an odd last row's blocks are 1x1 */
} spr_sparsity;
/* Counts the values, however they are encoded: zeros stored in blocks are zeros. For elements of up to 4 bytes. */
spr_sparsity spr_count_sparsity(const spr_value *value);

/* Decodes to compressed sparse rows: row_ptr[n + 1], col and val of spr_count_sparsity().nonzeros elements, columns
   ascending, zeros left out. n * k must be below 2^32. Elements of up to 4 bytes. */
void spr_decode_csr(const spr_value *value, uint32_t *row_ptr, uint32_t *col, void *val);

#endif
