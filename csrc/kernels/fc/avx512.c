/* FC with AVX-512: dense and CSR. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/fc/pack.h"
#include "kernels/pointwise/x86_avx512.h"

SPR_TARGET_PUSH(ISA_TARGET)

#include "kernels/fc/x86_dense.tmpl.h"

FC_TILE(1, 1) FC_TILE(2, 1) FC_TILE(3, 1) FC_TILE(4, 1) FC_TILE(5, 1) FC_TILE(6, 1)
FC_TILE(1, 4) FC_TILE(2, 4) FC_TILE(3, 4) FC_TILE(4, 4) FC_TILE(5, 4) FC_TILE(6, 4)

static const fc_tiles_avx512 tiles[] = {
    {fc_tile_1x4_avx512, fc_tile_1x1_avx512, 4}, {fc_tile_2x4_avx512, fc_tile_2x1_avx512, 4},
    {fc_tile_3x4_avx512, fc_tile_3x1_avx512, 4}, {fc_tile_4x4_avx512, fc_tile_4x1_avx512, 4},
    {fc_tile_5x4_avx512, fc_tile_5x1_avx512, 4}, {fc_tile_6x4_avx512, fc_tile_6x1_avx512, 4},
};

void spr_fc_dense_f32_avx512(const spr_fc_args *a) { fc_run_avx512(a, tiles, SPR_COUNTOF(tiles)); }

/* One step: w, x[col] and acc have the lanes of `mask`. */
SPR_INLINE V csr_step(const int narrow, const float *x, const spr_fc_lanes *c, size_t at, __mmask16 mask, V acc) {
    const V w = _mm512_maskz_loadu_ps(mask, c->w + at);
    const __m512i col = narrow ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)c->col + at))
                               : _mm512_maskz_loadu_epi32(mask, (const uint32_t *)c->col + at);
    return _mm512_mask3_fmadd_ps(w, _mm512_mask_i32gather_ps(w, mask, col, x, sizeof(float)), acc, mask);
}

/* Registered for cores with AMX only: their gather instructions are fast, those of earlier ones run in microcode that
   guards against data sampling. */
SPR_INLINE void csr_run(const int narrow, const spr_fc_args *a) {
    enum { AHEAD = 1536 }; /* weights that are prefetched: hardware prefetchers stop at pages */
    const spr_fc_lanes c = spr_fc_lanes_of(a->packed, a->n);
    for (uint32_t row = a->row0; row < a->row1; row += LANES) {
        const uint32_t *const length = c.length + row;
        const uint32_t count = a->row1 - row < LANES ? a->row1 - row : LANES;
        for (uint32_t m = 0; m < a->m; m++) {
            const float *const x = a->x + m * a->x_stride;
            V acc = V_LOAD(c.bias + row);
            size_t at = c.begin[row / LANES];
            uint32_t j = 0;
            for (; j < length[LANES - 1]; j++, at += LANES) {
                __builtin_prefetch(c.w + at + AHEAD);
                __builtin_prefetch((const char *)c.col + (at + AHEAD) * (narrow ? sizeof(uint16_t) : sizeof(uint32_t)));
                acc = csr_step(narrow, x, &c, at, 0xffff, acc);
            }
            for (uint32_t lanes = LANES - 1; lanes > 0; lanes--)
                for (; j < length[lanes - 1]; j++, at += lanes)
                    acc = csr_step(narrow, x, &c, at, (__mmask16)((1u << lanes) - 1), acc);
            acc = _mm512_permutexvar_ps(_mm512_loadu_si512(c.lane + row), acc);
            fc_finish_avx512(a, m, row, count, acc);
        }
    }
}

void spr_fc_csr_f32_avx512(const spr_fc_args *a) {
    if (a->k <= SPR_FC_NARROW_K)
        csr_run(1, a);
    else
        csr_run(0, a);
}

SPR_TARGET_POP
#endif
