/* Sparse pointwise kernels for NEON on cores that issue in order and pair 64-bit vector loads with arithmetic (A55 and
 * A510, told from the A53 by their dot product).
 *
 * Pairs of rows in wide tiles; all else is that of the A53.
 *
 * Two FMAs a vector leave room for its two loads, and two vectors' joins make a cycle: five cycles for four FMAs. */
#include "base/compiler.h"

#if SPR_AARCH64

#include "kernels/pointwise/neon_inorder.h"

/* Adds inputs a and b to both sums, replaces q and a, and joins p, whose halves the group before loaded, and q.
   XP: the general register of p, XA: that of a. Lines are cycles. */
#define FOUR(R, q, a, b, XA, NEXT)      \
    MUL_A(R, a) LOWER(R, q)             \
    MUL_B(R, a) UPPER(R, q, "x11") NEXT \
    MUL_A(R, b) LOWER(R, a)             \
    MUL_B(R, b) UPPER(R, a, XA)
#define DUAL(R, p, q, a, b, XP, XA, NEXT) \
    FOUR(R, q, a, b, XA, NEXT)            \
    JOIN(R, p, XP) JOIN(R, q, "x11")

/* To the next record's plane; its weights, in whose latency the last joins fall, the offset after it. */
#define NEXT_PLANE "add x4, x3, x13\n" "subs x22, x22, #1\n"
#define DUAL_LAST(R, p, q, a, b, XP) \
    FOUR(R, q, a, b, "x12", )        \
    "fmov d30, x14\n"                \
    "ldr w13, [x5], #12\n"           \
    JOIN(R, p, XP) JOIN(R, q, "x11") \
    "ldr x14, [x5, #4]\n"            \
    "b.ne 1b\n"

#define PAIR_LOOP8                                \
    "1:\n"                                        \
    DUAL(N, 6, 7, 0, 1, "x12", "x10", NEXT_PLANE) \
    DUAL(N, 0, 1, 2, 3, "x10", "x12", )           \
    DUAL(N, 2, 3, 4, 5, "x12", "x10", )           \
    DUAL_LAST(N, 4, 5, 6, 7, "x10")
#define PAIR_LOOP12                               \
    "1:\n"                                        \
    DUAL(U, 10, 11, 0, 1, "x12", "x10", )         \
    DUAL(U, 0, 1, 2, 3, "x10", "x12", )           \
    DUAL(U, 2, 3, 4, 5, "x12", "x10", )           \
    DUAL(U, 4, 5, 6, 7, "x10", "x12", NEXT_PLANE) \
    DUAL(U, 6, 7, 8, 9, "x12", "x10", )           \
    DUAL_LAST(U, 8, 9, 10, 11, "x10")

/* As the last group leaves them: its a half loaded, its b not at all. */
#define FIRST_WEIGHTS      \
    "ldr x14, [x5, #4]\n"  \
    "fmov d30, x14\n"      \
    "ldr w13, [x5], #12\n" \
    "ldr x14, [x5, #4]\n"
#define PAIR_FIRST8             \
    FIRST_WEIGHTS               \
    "ldp q20, q21, [x4]\n"      \
    "ldp q22, q23, [x4, #32]\n" \
    "ldp q24, q25, [x4, #64]\n" LOWER(N, 6) UPPER(N, 6, "x12")
#define PAIR_FIRST12       \
    FIRST_WEIGHTS          \
    "ldp q24, q25, [x4]\n" \
    "ldp q26, q27, [x4, #32]\n" LOWER(U, 10) UPPER(U, 10, "x12")

static SPR_NOINLINE void pairs8(const spr_neon_rows *rows) { PAIR_ASM(8); }
static SPR_NOINLINE void pairs12(const spr_neon_rows *rows) { PAIR_ASM(12); }

static const spr_neon_core core = {SPR_NEON_INORDER_CSR, SPR_NEON_INORDER_PAIRS(pairs8, pairs12), 512 << 8, 1024, 1, 512};

void spr_pw_csr_f32_neon_inorder_dotprod(const spr_pw_args *args) { spr_neon_sparse_run(&core, args, 0); }
void spr_pw_2x1_f32_neon_inorder_dotprod(const spr_pw_args *args) { spr_neon_sparse_run(&core, args, 1); }

#endif
