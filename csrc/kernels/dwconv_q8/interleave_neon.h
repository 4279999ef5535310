/* Four vectors of pixels, one for each tap, to pixels of four taps for the quantized depthwise kernels. */
#ifndef SPR_KERNELS_DWCONV_Q8_INTERLEAVE_NEON_H
#define SPR_KERNELS_DWCONV_Q8_INTERLEAVE_NEON_H

#include "base/neon.h"

SPR_NEON_PUSH

/* Pixel i becomes out[i], [4 channels][4 taps]. */
SPR_INLINE void interleave_taps(const int8x16_t *t, int8x16_t *out) {
    const int8x16x2_t ab = vzipq_s8(t[0], t[1]), cd = vzipq_s8(t[2], t[3]);
    for (int i = 0; i < 2; i++) {
        const int16x8x2_t pair = vzipq_s16(vreinterpretq_s16_s8(ab.val[i]), vreinterpretq_s16_s8(cd.val[i]));
        out[2 * i] = vreinterpretq_s8_s16(pair.val[0]);
        out[2 * i + 1] = vreinterpretq_s8_s16(pair.val[1]);
    }
}

SPR_NEON_POP

#endif
