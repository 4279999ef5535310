/* What the depthwise kernels with AVX2 share; included inside a region of these instructions. Exact, by VPMADDWD on 16
   bits. */
#define V __m256i
#define S __m256i
#define I __m256i
#define F __m256
#define PIXELS 8
#define MM(op) _mm256_##op
#define MI(op) _mm256_##op##_si256
#define LOAD_WEIGHTS(p) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define SUMS(p) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define AS_FLOAT(v) _mm256_castsi256_ps(v)
#define REPEAT4(p) _mm256_broadcast_ps((const __m128 *)(const void *)(p))
#define LOAD_FIRST(p, n) _mm256_maskload_epi32((const int *)(const void *)(p), pixels_between(0, n))
#define STORE_FIRST(p, v, n) store_first(p, v, n)
#define SPREAD(v) _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7))
#define GATHER(v) SPREAD(v)
#define LOAD(p) _mm256_loadu_si256(p)
#define LOAD_MASKED(p, mask, other) _mm256_blendv_epi8(other, _mm256_maskload_epi32(p, mask), mask)
#define REPEAT(pixel) _mm256_set1_epi32((int)(pixel))
#define INTERLEAVE(t, out) interleave(t, out)
#define DOT(sum, x, w) (sum) = dot(sum, x, w)

/* In assembly, as gcc 12 would multiply for all sums first and spill them. */
SPR_INLINE __m256i dot(__m256i sum, __m256i x, __m256i w) {
    __m256i product;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(product) : "x"(x), "x"(w));
    return sum;
}

/* All bits of the pixels lo ... hi - 1 of a vector. */
SPR_INLINE __m256i pixels_between(int64_t lo, int64_t hi) {
    const __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i first = _mm256_set1_epi32((int)(lo > PIXELS ? PIXELS : lo)),
                  end = _mm256_set1_epi32((int)(hi > PIXELS ? PIXELS : hi));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(first, i), _mm256_cmpgt_epi32(end, i));
}

/* Pixels of two rows, as pairs of 16 bits. */
SPR_INLINE void interleave(const __m256i *t, __m256i *out) {
    const __m256i low = _mm256_unpacklo_epi8(t[0], t[1]), high = _mm256_unpackhi_epi8(t[0], t[1]),
                  zero = _mm256_setzero_si256();
    out[0] = _mm256_unpacklo_epi8(low, zero);
    out[1] = _mm256_unpackhi_epi8(low, zero);
    out[2] = _mm256_unpacklo_epi8(high, zero);
    out[3] = _mm256_unpackhi_epi8(high, zero);
}

/* The first n pixels: stores with masks are microcode on AMD's cores. */
SPR_INLINE void store_first(spr_q8 *p, __m256i v, uint32_t n) {
    if (SPR_LIKELY(n >= PIXELS)) {
        _mm256_storeu_si256((void *)p, v);
        return;
    }
    __m128i part = _mm256_castsi256_si128(v);
    if (n & 4) {
        _mm_storeu_si128((void *)p, part);
        part = _mm256_extracti128_si256(v, 1);
        p += 16;
    }
    if (n & 2) {
        _mm_storel_epi64((void *)p, part);
        part = _mm_srli_si128(part, 8);
        p += 8;
    }
    if (n & 1) _mm_storeu_si32(p, part);
}

#include "kernels/dwconv_q8/x86_finish.tmpl.h"
