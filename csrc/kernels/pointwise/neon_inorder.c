/* Sparse pointwise kernels for NEON on cores that issue in order and cannot pair vector loads with arithmetic (A53). */
#include "base/compiler.h"

#if SPR_AARCH64

#include "kernels/pointwise/neon_inorder.h"

#define NONE(R, j)

/* Replaces four inputs i, j, k, l of kind R, the last by two general registers. Loads into general registers go
   with FMAs and the joins, which the A53 cannot issue with FMAs, share cycles: two FMAs for every input but in
   four cycles of twelve. A(R, m) and B(R, m) are done to the sums of both rows. Joining j, k and l is left to the
   next group, as its J, K, L1 and L2. */
#define GROUP(R, A, B, J, K, L1, L2, i, j, k, l, NEXT_A, NEXT_B, W1, W2) \
    LOWER(R, i) J                                                        \
    K L1                                                                 \
    UPPER(R, i, "x10") A(R, j)                                           \
    B(R, j) W1                                                           \
    LOWER(R, j) L2                                                       \
    UPPER(R, j, "x11") A(R, k)                                           \
    B(R, k)                                                              \
    A(R, l) W2                                                           \
    LOWER(R, k) JOIN(R, i, "x10")                                        \
    UPPER(R, k, "x12") B(R, l)                                           \
    "ldr x13, " R##_AT(l) "]\n" NEXT_A                                   \
    UPPER(R, l, "x14") NEXT_B
#define GROUP_AFTER(...) GROUP(__VA_ARGS__)
#define JOINS(R, j, k, l) JOIN(R, j, "x11"), JOIN(R, k, "x12"), "fmov d" R##l ", x13\n", JOIN(R, l, "x14")
#define NO_JOINS , , ,

/* Fetch offset and weights. Inputs that have a register each are two records ahead of the sums, so that offset and
   weights are in the same record; of those that share, the latter half is not. */
#define OFFSET "ldr w9, [x5], #12\n"
#define VALUES_U "ldr x15, [x5, #4]\n"
#define PLANE "add x4, x3, x9\n"

/* A round over both rows; J, K, L1 and L2 are what the round before left to join. */
#define FIRST_FOUR(R, A, B, J, K, L1, L2) \
    A(R, 0) B(R, 0) GROUP(R, A, B, J, K, L1, L2, 0, 1, 2, 3, A(R, 4), B(R, 4), OFFSET, VALUES_##R)
#define PAIR_ROUND8(A, B, ...)       \
    FIRST_FOUR(N, A, B, __VA_ARGS__) \
    GROUP_AFTER(N, A, B, JOINS(N, 1, 2, 3), 4, 5, 6, 7, WEIGHTS, COUNT, , ) PLANE
#define PAIR_ROUND12(A, B, ...)                                                    \
    FIRST_FOUR(U, A, B, __VA_ARGS__)                                               \
    GROUP_AFTER(U, A, B, JOINS(U, 1, 2, 3), 4, 5, 6, 7, A(U, 8), B(U, 8), , PLANE) \
    GROUP_AFTER(U, A, B, JOINS(U, 5, 6, 7), 8, 9, 10, 11, WEIGHTS, COUNT, , )

/* A round without sums. Twelve: inputs 0 to 5, the last three as a group leaves them. */
#define PAIR_FIRST8 PAIR_ROUND8(NONE, NONE, NO_JOINS)
#define PAIR_FIRST12                                                                \
    VALUES_U                                                                        \
    "ldp q24, q25, [x4]\n"                                                          \
    "ldr q26, [x4, #32]\n" LOWER(U, 9) UPPER(U, 9, "x11")                           \
    LOWER(U, 10) UPPER(U, 10, "x12") "ldr x13, " U_AT(11) "]\n" UPPER(U, 11, "x14") \
    WEIGHTS

#define PAIR_LOOP8 "1:\n" PAIR_ROUND8(MUL_A, MUL_B, JOINS(N, 5, 6, 7)) "b.ne 1b\n"
#define PAIR_LOOP12 "1:\n" PAIR_ROUND12(MUL_A, MUL_B, JOINS(U, 9, 10, 11)) "b.ne 1b\n"

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
static SPR_NOINLINE void pairs8(const spr_neon_rows *rows) { PAIR_ASM(8); }
static SPR_NOINLINE void pairs12(const spr_neon_rows *rows) { PAIR_ASM(12); }

static const spr_neon_core core = {SPR_NEON_INORDER_CSR, SPR_NEON_INORDER_PAIRS(pairs8, pairs12), 256 << 8, 512, 0, 512};

void spr_pw_csr_f32_neon_inorder(const spr_pw_args *args) { spr_neon_sparse_run(&core, args, 0); }
void spr_pw_2x1_f32_neon_inorder(const spr_pw_args *args) { spr_neon_sparse_run(&core, args, 1); }

#endif
