/* Dense FC with AVX-512. */
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

SPR_TARGET_POP
#endif
