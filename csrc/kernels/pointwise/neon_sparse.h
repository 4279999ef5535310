/* Sparse pointwise weights as the NEON kernels read them.
 *
 * Columns are cut into panels of `kp` channels, so that panel x pixel tile stays in L1 or nearly; sums are carried
 * through the output from panel to panel. Within a panel follow the rows (2x1: pairs of rows), within a row the
 * nonzeros by ascending column. The records of the i-th row in panel p begin at ptr[p * rows + i] and end at the next
 * entry. Where cores foretell branches, rows of a panel come in the order of their number of records: the i-th is
 * order[p * rows + i]. */
#ifndef SPR_KERNELS_POINTWISE_NEON_SPARSE_H
#define SPR_KERNELS_POINTWISE_NEON_SPARSE_H

#include "kernels/kernel.h"

#define SPR_NEON_AHEAD 1024

/* A record is the value of one nonzero and where the next one finds its plane, so that a loop can prepare the address
   while it multiplies. Position i has its offset in record i and its value in record i + 1. Kernels read up to
   SPR_NEON_AHEAD bytes more than that, to fetch what is next into caches. */
typedef struct spr_neon_record {
    uint32_t offset; /* bytes from the panel's first plane */
    float value;
} spr_neon_record;

/* The same for pairs of rows. */
typedef struct spr_neon_pair_record {
    uint32_t offset;
    float value[2];
} spr_neon_pair_record;

typedef struct spr_neon_sparse {
    const float *bias;   /* [n][4], four times the same, in the order of the first panel */
    const void *records; /* of either kind */
    const uint32_t *ptr, *order; /* order: first rows of pairs; NULL: one after the other */
    uint32_t kp, panels;
} spr_neon_sparse;

/* Rows, or pairs of rows, of one tile in one panel, as the assembly reads it, by these offsets. */
typedef struct spr_neon_rows {
    const uint32_t *ptr;    /* 0: positions of the first row's records and, one after the other, of their ends */
    uint64_t count;         /* 8: rows or pairs, at least 1 */
    const char *xb;         /* 16: the tile in the panel's first plane */
    const char *xa;         /* 24: the tile in the plane of the first record */
    const void *p;          /* 32: the record with its value */
    const void *ahead;      /* 40: records from here on have not been fetched into caches ahead of their use */
    float *y;               /* 48: the tile in the first row */
    size_t y_stride;        /* 56: bytes */
    const float *bias;      /* 64: of the rows, with which sums begin; NULL: they begin with what is in y */
    uint64_t bounds;        /* 72: bit 0: `lower` bounds the sums in the end, bit 1: `upper` does too; 6: hard_swish */
    const char *touch;      /* 80: lines in touch_planes planes, what comes next, to be fetched meanwhile */
    size_t touch_stride;    /* 88: bytes */
    uint64_t touch_planes;  /* 96: */
    uint64_t touch_step;    /* 104: planes per row or pair, at least 1 */
    float lower, upper;     /* 112, 116; lower is at most upper, and minus infinity if there is no bound */
    uint64_t touch_lines;   /* 120: three times as many lines in each, at least 1 if there are planes */
    float scale, shift;     /* 128, 132: of hard_swish */
    uint64_t width;         /* 136: vectors */
    const uint32_t *order;  /* 144: the rows, or first ones of pairs, after the first; not read for in-order cores */
    float *y0;              /* 152: the tile in row 0 */
} spr_neon_rows;

/* What one kind of core computes the rows of tiles by, inline assembly for some widths in vectors, rising; 4, 8 and 12
   are among them. */
typedef void spr_neon_rows_fn(const spr_neon_rows *rows);
typedef struct spr_neon_tiles {
    int count;
    uint8_t width[5];
    spr_neon_rows_fn *rows[5];
} spr_neon_tiles;
typedef struct spr_neon_core {
    spr_neon_tiles csr, pairs;
    size_t touch_least; /* floats of the input from which on it does not stay in a cache that is fast enough */
    uint32_t touch_planes; /* of tiles that are touched together; at least 2 are */
    uint32_t touch_less;   /* tiles of these whose lines prefetchers bring after those before: 0 or 1 */
    uint32_t fetch_rows;   /* from how many rows on positions and biases are fetched ahead */
} spr_neon_core;

/* The kernels of a core; pairs: 1 for 2x1, else 0. */
void spr_neon_sparse_run(const spr_neon_core *core, const spr_pw_args *args, uint32_t pairs);

/* What pack() wrote into `packed`. last: the last row of an odd number in pairs, which stands alone as a CSR whose ptr
   knows that row only. */
spr_neon_sparse spr_neon_view(const void *packed, int last);

#endif
