/* Quantized depthwise convolution with AVX-512 VNNI. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/q8_scalar.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

#define V __m512i
#define S __m512i
#define PIXELS 16
#define NAME(x) x##_vnni
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define LOAD_WEIGHTS(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define SUMS(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define DOT(sum, x, w) (sum) = _mm512_dpbusd_epi32(sum, x, w)
#define INTERLEAVE(t, out) interleave(t, out)
#define FINISH finish

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

SPR_INLINE void finish(const spr_dw_q8_args *a, const __m512i *sum, const float *scale, uint32_t c, spr_q8 *y, const spr_q8 *z,
                       uint32_t n) {
    const spr_q8_finish *f = a->finish;
    const __mmask16 mask = (__mmask16)((1u << n) - 1);
    const __m512 s = _mm512_broadcast_f32x4(_mm_loadu_ps(scale));
    const __m512 lo = _mm512_set1_ps((float)(f->lo - f->y_zero)), hi = _mm512_set1_ps((float)(f->hi - f->y_zero));
    const __m512i y_zero = _mm512_set1_epi32(f->y_zero);
    __m512 value[4];
    for (int i = 0; i < 4; i++) value[i] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i]), s);
    if (z) {
        const __m512i all = _mm512_maskz_loadu_epi32(mask, z), zero = _mm512_setzero_si512();
        const __m512i low = _mm512_unpacklo_epi8(all, zero), high = _mm512_unpackhi_epi8(all, zero);
        const __m512i four[4] = {_mm512_unpacklo_epi16(low, zero), _mm512_unpackhi_epi16(low, zero),
                                 _mm512_unpacklo_epi16(high, zero), _mm512_unpackhi_epi16(high, zero)};
        const __m512 z_scale = _mm512_set1_ps(f->z_scale);
        for (int i = 0; i < 4; i++) {
            const __m512 t = _mm512_cvtepi32_ps(_mm512_sub_epi32(four[i], _mm512_set1_epi32(f->z_zero)));
            value[i] = _mm512_add_ps(value[i], _mm512_mul_ps(t, z_scale));
        }
    }
    if (f->act.fn != SPR_FN_NONE) {
        float memory[64];
        for (int i = 0; i < 4; i++) _mm512_storeu_ps(memory + i * 16, value[i]);
        activate(f, c, a->channels, memory, 64);
        for (int i = 0; i < 4; i++) value[i] = _mm512_loadu_ps(memory + i * 16);
    }
    __m512i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(value[i], lo), hi)), y_zero);
    const __m512i bytes = _mm512_packus_epi16(_mm512_packus_epi32(q[0], q[1]), _mm512_packus_epi32(q[2], q[3]));
    _mm512_mask_storeu_epi32(y, mask, bytes);
}

#include "kernels/dwconv_q8/rows.tmpl.h"

void spr_dwconv_q8_vnni(const spr_dw_q8_args *a) { run_vnni(a); }

SPR_TARGET_POP

const spr_dw_q8_traits spr_dwconv_traits_q8_vnni = {match_vnni, size_vnni, pack_vnni, scratch_vnni};
#endif
