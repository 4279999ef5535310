/* 3x3 windows with AVX2, included by window.tmpl.h: PIXELS columns of the output from the top down. Two rows of the
 * input, interleaved, end the sums of a step, of two rows of the output or with a stride of 2 of one, and begin those of
 * the next: nothing is interleaved twice. */

#include "kernels/pointwise/x86_keep.h"

/* Rows of the input that a strip walks down before the next strip begins, which shares lines of memory with it. */
enum { STRIP_ROWS = 32 };

/* PIXELS columns of the output from px on. */
typedef struct strip {
    int64_t rows, pitch; /* of the input; bytes between rows */
    const spr_q8 *x; /* pixel 0 of row 0 of the input, moved to the first column that is read */
    const spr_q8 *outside; /* a row outside, moved likewise */
    __m256i other; /* what pixels outside are */
    __m256i mask[4]; /* of the pixels that are loaded from each fourth pixel on */
} strip;

SPR_INLINE strip strip_at(uint32_t s, const step_window_avx2 *t, uint32_t px) {
    const spr_window *w = t->a->win;
    const int64_t at = (int64_t)px * s - w->pl;
    const uintptr_t move = (uintptr_t)at * SPR_Q8_GROUP;
    strip p = {.rows = w->ih, .pitch = (int64_t)w->iw * SPR_Q8_GROUP, .x = (const spr_q8 *)((uintptr_t)t->x + move),
               .outside = (const spr_q8 *)((uintptr_t)t->a->scratch + move),
               .other = REPEAT((uint8_t)t->a->x_zero * 0x01010101u)};
    SPR_UNROLL for (uint32_t i = 0; i < 2 * s; i++) {
        const int64_t first = at + 4 * i;
        p.mask[i] = MASK_OF(first < 0 ? -first : 0, w->iw - first);
    }
    return p;
}

SPR_INLINE const spr_q8 *row_of(const strip *p, int64_t iy) {
    return iy < 0 || iy >= p->rows ? p->outside : (const spr_q8 *)((uintptr_t)p->x + (uintptr_t)(iy * p->pitch));
}

SPR_INLINE __m256i load_fourth(int inside, const strip *p, const spr_q8 *row, uint32_t i) {
    const void *from = (const void *)((uintptr_t)row + (uintptr_t)(4 * i * SPR_Q8_GROUP));
    return inside ? LOAD(from) : LOAD_MASKED(from, p->mask[i], p->other);
}

/* Two rows of the input from the fourth pixel i on, as pairs of 16 bits: out[j] has the pixels j and 4 + j. */
SPR_INLINE void load_pairs(int inside, const strip *p, const spr_q8 *const *row, uint32_t i, __m256i *out) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i two[2] = {load_fourth(inside, p, row[0], i), load_fourth(inside, p, row[1], i)};
    interleave(two, out);
    const __m256i next = _mm256_unpacklo_epi8(load_fourth(inside, p, row[0], i + 1),
                                              load_fourth(inside, p, row[1], i + 1));
    out[4] = _mm256_unpacklo_epi8(next, zero);
    out[5] = _mm256_unpackhi_epi8(next, zero);
}

/* Adds what a pair of rows gives to v vectors of sums; taps: those of the first column of the window, `step` apart. */
SPR_INLINE void add_pair(const uint32_t s, const uint32_t v, const __m256i *in, const TAP *taps, uint32_t step,
                         __m256i *sum) {
    KEEP_ADDRESS(taps); /* not loaded before the loop: there are too few registers */
    SPR_UNROLL for (uint32_t kx = 0; kx < 3; kx++) {
        const __m256i two = LOAD_WEIGHTS(taps + kx * step);
        SPR_UNROLL for (uint32_t i = 0; i < v; i++) DOT(sum[i], in[kx + s * i], two);
    }
}

SPR_INLINE void walk(const uint32_t s, const int inside, const int saturates, const step_window_avx2 *t, uint32_t px,
                     uint32_t oy, uint32_t end) {
    const spr_dw_q8_args *a = t->a;
    const spr_window *w = a->win;
    const uint32_t rows = s == 1 ? 2 : 1, v = s == 1 ? 4 : 2, step = rows * 8,
                   n = w->ow - px < PIXELS ? w->ow - px : PIXELS;
    const strip p = strip_at(s, t, px);
    const __m256i bias = SUMS(t->bias);
    const TAP *const first = (const TAP *)(const void *)t->weights, *const last = first + 3 * step;
    finish_consts consts = t->finish;
    float scale[SPR_Q8_GROUP], shift[SPR_Q8_GROUP];
    int64_t iy = (int64_t)oy * s - w->pt;
    const size_t to = (size_t)oy * w->ow + px, pitch = (size_t)w->ow * SPR_Q8_GROUP;
    spr_q8 *y = a->y + (t->g * a->y_stride + to) * SPR_Q8_GROUP;
    const spr_q8 *z = a->z ? a->z + (t->g * a->z_stride + to) * SPR_Q8_GROUP : NULL;
    __m256i begun[2][4]; /* sums of the next rows of the output */
    consts.saturates = saturates;
    memcpy(scale, t->scale, sizeof scale);
    memcpy(shift, t->shift, sizeof shift);
    SPR_UNROLL for (uint32_t i = 0; i < 4; i++) begun[0][i] = begun[1][i] = bias;
    for (int is_first = 1;; is_first = 0, iy += 2) {
        const spr_q8 *const row[2] = {row_of(&p, iy), row_of(&p, iy + 1)};
        __m256i in[6], sum[4];
        if (s == 1) load_pairs(inside, &p, row, 0, in);
        SPR_UNROLL for (uint32_t r = 0; r < rows; r++) {
            SPR_UNROLL for (uint32_t i = 0; i < 4; i++) sum[i] = begun[r][i];
            SPR_UNROLL for (uint32_t i = 0; i < 4; i += v) { /* halves of a row, with a stride of 2 */
                if (s == 2) load_pairs(inside, &p, row, i, in);
                if (!is_first) add_pair(s, v, in, last + r * 8, step, sum + i);
                if (s == 1) continue;
                begun[r][i] = begun[r][i + 1] = bias;
                add_pair(s, v, in, first, step, begun[r] + i);
            }
            if (!is_first && oy + r < end)
                finish(a, &consts, sum, scale, shift, SPR_Q8_GROUP * t->g, y + r * pitch, z ? z + r * pitch : NULL, n,
                       s);
            if (s == 2) continue;
            SPR_UNROLL for (uint32_t i = 0; i < 4; i++) sum[i] = bias;
            add_pair(s, v, in, first + r * 8, step, sum);
            SPR_UNROLL for (uint32_t i = 0; i < 4; i++) begun[r][i] = sum[i];
        }
        if (is_first) continue;
        y += rows * pitch;
        z = z ? z + rows * pitch : NULL;
        oy += rows;
        if (oy >= end) return;
    }
}

/* plain: results that saturate; others are rarer, and take the loads with masks everywhere. */
SPR_INLINE void strips(const uint32_t s, const int plain, const step_window_avx2 *t) {
    const spr_window *w = t->a->win;
    const uint32_t reach = s * PIXELS + 4; /* pixels read from the first on */
    const uint32_t high = STRIP_ROWS / s;
    for (uint32_t oy = t->a->oy0, end; oy < t->a->oy1; oy = end) {
        end = t->a->oy1 - oy < high ? t->a->oy1 : oy + high;
        for (uint32_t px = 0; px < w->ow; px += PIXELS) {
            const int64_t at = (int64_t)px * s - w->pl;
            if (!plain)
                walk(s, 0, t->finish.saturates, t, px, oy, end);
            else if (at >= 0 && at + reach <= w->iw)
                walk(s, 1, 1, t, px, oy, end);
            else
                walk(s, 0, 1, t, px, oy, end);
        }
    }
}

#define STRIPS_OF(s)                                                                                 \
    static SPR_NOINLINE void wide_3_##s##_window_avx2(const step_window_avx2 *t) { strips(s, 0, t); } \
    static void rows_3_##s##_window_avx2(const step_window_avx2 *t) {                                \
        if (t->finish.saturates)                                                                     \
            strips(s, 1, t);                                                                         \
        else                                                                                         \
            wide_3_##s##_window_avx2(t);                                                             \
    }
STRIPS_OF(1)
STRIPS_OF(2)
