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
#define SPR_END4(X, S) BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) S##2(X, 2, 3)
#define SPR_END5(X, S) BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND1(X, 4) S##2(X, 2, 3) S##1(X, 4)
#define SPR_END7(X, S)                                                                                     \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 4, 5) S##2(X, 2, 3) BOUND1(X, 6) S##2(X, 4, 5) \
    S##1(X, 6)
#define SPR_END8(X, S)                                                                                        \
    BOUND2(X, 0, 1) BOUND2(X, 2, 3) S##2(X, 0, 1) BOUND2(X, 4, 5) S##2(X, 2, 3) BOUND2(X, 6, 7) S##2(X, 4, 5) \
    S##2(X, 6, 7)
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
#define SPR_SWAP4(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    JOINED2(X, 2, 3, "x15", "x22")
#define SPR_SWAP5(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP1(X, 4, "x9", JOINED2(X, 2, 3, "x15", "x22")) JOINED1(X, 4, "x9")
#define SPR_SWAP7(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
    SWAP1(X, 6, "x15", JOINED2(X, 4, 5, "x9", "x10")) JOINED1(X, 6, "x15")
#define SPR_SWAP8(X)                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", ) SWAP2(X, 2, 3, "x15", "x22", JOINED2(X, 0, 1, "x9", "x10")) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x22"))                               \
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

/* x * min(max(x * scale + shift, 0), 1) of up to four sums of row X side by side. K names the registers: of a CSR those
 * that no loop uses and two inputs, for pairs of up to eight vectors (N) what they leave, for twelve (U) all inputs.
 * Inputs are loaded again thereafter, whole, so that joins still to come change nothing. v31: scale and shift, and the
 * lower bound (minus infinity) in the end. */
#define C_T0 "13"
#define C_T1 "14"
#define C_T2 "27"
#define C_T3 "28"
#define C_ZERO "29"
#define C_ONE "15"
#define N_T0 "8"
#define N_T1 "9"
#define N_T2 "10"
#define N_T3 "11"
#define N_ZERO "28"
#define N_ONE "29"
#define U_T0 "24"
#define U_T1 "25"
#define U_T2 "26"
#define U_T3 "27"
#define U_ZERO "28"
#define U_ONE "29"
#define HARD_BEGIN(K, X, t, j) "dup v" K##_T##t ".4s, v31.s[1]\n"
#define HARD_LINE(K, X, t, j) "fmla v" K##_T##t ".4s, v" X##_SUM(j) ".4s, v31.s[0]\n"
#define HARD_LOWER(K, X, t, j) "fmax v" K##_T##t ".4s, v" K##_T##t ".4s, v" K##_ZERO ".4s\n"
#define HARD_UPPER(K, X, t, j) "fmin v" K##_T##t ".4s, v" K##_T##t ".4s, v" K##_ONE ".4s\n"
#define HARD_MUL(K, X, t, j) "fmul v" X##_SUM(j) ".4s, v" X##_SUM(j) ".4s, v" K##_T##t ".4s\n"
#define HARD_EACH2(F, K, X, i, j) F(K, X, 0, i) F(K, X, 1, j)
#define HARD_EACH3(F, K, X, i, j, k) F(K, X, 0, i) F(K, X, 1, j) F(K, X, 2, k)
#define HARD_EACH4(F, K, X, i, j, k, l) F(K, X, 0, i) F(K, X, 1, j) F(K, X, 2, k) F(K, X, 3, l)
#define HARD(N, ...)                                                                                   \
    HARD_EACH##N(HARD_BEGIN, __VA_ARGS__) HARD_EACH##N(HARD_LINE, __VA_ARGS__)                         \
    HARD_EACH##N(HARD_LOWER, __VA_ARGS__) HARD_EACH##N(HARD_UPPER, __VA_ARGS__) HARD_EACH##N(HARD_MUL, __VA_ARGS__)
#define HARD3(K, X) HARD(3, K, X, 0, 1, 2)
#define HARD4(K, X) HARD(4, K, X, 0, 1, 2, 3)
#define HARD5(K, X) HARD3(K, X) HARD(2, K, X, 3, 4)
#define HARD7(K, X) HARD4(K, X) HARD(3, K, X, 4, 5, 6)
#define HARD8(K, X) HARD4(K, X) HARD(4, K, X, 4, 5, 6, 7)
#define HARD10(K, X) HARD7(K, X) HARD(3, K, X, 7, 8, 9)
#define HARD12(K, X) HARD8(K, X) HARD(4, K, X, 8, 9, 10, 11)
#define HARD13(K, X) HARD10(K, X) HARD(3, K, X, 10, 11, 12)

/* Inputs 11 and 12 of a CSR, of the record before the one whose offset was read last. */
#define REFETCH(LDR) "ldr w21, [x5, #-16]\n" "add x21, x3, w21, uxtw\n" LDR
#define FETCH_11 "ldr q27, [x21, #176]\n"
#define FETCH_12 FETCH_11 "ldr q28, [x21, #192]\n"
#define REFETCH_OF4
#define REFETCH_OF7
#define REFETCH_OF8
#define REFETCH_OF12 REFETCH(FETCH_11)
#define REFETCH_OF13 REFETCH(FETCH_12)

/* Of twelve inputs of pairs 0 to 4 are loaded again, which are the next record's; the sixth is not loaded before the
   next row begins. */
#define HARD_PAIR(K, V) HARD##V(K, A) HARD##V(K, B)
#define HARD_PAIR4 HARD_PAIR(N, 4)
#define HARD_PAIR5 HARD_PAIR(N, 5)
#define HARD_PAIR7 HARD_PAIR(N, 7)
#define HARD_PAIR8 HARD_PAIR(N, 8)
#define HARD_PAIR12 \
    HARD_PAIR(U, 12) "ldp q24, q25, [x4]\n" "ldp q26, q27, [x4, #32]\n" "ldr q28, [x4, #128]\n"

/* What is done to sums before a row ends: the upper bound, or hard_swish with 0 and 1 in two registers. */
#define SPR_UPPER_BOUND(FMIN, K, SWISH)  \
    "16: tbnz x20, #2, 26f\n"            \
    "ldr w21, [x24, #4]\n"               \
    "dup v31.4s, w21\n" FMIN             \
    "b 27f\n"                            \
    "26: ldr d31, [x24, #16]\n"          \
    "movi v" K##_ZERO ".4s, #0\n"        \
    "fmov v" K##_ONE ".4s, #1.0\n" SWISH \
    "27: ld1r {v31.4s}, [x24]\n"         \
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
#define SPR_INORDER_CSR_ROWS(V, PREPARE, LOOP)                                         \
    SPR_ENTER "ld1r {v31.4s}, [x24]\n" PREPARE SPR_COUNT                               \
    "cbz x16, 11f\n"                                                                   \
    "ldr w9, [x16], #16\n" SPR_REP##V(BEGIN_A)                                         \
    "b 12f\n"                                                                          \
    "10:\n" SPR_COUNT                                                                  \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A)                                         \
    "12:\n" AHEAD SPR_TOUCH##V "cbz x22, 2f\n" LOOP                                    \
    "2: tbnz x20, #1, 16f\n"                                                           \
    "17: cbz x16, 18f\n"                                                               \
    "ldr w9, [x16], #16\n" SPR_COUNT SPR_END##V(A, RENEW)                              \
    "add x7, x7, x8\n"                                                                 \
    "subs x2, x2, #1\n"                                                                \
    "b.ne 12b\n"                                                                       \
    "b 19f\n"                                                                          \
    "18: tbnz x20, #0, 22f\n"                                                          \
    "cmp x2, #1\n"                                                                     \
    "add x21, x7, x8\n"                                                                \
    "csel x21, x7, x21, eq\n" SPR_SWAP##V(A) SPR_COUNT                                 \
    "add x7, x7, x8\n"                                                                 \
    "subs x2, x2, #1\n"                                                                \
    "b.ne 12b\n"                                                                       \
    "b 19f\n"                                                                          \
    "22:\n" SPR_END##V(A, KEEP)                                                        \
    "add x7, x7, x8\n"                                                                 \
    "subs x2, x2, #1\n"                                                                \
    "b.ne 10b\n"                                                                       \
    "b 19f\n" SPR_UPPER_BOUND(SPR_REP##V(SPR_UPPER_A), C, HARD##V(C, A) REFETCH_OF##V) \
    "19:\n"
#define SPR_INORDER_2X1_ROWS(V, PREPARE, LOOP)                                        \
    SPR_ENTER "ld1r {v31.4s}, [x24]\n" PREPARE SPR_COUNT                              \
    "add x23, x7, x8\n"                                                               \
    "cbz x16, 11f\n"                                                                  \
    "ldr w9, [x16]\n"                                                                 \
    "ldr w10, [x16, #16]\n"                                                           \
    "add x16, x16, #32\n" SPR_REP##V(BEGIN_A) SPR_REP##V(BEGIN_B)                     \
    "b 12f\n"                                                                         \
    "10:\n" SPR_COUNT                                                                 \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A) SPR_PAIRS##V(SPR_LDR_B, SPR_LDP_B)     \
    "12:\n" AHEAD SPR_TOUCH##V "cbz x22, 2f\n" LOOP                                   \
    "2: tbnz x20, #1, 16f\n"                                                          \
    "17: cbz x16, 18f\n"                                                              \
    "ldr w9, [x16]\n"                                                                 \
    "ldr w10, [x16, #16]\n"                                                           \
    "add x16, x16, #32\n" SPR_COUNT SPR_END##V(A, RENEW) SPR_END##V(B, RENEW)         \
    "add x7, x23, x8\n"                                                               \
    "add x23, x7, x8\n"                                                               \
    "subs x2, x2, #1\n"                                                               \
    "b.ne 12b\n"                                                                      \
    "b 19f\n"                                                                         \
    "18: tbnz x20, #0, 22f\n"                                                         \
    "cmp x2, #1\n"                                                                    \
    "add x21, x23, x8\n"                                                              \
    "add x16, x21, x8\n"                                                              \
    "csel x21, x7, x21, eq\n"                                                         \
    "csel x16, x23, x16, eq\n" SPR_SWAP##V(A) SPR_SWAP##V(B)                          \
    "mov x16, xzr\n" SPR_COUNT                                                        \
    "add x7, x23, x8\n"                                                               \
    "add x23, x7, x8\n"                                                               \
    "subs x2, x2, #1\n"                                                               \
    "b.ne 12b\n"                                                                      \
    "b 19f\n"                                                                         \
    "22:\n" SPR_END##V(A, KEEP) SPR_END##V(B, KEEP)                                   \
    "add x7, x23, x8\n"                                                               \
    "add x23, x7, x8\n"                                                               \
    "subs x2, x2, #1\n"                                                               \
    "b.ne 10b\n"                                                                      \
    "b 19f\n"                                                                         \
    SPR_UPPER_BOUND(SPR_REP##V(SPR_UPPER_A) SPR_REP##V(SPR_UPPER_B), U, HARD_PAIR##V) \
    "19:\n"

#endif
