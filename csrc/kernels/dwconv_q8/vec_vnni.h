/* What the depthwise kernels with AVX-512 VNNI share; included inside a region of these instructions. */
#include "kernels/q8_scalar.h"

#define V __m512i
#define S __m512i
#define PIXELS 16
#define LOAD_WEIGHTS(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define SUMS(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
/* gcc 12 moves and spills the sums if it is left the choice of registers. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))
#define INTERLEAVE(t, out) interleave(t, out)

/* Within each 128 bits, pixel i of a vector becomes the 16 bytes of out[i]; packing the results in pairs undoes it. */
SPR_INLINE void interleave(const __m512i *t, __m512i *out) {
    const __m512i ab_0 = _mm512_unpacklo_epi8(t[0], t[1]), ab_1 = _mm512_unpackhi_epi8(t[0], t[1]);
    const __m512i cd_0 = _mm512_unpacklo_epi8(t[2], t[3]), cd_1 = _mm512_unpackhi_epi8(t[2], t[3]);
    out[0] = _mm512_unpacklo_epi16(ab_0, cd_0);
    out[1] = _mm512_unpackhi_epi16(ab_0, cd_0);
    out[2] = _mm512_unpacklo_epi16(ab_1, cd_1);
    out[3] = _mm512_unpackhi_epi16(ab_1, cd_1);
}

/* Values of four channels, of any of four pixels; not inlined, as most layers come without. */
static SPR_NOINLINE void activate(const spr_q8_finish *f, uint32_t c, uint32_t channels, float *value, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = c + i % 4 < channels ? c + i % 4 : channels - 1;
        value[i] = spr_act_scalar(value[i], &f->act, row) * f->y_inv;
    }
}

/* What finishing needs of a call, ready to be loaded. */
typedef struct finish_consts {
    __m512i y_zero, lo;
    float hi, z_scale;
    int32_t z_zero;
} finish_consts;

SPR_INLINE finish_consts finish_of(const spr_q8_finish *f) {
    return (finish_consts){.y_zero = _mm512_set1_epi16((short)f->y_zero), .lo = _mm512_set1_epi8((char)f->lo),
                           .hi = (float)(f->hi - f->y_zero), .z_scale = f->z_scale, .z_zero = f->z_zero};
}

/* The sums of pixels i, 4 + i ... in sum[i], or for a stride of 2 of the pixels i, 2 + i ... of half h in sum[2 h + i]. */
SPR_INLINE void finish(const spr_dw_q8_args *a, const finish_consts *consts, const __m512i *sum, const float *scale, uint32_t c,
                       spr_q8 *y, const spr_q8 *z, uint32_t n, const uint32_t stride) {
    const spr_q8_finish *f = a->finish;
    const __mmask16 mask = (__mmask16)((1u << n) - 1);
    const __m512 s = _mm512_broadcast_f32x4(_mm_loadu_ps(scale)), hi = _mm512_set1_ps(consts->hi);
    const __m512i y_zero = consts->y_zero;
    __m512 value[4];
    UNROLL for (int i = 0; i < 4; i++) value[i] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i]), s);
    if (z) {
        __m512i all = _mm512_maskz_loadu_epi32(mask, z);
        const __m512i zero = _mm512_setzero_si512();
        if (stride == 2) all = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15), all);
        const __m512i low = _mm512_unpacklo_epi8(all, zero), high = _mm512_unpackhi_epi8(all, zero);
        const __m512i four[4] = {_mm512_unpacklo_epi16(low, zero), _mm512_unpackhi_epi16(low, zero),
                                 _mm512_unpacklo_epi16(high, zero), _mm512_unpackhi_epi16(high, zero)};
        const __m512 z_scale = _mm512_set1_ps(consts->z_scale);
        UNROLL for (int i = 0; i < 4; i++) {
            const __m512 t = _mm512_cvtepi32_ps(_mm512_sub_epi32(four[i], _mm512_set1_epi32(consts->z_zero)));
            value[i] = _mm512_add_ps(value[i], _mm512_mul_ps(t, z_scale));
        }
    }
    if (f->act.fn != SPR_FN_NONE) {
        float memory[64];
        for (int i = 0; i < 4; i++) _mm512_storeu_ps(memory + i * 16, value[i]);
        activate(f, c, a->channels, memory, 64);
        for (int i = 0; i < 4; i++) value[i] = _mm512_loadu_ps(memory + i * 16);
    }
    /* What is below any integer converts to the least one, and packing saturates: only the upper end needs a clamp here. */
    __m512i q[4];
    UNROLL for (int i = 0; i < 4; i++) q[i] = _mm512_cvtps_epi32(_mm512_min_ps(value[i], hi));
    const __m512i q01 = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), y_zero);
    const __m512i q23 = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), y_zero);
    __m512i bytes = _mm512_max_epu8(_mm512_packus_epi16(q01, q23), consts->lo);
    if (stride == 2)
        bytes = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15), bytes);
    _mm512_mask_storeu_epi32(y, mask, bytes);
}
