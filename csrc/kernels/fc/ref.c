/* Fully connected layers in plain C; weights are packed as for the pointwise kernels. */
#include "kernels/pointwise/pack_ref.h"
#include "kernels/unary/act.h"

/* Residual, activation and store of the rows [row, row + count) of one vector. */
static void finish(const spr_fc_args *a, const float *acc, uint32_t m, uint32_t row, uint32_t count) {
    float *y = a->y + m * a->y_stride + row;
    const float *z = a->z ? a->z + m * a->z_stride + row : NULL;
    for (uint32_t i = 0; i < count; i++) y[i] = spr_act_scalar(z ? acc[i] + z[i] : acc[i], &a->act, row + i);
    if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, count, &a->act);
}

void spr_fc_dense_f32_ref(const spr_fc_args *a) {
    enum { ROWS = 4 }; /* at once, as a single sum waits for its additions */
    const spr_dense_ref p = spr_dense_ref_of(a->packed, a->n);
    for (uint32_t m = 0; m < a->m; m++) {
        const float *x = a->x + m * a->x_stride;
        for (uint32_t row = a->row0; row < a->row1; row += ROWS) {
            const uint32_t count = a->row1 - row < ROWS ? a->row1 - row : ROWS;
            const float *w[ROWS];
            float acc[ROWS];
            for (uint32_t i = 0; i < ROWS; i++) { /* rows beyond the last repeat it */
                uint32_t r = row + (i < count ? i : count - 1);
                w[i] = p.w + (size_t)r * a->k;
                acc[i] = p.bias[r];
            }
            for (uint32_t k = 0; k < a->k; k++)
                for (uint32_t i = 0; i < ROWS; i++) acc[i] = spr_fma(w[i][k], x[k], acc[i]);
            finish(a, acc, m, row, count);
        }
    }
}

void spr_fc_csr_f32_ref(const spr_fc_args *a) {
    const spr_csr_ref p = spr_csr_ref_of(a->packed, a->n, 1);
    for (uint32_t m = 0; m < a->m; m++) {
        const float *x = a->x + m * a->x_stride;
        for (uint32_t row = a->row0; row < a->row1; row++) {
            float acc = p.bias[row];
            for (uint32_t i = p.ptr[row]; i < p.ptr[row + 1]; i++) acc = spr_fma(p.val[i], x[p.col[i]], acc);
            finish(a, &acc, m, row, 1);
        }
    }
}
