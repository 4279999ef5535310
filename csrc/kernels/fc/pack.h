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

/* CSR of 16 rows side by side, sorted by their numbers of nonzeros, so that step j has the first of them: bias[slices *
   16], lane[slices * 16] (that of each row), length[slices * 16], begin[slices + 1], w[], col[]. A lane's numbers are
   in the order of lanes, as is the bias. Steps have as many w and col as lanes have nonzeros left; slice s starts at
   index begin[s], a multiple of 16. Columns are 16 bits where k allows, as weights come from beyond L2 in every run. */
#define SPR_FC_NARROW_K 65536
typedef struct spr_fc_lanes {
    const float *bias, *w;
    const uint32_t *lane, *length, *begin;
    const void *col;
} spr_fc_lanes;

SPR_INLINE spr_fc_lanes spr_fc_lanes_of(const void *packed, uint32_t n) {
    const size_t slices = spr_round_up(n, SPR_FC_SLICE) / SPR_FC_SLICE, rows = slices * SPR_FC_SLICE;
    spr_fc_lanes c;
    c.bias = packed;
    c.lane = (const uint32_t *)packed + rows;
    c.length = c.lane + rows;
    c.begin = c.length + rows;
    c.w = (const float *)(c.begin + spr_round_up(slices + 1, SPR_FC_SLICE));
    c.col = c.w + c.begin[slices];
    return c;
}
extern const spr_pw_packing spr_pack_fc_csr_lanes;

#endif
