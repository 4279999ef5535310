/* Quantized depthwise convolution 3x3 with SDOT: pixels of four rows of the input are zipped, so that a dot product
   adds a column of the window, and the column serves two rows of the output. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>
#include <string.h>

#define ROUND_BY_ADDING
#include "kernels/dwconv_q8/finish_neon.h"
#include "kernels/dwconv_q8/interleave_neon.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

#define NAME(x) x##_dotprod
#define TAPS three_taps
#define TAP int8_t
#define PARTS(w) parts_of(w)
#define MOST_PARTS 3
#define INSIDE(s) 1
#define STRIP_ROWS(w) ((w)->oh)
#define GROUP_BYTES(s) ((s) == 1 ? 6 * 16 : 3 * 16)

static int32_t parts_of(const spr_dw_q8_weights *w) {
    int32_t parts = 1;
    for (size_t i = 0; i < (size_t)w->channels * 9; i++)
        if (w->w[i] > 127 || w->w[i] < -128) parts = w->w[i] == 255 || parts == 3 ? 3 : 2; /* 127 + 127 + 1 */
    return parts;
}

/* [column][output row][channel][input row] */
static void pack_tap(int8_t *out, uint32_t s, uint32_t c, uint32_t ky, uint32_t kx, int8_t v) {
    const uint32_t rows = s == 1 ? 2 : 1;
    for (uint32_t r = 0; r < rows; r++) out[((kx * rows + r) * 4 + c) * 4 + ky + r] = v;
}

/* [column][output row]: four channels of four input rows */
typedef struct three_taps {
    int8x16_t w[3][2];
} three_taps;

#include "kernels/dwconv_q8/three.tmpl.h"

SPR_INLINE three_taps load_taps(const uint32_t s, const int8_t *weights) {
    const int rows = s == 1 ? 2 : 1;
    three_taps t;
    SPR_UNROLL for (int kx = 0; kx < 3; kx++)
        SPR_UNROLL for (int r = 0; r < 2; r++) t.w[kx][r] = vld1q_s8(weights + (kx * rows + r % rows) * 16);
    return t;
}

SPR_INLINE void add_rows(const uint32_t s, const three *t, const int inside, const int8_t *const *row, int64_t at,
                         const row_mask *masks, const three_taps *taps, int32x4_t (*sum)[8]) {
    const int rows = s == 1 ? 2 : 1, outputs = s == 1 ? 8 : 4, used = s == 1 ? 10 : 9;
    SPR_UNROLL for (uint32_t q = 0; q < 3; q++) {
        int8x16_t line[4], column[4];
        SPR_UNROLL for (int i = 0; i < 3; i++) line[i] = load_quad(s, t, row[i], inside, at, masks, q);
        line[3] = s == 1 ? load_quad(s, t, row[3], inside, at, masks, q) : line[2]; /* its weights are 0 */
        interleave_taps(line, column);
        SPR_UNROLL for (int i = 0; i < 4; i++)
            SPR_UNROLL for (int kx = 0; kx < 3; kx++) {
                const int c = (int)q * 4 + i, p = (c - kx) / (int)s;
                if (c >= used || c < kx || p * (int)s != c - kx || p >= outputs) continue;
                SPR_UNROLL for (int r = 0; r < rows; r++) sum[r][p] = vdotq_s32(sum[r][p], column[i], taps->w[kx][r]);
            }
        __asm__ volatile("" ::: "memory"); /* loads that come earlier cost registers that are not there */
    }
}

SPR_TARGET_POP
#endif
