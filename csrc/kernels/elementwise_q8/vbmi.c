/* Table lookups with AVX-512 VBMI: an instruction takes one of 128 bytes by the low seven bits of each index. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/elementwise_q8/vec_avx512.h"

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw,avx512vbmi")

SPR_INLINE spr_q lookup(spr_q q, const spr_q *t) {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(q), _mm512_permutex2var_epi8(t[0], q, t[1]),
                                  _mm512_permutex2var_epi8(t[2], q, t[3]));
}

void spr_table_q8_vbmi(const spr_q8 *x, spr_q8 *y, size_t n, const spr_q8 *table) {
    const spr_q t[4] = {spr_qload(table), spr_qload(table + 64), spr_qload(table + 128), spr_qload(table + 192)};
    size_t p = 0;
    for (; p + SPR_VL <= n; p += SPR_VL) spr_qstore(y + 4 * p, lookup(spr_qload(x + 4 * p), t));
    if (p < n) spr_qstore_n(y + 4 * p, lookup(spr_qload_n(x + 4 * p, n - p, t[0]), t), n - p);
}

SPR_TARGET_POP
#endif
