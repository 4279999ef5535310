/* Quantized pointwise convolution with AVX-512 VNNI: a vector is 16 pixels of a group of channels, and VPDPBUSD adds
   the products of the four channels to 16 sums. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/pointwise_q8/pack.h"
#include "kernels/q8_x86.h"
#include "kernels/unary/act_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

#include "kernels/pointwise_q8/x86_avx512.h"

#define ROWS 8
#define VECTORS 3
#define VECTORS_1X4 7
#define VECTORS_2X4 7
#define X __m512i
#define LOAD_X(p) _mm512_loadu_si512(p)
#define W __m512i
#define FOUR 4
#define SETS(sums) ((sums) <= 8 ? 2 : 1)
#define LOAD_W(p) weights(p)
/* gcc 12 moves and spills the sums if it is left the choice of registers. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

SPR_INLINE __m512i weights(const int8_t *w) {
    int32_t four;
    memcpy(&four, w, sizeof four);
    return _mm512_set1_epi32(four);
}

#include "kernels/pointwise_q8/x86.tmpl.h"

void spr_pw_dense_q8_vnni(const spr_pw_q8_args *a) { dense_avx512(a); }
void spr_pw_1x4_q8_vnni(const spr_pw_q8_args *a) { sparse_avx512(a, tiles_1_avx512, VECTORS_1X4); }
void spr_pw_2x4_q8_vnni(const spr_pw_q8_args *a) { sparse_avx512(a, tiles_2_avx512, VECTORS_2X4); }

SPR_TARGET_POP
#endif
