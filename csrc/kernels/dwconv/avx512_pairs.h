/* Depthwise 3x3 and 5x5 at stride 1 on images of at most eight columns, AVX-512: a vector is two rows of the image, as
 * they lie in memory. Columns beside it are shifted in; lanes for which there is none are zeroed by masks. */
#ifndef SPR_KERNELS_DWCONV_AVX512_PAIRS_H
#define SPR_KERNELS_DWCONV_AVX512_PAIRS_H

#include "kernels/dwconv/dwconv.h"

typedef struct pairs_task {
    const spr_window *win;
    const float *w; /* a record of dwconv.h */
    const float *x;
    float *y;       /* row 0 of the channel */
    const float *z; /* NULL if none */
    const spr_vact *act;
    __mmask16 column[5];   /* by column of taps: lanes for which the image has such a column */
    const __mmask16 *rows; /* from the first output row's window on: lanes of that row and the next that the image
                              has */
} pairs_task;

/* Lane l of the result is lane l + d of v, where the mask allows it. */
SPR_INLINE spr_v pairs_shift(spr_v v, const int d, __mmask16 mask) {
    const __m512i x = _mm512_castps_si512(v), zero = _mm512_setzero_si512();
    __m512i r = x;
    switch (d) { /* an immediate operand, whatever the optimization */
    case -2: r = _mm512_maskz_alignr_epi32(mask, x, zero, SPR_VL - 2); break;
    case -1: r = _mm512_maskz_alignr_epi32(mask, x, zero, SPR_VL - 1); break;
    case 1: r = _mm512_maskz_alignr_epi32(mask, zero, x, 1); break;
    case 2: r = _mm512_maskz_alignr_epi32(mask, zero, x, 2); break;
    }
    return _mm512_castsi512_ps(r);
}

/* `pairs` pairs of rows from row oy; the last row is missing if `odd`. */
SPR_INLINE void pairs_block(const int k, const int pairs, const int odd, const pairs_task *t, uint32_t oy) {
    const ptrdiff_t iw = t->win->iw;
    const float *x = t->x + ((ptrdiff_t)oy - t->win->pt) * iw;
    spr_v acc[4];
    SPR_UNROLL
    for (int p = 0; p < pairs; p++) acc[p] = spr_vset(t->w[k * k]);
    SPR_UNROLL
    for (int i = 0; i < 2 * (pairs - 1) + k; i++, x += iw) {
        const spr_v v = _mm512_maskz_loadu_ps(t->rows[oy + i], x);
        SPR_UNROLL
        for (int kx = 0; kx < k; kx++) {
            const spr_v in = pairs_shift(v, kx - k / 2, t->column[kx]);
            SPR_UNROLL
            for (int p = 0; p < pairs; p++) {
                const int ky = i - 2 * p;
                if (ky >= 0 && ky < k) acc[p] = spr_vfma(acc[p], in, spr_vset(t->w[ky * k + kx]));
            }
        }
    }
    const size_t two = 2 * (size_t)iw;
    float *y = t->y + (size_t)oy * (size_t)iw;
    const float *z = t->z ? t->z + (size_t)oy * (size_t)iw : NULL;
    const int whole = pairs - odd;
    spr_vfinish(acc, whole, 1, y, z, two, two, t->act);
    if (odd)
        spr_vfinish(acc + whole, 1, 1, y + (size_t)whole * two, z ? z + (size_t)whole * two : NULL, two, t->win->iw,
                    t->act);
}

#define PAIRS(k)                                                                      \
    static SPR_NOINLINE void pairs_##k(const pairs_task *t, uint32_t oy, uint32_t end) { \
        for (; end - oy >= 8; oy += 8) pairs_block(k, 4, 0, t, oy);                   \
        switch (end - oy) {                                                           \
        case 7: pairs_block(k, 4, 1, t, oy); break;                                   \
        case 6: pairs_block(k, 3, 0, t, oy); break;                                   \
        case 5: pairs_block(k, 3, 1, t, oy); break;                                   \
        case 4: pairs_block(k, 2, 0, t, oy); break;                                   \
        case 3: pairs_block(k, 2, 1, t, oy); break;                                   \
        case 2: pairs_block(k, 1, 0, t, oy); break;                                   \
        case 1: pairs_block(k, 1, 1, t, oy); break;                                   \
        default: break;                                                               \
        }                                                                             \
    }
PAIRS(3) PAIRS(5)
#undef PAIRS

void spr_dwconv_pairs_f32_avx512(const spr_conv_args *a) {
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, record = spr_dwconv_record(a->shape);
    __mmask16 *rows = a->scratch;
    for (ptrdiff_t i = 0; i <= (ptrdiff_t)(win->oh + win->kh); i++) {
        const ptrdiff_t iy = i - win->pt, low = (1 << win->iw) - 1;
        rows[i] =
            (__mmask16)((iy >= 0 && iy < win->ih ? low : 0) | (iy + 1 >= 0 && iy + 1 < win->ih ? low << win->iw : 0));
    }
    pairs_task t = {.win = win, .rows = rows};
    for (int kx = 0; kx < (int)win->kw; kx++)
        for (int lane = 0; lane < 2 * (int)win->iw; lane++) {
            const int column = lane % (int)win->iw + kx - (int)win->kw / 2;
            if (column >= 0 && column < (int)win->iw) t.column[kx] |= (__mmask16)(1 << lane);
        }
    for (uint32_t row = a->row0; row < a->row1; row++) {
        const spr_vact act = spr_vact_load(&a->act, row);
        t.w = (const float *)a->packed + row * record;
        t.x = a->x + row * a->x_stride;
        t.y = a->y + row * a->y_stride;
        t.z = a->z ? a->z + row * a->z_stride : NULL;
        t.act = &act;
        if (win->kw == 3)
            pairs_3(&t, a->oy0, a->oy1);
        else
            pairs_5(&t, a->oy0, a->oy1);
        float *y = t.y + (size_t)a->oy0 * win->ow;
        if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, (size_t)(a->oy1 - a->oy0) * win->ow, &a->act);
        if (a->oy1 == win->oh) spr_vstore_n(t.y + hw, spr_vzero(), spr_plane_lanes(hw) - hw);
    }
}

static int pairs_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    return spr_dwconv_match_fixed(s) && w->sw == 1 && w->pl == (int32_t)w->kw / 2 && w->ow == w->iw &&
           w->iw <= SPR_VL / 2;
}
static size_t pairs_scratch(const spr_conv_shape *s) {
    return ((size_t)s->win.oh + s->win.kh + 1) * sizeof(__mmask16);
}

const spr_conv_traits spr_dwconv_pairs_traits_avx512 = {pairs_match, spr_dwconv_size, spr_dwconv_pack, pairs_scratch};

#endif
