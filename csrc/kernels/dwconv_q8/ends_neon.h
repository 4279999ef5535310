/* What all quantized depthwise kernels with NEON share; apart from finish_neon.h, as that is for a file's own
   instruction set. */
#ifndef SPR_KERNELS_DWCONV_Q8_ENDS_NEON_H
#define SPR_KERNELS_DWCONV_Q8_ENDS_NEON_H

#include "base/neon.h"
#include "kernels/kernel.h"

#if SPR_NEON

/* n pixels of four channels, from pixel `at` of group g on, of whatever kind; sum[n rounded up to 4]. */
void spr_dw_q8_finish_neon(const spr_dw_q8_args *a, const int32x4_t *sum, float32x4_t scale, uint32_t g, size_t at,
                           uint32_t n);

#endif
#endif
