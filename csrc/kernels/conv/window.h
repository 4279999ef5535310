/* Which taps of a window, or which windows, lie within an image: the borders of convolution and pooling. */
#ifndef SPR_KERNELS_CONV_WINDOW_H
#define SPR_KERNELS_CONV_WINDOW_H

#include "kernels/kernel.h"

/* The i in [*first, *end) of 0 ... count - 1 for which lo <= start + i * step < hi; step >= 1. */
SPR_INLINE void spr_inside(int64_t start, int64_t step, int64_t count, int64_t lo, int64_t hi, int64_t *first,
                           int64_t *end) {
    int64_t a = start >= lo ? 0 : (lo - start + step - 1) / step;
    int64_t b = hi <= start ? 0 : (hi - start + step - 1) / step;
    if (b > count) b = count;
    *first = a < b ? a : b;
    *end = b;
}

#endif
