/* FC for NEON: dense and CSR. Lanes and sums side by side are output rows; see pack.h. */
#include "base/compiler.h"

#if SPR_NEON
#include <math.h>

#include "kernels/fc/pack.h"
#include "kernels/unary/act.h"
#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

enum { VECTORS = SPR_FC_SLICE / 4 };

/* Residual, activation and store of the `count` channels from `row` on, of batch row m. */
static void finish(const spr_fc_args *a, uint32_t m, uint32_t row, uint32_t count, float *sums) {
    float *y = a->y + m * a->y_stride + row;
    const float *z = a->z ? a->z + m * a->z_stride + row : NULL;
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const spr_act_consts_neon c = spr_act_load_lanes_neon(&a->act, row + i);
        float32x4_t v = vld1q_f32(sums + i);
        if (z) v = vaddq_f32(v, vld1q_f32(z + i));
        vst1q_f32(y + i, spr_act_vec_neon(v, &c));
    }
    for (; i < count; i++) y[i] = spr_act_scalar(z ? sums[i] + z[i] : sums[i], &a->act, row + i);
    if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, count, &a->act);
}

/* One slice for `rows` batch rows from m on. `rows` is a constant at every call, so that all loops over it unroll. */
SPR_INLINE void dense_slice(const spr_fc_args *a, uint32_t m, uint32_t row, const int rows) {
    const float *bias = a->packed;
    const float *w = bias + spr_round_up(a->n, SPR_FC_SLICE) + (size_t)row * a->k;
    const float *x = a->x + m * a->x_stride;
    float32x4_t acc[4][VECTORS];
    float sums[4][SPR_FC_SLICE];
    SPR_UNROLL for (int r = 0; r < rows; r++)
        SPR_UNROLL for (int i = 0; i < VECTORS; i++) acc[r][i] = vld1q_f32(bias + row + 4 * i);
    for (uint32_t k = 0; k < a->k; k++, w += SPR_FC_SLICE) {
        float32x4_t weight[VECTORS];
        SPR_UNROLL for (int i = 0; i < VECTORS; i++) weight[i] = vld1q_f32(w + 4 * i);
        SPR_UNROLL for (int r = 0; r < rows; r++) {
            const float32x4_t input = vld1q_dup_f32(x + r * a->x_stride + k);
            SPR_UNROLL for (int i = 0; i < VECTORS; i++) acc[r][i] = spr_neon_fma(acc[r][i], weight[i], input);
        }
    }
    const uint32_t count = a->row1 - row < SPR_FC_SLICE ? a->row1 - row : SPR_FC_SLICE;
    SPR_UNROLL for (int r = 0; r < rows; r++)
        SPR_UNROLL for (int i = 0; i < VECTORS; i++) vst1q_f32(&sums[r][4 * i], acc[r][i]);
    for (int r = 0; r < rows; r++) finish(a, m + (uint32_t)r, row, count, sums[r]);
}

#define SLICE(rows)                                                                                       \
    static SPR_NOINLINE void spr_fc_dense_##rows##_neon(const spr_fc_args *a, uint32_t m, uint32_t row) { \
        dense_slice(a, m, row, rows);                                                                     \
    }
SLICE(1)
SLICE(4)

void spr_fc_dense_f32_neon(const spr_fc_args *a) {
    for (uint32_t row = a->row0; row < a->row1; row += SPR_FC_SLICE) {
        uint32_t m = 0;
        for (; m + 4 <= a->m; m += 4) spr_fc_dense_4_neon(a, m, row);
        for (; m < a->m; m++) spr_fc_dense_1_neon(a, m, row);
    }
}

/* Four rows at a time, as a single sum waits for its additions; in scalars, as lanes would have to be collected. */
void spr_fc_csr_f32_neon(const spr_fc_args *a) {
    const spr_fc_csr c = spr_fc_csr_of(a->packed, a->n);
    for (uint32_t row = a->row0; row < a->row1; row += SPR_FC_QUAD) {
        const uint32_t slice = row / SPR_FC_QUAD;
        const uint32_t count = a->row1 - row < SPR_FC_QUAD ? a->row1 - row : SPR_FC_QUAD;
        const spr_fc_step *const end = c.steps + c.common[slice + 1];
        for (uint32_t m = 0; m < a->m; m++) {
            const float *const x = a->x + m * a->x_stride;
            float s0 = c.bias[row], s1 = c.bias[row + 1], s2 = c.bias[row + 2], s3 = c.bias[row + 3];
            for (const spr_fc_step *s = c.steps + c.common[slice]; s < end; s++) {
                s0 = fmaf(s->w[0], x[s->col[0]], s0);
                s1 = fmaf(s->w[1], x[s->col[1]], s1);
                s2 = fmaf(s->w[2], x[s->col[2]], s2);
                s3 = fmaf(s->w[3], x[s->col[3]], s3);
            }
            float sums[SPR_FC_QUAD] = {s0, s1, s2, s3};
            for (uint32_t r = 0; r < count; r++)
                for (uint32_t i = c.part[row + r]; i < c.part[row + r + 1]; i++)
                    sums[r] = fmaf(c.rest[i].w, x[c.rest[i].col], sums[r]);
            finish(a, m, row, count, sums);
        }
    }
}

SPR_NEON_POP

#endif
