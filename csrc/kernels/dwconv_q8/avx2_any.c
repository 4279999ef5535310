/* Quantized depthwise convolution with AVX2, any window, stride and dilation: taps in pairs, each of which takes its
   pixels from where they are. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/q8_scalar.h"

SPR_TARGET_PUSH("avx2,fma")

#include "kernels/dwconv_q8/vec_avx2.h"

/* Where a tap of a row of the output takes its pixels: a row of the input, NULL outside of it, and its column for the
   first pixel. */
typedef struct tap {
    const spr_q8 *row;
    int64_t column;
} tap;

static uint32_t pairs_of(const spr_window *w) { return (w->kh * w->kw + 1) / 2; }

static int match_any(const spr_window *w) {
    (void)w;
    return 1;
}

static size_t scratch_any(const spr_window *w) { return 2 * (size_t)pairs_of(w) * sizeof(tap); }

static size_t size_any(const spr_dw_q8_weights *w) {
    const size_t channels = spr_round_up(w->channels, SPR_Q8_GROUP);
    return channels * (sizeof(int32_t) + sizeof(float) + pairs_of(&w->win) * 2 * sizeof(int16_t));
}

/* Bias and scale of the channels, then [group][pair of taps][4 channels][2]; a tap that is missing is 0. */
static void pack_any(const spr_dw_q8_weights *w, void *dst) {
    const uint32_t taps = w->win.kh * w->win.kw, pairs = pairs_of(&w->win);
    const size_t channels = spr_round_up(w->channels, SPR_Q8_GROUP);
    int32_t *bias = dst;
    float *scale = (float *)(bias + channels);
    int16_t *out = (int16_t *)(scale + channels);
    memset(dst, 0, size_any(w));
    for (uint32_t c = 0; c < w->channels; c++) {
        bias[c] = w->bias[c];
        scale[c] = w->scale[c];
        for (uint32_t i = 0; i < taps; i++)
            out[((c / SPR_Q8_GROUP * pairs + i / 2) * SPR_Q8_GROUP + c % SPR_Q8_GROUP) * 2 + i % 2] =
                w->w[(size_t)c * taps + i];
    }
}

/* PIXELS pixels of a row, every `stride`th from column `first` on; those outside as in `outside`. */
SPR_INLINE __m256i take(const spr_q8 *row, int64_t first, uint32_t stride, int64_t iw, __m256i outside) {
    const uintptr_t from = (uintptr_t)row + (uintptr_t)(first * SPR_Q8_GROUP);
    const int inside = first >= 0 && first + (int64_t)(PIXELS - 1) * stride < iw;
    if (stride == 1) {
        if (inside) return LOAD((const void *)from);
        const __m256i mask = pixels_between(first < 0 ? -first : 0, iw - first < 0 ? 0 : iw - first);
        return LOAD_MASKED((const void *)from, mask, outside);
    }
    uint32_t pixel[PIXELS];
    _mm256_storeu_si256((__m256i *)(void *)pixel, outside);
    for (int64_t i = 0; i < PIXELS; i++)
        if (inside || (first + i * stride >= 0 && first + i * stride < iw))
            memcpy(pixel + i, (const void *)(from + (uintptr_t)(i * stride * SPR_Q8_GROUP)), sizeof *pixel);
    return _mm256_loadu_si256((const __m256i *)(const void *)pixel);
}

/* A row of the output of group g. */
SPR_INLINE void row_any(const spr_dw_q8_args *a, const finish_consts *consts, const tap *taps, const int32_t *bias,
                        const float *scale, const int16_t *weights, uint32_t g, uint32_t oy) {
    const spr_window *w = a->win;
    const uint32_t pairs = pairs_of(w);
    const __m256i outside = REPEAT((uint8_t)a->x_zero * 0x01010101u);
    for (uint32_t px = 0; px < w->ow; px += PIXELS) {
        __m256i sum[4];
        SPR_UNROLL for (int i = 0; i < 4; i++) sum[i] = SUMS(bias);
        for (uint32_t p = 0; p < pairs; p++) {
            __m256i two[2], in[4];
            SPR_UNROLL for (int i = 0; i < 2; i++) {
                const tap *t = taps + 2 * p + i;
                two[i] = t->row ? take(t->row, t->column + (int64_t)px * w->sw, w->sw, w->iw, outside) : outside;
            }
            INTERLEAVE(two, in);
            const __m256i four = LOAD_WEIGHTS(weights + p * 8);
            SPR_UNROLL for (int i = 0; i < 4; i++) DOT(sum[i], in[i], four);
        }
        const size_t to = (size_t)oy * w->ow + px;
        finish(a, consts, sum, scale, NULL, SPR_Q8_GROUP * g, a->y + (g * a->y_stride + to) * SPR_Q8_GROUP,
               a->z ? a->z + (g * a->z_stride + to) * SPR_Q8_GROUP : NULL, w->ow - px < PIXELS ? w->ow - px : PIXELS,
               1);
    }
}

void spr_dwconv_any_q8_avx2(const spr_dw_q8_args *a) {
    const spr_window *w = a->win;
    const size_t channels = spr_round_up(a->channels, SPR_Q8_GROUP);
    const int32_t *bias = a->packed;
    const float *scale = (const float *)(bias + channels);
    const int16_t *weights = (const int16_t *)(scale + channels);
    const finish_consts consts = finish_of(a->finish, 0);
    tap *const taps = a->scratch;
    taps[2 * pairs_of(w) - 1] = (tap){NULL, 0};
    for (uint32_t g = a->group0; g < a->group1; g++) {
        const spr_q8 *x = a->x + g * a->x_stride * SPR_Q8_GROUP;
        for (uint32_t oy = a->oy0; oy < a->oy1; oy++) {
            for (uint32_t ky = 0, i = 0; ky < w->kh; ky++) {
                const int64_t iy = (int64_t)oy * w->sh + (int64_t)ky * w->dh - w->pt;
                const spr_q8 *row = iy < 0 || iy >= w->ih ? NULL : x + (size_t)iy * w->iw * SPR_Q8_GROUP;
                for (uint32_t kx = 0; kx < w->kw; kx++, i++)
                    taps[i] = (tap){row, (int64_t)kx * w->dw - w->pl};
            }
            row_any(a, &consts, taps, bias + SPR_Q8_GROUP * g, scale + SPR_Q8_GROUP * g,
                    weights + (size_t)g * pairs_of(w) * 8, g, oy);
        }
    }
}

SPR_TARGET_POP

const spr_dw_q8_traits spr_dwconv_any_traits_q8_avx2 = {match_any, size_any, pack_any, scratch_any};
#endif
