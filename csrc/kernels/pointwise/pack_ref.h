/* What spr_pack_pw_{dense,csr,2x1}_ref write: read by the plain C kernels, pointwise and fully connected. */
#ifndef SPR_KERNELS_POINTWISE_PACK_REF_H
#define SPR_KERNELS_POINTWISE_PACK_REF_H

#include "kernels/kernel.h"

/* Dense: bias[n], w[n][k]. */
typedef struct spr_dense_ref {
    const float *bias, *w;
} spr_dense_ref;

SPR_INLINE spr_dense_ref spr_dense_ref_of(const void *packed, uint32_t n) {
    const float *bias = packed;
    return (spr_dense_ref){bias, bias + n};
}

/* CSR of `height` rows to a group, 1 or 2: bias[n], ptr[groups + 1] counting columns, col[ptr[groups]], val[][height].
   With height 2 an odd last row is followed by zeros. */
typedef struct spr_csr_ref {
    const float *bias, *val;
    const uint32_t *ptr, *col;
} spr_csr_ref;

SPR_INLINE spr_csr_ref spr_csr_ref_of(const void *packed, uint32_t n, uint32_t height) {
    const float *bias = packed;
    const uint32_t groups = (n + height - 1) / height, *ptr = (const uint32_t *)packed + n, *col = ptr + groups + 1;
    return (spr_csr_ref){bias, (const float *)(col + ptr[groups]), ptr, col};
}

#endif
