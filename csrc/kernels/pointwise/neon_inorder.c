/* Sparse pointwise kernels for NEON on cores that issue in order, two instructions a cycle (Cortex-A53, A55).
 *
 * Such a core takes two cycles for a 128-bit load and issues nothing else meanwhile. A vector loaded as two
 * halves, one into its register ("ldr d"), one through a general register ("ldr x", "ins"), leaves room for the
 * arithmetic beside it. The A53 cannot issue a vector load together with an FMA, nor four cycles after one, hence
 * the order of what follows: pairs of lines issue together.
 *
 * All inputs of a record are in registers when its multiplications begin; each is replaced by that of the next
 * record right after its last use, also from row to row. */
#include "base/compiler.h"

#if SPR_AARCH64

#include "kernels/pointwise/neon_asm.h"

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

/* Input j: its halves, the upper one through a general register, or all of it. */
#define LOWER(j) "ldr d" T##j ", [x4, #16*" #j "]\n"
#define UPPER(j, x) "ldr " x ", [x4, #16*" #j "+8]\n"
#define JOIN(j, x) "ins v" T##j ".d[1], " x "\n"
#define WHOLE(j) "ldr q" T##j ", [x4, #16*" #j "]\n"

/* What rounds do to sum j: nothing, or add the input times its weight. */
#define NOTHING(j)
#define MUL(j) "fmla v" #j ".4s, v" T##j ".4s, v29.s[1]\n"
#define MUL_A(j) "fmla v" #j ".4s, v" T##j ".4s, v29.s[0]\n"
#define MUL_B(j) "fmla v" SPR_B##j ".4s, v" T##j ".4s, v29.s[1]\n"

/* ---- CSR ---- */

/* The general register of input j: that of the last input must not be that of the first. */
#define X0 "x10"
#define X1 "x11"
#define X2 "x12"
#define X3 "x13"
#define X4 "x11"
#define X5 "x12"
#define X6 "x13"
#define X7 "x11"
#define X8 "x12"
#define X9 "x13"
#define X10 "x11"
#define X11 "x12"
#define X12 "x13"

/* Loads input j, joins input i whose halves came two steps before, does M to sum m. */
#define STEP(M, j, i, m) LOWER(j) JOIN(i, X##i) UPPER(j, X##j) M(m)

/* A round does M to all sums in turn and replaces every input thereafter. P and Q join the last two inputs of the
   round before; those of this one, V - 2 and V - 1, are left to the next. Up to three inputs are loaded whole. */
#define ROUND1(M, P, Q) M(0) WHOLE(0)
#define ROUND2(M, P, Q) M(0) M(1) WHOLE(0) WHOLE(1)
#define ROUND3(M, P, Q) M(0) M(1) M(2) WHOLE(0) WHOLE(1) WHOLE(2)
#define STEPS3(M, P, Q) M(0) LOWER(0) P UPPER(0, X0) M(1) LOWER(1) Q UPPER(1, X1) M(2) STEP(M, 2, 0, 3)
#define STEPS4(M, P, Q) STEPS3(M, P, Q) STEP(M, 3, 1, 4)
#define STEPS5(M, P, Q) STEPS4(M, P, Q) STEP(M, 4, 2, 5)
#define STEPS6(M, P, Q) STEPS5(M, P, Q) STEP(M, 5, 3, 6)
#define STEPS7(M, P, Q) STEPS6(M, P, Q) STEP(M, 6, 4, 7)
#define STEPS8(M, P, Q) STEPS7(M, P, Q) STEP(M, 7, 5, 8)
#define STEPS9(M, P, Q) STEPS8(M, P, Q) STEP(M, 8, 6, 9)
#define STEPS10(M, P, Q) STEPS9(M, P, Q) STEP(M, 9, 7, 10)
#define STEPS11(M, P, Q) STEPS10(M, P, Q) STEP(M, 10, 8, 11)
#define STEPS12(M, P, Q) STEPS11(M, P, Q) STEP(M, 11, 9, 12)
#define ROUND4(M, P, Q) STEPS3(M, P, Q) STEP(NOTHING, 3, 1, )
#define ROUND5(M, P, Q) STEPS4(M, P, Q) STEP(NOTHING, 4, 2, )
#define ROUND6(M, P, Q) STEPS5(M, P, Q) STEP(NOTHING, 5, 3, )
#define ROUND7(M, P, Q) STEPS6(M, P, Q) STEP(NOTHING, 6, 4, )
#define ROUND8(M, P, Q) STEPS7(M, P, Q) STEP(NOTHING, 7, 5, )
#define ROUND9(M, P, Q) STEPS8(M, P, Q) STEP(NOTHING, 8, 6, )
#define ROUND10(M, P, Q) STEPS9(M, P, Q) STEP(NOTHING, 9, 7, )
#define ROUND11(M, P, Q) STEPS10(M, P, Q) STEP(NOTHING, 10, 8, )
#define ROUND12(M, P, Q) STEPS11(M, P, Q) STEP(NOTHING, 11, 9, )
#define ROUND13(M, P, Q) STEPS12(M, P, Q) STEP(NOTHING, 12, 10, )

/* P and Q of V inputs. */
#define P1
#define Q1
#define P2
#define Q2
#define P3
#define Q3
#define P4 JOIN(2, X2)
#define Q4 JOIN(3, X3)
#define P5 JOIN(3, X3)
#define Q5 JOIN(4, X4)
#define P6 JOIN(4, X4)
#define Q6 JOIN(5, X5)
#define P7 JOIN(5, X5)
#define Q7 JOIN(6, X6)
#define P8 JOIN(6, X6)
#define Q8 JOIN(7, X7)
#define P9 JOIN(7, X7)
#define Q9 JOIN(8, X8)
#define P10 JOIN(8, X8)
#define Q10 JOIN(9, X9)
#define P11 JOIN(9, X9)
#define Q11 JOIN(10, X10)
#define P12 JOIN(10, X10)
#define Q12 JOIN(11, X11)
#define P13 JOIN(11, X11)
#define Q13 JOIN(12, X12)

#define CSR_NEXT "fmov d29, x9\n" "subs x22, x22, #1\n" "add x4, x3, w9, uxtw\n"
#define CSR_FIRST(V) "ldr x9, [x5], #8\n" ROUND##V(NOTHING, , ) CSR_NEXT
#define CSR_LOOP(V) "1: ldr x9, [x5], #8\n" ROUND##V(MUL, P##V, Q##V) CSR_NEXT "b.ne 1b\n"
#define CSR_ASM(V) __asm__ volatile(SPR_CSR_ROWS(V, CSR_FIRST(V), CSR_LOOP(V)) : : [rows] "r"(rows) : SPR_CLOBBERS)

/* ---- 2x1 ---- */

#define SPR_B0 "8"
#define SPR_B1 "9"
#define SPR_B2 "10"
#define SPR_B3 "11"
#define SPR_B4 "12"
#define SPR_B5 "13"
#define SPR_B6 "14"
#define SPR_B7 "15"

/* Four inputs i, j, k, l, the last by two general registers. Loads into general registers go with FMAs and the
   joins, which the A53 cannot issue with FMAs, share cycles: two FMAs for every input but in four cycles of
   twelve. A(m) and B(m) are done to the sums of both rows. Joining j, k and l is left to the next group, as its J,
   K, L1 and L2. */
#define GROUP(A, B, J, K, L1, L2, i, j, k, l, NEXT_A, NEXT_B, W1, W2) \
    LOWER(i) J                                                        \
    K L1                                                              \
    UPPER(i, "x10") A(j)                                              \
    B(j) W1                                                           \
    LOWER(j) L2                                                       \
    UPPER(j, "x11") A(k)                                              \
    B(k)                                                              \
    A(l) W2                                                           \
    LOWER(k) JOIN(i, "x10")                                           \
    UPPER(k, "x12") B(l)                                              \
    "ldr x13, [x4, #16*" #l "]\n" NEXT_A                              \
    UPPER(l, "x14") NEXT_B

#define JOINS(j, k, l) JOIN(j, "x11"), JOIN(k, "x12"), "fmov d" T##l ", x13\n", JOIN(l, "x14")
#define NO_JOINS , , ,

/* The weights of the record fetched, and whether there are more. */
#define WEIGHTS "fmov d29, x15\n"
#define COUNT "subs x22, x22, #1\n"

/* A round over both rows; W1 and W2 fetch the next record; J, K, L1 and L2 are what the round before left to join. */
#define PAIR_ROUND1(A, B, W1, W2, J, K, L1, L2) W1 W2 A(0) B(0) WEIGHTS WHOLE(0) COUNT
#define PAIR_ROUND2(A, B, W1, W2, J, K, L1, L2) A(0) W1 B(0) W2 A(1) B(1) WEIGHTS WHOLE(0) WHOLE(1) COUNT
#define PAIR_ROUND3(A, B, W1, W2, J, K, L1, L2) \
    A(0) W1 B(0) W2 A(1) B(1) A(2) B(2) WEIGHTS WHOLE(0) WHOLE(1) WHOLE(2) COUNT
#define PAIR_ROUND4(A, B, W1, W2, J, K, L1, L2) \
    A(0) B(0) GROUP(A, B, J, K, L1, L2, 0, 1, 2, 3, WEIGHTS, COUNT, W1, W2)
#define FIRST_FOUR(A, B, W1, W2, J, K, L1, L2) A(0) B(0) GROUP(A, B, J, K, L1, L2, 0, 1, 2, 3, A(4), B(4), W1, W2)
#define PAIR_ROUND5(A, B, ...) FIRST_FOUR(A, B, __VA_ARGS__) WEIGHTS WHOLE(4) COUNT
#define PAIR_ROUND6(A, B, ...) FIRST_FOUR(A, B, __VA_ARGS__) A(5) B(5) WEIGHTS WHOLE(4) WHOLE(5) COUNT
#define PAIR_ROUND7(A, B, ...) \
    FIRST_FOUR(A, B, __VA_ARGS__) A(5) B(5) A(6) B(6) WEIGHTS WHOLE(4) WHOLE(5) WHOLE(6) COUNT
#define PAIR_ROUND8(A, B, ...) FIRST_FOUR(A, B, __VA_ARGS__) SECOND_FOUR(A, B, JOINS(1, 2, 3))
#define SECOND_FOUR(A, B, ...) GROUP_AFTER(A, B, __VA_ARGS__, 4, 5, 6, 7, WEIGHTS, COUNT, , )
#define GROUP_AFTER(...) GROUP(__VA_ARGS__)
#define PAIR_ROUND(V, ...) PAIR_ROUND##V(__VA_ARGS__)

/* The joins that V inputs leave. */
#define LEFT1 NO_JOINS
#define LEFT2 NO_JOINS
#define LEFT3 NO_JOINS
#define LEFT4 JOINS(1, 2, 3)
#define LEFT5 JOINS(1, 2, 3)
#define LEFT6 JOINS(1, 2, 3)
#define LEFT7 JOINS(1, 2, 3)
#define LEFT8 JOINS(5, 6, 7)

#define RECORD "ldr w9, [x5], #4\n", "ldr x15, [x6], #8\n"
#define PAIR_NEXT "add x4, x3, x9\n"
#define PAIR_FIRST(V) PAIR_ROUND(V, NOTHING, NOTHING, RECORD, NO_JOINS) PAIR_NEXT
#define PAIR_LOOP(V) "1:\n" PAIR_ROUND(V, MUL_A, MUL_B, RECORD, LEFT##V) PAIR_NEXT "b.ne 1b\n"
#define PAIR_ASM(V) __asm__ volatile(SPR_2X1_ROWS(V, PAIR_FIRST(V), PAIR_LOOP(V)) : : [rows] "r"(rows) : SPR_CLOBBERS)

#define PAIR_MOST 8
#define VARIANT(x) x##_neon_inorder
#include "kernels/pointwise/neon_sparse.tmpl.h"

#endif
