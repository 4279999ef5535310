/* Loops of the sparse NEON kernels for cores that issue in order, two instructions a cycle: CSR, and 2x1 for tiles of
 * four and five vectors and what longer ones have in common.
 *
 * Such a core takes two cycles for a 128-bit load and issues nothing else meanwhile. A vector loaded as two
 * halves, one into its register ("ldr d"), one through a general register ("ldr x", "ins"), leaves room for the
 * arithmetic beside it. The A53 cannot issue a vector load together with an FMA, nor four cycles after one, hence
 * the order of what follows: pairs of lines issue together.
 *
 * All inputs of a record are in registers when its multiplications begin; each is replaced by that of the next
 * record right after its last use, also from row to row. */
#ifndef SPR_KERNELS_POINTWISE_NEON_INORDER_H
#define SPR_KERNELS_POINTWISE_NEON_INORDER_H

#include "kernels/pointwise/neon_inorder_rows.h"
#include "kernels/pointwise/neon_sparse.h"

/* Input j of kind R is in register R<j>; R_AT(j) is where its successor is. */
#define LOWER(R, j) "ldr d" R##j ", " R##_AT(j) "]\n"
#define UPPER(R, j, x) "ldr " x ", " R##_AT(j) "+8]\n"
#define JOIN(R, j, x) "ins v" R##j ".d[1], " x "\n"
#define WHOLE(R, j) "ldr q" R##j ", " R##_AT(j) "]\n"

/* What rounds do to sum j: nothing, or add the input times its weight. */
#define NOTHING(j)
#define MUL(j) "fmla v" #j ".4s, v" T##j ".4s, v30.s[1]\n"

/* ---- CSR ---- */

#define T0 "16"
#define T1 "17"
#define T2 "18"
#define T3 "19"
#define T4 "20"
#define T5 "21"
#define T6 "22"
#define T7 "23"
#define T8 "24"
#define T9 "25"
#define T10 "26"
#define T11 "27"
#define T12 "28"
#define T_AT(j) "[x4, #16*" #j

/* The general register of input j: not that of its neighbours. */
#define X0 "x10"
#define X1 "x11"
#define X2 "x12"
#define X3 "x13"
#define X4 "x11"
#define X5 "x12"
#define X6 "x13"
#define X7 "x11"
#define X8 "x14"
#define X9 "x15"
#define X10 "x14"
#define X11 "x15"
#define X12 "x13"

/* Loads input j, joins input i whose halves came two steps before, does M to sum m. */
#define STEP(M, j, i, m) LOWER(T, j) JOIN(T, i, X##i) UPPER(T, j, X##j) M(m)

/* A round does M to all sums in turn and replaces every input thereafter. P and Q join the last two inputs of the
   round before; those of this one, V - 2 and V - 1, are left to the next. Up to three inputs are loaded whole. */
#define STEPS3(M, P, Q) M(0) LOWER(T, 0) P UPPER(T, 0, X0) M(1) LOWER(T, 1) Q UPPER(T, 1, X1) M(2) STEP(M, 2, 0, 3)
#define STEPS4(M, P, Q, m) STEPS3(M, P, Q) STEP(M, 3, 1, m)
#define ROUND4(M, P, Q) STEPS3(M, P, Q) STEP(NOTHING, 3, 1, )
#define ROUND7(M, P, Q) STEPS4(M, P, Q, 4) \
    STEP(M, 4, 2, 5) STEP(M, 5, 3, 6) STEP(NOTHING, 6, 4, )
#define ROUND8(M, P, Q) STEPS4(M, P, Q, 4) \
    STEP(M, 4, 2, 5) STEP(M, 5, 3, 6) STEP(M, 6, 4, 7) STEP(NOTHING, 7, 5, )
#define STEPS11(M, P, Q)                                                    \
    STEPS4(M, P, Q, 8)                                                      \
    STEP(M, 8, 2, 9) STEP(M, 9, 3, 10) STEP(M, 10, 8, 11) STEP(M, 11, 9, 4) \
    STEP(M, 4, 10, 5) STEP(M, 5, 11, 6) STEP(M, 6, 4, 7)
#define ROUND12(M, P, Q) STEPS11(M, P, Q) STEP(NOTHING, 7, 5, )
#define ROUND13(M, P, Q) STEPS11(M, P, Q) STEP(M, 7, 5, 12) STEP(NOTHING, 12, 6, )

/* P and Q of V inputs. */
#define P4 JOIN(T, 2, X2)
#define Q4 JOIN(T, 3, X3)
#define P7 JOIN(T, 5, X5)
#define Q7 JOIN(T, 6, X6)
#define P8 JOIN(T, 6, X6)
#define Q8 JOIN(T, 7, X7)
#define P12 JOIN(T, 6, X6)
#define Q12 JOIN(T, 7, X7)
#define P13 JOIN(T, 7, X7)
#define Q13 JOIN(T, 12, X12)

#define CSR_NEXT "fmov d30, x9\n" "subs x22, x22, #1\n" "add x4, x3, w9, uxtw\n"
#define CSR_FIRST(V) "ldr x9, [x5], #8\n" ROUND##V(NOTHING, , ) CSR_NEXT
#define CSR_LOOP(V) "1: ldr x9, [x5], #8\n" ROUND##V(MUL, P##V, Q##V) CSR_NEXT "b.ne 1b\n"

/* ---- 2x1 ---- */

#define SPR_B0 "12"
#define SPR_B1 "13"
#define SPR_B2 "14"
#define SPR_B3 "15"
#define SPR_B4 "16"
#define SPR_B5 "17"
#define SPR_B6 "18"
#define SPR_B7 "19"
#define SPR_B8 "20"
#define SPR_B9 "21"
#define SPR_B10 "22"
#define SPR_B11 "23"

/* Up to eight inputs have a register each, N<j>, and are followed by those of the next record; twelve share six,
   U<j>, and input j is followed by input j + 6. Inputs 4 to 7 of twelve are the third line, 8 to 11 the second. */
#define N0 "20"
#define N1 "21"
#define N2 "22"
#define N3 "23"
#define N4 "24"
#define N5 "25"
#define N6 "26"
#define N7 "27"
#define N_AT(j) "[x4, #16*" #j
#define U0 "24"
#define U1 "25"
#define U2 "26"
#define U3 "27"
#define U4 "28"
#define U5 "29"
#define U6 "24"
#define U7 "25"
#define U8 "26"
#define U9 "27"
#define U10 "28"
#define U11 "29"
#define U_AT(j) U_AT##j
#define U_AT0 "[x4, #160"
#define U_AT1 "[x4, #176"
#define U_AT2 "[x4, #64"
#define U_AT3 "[x4, #80"
#define U_AT4 "[x4, #96"
#define U_AT5 "[x4, #112"
#define U_AT6 "[x4, #0"
#define U_AT7 "[x4, #16"
#define U_AT8 "[x4, #32"
#define U_AT9 "[x4, #48"
#define U_AT10 "[x4, #128"
#define U_AT11 "[x4, #144"

/* Sums of input j. */
#define N_A0 "0"
#define N_B0 "12"
#define N_A1 "1"
#define N_B1 "13"
#define N_A2 "2"
#define N_B2 "14"
#define N_A3 "3"
#define N_B3 "15"
#define N_A4 "4"
#define N_B4 "16"
#define N_A5 "5"
#define N_B5 "17"
#define N_A6 "6"
#define N_B6 "18"
#define N_A7 "7"
#define N_B7 "19"
#define U_A0 "0"
#define U_B0 "12"
#define U_A1 "1"
#define U_B1 "13"
#define U_A2 "2"
#define U_B2 "14"
#define U_A3 "3"
#define U_B3 "15"
#define U_A4 "8"
#define U_B4 "20"
#define U_A5 "9"
#define U_B5 "21"
#define U_A6 "10"
#define U_B6 "22"
#define U_A7 "11"
#define U_B7 "23"
#define U_A8 "4"
#define U_B8 "16"
#define U_A9 "5"
#define U_B9 "17"
#define U_A10 "6"
#define U_B10 "18"
#define U_A11 "7"
#define U_B11 "19"

#define MUL_A(R, j) "fmla v" R##_A##j ".4s, v" R##j ".4s, v30.s[0]\n"
#define MUL_B(R, j) "fmla v" R##_B##j ".4s, v" R##j ".4s, v30.s[1]\n"

/* Fetch the weights of inputs that have a register each, use the weights, count records. */
#define VALUES_N "ldr x15, [x5, #-8]\n"
#define WEIGHTS "fmov d30, x15\n"
#define COUNT "subs x22, x22, #1\n"

/* Four and five vectors, where the latencies of offset, plane and weights have little to hide behind: the plane is that
   of the offset (x12) which the round before fetched, and the last joins, one or two, are left to the next round. Lines are
   cycles; vector loads stay four cycles away from multiplications on the A53. */
#define SHORT_OFFSET "ldr w12, [x5], #12\n"
#define SHORT_PLANE "add x4, x3, x12\n"
#define SHORT_BEGIN(J, K)          \
    MUL_A(N, 0)                    \
    MUL_B(N, 0) SHORT_PLANE        \
    MUL_A(N, 1) SHORT_OFFSET       \
    LOWER(N, 0) J                  \
    MUL_B(N, 1) UPPER(N, 0, "x10") \
    MUL_A(N, 2) UPPER(N, 1, "x11") \
    MUL_B(N, 2) VALUES_N           \
    LOWER(N, 1) K                  \
    MUL_A(N, 3) UPPER(N, 2, "x9")  \
    MUL_B(N, 3) UPPER(N, 3, "x13") \
    JOIN(N, 0, "x10") COUNT        \
    LOWER(N, 2) JOIN(N, 1, "x11")
#define PAIR_LOOP4                                    \
    "1:\n" SHORT_BEGIN(JOIN(N, 3, "x13"), ) WEIGHTS   \
    LOWER(N, 3) JOIN(N, 2, "x9")                      \
    "b.ne 1b\n"
#define PAIR_LOOP5                                                          \
    "1:\n" SHORT_BEGIN(JOIN(N, 3, "x13"), JOIN(N, 4, "x14"))                \
    MUL_A(N, 4) UPPER(N, 4, "x14")                                          \
    MUL_B(N, 4)                                                             \
    LOWER(N, 3) WEIGHTS                                                     \
    LOWER(N, 4) JOIN(N, 2, "x9")                                            \
    "b.ne 1b\n"
#define SHORT_FIRST               \
    SHORT_OFFSET VALUES_N WEIGHTS \
    "ldp q20, q21, [x4]\n"        \
    "ldp q22, q23, [x4, #32]\n"   \
    "ldr x13, [x4, #56]\n"
#define PAIR_FIRST4 SHORT_FIRST
#define PAIR_FIRST5 SHORT_FIRST "ldr q24, [x4, #64]\n" "ldr x14, [x4, #72]\n"

#define CSR_ASM(V) \
    __asm__ volatile(SPR_INORDER_CSR_ROWS(V, CSR_FIRST(V), CSR_LOOP(V)) : : [rows] "r"(rows) : SPR_CLOBBERS, "x19")
#define PAIR_ASM(V) \
    __asm__ volatile(SPR_INORDER_2X1_ROWS(V, PAIR_FIRST##V, PAIR_LOOP##V) : : [rows] "r"(rows) : SPR_CLOBBERS, "x19")

/* What all such cores have in common, in neon_inorder.c. Seven vectors of pairs would take longer than eight. */
spr_neon_rows_fn spr_neon_inorder_csr4, spr_neon_inorder_csr7, spr_neon_inorder_csr8, spr_neon_inorder_csr12,
    spr_neon_inorder_csr13, spr_neon_inorder_pairs4, spr_neon_inorder_pairs5;
#define SPR_NEON_INORDER_CSR                                                        \
    {                                                                               \
        5, {4, 7, 8, 12, 13}, {                                                     \
            spr_neon_inorder_csr4, spr_neon_inorder_csr7, spr_neon_inorder_csr8,    \
                spr_neon_inorder_csr12, spr_neon_inorder_csr13                      \
        }                                                                           \
    }
#define SPR_NEON_INORDER_PAIRS(PAIRS8, PAIRS12)                                     \
    {                                                                               \
        4, {4, 5, 8, 12}, {                                                         \
            spr_neon_inorder_pairs4, spr_neon_inorder_pairs5, PAIRS8, PAIRS12       \
        }                                                                           \
    }

#endif
