/* The loop over the rows of a tile for cores that issue in order, which take 128 bits of stores in two cycles or one:
 * beside them the next sums are bounded and those of the next row begun. Registers as in neon_asm.h; in addition v31
 * holds the lower bound (minus infinity: none), w9 and w10 the bias while a row ends; x9, x10, x15 and x22 are free
 * then. */
#ifndef SPR_KERNELS_POINTWISE_NEON_INORDER_ROWS_H
#define SPR_KERNELS_POINTWISE_NEON_INORDER_ROWS_H

#include "kernels/pointwise/neon_asm.h"

/* Rows of a pair are A and B; a CSR has A only. */
#define A_ROW "x7"
#define B_ROW "x23"
#define A_BIAS "w9"
#define B_BIAS "w10"
#define A_SUM(j) #j
#define B_SUM(j) SPR_B##j

#define BOUND1(X, j) "fmax v" X##_SUM(j) ".4s, v" X##_SUM(j) ".4s, v31.4s\n"
#define BOUND2(X, j, k) BOUND1(X, j) BOUND1(X, k)
#define BEGIN(X, j) "dup v" X##_SUM(j) ".4s, " X##_BIAS "\n"
#define BEGIN_A(j) BEGIN(A, j)
#define BEGIN_B(j) BEGIN(B, j)

/* Stores, and stores with the beginning of the next row. */
#define KEEP1(X, j) "str q" X##_SUM(j) ", [" X##_ROW ", #16*" #j "]\n"
#define KEEP2(X, j, k) "stp q" X##_SUM(j) ", q" X##_SUM(k) ", [" X##_ROW ", #16*" #j "]\n"
#define RENEW1(X, j) KEEP1(X, j) BEGIN(X, j)
#define RENEW2(X, j, k) KEEP2(X, j, k) BEGIN(X, j) BEGIN(X, k)

/* The end of row X of V vectors: sums are bounded, those of two pairs before S, KEEP or RENEW, stores the first. */
#define SPR_END1(X, S) BOUND1(X, 0) S##1(X, 0)
#define SPR_END2(X, S) BOUND2(X, 0, 1) S##2(X, 0, 1)
#define SPR_END3(X, S) BOUND2(X, 0, 1) BOUND1(X, 2) S##2(X, 0, 1) S##1(X, 2)
#define SPR_END4(X, S) BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) S##2(X, 2, 3)
#define SPR_END5(X, S) BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND1(X, 4) S##2(X, 2, 3) S##1(X, 4)
#define SPR_END6(X, S) BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 4, 5) S##2(X, 2, 3) S##2(X, 4, 5)
#define SPR_END7(X, S)                                                                                     \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 4, 5) S##2(X, 2, 3) BOUND1(X, 6) S##2(X, 4, 5) \
    S##1(X, 6)
#define SPR_END8(X, S)                                                                                        \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 4, 5) S##2(X, 2, 3) BOUND2(X, 6, 7) S##2(X, 4, 5) \
    S##2(X, 6, 7)
#define SPR_END9(X, S)                                                                                  \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND1(X, 8) S##2(X, 2, 3) BOUND2(X, 4, 5) S##1(X, 8) \
    BOUND2(X, 6, 7) S##2(X, 4, 5) S##2(X, 6, 7)
#define SPR_END10(X, S)                                                                                       \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 8, 9) S##2(X, 2, 3) BOUND2(X, 4, 5) S##2(X, 8, 9) \
    BOUND2(X, 6, 7) S##2(X, 4, 5) S##2(X, 6, 7)
#define SPR_END11(X, S)                                                                                     \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 8, 9) S##2(X, 2, 3) BOUND1(X, 10) S##2(X, 8, 9) \
    BOUND2(X, 4, 5) S##1(X, 10) BOUND2(X, 6, 7) S##2(X, 4, 5) S##2(X, 6, 7)
#define SPR_END12(X, S)                                                                                         \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 8, 9) S##2(X, 2, 3) BOUND2(X, 10, 11) S##2(X, 8, 9) \
    BOUND2(X, 4, 5) S##2(X, 10, 11) BOUND2(X, 6, 7) S##2(X, 4, 5) S##2(X, 6, 7)
#define SPR_END13(X, S)                                                                                         \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 8, 9) S##2(X, 2, 3) BOUND2(X, 10, 11) S##2(X, 8, 9) \
    BOUND2(X, 4, 5) S##2(X, 10, 11) BOUND2(X, 6, 7) S##2(X, 4, 5) BOUND1(X, 12) S##2(X, 6, 7) S##1(X, 12)

/* Stores vectors of row X and loads those of the row at its _NEXT, by halves, as loads of one pair and joins of another
   go together: J joins those before. */
#define A_NEXT "x21"
#define B_NEXT "x16"
#define JOINED1(X, j, r) "ins v" X##_SUM(j) ".d[1], " r "\n"
#define JOINED2(X, j, k, r, s) JOINED1(X, j, r) JOINED1(X, k, s)
#define FETCH(X, j, r)                                  \
    "ldr d" X##_SUM(j) ", [" X##_NEXT ", #16*" #j "]\n" \
    "ldr " r ", [" X##_NEXT ", #16*" #j "+8]\n"
#define SWAP1(X, j, r, J) KEEP1(X, j) FETCH(X, j, r) J
#define SWAP2(X, j, k, r, s, J) KEEP2(X, j, k) FETCH(X, j, r) J FETCH(X, k, s)
#define SPR_SWAP1(X) SWAP1(X, 0, "x9", ) JOINED1(X, 0, "x9")
#define SPR_SWAP2(X) SWAP2(X, 0, 1, "x9", "x10", ) JOINED2(X, 0, 1, "x9", "x10")
#define SPR_SWAP3(X) \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP1(X, 2, "x15", JOINED2(X, 0, 1, "x9", "x10")) JOINED1(X, 2, "x15")
#define SPR_SWAP4(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    JOINED2(X, 2, 3, "x15", "x22")
#define SPR_SWAP5(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP1(X, 4, "x9", JOINED2(X, 2, 3, "x15", "x22")) JOINED1(X, 4, "x9")
#define SPR_SWAP6(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22")) JOINED2(X, 4, 5, "x9", "x10")
#define SPR_SWAP7(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
    SWAP1(X, 6, "x15", JOINED2(X, 4, 5, "x9", "x10")) JOINED1(X, 6, "x15")
#define SPR_SWAP8(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
    SWAP2(X, 6, 7, "x15", "x22", JOINED2(X, 4, 5, "x9", "x10")) JOINED2(X, 6, 7, "x15", "x22")
#define SPR_SWAP9(X)                                                                                    \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10"))           \
    SWAP1(X, 8, "x9", JOINED2(X, 2, 3, "x15", "x22")) SWAP2(X, 4, 5, "x15", "x22", JOINED1(X, 8, "x9")) \
    SWAP2(X, 6, 7, "x9", "x10", JOINED2(X, 4, 5, "x15", "x22")) JOINED2(X, 6, 7, "x9", "x10")
#define SPR_SWAP10(X)                                                                         \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 8, 9, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
    SWAP2(X, 4, 5, "x15", "x22", JOINED2(X, 8, 9, "x9", "x10"))                               \
    SWAP2(X, 6, 7, "x9", "x10", JOINED2(X, 4, 5, "x15", "x22")) JOINED2(X, 6, 7, "x9", "x10")
#define SPR_SWAP11(X)                                                                                     \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10"))             \
    SWAP2(X, 8, 9, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                                           \
    SWAP1(X, 10, "x15", JOINED2(X, 8, 9, "x9", "x10")) SWAP2(X, 4, 5, "x9", "x10", JOINED1(X, 10, "x15")) \
    SWAP2(X, 6, 7, "x15", "x22", JOINED2(X, 4, 5, "x9", "x10")) JOINED2(X, 6, 7, "x15", "x22")
#define SPR_SWAP12(X)                                                                         \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 8, 9, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
    SWAP2(X, 10, 11, "x15", "x22", JOINED2(X, 8, 9, "x9", "x10"))                             \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 10, 11, "x15", "x22"))                             \
    SWAP2(X, 6, 7, "x15", "x22", JOINED2(X, 4, 5, "x9", "x10")) JOINED2(X, 6, 7, "x15", "x22")
#define SPR_SWAP13(X)                                                                         \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 8, 9, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
    SWAP2(X, 10, 11, "x15", "x22", JOINED2(X, 8, 9, "x9", "x10"))                             \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 10, 11, "x15", "x22"))                             \
    SWAP2(X, 6, 7, "x15", "x22", JOINED2(X, 4, 5, "x9", "x10"))                               \
    SWAP1(X, 12, "x9", JOINED2(X, 6, 7, "x15", "x22")) JOINED1(X, 12, "x9")

#define SPR_UPPER_BOUND(FMIN)  \
    "16: ldr w21, [x24, #4]\n" \
    "dup v31.4s, w21\n" FMIN   \
    "ld1r {v31.4s}, [x24]\n"   \
    "b 17b\n"

/* Records that come next are fetched several lines at once, as streams of single lines between those of planes would go
   unnoticed by prefetchers. SPR_NEON_AHEAD bytes after the last one may be read. */
#define AHEAD               \
    "20: sub x21, x6, x5\n" \
    "cmp x21, #512\n"       \
    "b.gt 21f\n"            \
    "ldr wzr, [x6]\n"       \
    "ldr wzr, [x6, #64]\n"  \
    "ldr wzr, [x6, #128]\n" \
    "ldr wzr, [x6, #192]\n" \
    "ldr wzr, [x6, #256]\n" \
    "ldr wzr, [x6, #320]\n" \
    "ldr wzr, [x6, #384]\n" \
    "ldr wzr, [x6, #448]\n" \
    "add x6, x6, #512\n"    \
    "b 20b\n"               \
    "21:\n"

/* A row, or two: sums begin with the bias or with what lies in y; LOOP; bounds; store. */
#define SPR_INORDER_CSR_ROWS(V, PREPARE, LOOP)            \
    SPR_ENTER "ld1r {v31.4s}, [x24]\n" PREPARE SPR_COUNT  \
    "cbz x16, 11f\n"                                      \
    "ldr w9, [x16], #16\n" SPR_REP##V(BEGIN_A)            \
    "b 12f\n"                                             \
    "10:\n" SPR_COUNT                                     \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A)            \
    "12:\n" AHEAD SPR_TOUCH##V "cbz x22, 2f\n" LOOP       \
    "2: tbnz x20, #1, 16f\n"                              \
    "17: cbz x16, 18f\n"                                  \
    "ldr w9, [x16], #16\n" SPR_COUNT SPR_END##V(A, RENEW) \
    "add x7, x7, x8\n"                                    \
    "subs x2, x2, #1\n"                                   \
    "b.ne 12b\n"                                          \
    "b 19f\n"                                             \
    "18: tbnz x20, #0, 22f\n"                             \
    "cmp x2, #1\n"                                        \
    "add x21, x7, x8\n"                                   \
    "csel x21, x7, x21, eq\n" SPR_SWAP##V(A) SPR_COUNT    \
    "add x7, x7, x8\n"                                    \
    "subs x2, x2, #1\n"                                   \
    "b.ne 12b\n"                                          \
    "b 19f\n"                                             \
    "22:\n" SPR_END##V(A, KEEP)                           \
    "add x7, x7, x8\n"                                    \
    "subs x2, x2, #1\n"                                   \
    "b.ne 10b\n"                                          \
    "b 19f\n" SPR_UPPER_BOUND(SPR_REP##V(SPR_UPPER_A))    \
    "19:\n"
#define SPR_INORDER_2X1_ROWS(V, PREPARE, LOOP)                                    \
    SPR_ENTER "ld1r {v31.4s}, [x24]\n" PREPARE SPR_COUNT                          \
    "add x23, x7, x8\n"                                                           \
    "cbz x16, 11f\n"                                                              \
    "ldr w9, [x16]\n"                                                             \
    "ldr w10, [x16, #16]\n"                                                       \
    "add x16, x16, #32\n" SPR_REP##V(BEGIN_A) SPR_REP##V(BEGIN_B)                 \
    "b 12f\n"                                                                     \
    "10:\n" SPR_COUNT                                                             \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A) SPR_PAIRS##V(SPR_LDR_B, SPR_LDP_B) \
    "12:\n" AHEAD SPR_TOUCH##V "cbz x22, 2f\n" LOOP                               \
    "2: tbnz x20, #1, 16f\n"                                                      \
    "17: cbz x16, 18f\n"                                                          \
    "ldr w9, [x16]\n"                                                             \
    "ldr w10, [x16, #16]\n"                                                       \
    "add x16, x16, #32\n" SPR_COUNT SPR_END##V(A, RENEW) SPR_END##V(B, RENEW)     \
    "add x7, x23, x8\n"                                                           \
    "add x23, x7, x8\n"                                                           \
    "subs x2, x2, #1\n"                                                           \
    "b.ne 12b\n"                                                                  \
    "b 19f\n"                                                                     \
    "18: tbnz x20, #0, 22f\n"                                                     \
    "cmp x2, #1\n"                                                                \
    "add x21, x23, x8\n"                                                          \
    "add x16, x21, x8\n"                                                          \
    "csel x21, x7, x21, eq\n"                                                     \
    "csel x16, x23, x16, eq\n" SPR_SWAP##V(A) SPR_SWAP##V(B)                      \
    "mov x16, xzr\n" SPR_COUNT                                                    \
    "add x7, x23, x8\n"                                                           \
    "add x23, x7, x8\n"                                                           \
    "subs x2, x2, #1\n"                                                           \
    "b.ne 12b\n"                                                                  \
    "b 19f\n"                                                                     \
    "22:\n" SPR_END##V(A, KEEP) SPR_END##V(B, KEEP)                               \
    "add x7, x23, x8\n"                                                           \
    "add x23, x7, x8\n"                                                           \
    "subs x2, x2, #1\n"                                                           \
    "b.ne 10b\n"                                                                  \
    "b 19f\n" SPR_UPPER_BOUND(SPR_REP##V(SPR_UPPER_A) SPR_REP##V(SPR_UPPER_B))    \
    "19:\n"

#endif
