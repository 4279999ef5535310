/* Quantized depthwise convolution with AVX-512 VNNI, the usual windows. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/q8_scalar.h"
#include "kernels/q8_x86.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

#include "kernels/dwconv_q8/vec_vnni.h"

#define NAME(x) x##_window_vnni
#define MASK __mmask16
#define TAPS 4
#define TAP int8_t
#define TAP_MIN (-128)
#define TAP_MAX 127
#define ROWS_3 2
#define ACROSS(k, s) ((s) == 2 && (k) == 3)
#define ROWS_5 4
#define ROWS_7 2
#define LOAD(p) _mm512_loadu_si512(p)
#define LOAD_MASKED(p, mask, other) _mm512_mask_loadu_epi32(other, mask, p)
#define TRANSPOSE(v) \
    _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)))
#define REPEAT(pixel) _mm512_set1_epi32((int)(pixel))
#define MASK_OF(lo, hi) mask_of(lo, hi)

SPR_INLINE __mmask16 mask_of(int64_t lo, int64_t hi) {
    hi = hi < 0 ? 0 : hi > PIXELS ? PIXELS : hi;
    return lo >= PIXELS ? 0 : (__mmask16)(((1u << hi) - 1) & ~((1u << lo) - 1));
}

#include "kernels/dwconv_q8/window.tmpl.h"

void spr_dwconv_q8_vnni(const spr_dw_q8_args *a) { run_window_vnni(a); }

SPR_TARGET_POP

const spr_dw_q8_traits spr_dwconv_traits_q8_vnni = {match_window_vnni, size_window_vnni, pack_window_vnni,
                                                    scratch_window_vnni};
#endif
