/* Pointwise convolution with AVX2 and FMA. */
#include "base/compiler.h"

#if SPR_X86_64
#include <string.h>

#include "kernels/pointwise/x86.h"
#include "kernels/pointwise/x86_avx2.h"

SPR_TARGET_PUSH(ISA_TARGET)

#include "kernels/pointwise/x86_act.tmpl.h"
#include "kernels/pointwise/x86_dense.tmpl.h"
#include "kernels/pointwise/x86_sparse.tmpl.h"

#define CSR(v) SPARSE_TILE(1, v)
#define PAIR(v) SPARSE_TILE(2, v)
#define DENSE(v) DENSE_TILE(4, v, 0)
#define TAILS(v) DENSE_TILE(4, v, 1) DENSE_TILE(4, v, 2)
CSR(1) CSR(2) CSR(3) CSR(4) CSR(5) CSR(6) CSR(7) CSR(8) CSR(9) CSR(10)
PAIR(1) PAIR(2) PAIR(3) PAIR(4) PAIR(5) PAIR(6)
DENSE(1) DENSE(2) DENSE(3) TAILS(1) TAILS(2)

static sparse_tile_fn_avx2 *const csr_tiles[] = {
    NULL,
    sparse_tile_1x1_avx2,
    sparse_tile_1x2_avx2,
    sparse_tile_1x3_avx2,
    sparse_tile_1x4_avx2,
    sparse_tile_1x5_avx2,
    sparse_tile_1x6_avx2,
    sparse_tile_1x7_avx2,
    sparse_tile_1x8_avx2,
    sparse_tile_1x9_avx2,
    sparse_tile_1x10_avx2,
};
static sparse_tile_fn_avx2 *const pair_tiles[] = {
    NULL,
    sparse_tile_2x1_avx2,
    sparse_tile_2x2_avx2,
    sparse_tile_2x3_avx2,
    sparse_tile_2x4_avx2,
    sparse_tile_2x5_avx2,
    sparse_tile_2x6_avx2,
};
static dense_tile_fn_avx2 *const dense_tiles[] = {
    NULL,
    dense_tile_4x1_0_avx2,
    dense_tile_4x2_0_avx2,
    dense_tile_4x3_0_avx2,
};
static dense_tile_fn_avx2 *const dense_tails[] = {
    NULL,
    dense_tile_4x1_1_avx2,
    dense_tile_4x2_1_avx2,
    NULL,
    NULL,
    dense_tile_4x1_2_avx2,
    dense_tile_4x2_2_avx2,
};

void spr_pw_csr_f32_avx2(const spr_pw_args *a) { sparse_run_avx2(a, 1, csr_tiles, SPR_AVX2_CSR_TILE); }
void spr_pw_2x1_f32_avx2(const spr_pw_args *a) { sparse_run_avx2(a, 2, pair_tiles, SPR_AVX2_2X1_TILE); }
void spr_pw_dense_f32_avx2(const spr_pw_args *a) {
    dense_run_avx2(a, SPR_AVX2_DENSE_ROWS, dense_tiles, dense_tails, 3, 3);
}

SPR_TARGET_POP
#endif
