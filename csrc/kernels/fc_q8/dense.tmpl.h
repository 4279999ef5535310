/* Quantized fully connected layers for the dot products of one ISA, over
 *   fc_sums                      sums of the 16 rows of a block; fc_begin(&sums): 0
 *   fc_input, fc_input_of(x)     four inputs
 *   fc_dot(&sums, w, &input)     adds the products of a group of inputs: 64 bytes of weights
 *   FC_STEPS, fc_settle(&sums)   called after so many groups, and at the end
 *   fc_store(sum, &sums)         to int32 sum[16]
 *   FC_BLOCKS                    blocks of a tile;  FC_NAME  the kernel */

/* Once for all tiles. */
static SPR_NOINLINE void fc_finish(const spr_fc_q8_args *a, const spr_fc_q8_packed *p, uint32_t image, uint32_t row,
                                   uint32_t count, const int32_t *sum, int32_t less) {
    spr_fc_q8_finish(a, p, image, row, count, sum, less);
}

SPR_INLINE void fc_tile(const int blocks, const spr_fc_q8_args *a, const spr_fc_q8_packed *p, uint32_t image,
                        uint32_t row, int32_t less) {
    const size_t block = (size_t)p->groups * 4 * SPR_FC_Q8_ROWS;
    const int8_t *w = p->w + row / SPR_FC_Q8_ROWS * block;
    const spr_q8 *x = a->x + image * a->x_stride;
    fc_sums sums[FC_BLOCKS];
    SPR_UNROLL for (int b = 0; b < blocks; b++) fc_begin(&sums[b]);
    for (uint32_t left = p->groups; left > 0;) {
        const uint32_t steps = left < FC_STEPS ? left : FC_STEPS;
        for (uint32_t i = 0; i < steps; i++, x += 4, w += 4 * SPR_FC_Q8_ROWS) {
            const fc_input input = fc_input_of(x);
            SPR_UNROLL for (int b = 0; b < blocks; b++) fc_dot(&sums[b], w + (size_t)b * block, &input);
        }
        SPR_UNROLL for (int b = 0; b < blocks; b++) fc_settle(&sums[b]);
        left -= steps;
    }
    int32_t sum[FC_BLOCKS * SPR_FC_Q8_ROWS];
    SPR_UNROLL for (int b = 0; b < blocks; b++) fc_store(sum + b * SPR_FC_Q8_ROWS, &sums[b]);
    const uint32_t count = a->row1 - row, rows = (uint32_t)blocks * SPR_FC_Q8_ROWS;
    fc_finish(a, p, image, row, count < rows ? count : rows, sum, less);
}

static SPR_NOINLINE void fc_tile_wide(const spr_fc_q8_args *a, const spr_fc_q8_packed *p, uint32_t image, uint32_t row,
                                      int32_t less) {
    fc_tile(FC_BLOCKS, a, p, image, row, less);
}
static SPR_NOINLINE void fc_tile_narrow(const spr_fc_q8_args *a, const spr_fc_q8_packed *p, uint32_t image,
                                        uint32_t row, int32_t less) {
    fc_tile(1, a, p, image, row, less);
}

/* The weights of a tile stay in the cache for all images. */
void FC_NAME(const spr_fc_q8_args *a) {
    enum { WIDE = FC_BLOCKS * SPR_FC_Q8_ROWS };
    const spr_fc_q8_packed p = spr_fc_q8_packed_of(a->packed);
    for (uint32_t row = a->row0; row < a->row1;) {
        const int wide = FC_BLOCKS == 1 || a->row1 - row > WIDE - SPR_FC_Q8_ROWS;
        for (uint32_t i = 0; i < a->m; i++) {
            const int32_t less = spr_fc_q8_less(&p, a->x + i * a->x_stride);
            (wide ? fc_tile_wide : fc_tile_narrow)(a, &p, i, row, less);
        }
        row += wide ? WIDE : SPR_FC_Q8_ROWS;
    }
}
