/* Stores of parts of vectors with AVX2. */
#ifndef SPR_KERNELS_AVX2_STORE_H
#define SPR_KERNELS_AVX2_STORE_H

#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>

SPR_TARGET_PUSH("avx2")

/* Stores the first n lanes, n <= 8. Stores with masks are microcode on AMD's cores (Zen 3: some 20 cycles each). */
SPR_INLINE void spr_avx2_store_first(float *p, __m256 v, size_t n) {
    if (SPR_LIKELY(n >= 8)) {
        _mm256_storeu_ps(p, v);
        return;
    }
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
}

SPR_TARGET_POP
#endif

#endif
