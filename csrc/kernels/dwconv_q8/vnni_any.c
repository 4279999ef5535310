/* Quantized depthwise convolution with AVX-512 VNNI, windows of up to eight columns. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/q8_scalar.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

#include "kernels/dwconv_q8/vec_vnni.h"

#define FINISH finish_block
#define NAME(x) x##_vnni
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)

SPR_INLINE void finish_block(const spr_dw_q8_args *a, const __m512i *sum, const float *scale, uint32_t c, spr_q8 *y,
                             const spr_q8 *z, uint32_t n) {
    const finish_consts consts = finish_of(a->finish, 0);
    finish(a, &consts, sum, scale, NULL, c, y, z, n, 1);
}

#include "kernels/dwconv_q8/rows.tmpl.h"

void spr_dwconv_any_q8_vnni(const spr_dw_q8_args *a) { run_vnni(a); }

SPR_TARGET_POP

const spr_dw_q8_traits spr_dwconv_any_traits_q8_vnni = {match_vnni, size_vnni, pack_vnni, scratch_vnni};
#endif
