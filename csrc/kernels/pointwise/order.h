/* The order in which sparse kernels take the rows of a panel: those with as many columns follow each other, so that
   CPUs foretell where their loops end. */
#ifndef SPR_KERNELS_POINTWISE_ORDER_H
#define SPR_KERNELS_POINTWISE_ORDER_H

#include "kernels/kernel.h"

/* Rows come by `height`; the i-th of `count` such has columns[i]. Writes the first row of each to `order`, those of a
   group of rows sorted by their columns. Takes as many steps as rows times the most columns. */
SPR_INLINE void spr_pw_order(const spr_pw_weights *w, uint32_t height, uint32_t count, const uint32_t *columns,
                             uint32_t *order) {
    for (uint32_t g = 0; g < w->row_groups; g++) {
        const uint32_t first = w->row_bound[g] / height, end = (w->row_bound[g + 1] + height - 1) / height;
        const uint32_t last = end < count ? end : count;
        uint32_t left = last - first;
        for (uint32_t n = 0; left; n++)
            for (uint32_t i = first; i < last; i++)
                if (columns[i] == n) {
                    *order++ = i * height;
                    left--;
                }
    }
}

#endif
