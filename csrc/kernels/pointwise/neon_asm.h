/* Pieces from which the sparse kernels' inline assembly is put together. A compiler keeps neither 13 sums, 13
 * inputs and their weight nor 24 sums in registers, and does not order them as cores want; so the loop over the
 * rows is assembly too, and registers are fixed:
 *
 *   x1 next position, x2 rows to go, x3 xb, x4 xa, x5 p, x6 pw, x7 y, x8 y_stride, x16 bias, x20 bounds
 *   x17 position, x21 scratch, x22 records to go in the row, x23 second row of y, x24 where the bounds are; x9 ... x15
 *   are free for loops
 *   v<j> sum of vector j in the row (2x1: in the first row; the second's are v<SPR_B<j>>); v31 scratch
 *
 * (names as in spr_neon_rows). A loop processes x22 records, at least one, ends with numeric label 2 and may use
 * 1. */
#ifndef SPR_KERNELS_POINTWISE_NEON_ASM_H
#define SPR_KERNELS_POINTWISE_NEON_ASM_H

#define SPR_CLOBBERS                                                                                            \
    "memory", "cc", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",    \
        "x15", "x16", "x17", "x20", "x21", "x22", "x23", "x24", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", \
        "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",  \
        "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"

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

/* F1(j) for an odd one at the end, F2(j, j + 1) for every pair of vectors */
#define SPR_PAIRS1(F1, F2) F1(0)
#define SPR_PAIRS2(F1, F2) F2(0, 1)
#define SPR_PAIRS3(F1, F2) SPR_PAIRS2(F1, F2) F1(2)
#define SPR_PAIRS4(F1, F2) SPR_PAIRS2(F1, F2) F2(2, 3)
#define SPR_PAIRS5(F1, F2) SPR_PAIRS4(F1, F2) F1(4)
#define SPR_PAIRS6(F1, F2) SPR_PAIRS4(F1, F2) F2(4, 5)
#define SPR_PAIRS7(F1, F2) SPR_PAIRS6(F1, F2) F1(6)
#define SPR_PAIRS8(F1, F2) SPR_PAIRS6(F1, F2) F2(6, 7)
#define SPR_PAIRS9(F1, F2) SPR_PAIRS8(F1, F2) F1(8)
#define SPR_PAIRS10(F1, F2) SPR_PAIRS8(F1, F2) F2(8, 9)
#define SPR_PAIRS11(F1, F2) SPR_PAIRS10(F1, F2) F1(10)
#define SPR_PAIRS12(F1, F2) SPR_PAIRS10(F1, F2) F2(10, 11)
#define SPR_PAIRS13(F1, F2) SPR_PAIRS12(F1, F2) F1(12)

#define SPR_LDR_A(j) "ldr q" #j ", [x7, #16*" #j "]\n"
#define SPR_LDP_A(j, k) "ldp q" #j ", q" #k ", [x7, #16*" #j "]\n"
#define SPR_STR_A(j) "str q" #j ", [x7, #16*" #j "]\n"
#define SPR_STP_A(j, k) "stp q" #j ", q" #k ", [x7, #16*" #j "]\n"
#define SPR_COPY_A(j) "mov v" #j ".16b, v0.16b\n"
#define SPR_LOWER_A(j) "fmax v" #j ".4s, v" #j ".4s, v31.4s\n"
#define SPR_UPPER_A(j) "fmin v" #j ".4s, v" #j ".4s, v31.4s\n"
#define SPR_LDR_B(j) "ldr q" SPR_B##j ", [x23, #16*" #j "]\n"
#define SPR_LDP_B(j, k) "ldp q" SPR_B##j ", q" SPR_B##k ", [x23, #16*" #j "]\n"
#define SPR_STR_B(j) "str q" SPR_B##j ", [x23, #16*" #j "]\n"
#define SPR_STP_B(j, k) "stp q" SPR_B##j ", q" SPR_B##k ", [x23, #16*" #j "]\n"
#define SPR_COPY_B(j) "mov v" SPR_B##j ".16b, v" SPR_B0 ".16b\n"
#define SPR_LOWER_B(j) "fmax v" SPR_B##j ".4s, v" SPR_B##j ".4s, v31.4s\n"
#define SPR_UPPER_B(j) "fmin v" SPR_B##j ".4s, v" SPR_B##j ".4s, v31.4s\n"

/* The work's members into their registers. */
#define SPR_ENTER                    \
    "ldp x1, x2, [%[rows]]\n"        \
    "ldp x3, x4, [%[rows], #16]\n"   \
    "ldp x5, x6, [%[rows], #32]\n"   \
    "ldp x7, x8, [%[rows], #48]\n"   \
    "ldp x16, x20, [%[rows], #64]\n" \
    "add x24, %[rows], #80\n"        \
    "ldr w17, [x1], #4\n"

#define SPR_UPPER "ldr w21, [x24, #4]\n" "dup v31.4s, w21\n"

/* Number of records; straight to label 2 if there are none, with the sums begun. */
#define SPR_COUNT          \
    "ldr w21, [x1], #4\n"  \
    "subs w22, w21, w17\n" \
    "mov w17, w21\n"

/* A row, or two: sums begin with the bias or with what lies in y; LOOP; bounds; store. */
#define SPR_CSR_ROWS(V, PREPARE, LOOP)                                   \
    SPR_ENTER PREPARE                                                    \
    "10:\n" SPR_COUNT                                                    \
    "cbz x16, 11f\n"                                                     \
    "ldr q0, [x16], #16\n" SPR_REP##V(SPR_COPY_A)                        \
    "b 12f\n"                                                            \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A)                           \
    "12: b.eq 2f\n" LOOP                                                 \
    "2: cbz x20, 13f\n" "ld1r {v31.4s}, [x24]\n" SPR_REP##V(SPR_LOWER_A) \
    "tbz x20, #1, 13f\n" SPR_UPPER SPR_REP##V(SPR_UPPER_A)               \
    "13:\n" SPR_PAIRS##V(SPR_STR_A, SPR_STP_A)                           \
    "add x7, x7, x8\n"                                                   \
    "subs x2, x2, #1\n"                                                  \
    "b.ne 10b\n"
#define SPR_2X1_ROWS(V, PREPARE, LOOP)                                                           \
    SPR_ENTER PREPARE                                                                            \
    "10:\n" SPR_COUNT                                                                            \
    "add x23, x7, x8\n"                                                                          \
    "cbz x16, 11f\n"                                                                             \
    "ldr q0, [x16]\n"                                                                            \
    "ldr q" SPR_B0 ", [x16, #16]\n"                                                              \
    "add x16, x16, #32\n" SPR_REP##V(SPR_COPY_A) SPR_REP##V(SPR_COPY_B)                          \
    "b 12f\n"                                                                                    \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A) SPR_PAIRS##V(SPR_LDR_B, SPR_LDP_B)                \
    "12: b.eq 2f\n" LOOP                                                                         \
    "2: cbz x20, 13f\n" "ld1r {v31.4s}, [x24]\n" SPR_REP##V(SPR_LOWER_A) SPR_REP##V(SPR_LOWER_B) \
    "tbz x20, #1, 13f\n" SPR_UPPER SPR_REP##V(SPR_UPPER_A) SPR_REP##V(SPR_UPPER_B)               \
    "13:\n" SPR_PAIRS##V(SPR_STR_A, SPR_STP_A) SPR_PAIRS##V(SPR_STR_B, SPR_STP_B)                \
    "add x7, x23, x8\n"                                                                          \
    "subs x2, x2, #1\n"                                                                          \
    "b.ne 10b\n"

#endif
