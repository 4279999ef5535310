/* From sums to floats without converting, for the quantized kernels of x86 whose results saturate to 0 ... 255.
 *
 * A sum of 0 ... 2^23 - 1 added to the bits of the float 2^23 is its fraction: read as a float it is 2^23 + sum, and
 * fma(2^23 + sum, scale, -2^23 scale) is sum * scale rounded once, just as converting and multiplying would give.
 * Negative sums make negative numbers or NaN, both of which become 0, and larger ones numbers at least as large, right
 * if those are beyond 255. */
#ifndef SPR_KERNELS_Q8_X86_H
#define SPR_KERNELS_Q8_X86_H

#include "kernels/kernel.h"

#define SPR_Q8_START 0x4b000000 /* what sums start at, besides the bias: the bits of 2^23 */
#define SPR_Q8_START_VALUE 8388608.0f

/* Whether a row with sums of at most `high` can be finished in this way; its values have to fit int32, too. */
SPR_INLINE int spr_q8_row_starts(int64_t high, float scale) {
    const int64_t two_23 = 1 << 23;
    return high < 4 * two_23 && scale < 8 && (high < two_23 || scale * SPR_Q8_START_VALUE >= 256);
}

/* Whether results are values saturated to 0 ... 255; a residual excepted. */
SPR_INLINE int spr_q8_saturates(const spr_q8_finish *f) {
    return !f->to_float && f->act.fn == SPR_FN_NONE && f->y_zero == 0 && f->lo == 0 && f->hi == 255;
}

#endif
