/* The loop over the rows of a tile for cores that issue in order, which take 128 bits of stores in two cycles or one:
 * beside them the next sums are bounded and those of the next row begun, and between these it is seen to what else a
 * row needs. Registers as in neon_asm.h, but for x26 and x28; in addition v31 holds the lower bound (minus infinity:
 * none), x28 the position after the next row's records, x19 where a row ends, w9 and w10 the bias then; x9, x10, x15,
 * x21 and x26 are free then. */
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

/* Stores and begins the next row. */
#define KEEP1(X, j) "str q" X##_SUM(j) ", [" X##_ROW ", #16*" #j "]\n"
#define KEEP2(X, j, k) "stp q" X##_SUM(j) ", q" X##_SUM(k) ", [" X##_ROW ", #16*" #j "]\n"
#define RENEW1(X, j) KEEP1(X, j) BEGIN(X, j)
#define RENEW2(X, j, k) KEEP2(X, j, k) BEGIN(X, j) BEGIN(X, k)

/* The end of row X of V vectors: sums are bounded, six before the first store, and replaced. H<i> and T are what is
   done beside it, one instruction or two each, loads before the stores, which A53 would let wait. */
#define BOUND4(X, H, T) BOUND1(X, 0) H##0 BOUND1(X, 1) T BOUND1(X, 2) H##1 BOUND1(X, 3) H##2
#define SPR_RENEW4(X, H, T) BOUND4(X, H, T) H##3 H##4 RENEW2(X, 0, 1) H##5 RENEW2(X, 2, 3) H##6
#define SPR_RENEW5(X, H, T) \
    BOUND4(X, H, T) H##3 BOUND1(X, 4) H##4 RENEW2(X, 0, 1) H##5 RENEW2(X, 2, 3) H##6 RENEW1(X, 4)
#define SPR_RENEW7(X, H, T)                                                                                    \
    BOUND4(X, H, T) BOUND1(X, 4) H##3 BOUND1(X, 5) H##4 RENEW2(X, 0, 1) H##5 BOUND1(X, 6) H##6 RENEW2(X, 2, 3) \
    RENEW2(X, 4, 5) RENEW1(X, 6)
#define SPR_RENEW8(X, H, T)                                                                                      \
    BOUND4(X, H, T) BOUND1(X, 4) H##3 BOUND1(X, 5) H##4 RENEW2(X, 0, 1) BOUND1(X, 6) H##5 BOUND1(X, 7) H##6      \
    RENEW2(X, 2, 3) RENEW2(X, 4, 5) RENEW2(X, 6, 7)
#define BOUND12(X, H, T)                                                                                         \
    BOUND4(X, H, T) BOUND1(X, 8) H##3 BOUND1(X, 9) H##4 RENEW2(X, 0, 1) BOUND1(X, 10) H##5 BOUND1(X, 11) H##6    \
    RENEW2(X, 2, 3) BOUND2(X, 4, 5) RENEW2(X, 8, 9) BOUND2(X, 6, 7)
#define SPR_RENEW12(X, H, T) BOUND12(X, H, T) RENEW2(X, 10, 11) RENEW2(X, 4, 5) RENEW2(X, 6, 7)
#define SPR_RENEW13(X, H, T) \
    BOUND12(X, H, T) RENEW2(X, 10, 11) BOUND1(X, 12) RENEW2(X, 4, 5) RENEW2(X, 6, 7) RENEW1(X, 12)

/* Stores vectors of row X and loads those of the row at its _NEXT, by halves, as loads of one pair and joins of another
   go together: J joins those before, N bounds those of the next but one. The first four are bounded before. */
#define A_NEXT "x21"
#define B_NEXT "x16"
#define JOINED1(X, j, r) "ins v" X##_SUM(j) ".d[1], " r "\n"
#define JOINED2(X, j, k, r, s) JOINED1(X, j, r) JOINED1(X, k, s)
#define FETCH(X, j, r)                                  \
    "ldr d" X##_SUM(j) ", [" X##_NEXT ", #16*" #j "]\n" \
    "ldr " r ", [" X##_NEXT ", #16*" #j "+8]\n"
#define SWAP1(X, j, r, J, N) KEEP1(X, j) N FETCH(X, j, r) J
#define SWAP2(X, j, k, r, s, J, N) KEEP2(X, j, k) N FETCH(X, j, r) J FETCH(X, k, s)
#define SPR_SWAP4(X)                                                                              \
    SWAP2(X, 0, 1, "x9", "x10", , ) SWAP2(X, 2, 3, "x15", "x26", JOINED2(X, 0, 1, "x9", "x10"), ) \
    JOINED2(X, 2, 3, "x15", "x26")
#define SPR_SWAP5(X)                                                                                          \
    SWAP2(X, 0, 1, "x9", "x10", , BOUND1(X, 4)) SWAP2(X, 2, 3, "x15", "x26", JOINED2(X, 0, 1, "x9", "x10"), ) \
    SWAP1(X, 4, "x9", JOINED2(X, 2, 3, "x15", "x26"), ) JOINED1(X, 4, "x9")
#define SPR_SWAP7(X)                                                          \
    SWAP2(X, 0, 1, "x9", "x10", , BOUND2(X, 4, 5))                            \
    SWAP2(X, 2, 3, "x15", "x26", JOINED2(X, 0, 1, "x9", "x10"), BOUND1(X, 6)) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x26"), )             \
    SWAP1(X, 6, "x15", JOINED2(X, 4, 5, "x9", "x10"), ) JOINED1(X, 6, "x15")
#define SPR_SWAP8(X)                                                             \
    SWAP2(X, 0, 1, "x9", "x10", , BOUND2(X, 4, 5))                               \
    SWAP2(X, 2, 3, "x15", "x26", JOINED2(X, 0, 1, "x9", "x10"), BOUND2(X, 6, 7)) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 2, 3, "x15", "x26"), )                \
    SWAP2(X, 6, 7, "x15", "x26", JOINED2(X, 4, 5, "x9", "x10"), ) JOINED2(X, 6, 7, "x15", "x26")
#define SPR_SWAP12(X)                                                              \
    SWAP2(X, 0, 1, "x9", "x10", , BOUND2(X, 8, 9))                                 \
    SWAP2(X, 2, 3, "x15", "x26", JOINED2(X, 0, 1, "x9", "x10"), BOUND2(X, 10, 11)) \
    SWAP2(X, 8, 9, "x9", "x10", JOINED2(X, 2, 3, "x15", "x26"), BOUND2(X, 4, 5))   \
    SWAP2(X, 10, 11, "x15", "x26", JOINED2(X, 8, 9, "x9", "x10"), BOUND2(X, 6, 7)) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 10, 11, "x15", "x26"), )                \
    SWAP2(X, 6, 7, "x15", "x26", JOINED2(X, 4, 5, "x9", "x10"), ) JOINED2(X, 6, 7, "x15", "x26")
#define SPR_SWAP13(X)                                                              \
    SWAP2(X, 0, 1, "x9", "x10", , BOUND2(X, 8, 9))                                 \
    SWAP2(X, 2, 3, "x15", "x26", JOINED2(X, 0, 1, "x9", "x10"), BOUND2(X, 10, 11)) \
    SWAP2(X, 8, 9, "x9", "x10", JOINED2(X, 2, 3, "x15", "x26"), BOUND2(X, 4, 5))   \
    SWAP2(X, 10, 11, "x15", "x26", JOINED2(X, 8, 9, "x9", "x10"), BOUND2(X, 6, 7)) \
    SWAP2(X, 4, 5, "x9", "x10", JOINED2(X, 10, 11, "x15", "x26"), BOUND1(X, 12))   \
    SWAP2(X, 6, 7, "x15", "x26", JOINED2(X, 4, 5, "x9", "x10"), )                  \
    SWAP1(X, 12, "x9", JOINED2(X, 6, 7, "x15", "x26"), ) JOINED1(X, 12, "x9")

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
    "cbnz x16, 17b\n"                    \
    "b 18b\n"

/* Records that come next are fetched several lines at once, as streams of single lines between those of planes would go
   unnoticed by prefetchers. SPR_NEON_AHEAD bytes after the last one may be read. */
#define AHEAD               \
    "ldr wzr, [x6]\n"       \
    "ldr wzr, [x6, #64]\n"  \
    "ldr wzr, [x6, #128]\n" \
    "ldr wzr, [x6, #192]\n" \
    "ldr wzr, [x6, #256]\n" \
    "ldr wzr, [x6, #320]\n" \
    "ldr wzr, [x6, #384]\n" \
    "ldr wzr, [x6, #448]\n" \
    "add x6, x6, #512\n"
#define AHEAD_LEFT "sub x21, x6, x5\n"
#define AHEAD_CHECK "cmp x21, #512\n"

/* Where rows end: 17: the next one begins with its bias, 18: with what is in y; 16: before either comes the upper bound
   or hard_swish. */
#define ROWS_ENTER                                            \
    SPR_ENTER                                                 \
    "ld1r {v31.4s}, [x24]\n"                                  \
    "adr x19, 17f\n"                                          \
    "cbnz x16, 29f\n"                                         \
    "adr x19, 18f\n"                                          \
    "29: tbz x20, #1, 30f\n"                                  \
    "adr x19, 16f\n"                                          \
    "30:\n" AHEAD
#define ROWS_FIRST "ldr w28, [x1], #4\n" ROWS_COUNT "ldr w28, [x1], #4\n"
#define ROWS_COUNT "sub w22, w28, w17\n" "mov w17, w28\n"

/* Beside the end of a row. */
#define SWAP_HEAD(T) \
    BOUND1(A, 0) T BOUND1(A, 1) AHEAD_LEFT BOUND1(A, 2) AHEAD_CHECK BOUND1(A, 3) "b.le 32f\n"
#define CSR_H0 "ldr w28, [x1], #4\n"
#define CSR_H1 "ldr w9, [x16], #16\n"
#define CSR_H2 AHEAD_LEFT
#define CSR_H3 AHEAD_CHECK
#define CSR_H4 "b.le 31f\n" "21:\n"
#define CSR_H5 "subs x2, x2, #1\n"
#define CSR_H6
#define PAIR_H0 "ldr w28, [x1], #4\n"
#define PAIR_H1 "ldr w9, [x16]\n"
#define PAIR_H2 "ldr w10, [x16, #16]\n"
#define PAIR_H3 AHEAD_LEFT
#define PAIR_H4 AHEAD_CHECK
#define PAIR_H5 "b.le 31f\n" "21:\n"
#define PAIR_H6 "add x16, x16, #32\n"
#define B_H0 "subs x2, x2, #1\n"
#define B_H1
#define B_H2
#define B_H3
#define B_H4
#define B_H5
#define B_H6

/* Planes that are to come next, as SPR_TOUCH, where tiles are wide; 24 and 25: after it. */
#define ROWS_TOUCH4(to, after)
#define ROWS_TOUCH5(to, after)
#define ROWS_TOUCH7(to, after)
#define ROWS_TOUCH8(to, after)
#define ROWS_TOUCH12(to, after) "cbnz x27, " to "f\n" after ":\n"
#define ROWS_TOUCH13 ROWS_TOUCH12
#define TOUCH_PLANES4
#define TOUCH_PLANES5
#define TOUCH_PLANES7
#define TOUCH_PLANES8
#define TOUCH_PLANES12           \
    "34: adr x15, 24b\n"         \
    "b 36f\n"                    \
    "35: adr x15, 25b\n"         \
    "36: ldr x26, [x24, #-24]\n" \
    "ldr x21, [x24, #-8]\n"      \
    "37: ldr w10, [x24, #8]\n"   \
    "mov x9, x25\n"              \
    "38: ldr wzr, [x9]\n"        \
    "ldr wzr, [x9, #64]\n"       \
    "ldr wzr, [x9, #128]\n"      \
    "add x9, x9, #192\n"         \
    "subs w10, w10, #1\n"        \
    "b.ne 38b\n"                 \
    "add x25, x25, x26\n"        \
    "subs x27, x27, #1\n"        \
    "b.eq 39f\n"                 \
    "subs x21, x21, #1\n"        \
    "b.ne 37b\n"                 \
    "39: br x15\n"
#define TOUCH_PLANES13 TOUCH_PLANES12

/* What is done beside rows, but not in all. */
#define ROWS_ASIDE(V)                                 \
    "31: adr x15, 21b\n"                              \
    "b 20f\n"                                         \
    "32: adr x15, 23b\n"                              \
    "20:\n" AHEAD AHEAD_LEFT AHEAD_CHECK "b.le 20b\n" \
    "br x15\n" TOUCH_PLANES##V

/* A row, or two: sums begin with the bias or with what lies in y; LOOP; bounds; store. */
#define SPR_INORDER_CSR_ROWS(V, PREPARE, LOOP)                                                         \
    ROWS_ENTER PREPARE ROWS_FIRST                                                                                 \
    "cbz x16, 11f\n"                                                                                   \
    "ldr w9, [x16], #16\n" SPR_REP##V(BEGIN_A)                                                         \
    "b 12f\n"                                                                                          \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A)                                                         \
    "12: cbz x22, 2f\n" LOOP                                                                           \
    "2:\n" ROWS_COUNT                                                                                  \
    "br x19\n"                                                                                         \
    "17:\n" SPR_RENEW##V(A, CSR_H, ROWS_TOUCH##V("34", "24"))                                          \
    "add x7, x7, x8\n"                                                                                 \
    "b.ne 12b\n"                                                                                       \
    "b 19f\n"                                                                                          \
    "18: ldr w28, [x1], #4\n" SWAP_HEAD(ROWS_TOUCH##V("35", "25"))                                     \
    "23: subs x2, x2, #1\n"                                                                            \
    "add x21, x7, x8\n"                                                                                \
    "csel x21, x7, x21, eq\n" SPR_SWAP##V(A)                                                           \
    "add x7, x7, x8\n"                                                                                 \
    "b.ne 12b\n"                                                                                       \
    "b 19f\n" SPR_UPPER_BOUND(SPR_REP##V(SPR_UPPER_A), C, HARD##V(C, A) REFETCH_OF##V) ROWS_ASIDE(V)   \
    "19:\n"
#define SPR_INORDER_2X1_ROWS(V, PREPARE, LOOP)                                                         \
    ROWS_ENTER PREPARE ROWS_FIRST                                                                                 \
    "add x23, x7, x8\n"                                                                                \
    "cbz x16, 11f\n"                                                                                   \
    "ldr w9, [x16]\n"                                                                                  \
    "ldr w10, [x16, #16]\n"                                                                            \
    "add x16, x16, #32\n" SPR_REP##V(BEGIN_A) SPR_REP##V(BEGIN_B)                                      \
    "b 12f\n"                                                                                          \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A) SPR_PAIRS##V(SPR_LDR_B, SPR_LDP_B)                      \
    "12: cbz x22, 2f\n" LOOP                                                                           \
    "2:\n" ROWS_COUNT                                                                                  \
    "br x19\n"                                                                                         \
    "17:\n" SPR_RENEW##V(A, PAIR_H, ROWS_TOUCH##V("34", "24"))                                         \
    "add x7, x23, x8\n" SPR_RENEW##V(B, B_H, )                                                         \
    "add x23, x7, x8\n"                                                                                \
    "b.ne 12b\n"                                                                                       \
    "b 19f\n"                                                                                          \
    "18: ldr w28, [x1], #4\n" SWAP_HEAD(ROWS_TOUCH##V("35", "25"))                                     \
    "23: subs x2, x2, #1\n"                                                                            \
    "add x21, x23, x8\n"                                                                               \
    "add x16, x21, x8\n"                                                                               \
    "csel x21, x7, x21, eq\n"                                                                          \
    "csel x16, x23, x16, eq\n" SPR_SWAP##V(A) BOUND2(B, 0, 1) BOUND2(B, 2, 3) SPR_SWAP##V(B)                                           \
    "mov x16, xzr\n"                                                                                   \
    "add x7, x23, x8\n"                                                                                \
    "add x23, x7, x8\n"                                                                                \
    "b.ne 12b\n"                                                                                       \
    "b 19f\n"                                                                                          \
    SPR_UPPER_BOUND(SPR_REP##V(SPR_UPPER_A) SPR_REP##V(SPR_UPPER_B), U, HARD_PAIR##V) ROWS_ASIDE(V)     \
    "19:\n"

#endif
