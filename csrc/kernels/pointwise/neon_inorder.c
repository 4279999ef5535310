/* Sparse pointwise kernels for NEON on cores that issue in order and cannot pair vector loads with arithmetic (A53). */
#include "base/compiler.h"

#if SPR_AARCH64

#include "kernels/pointwise/neon_inorder.h"

#define PAIR_ROUND8(A, B, ...)       \
    FIRST_FOUR(N, A, B, __VA_ARGS__) \
    GROUP_AFTER(N, A, B, JOINS(N, 1, 2, 3), 4, 5, 6, 7, WEIGHTS, COUNT, , ) PLANE
#define PAIR_ROUND12(A, B, ...)                                                    \
    FIRST_FOUR(U, A, B, __VA_ARGS__)                                               \
    GROUP_AFTER(U, A, B, JOINS(U, 1, 2, 3), 4, 5, 6, 7, A(U, 8), B(U, 8), , PLANE) \
    GROUP_AFTER(U, A, B, JOINS(U, 5, 6, 7), 8, 9, 10, 11, WEIGHTS, COUNT, , )

#define PAIR_FIRST8 PAIR_ROUND(8, NONE, NONE, NO_JOINS)
#define PAIR_FIRST12                                                                \
    VALUES_U                                                                        \
    "ldp q24, q25, [x4]\n"                                                          \
    "ldr q26, [x4, #32]\n" LOWER(U, 9) UPPER(U, 9, "x11")                           \
    LOWER(U, 10) UPPER(U, 10, "x12") "ldr x13, " U_AT(11) "]\n" UPPER(U, 11, "x14") \
    WEIGHTS

#define LEFT8 JOINS(N, 5, 6, 7)
#define LEFT12 JOINS(U, 9, 10, 11)
#define PAIR_LOOP8 ROUND_LOOP(8)
#define PAIR_LOOP12 ROUND_LOOP(12)

#define CSR(V) \
    void spr_neon_inorder_csr##V(const spr_neon_rows *rows) { CSR_ASM(V); }
#define PAIRS(V) \
    void spr_neon_inorder_pairs##V(const spr_neon_rows *rows) { PAIR_ASM(V); }
CSR(4)
CSR(7)
CSR(8)
CSR(12)
CSR(13)
PAIRS(4)
PAIRS(5)
PAIRS(7)
static SPR_NOINLINE void pairs8(const spr_neon_rows *rows) { PAIR_ASM(8); }
static SPR_NOINLINE void pairs12(const spr_neon_rows *rows) { PAIR_ASM(12); }

static const spr_neon_core core = {
    SPR_NEON_INORDER_CSR, {SPR_NEON_INORDER_PAIRS, pairs8, pairs12}, 256 << 8};

void spr_pw_csr_f32_neon_inorder(const spr_pw_args *args) { spr_neon_csr_run(&core, args); }
void spr_pw_2x1_f32_neon_inorder(const spr_pw_args *args) { spr_neon_2x1_run(&core, args); }

#endif
