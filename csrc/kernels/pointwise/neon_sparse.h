/* Sparse pointwise weights as the NEON kernels read them.
 *
 * Columns are cut into panels of `kp` channels, so that panel x pixel tile stays in L1; sums are carried through
 * the output from panel to panel. Within a panel follow the rows (2x1: pairs of rows), within a row the nonzeros
 * by ascending column. The position of row r in panel p is ptr[p * rows + r], its end the next entry. */
#ifndef SPR_KERNELS_POINTWISE_NEON_SPARSE_H
#define SPR_KERNELS_POINTWISE_NEON_SPARSE_H

#include "kernels/kernel.h"

/* Most channels per panel. L1 has 64 KB on out-of-order cores, of which prefetched lines take their share, 32 KB on
   in-order ones. Tiles have 12 vectors, three lines, as prefetchers do not follow two; but in-order 2x1 kernels take
   8 where that makes panels larger, as it does with small maps, which come from L2 anyway. */
#define SPR_NEON_PANEL 128
#define SPR_NEON_PANEL_INORDER_CSR 96
#define SPR_NEON_PANEL_INORDER_2X1 192

/* A record is the value of one nonzero and where the next one finds its plane, so that a loop can prepare the address
   while it multiplies. Position i has its offset in record i and its value in record i + 1. Kernels read one more than
   that. */
typedef struct spr_neon_record {
    uint32_t offset; /* bytes from the panel's first plane */
    float value;
} spr_neon_record;

typedef struct spr_neon_csr {
    const float *bias; /* [n][4], four times the same */
    const spr_neon_record *records;
    const uint32_t *ptr;
    uint32_t kp, panels;
} spr_neon_csr;

/* Pairs of rows; the last row of an odd count stands alone as a CSR whose ptr knows that row only. */
typedef struct spr_neon_2x1 {
    const float *bias;      /* [n][4] */
    const uint32_t *offset; /* bytes from the panel's first plane; two more than there are pairs */
    const float *value;     /* [..][2] */
    const uint32_t *ptr;
    uint32_t kp, panels;
    spr_neon_csr last;
} spr_neon_2x1;

/* Rows, or pairs of rows, of one tile in one panel, as the assembly reads it, by these offsets. */
typedef struct spr_neon_rows {
    const uint32_t *ptr;    /* 0: positions of the first row's records and, one after the other, of their ends */
    uint64_t count;         /* 8: rows or pairs, at least 1 */
    const char *xb;         /* 16: the tile in the panel's first plane */
    const char *xa;         /* 24: the tile in the plane of the first record */
    const void *p;          /* 32: CSR: the record with its value; pairs: the offset after it */
    const float *pw;        /* 40: pairs: its values */
    float *y;               /* 48: the tile in the first row */
    size_t y_stride;        /* 56: bytes */
    const float *bias;      /* 64: of the rows, with which sums begin; NULL: they begin with what is in y */
    uint64_t bounds;        /* 72: bit 0: sums are bounded by `lower` in the end, bit 1: by `upper` too */
    float lower, upper;     /* 80, 84 */
} spr_neon_rows;

/* What pack() wrote into `packed`. */
spr_neon_csr spr_neon_csr_view(const void *packed);
spr_neon_2x1 spr_neon_2x1_view(const void *packed);

#endif
