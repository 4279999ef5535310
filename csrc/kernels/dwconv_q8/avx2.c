/* Quantized depthwise convolution with AVX2, the usual windows. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/q8_scalar.h"
#include "kernels/q8_x86.h"

SPR_TARGET_PUSH("avx2,fma")

#include "kernels/dwconv_q8/vec_avx2.h"

#define NAME(x) x##_window_avx2
#define MASK __m256i
#define TAPS 2
#define TAP int16_t
#define TAP_MIN INT16_MIN
#define TAP_MAX INT16_MAX
#define ROWS_3 2
#define ACROSS(k, s) 0
#define ROWS_5 1
#define ROWS_7 1
#define MASK_OF(lo, hi) pixels_between(lo, hi)

#include "kernels/dwconv_q8/window.tmpl.h"

void spr_dwconv_q8_avx2(const spr_dw_q8_args *a) { run_window_avx2(a); }

SPR_TARGET_POP

const spr_dw_q8_traits spr_dwconv_traits_q8_avx2 = {match_window_avx2, size_window_avx2, pack_window_avx2,
                                                    scratch_window_avx2};
#endif
