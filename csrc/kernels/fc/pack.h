/* Packed weights of the vector FC kernels. Lanes are output rows, so that every sum takes its terms in
 * ascending order without a reduction at its end, and the weights come as streams. */
#ifndef SPR_KERNELS_FC_PACK_H
#define SPR_KERNELS_FC_PACK_H

#include "kernels/kernel.h"

/* Dense: bias[slices * 16], w[slices][k][16]; zeros beyond row n - 1. */
#define SPR_FC_SLICE 16
extern const spr_pw_packing spr_pack_fc_dense;

/* CSR: bias[slices * 4], part[4 * slices + 1], common[slices + 1], steps, rest. Four rows go side by side as long
   as all four have nonzeros left: steps are {uint32 col[4]; float w[4]}, slice s has those from common[s] to
   common[s + 1]. What then is left of row r are the {uint32 col; float w} from part[r] to part[r + 1]. */
#define SPR_FC_QUAD 4
typedef struct spr_fc_step {
    uint32_t col[SPR_FC_QUAD];
    float w[SPR_FC_QUAD];
} spr_fc_step;
typedef struct spr_fc_column {
    uint32_t col;
    float w;
} spr_fc_column;
typedef struct spr_fc_csr {
    const float *bias;
    const uint32_t *part, *common;
    const spr_fc_step *steps;
    const spr_fc_column *rest;
} spr_fc_csr;

SPR_INLINE spr_fc_csr spr_fc_csr_of(const void *packed, uint32_t n) {
    const size_t slices = spr_round_up(n, SPR_FC_QUAD) / SPR_FC_QUAD;
    spr_fc_csr c;
    c.bias = packed;
    c.part = (const uint32_t *)(c.bias + SPR_FC_QUAD * slices);
    c.common = c.part + SPR_FC_QUAD * slices + 1;
    c.steps = (const spr_fc_step *)(c.common + slices + 1);
    c.rest = (const spr_fc_column *)(c.steps + c.common[slices]);
    return c;
}
extern const spr_pw_packing spr_pack_fc_csr;

#endif
