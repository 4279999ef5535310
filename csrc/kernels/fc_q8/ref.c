/* Quantized fully connected layers in plain C. */
#include "kernels/fc_q8/pack.h"

void spr_fc_dense_q8_ref(const spr_fc_q8_args *a) {
    const spr_fc_q8_packed p = spr_fc_q8_packed_of(a->packed);
    for (uint32_t i = 0; i < a->m; i++) {
        const spr_q8 *x = a->x + i * a->x_stride;
        const int32_t less = spr_fc_q8_less(&p, x);
        for (uint32_t row = a->row0; row < a->row1; row++) {
            const int8_t *w =
                p.w + ((size_t)(row / SPR_FC_Q8_ROWS) * p.groups * SPR_FC_Q8_ROWS + row % SPR_FC_Q8_ROWS) * 4;
            uint32_t sum = 0; /* may wrap before the zero of weights is subtracted */
            for (uint32_t g = 0; g < p.groups; g++, w += 4 * SPR_FC_Q8_ROWS)
                for (uint32_t k = 0; k < 4; k++) sum += (uint32_t)(w[k] * (int32_t)x[4 * g + k]);
            const int32_t own = (int32_t)sum;
            spr_fc_q8_finish(a, &p, i, row, 1, &own, less);
        }
    }
}
