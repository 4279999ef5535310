/* Pointwise convolution with AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64
#include <string.h>

#include "kernels/pointwise/x86.h"
#include "kernels/pointwise/x86_avx512.h"

SPR_TARGET_PUSH(ISA_TARGET)

#include "kernels/pointwise/x86_act.tmpl.h"
#include "kernels/pointwise/x86_dense.tmpl.h"
#include "kernels/pointwise/x86_sparse.tmpl.h"

#define CSR(v) SPARSE_TILE(1, v)
#define PAIR(v) SPARSE_TILE(2, v)
#define DENSE(v) DENSE_TILE(8, v, 0) DENSE_TILE(8, v, 1) DENSE_TILE(8, v, 4)
CSR(1) CSR(2) CSR(3) CSR(4) CSR(5) CSR(6) CSR(7)
PAIR(1) PAIR(2) PAIR(3) PAIR(4) PAIR(5) PAIR(6) PAIR(7)
DENSE(1) DENSE(2) DENSE(3)

static sparse_tile_fn_avx512 *const csr_tiles[] = {
    NULL,
    sparse_tile_1x1_avx512,
    sparse_tile_1x2_avx512,
    sparse_tile_1x3_avx512,
    sparse_tile_1x4_avx512,
    sparse_tile_1x5_avx512,
    sparse_tile_1x6_avx512,
    sparse_tile_1x7_avx512,
};
static sparse_tile_fn_avx512 *const pair_tiles[] = {
    NULL,
    sparse_tile_2x1_avx512,
    sparse_tile_2x2_avx512,
    sparse_tile_2x3_avx512,
    sparse_tile_2x4_avx512,
    sparse_tile_2x5_avx512,
    sparse_tile_2x6_avx512,
    sparse_tile_2x7_avx512,
};
static dense_tile_fn_avx512 *const dense_tiles[] = {
    NULL,
    dense_tile_8x1_0_avx512,
    dense_tile_8x2_0_avx512,
    dense_tile_8x3_0_avx512,
};
static dense_tile_fn_avx512 *const dense_tails[] = {
    NULL,
    dense_tile_8x1_1_avx512,
    dense_tile_8x2_1_avx512,
    dense_tile_8x3_1_avx512,
    NULL,
    dense_tile_8x1_4_avx512,
    dense_tile_8x2_4_avx512,
    dense_tile_8x3_4_avx512,
};

void spr_pw_csr_f32_avx512(const spr_pw_args *a) { sparse_run_avx512(a, 1, csr_tiles, SPR_AVX512_SPARSE_TILE); }
void spr_pw_2x1_f32_avx512(const spr_pw_args *a) { sparse_run_avx512(a, 2, pair_tiles, SPR_AVX512_SPARSE_TILE); }
void spr_pw_dense_f32_avx512(const spr_pw_args *a) {
    /* Half of 48 KB of L1: where rows take turns with all of it, pixels come from L2. */
    const uint32_t block = a->k > SPR_X86_DENSE_PANEL / 2 ? 3 : 6;
    dense_run_avx512(a, SPR_AVX512_DENSE_ROWS, dense_tiles, dense_tails, 3, block);
}

SPR_TARGET_POP
#endif
