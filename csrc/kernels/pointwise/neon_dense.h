/* What the dense pointwise NEON kernels share: packing, and the walk over pixels and panels.
 *
 * Tiles of 8 rows x 12 pixels, and x 4 at the end, read planes as they lie. Weights are packed in the order of use,
 * [panel][8 rows][channel][8], the last rows filled up with zeros. Sums are carried through the output from panel to
 * panel. */
#ifndef SPR_KERNELS_POINTWISE_NEON_DENSE_H
#define SPR_KERNELS_POINTWISE_NEON_DENSE_H

#include "kernels/kernel.h"

/* What the assembly reads, by these offsets. */
typedef struct spr_neon_dense_block {
    const float *x;        /* 0 */
    const float *w;        /* 8 */
    size_t channels;       /* 16: at least 1 */
    size_t x_stride;       /* 24: bytes */
    const float *from;     /* 32: where sums begin: 8 rows, or NULL */
    size_t from_stride;    /* 40: bytes */
    const float *bias;     /* 48: [8], added then; NULL if there is `from` and nothing to add */
} spr_neon_dense_block;

/* One tile of all rows of one panel. */
typedef struct spr_neon_dense_job {
    const spr_pw_args *args;
    const float *bias, *w; /* of row 0 in this panel */
    uint32_t k0, channels; /* of the panel */
    uint32_t px, pad;      /* pad: vectors of padding lanes after the tile, to be zeroed */
    int first, last;       /* panel */
} spr_neon_dense_job;

enum { SPR_NEON_DENSE_LANES = 12 };
typedef void spr_neon_dense_tile(const spr_neon_dense_job *t);

/* Lets sums begin with bias and residual, or with what the last panel left; rows beyond the last are not touched. */
void spr_neon_dense_begin(spr_neon_dense_block *b, float *buffer, const spr_neon_dense_job *t, uint32_t row,
                          uint32_t rows, uint32_t lanes);

/* Zeroes the padding lanes behind a tile of so many lanes at y. */
void spr_neon_dense_pad(const spr_neon_dense_job *t, float *y, uint32_t rows, uint32_t lanes);

/* The kernel with the tiles of one and three vectors, and the activations that these do not apply. */
void spr_neon_dense_run(const spr_pw_args *args, spr_neon_dense_tile *one, spr_neon_dense_tile *three);

/* spr_pw_packing; `panel`: channels per panel. */
size_t spr_neon_dense_size(const spr_pw_weights *w, size_t x_stride);
void spr_neon_dense_pack(const spr_pw_weights *w, uint32_t panel, void *dst);

#endif
