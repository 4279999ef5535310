/* Pieces from which the inner loops are put together. Loops are inline assembly, as compilers neither keep 13
 * sums, 13 inputs and a weight in registers nor order them as cores want. Vector j of a tile has its sum in
 * operand a<j> (2x1: a<j> and b<j> for the two rows) and its input in register SPR_T<j>. */
#ifndef SPR_KERNELS_POINTWISE_NEON_ASM_H
#define SPR_KERNELS_POINTWISE_NEON_ASM_H

/* F(0) F(1) ... F(n - 1) */
#define SPR_REP1(F) F(0)
#define SPR_REP2(F) SPR_REP1(F) F(1)
#define SPR_REP3(F) SPR_REP2(F) F(2)
#define SPR_REP4(F) SPR_REP3(F) F(3)
#define SPR_REP5(F) SPR_REP4(F) F(4)
#define SPR_REP6(F) SPR_REP5(F) F(5)
#define SPR_REP7(F) SPR_REP6(F) F(6)
#define SPR_REP8(F) SPR_REP7(F) F(7)
#define SPR_REP9(F) SPR_REP8(F) F(8)
#define SPR_REP10(F) SPR_REP9(F) F(9)
#define SPR_REP11(F) SPR_REP10(F) F(10)
#define SPR_REP12(F) SPR_REP11(F) F(11)
#define SPR_REP13(F) SPR_REP12(F) F(12)

#define SPR_T0 "16"
#define SPR_T1 "17"
#define SPR_T2 "18"
#define SPR_T3 "19"
#define SPR_T4 "20"
#define SPR_T5 "21"
#define SPR_T6 "22"
#define SPR_T7 "23"
#define SPR_T8 "24"
#define SPR_T9 "25"
#define SPR_T10 "26"
#define SPR_T11 "27"
#define SPR_T12 "28"
/* The weights are lanes of register 29. */
#define SPR_CLOBBERS                                                                                          \
    "memory", "cc", "x9", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", \
        "v28", "v29", "v31"

#define SPR_SUM_A(j) float32x4_t a##j;
#define SPR_SUM_B(j) float32x4_t b##j;
#define SPR_OUT_A(j) [a##j] "=&w"(a##j),
#define SPR_OUT_B(j) [b##j] "=&w"(b##j),

/* Sums begin with V vectors at `from`, or, where register `same` is not 0, with copies of one vector. Uses
   register 31. */
#define SPR_LDR(sum, j, from) "ldr %q[" #sum #j "], [" from ", #16*" #j "]\n"
#define SPR_LDP(sum, j, k, from) "ldp %q[" #sum #j "], %q[" #sum #k "], [" from ", #16*" #j "]\n"
#define SPR_LD1(sum, from) SPR_LDR(sum, 0, from)
#define SPR_LD2(sum, from) SPR_LDP(sum, 0, 1, from)
#define SPR_LD3(sum, from) SPR_LD2(sum, from) SPR_LDR(sum, 2, from)
#define SPR_LD4(sum, from) SPR_LD2(sum, from) SPR_LDP(sum, 2, 3, from)
#define SPR_LD5(sum, from) SPR_LD4(sum, from) SPR_LDR(sum, 4, from)
#define SPR_LD6(sum, from) SPR_LD4(sum, from) SPR_LDP(sum, 4, 5, from)
#define SPR_LD7(sum, from) SPR_LD6(sum, from) SPR_LDR(sum, 6, from)
#define SPR_LD8(sum, from) SPR_LD6(sum, from) SPR_LDP(sum, 6, 7, from)
#define SPR_LD9(sum, from) SPR_LD8(sum, from) SPR_LDR(sum, 8, from)
#define SPR_LD10(sum, from) SPR_LD8(sum, from) SPR_LDP(sum, 8, 9, from)
#define SPR_LD11(sum, from) SPR_LD10(sum, from) SPR_LDR(sum, 10, from)
#define SPR_LD12(sum, from) SPR_LD10(sum, from) SPR_LDP(sum, 10, 11, from)
#define SPR_LD13(sum, from) SPR_LD12(sum, from) SPR_LDR(sum, 12, from)

#define SPR_COPY_A(j) "mov %[a" #j "].16b, v31.16b\n"
#define SPR_COPY_B(j) "mov %[b" #j "].16b, v31.16b\n"
#define SPR_BEGIN_CSR(V, same, from)                   \
    "cbnz " same ", 13f\n" SPR_LD##V(a, from)          \
    "b 14f\n"                                          \
    "13: ldr q31, [" from "]\n" SPR_REP##V(SPR_COPY_A) \
    "14:\n"
#define SPR_BEGIN_PAIR(V, same, from, from_b)                      \
    "cbnz " same ", 13f\n" SPR_LD##V(a, from) SPR_LD##V(b, from_b) \
    "b 14f\n"                                                      \
    "13: ldr q31, [" from "]\n" SPR_REP##V(SPR_COPY_A)             \
    "ldr q31, [" from_b "]\n" SPR_REP##V(SPR_COPY_B)               \
    "14:\n"

#define SPR_FMA_A(j, lane) "fmla %[a" #j "].4s, v" SPR_T##j ".4s, v29.s[" #lane "]\n"
#define SPR_FMA_B(j, lane) "fmla %[b" #j "].4s, v" SPR_T##j ".4s, v29.s[" #lane "]\n"

#endif
