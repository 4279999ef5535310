/* Quantized depthwise convolution 3x3 without dot products (ARMv8.0), in 16 bits: pixels are widened once for all taps,
   and the nine weights stay in registers. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>
#include <string.h>

#include "kernels/dwconv_q8/finish_neon.h"

#define NAME(x) x##_neon
#define TAPS three_taps
#define TAP int16_t
#define PARTS(w) 1
#define MOST_PARTS 1
#define INSIDE(s) ((s) == 1)
#define STRIP_ROWS(w) ((w)->iw <= 32 ? (w)->oh : (w)->sh == 1 ? 2 : 1)
#define GROUP_BYTES(s) (9 * 8 * sizeof(int16_t))

/* [row][column][2][channel], twice as vectors have two pixels */
static void pack_tap(int16_t *out, uint32_t s, uint32_t c, uint32_t ky, uint32_t kx, int16_t v) {
    (void)s;
    out[(ky * 3 + kx) * 8 + c] = out[(ky * 3 + kx) * 8 + 4 + c] = v;
}

/* [row and column]: four channels, twice */
typedef struct three_taps {
    int16x8_t w[9];
} three_taps;

#include "kernels/dwconv_q8/three.tmpl.h"

SPR_INLINE three_taps load_taps(const uint32_t s, const int8_t *weights) {
    three_taps t;
    (void)s;
    SPR_UNROLL for (int i = 0; i < 9; i++) t.w[i] = vld1q_s16((const int16_t *)(const void *)weights + i * 8);
    return t;
}

/* Products of the lower or the upper halves; in assembly, as gcc 12 would keep copies of the lower halves and spill;
   in this order, as it knows nothing of their latency. */
#define ADD(op, lanes, sum, x, w) \
    __asm__ volatile(op " %0.4s, %1." lanes ", %2." lanes : "+w"(sum) : "w"(x), "w"(w))

SPR_INLINE void add_rows(const uint32_t s, const three *t, const int inside, const int8_t *const *row, int64_t at,
                         const row_mask *masks, const three_taps *taps, int32x4_t (*sum)[8]) {
    const int rows = s == 1 ? 2 : 1, outputs = s == 1 ? 8 : 4, lines = s == 1 ? 4 : 3;
    SPR_UNROLL for (int i = 0; i < lines; i++) {
        int16x8_t pair[6];
        SPR_UNROLL for (uint32_t q = 0; q < 3; q++) {
            const int8x16_t four = load_quad(s, t, row[i], inside, at, masks, q);
            pair[2 * q] = vmovl_s8(vget_low_s8(four));
            if (q < 2) pair[2 * q + 1] = vmovl_high_s8(four);
        }
        SPR_UNROLL for (int r = 0; r < rows; r++) {
            const int ky = i - r;
            if (ky < 0 || ky > 2) continue;
            SPR_UNROLL for (int kx = 0; kx < 3; kx++)
                SPR_UNROLL for (int p = 0; p < outputs; p++) {
                    const int c = p * (int)s + kx;
                    if (c % 2)
                        ADD("smlal2", "8h", sum[r][p], pair[c / 2], taps->w[ky * 3 + kx]);
                    else
                        ADD("smlal", "4h", sum[r][p], pair[c / 2], taps->w[ky * 3 + kx]);
                }
        }
        __asm__ volatile("" ::: "memory"); /* loads that come earlier cost registers that are not there */
    }
}

#endif
