/* Quantized fully connected layers with AVX-512 VNNI: VPDPBUSD adds the products of four inputs to the sums of 16
   rows. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/fc_q8/pack.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

typedef __m512i fc_sums, fc_input;

SPR_INLINE void fc_begin(fc_sums *s) { *s = _mm512_setzero_si512(); }
SPR_INLINE fc_input fc_input_of(const spr_q8 *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}
SPR_INLINE void fc_dot(fc_sums *s, const int8_t *w, const fc_input *x) {
    *s = _mm512_dpbusd_epi32(*s, *x, _mm512_loadu_si512(w));
}
SPR_INLINE void fc_settle(fc_sums *s) { (void)s; }
SPR_INLINE void fc_store(int32_t *sum, const fc_sums *s) { _mm512_storeu_si512(sum, *s); }

#define FC_STEPS UINT32_MAX
#define FC_BLOCKS 8
#define FC_NAME spr_fc_dense_q8_vnni
#include "kernels/fc_q8/dense.tmpl.h"

SPR_TARGET_POP
#endif
