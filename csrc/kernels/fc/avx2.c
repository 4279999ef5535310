/* FC with AVX2 and FMA: dense and CSR. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/fc/pack.h"
#include "kernels/pointwise/x86_avx2.h"

SPR_TARGET_PUSH(ISA_TARGET)

#include "kernels/fc/x86_dense.tmpl.h"

FC_TILE(1, 1) FC_TILE(2, 1) FC_TILE(3, 1) FC_TILE(4, 1)
FC_TILE(1, 4) FC_TILE(2, 2)

static const fc_tiles_avx2 tiles[] = {
    {fc_tile_1x4_avx2, fc_tile_1x1_avx2, 4},
    {fc_tile_2x2_avx2, fc_tile_2x1_avx2, 2},
    {fc_tile_3x1_avx2, fc_tile_3x1_avx2, 1},
    {fc_tile_4x1_avx2, fc_tile_4x1_avx2, 1},
};

void spr_fc_dense_f32_avx2(const spr_fc_args *a) { fc_run_avx2(a, tiles, SPR_COUNTOF(tiles)); }

/* Four inputs collected by loads: gather instructions are a little faster on some cores and many times slower on
   those with microcode against data sampling. */
SPR_INLINE __m128 collect(const float *x, const uint32_t *col) {
    const __m128 low = _mm_unpacklo_ps(_mm_load_ss(x + col[0]), _mm_load_ss(x + col[1]));
    const __m128 high = _mm_unpacklo_ps(_mm_load_ss(x + col[2]), _mm_load_ss(x + col[3]));
    return _mm_movelh_ps(low, high);
}

void spr_fc_csr_f32_avx2(const spr_fc_args *a) {
    const spr_fc_csr c = spr_fc_csr_of(a->packed, a->n);
    for (uint32_t row = a->row0; row < a->row1; row += SPR_FC_QUAD) {
        const uint32_t slice = row / SPR_FC_QUAD;
        const uint32_t count = a->row1 - row < SPR_FC_QUAD ? a->row1 - row : SPR_FC_QUAD;
        for (uint32_t m = 0; m < a->m; m++) {
            const float *const x = a->x + m * a->x_stride;
            __m128 acc = _mm_loadu_ps(c.bias + row);
            for (const spr_fc_step *s = c.steps + c.common[slice]; s < c.steps + c.common[slice + 1]; s++)
                acc = _mm_fmadd_ps(_mm_loadu_ps(s->w), collect(x, s->col), acc);
            float sums[LANES] = {0};
            _mm_storeu_ps(sums, acc);
            for (uint32_t r = 0; r < count; r++) {
                __m128 sum = _mm_load_ss(sums + r);
                for (uint32_t i = c.part[row + r]; i < c.part[row + r + 1]; i++)
                    sum = _mm_fmadd_ss(_mm_load_ss(&c.rest[i].w), _mm_load_ss(x + c.rest[i].col), sum);
                _mm_store_ss(sums + r, sum);
            }
            fc_finish_avx2(a, m, row, count, V_LOAD(sums));
        }
    }
}

SPR_TARGET_POP
#endif
