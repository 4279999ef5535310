/* What the depthwise kernels with AVX-512 VNNI share; included inside a region of these instructions. */
#define V __m512i
#define S __m512i
#define I __m512i
#define F __m512
#define PIXELS 16
#define MM(op) _mm512_##op
#define MI(op) _mm512_##op##_si512
#define LOAD_WEIGHTS(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define SUMS(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define AS_FLOAT(v) _mm512_castsi512_ps(v)
#define REPEAT4(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))
#define LOAD_FIRST(p, n) _mm512_maskz_loadu_epi32((__mmask16)((1u << (n)) - 1), p)
#define STORE_FIRST(p, v, n) _mm512_mask_storeu_epi32(p, (__mmask16)((1u << (n)) - 1), v)
#define SPREAD(v) _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15), v)
#define GATHER(v) _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15), v)
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

#include "kernels/dwconv_q8/x86_finish.tmpl.h"
