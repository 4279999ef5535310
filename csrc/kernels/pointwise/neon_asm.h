/* Pieces from which the sparse kernels' inline assembly is put together. A compiler keeps neither 13 sums, 13
 * inputs and their weight nor 24 sums in registers, and does not order them as cores want; so the loop over the
 * rows is assembly too, and registers are fixed:
 *
 *   x1 next position, x2 rows to go, x3 xb, x4 xa, x5 p, x6 ahead, x7 y, x8 y_stride, x16 bias, x20 bounds
 *   x17 position, x21 scratch, x22 records to go in the row, x23 second row of y, x24 where the bounds are
 *   x25 touch, x26 touch_stride, x27 touch_planes, x28 touch_step
 *   x9 ... x15 are free for loops, but x9 and x10 do not live from row to row; out of order x13 order, x14 y0
 *   v<j> sum of vector j in the row (2x1: in the first row; the second's are v<SPR_B<j>>); v31 scratch
 *   v24 ... v31 are scratch when a row ends, in SPR_CSR_ROWS
 *
 * (names as in spr_neon_rows). A loop processes x22 records, at least one, ends with numeric label 2 and may use
 * 1. */
#ifndef SPR_KERNELS_POINTWISE_NEON_ASM_H
#define SPR_KERNELS_POINTWISE_NEON_ASM_H

#define SPR_CLOBBERS                                                                                                \
    "memory", "cc", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", \
        "x16", "x17", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "v0", "v1", "v2", "v3", "v4",  \
        "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",  \
        "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"

/* F(j) for every vector of a tile. Lines of three or more come in the order 0, 2, 1, 3: three in a row would start
   prefetchers on a stream, whose next lines belong to another tile and push this one's out of L1. */
#define SPR_REP4(F) F(0) F(1) F(2) F(3)
#define SPR_REP5(F) SPR_REP4(F) F(4)
#define SPR_REP7(F) SPR_REP5(F) F(5) F(6)
#define SPR_SECOND_LINE(F) F(4) F(5) F(6) F(7)
#define SPR_REP8(F) SPR_REP4(F) SPR_SECOND_LINE(F)
#define SPR_REP12(F) SPR_REP4(F) F(8) F(9) F(10) F(11) SPR_SECOND_LINE(F)
#define SPR_REP13(F) SPR_REP12(F) F(12)

/* The same by pairs: F2(j, j + 1), and F1(j) for the odd one at the end. */
#define SPR_PAIRS4(F1, F2) F2(0, 1) F2(2, 3)
#define SPR_PAIRS5(F1, F2) SPR_PAIRS4(F1, F2) F1(4)
#define SPR_PAIRS7(F1, F2) SPR_PAIRS4(F1, F2) F2(4, 5) F1(6)
#define SPR_SECOND_LINE_PAIRS(F2) F2(4, 5) F2(6, 7)
#define SPR_PAIRS8(F1, F2) SPR_PAIRS4(F1, F2) SPR_SECOND_LINE_PAIRS(F2)
#define SPR_PAIRS12(F1, F2) SPR_PAIRS4(F1, F2) F2(8, 9) F2(10, 11) SPR_SECOND_LINE_PAIRS(F2)
#define SPR_PAIRS13(F1, F2) SPR_PAIRS12(F1, F2) F1(12)

#define SPR_LDR_A(j) "ldr q" #j ", [x7, #16*" #j "]\n"
#define SPR_LDP_A(j, k) "ldp q" #j ", q" #k ", [x7, #16*" #j "]\n"
#define SPR_STR_A(j) "str q" #j ", [x7, #16*" #j "]\n"
#define SPR_STP_A(j, k) "stp q" #j ", q" #k ", [x7, #16*" #j "]\n"
#define SPR_COPY_A(j) "mov v" #j ".16b, v0.16b\n"
#define SPR_BEGIN_A(j) "dup v" #j ".4s, w9\n"
#define SPR_LOWER_A(j) "fmax v" #j ".4s, v" #j ".4s, v31.4s\n"
#define SPR_UPPER_A(j) "fmin v" #j ".4s, v" #j ".4s, v31.4s\n"
#define SPR_LDR_B(j) "ldr q" SPR_B##j ", [x23, #16*" #j "]\n"
#define SPR_LDP_B(j, k) "ldp q" SPR_B##j ", q" SPR_B##k ", [x23, #16*" #j "]\n"
#define SPR_STR_B(j) "str q" SPR_B##j ", [x23, #16*" #j "]\n"
#define SPR_STP_B(j, k) "stp q" SPR_B##j ", q" SPR_B##k ", [x23, #16*" #j "]\n"
#define SPR_BEGIN_B(j) "dup v" SPR_B##j ".4s, w10\n"
#define SPR_LOWER_B(j) "fmax v" SPR_B##j ".4s, v" SPR_B##j ".4s, v31.4s\n"
#define SPR_UPPER_B(j) "fmin v" SPR_B##j ".4s, v" SPR_B##j ".4s, v31.4s\n"

/* The work's members into their registers. */
#define SPR_ENTER_ORDER "ldp x13, x14, [%[rows], #144]\n"
#define SPR_ENTER                    \
    "ldp x1, x2, [%[rows]]\n"        \
    "ldp x3, x4, [%[rows], #16]\n"   \
    "ldp x5, x6, [%[rows], #32]\n"   \
    "ldp x7, x8, [%[rows], #48]\n"   \
    "ldp x16, x20, [%[rows], #64]\n" \
    "ldp x25, x26, [%[rows], #80]\n" \
    "ldp x27, x28, [%[rows], #96]\n" \
    "add x24, %[rows], #112\n"       \
    "ldr w17, [x1], #4\n"

#define SPR_UPPER "ldr w21, [x24, #4]\n" "dup v31.4s, w21\n"

/* Number of records. */
#define SPR_COUNT         \
    "ldr w21, [x1], #4\n" \
    "sub w22, w21, w17\n" \
    "mov w17, w21\n"

/* Loads from planes that are to come next, line after line so that prefetchers see a stream. */
#define SPR_TOUCH           \
    "mov x21, x28\n"        \
    "14: cbz x27, 15f\n"    \
    "ldr w10, [x24, #8]\n"  \
    "mov x9, x25\n"         \
    "25: ldr wzr, [x9]\n"   \
    "ldr wzr, [x9, #64]\n"  \
    "ldr wzr, [x9, #128]\n" \
    "add x9, x9, #192\n"    \
    "subs w10, w10, #1\n"   \
    "b.ne 25b\n"            \
    "add x25, x25, x26\n"   \
    "sub x27, x27, #1\n"    \
    "subs x21, x21, #1\n"   \
    "b.ne 14b\n"            \
    "15:\n"
#define SPR_TOUCH4
#define SPR_TOUCH5
#define SPR_TOUCH7
#define SPR_TOUCH8
#define SPR_TOUCH12 SPR_TOUCH
#define SPR_TOUCH13 SPR_TOUCH

/* x * min(max(x * scale + shift, 0), 1), as spr_act_vec_neon has it; shift comes from a general register, by another
   port than the arithmetic. */
#define SPR_HARD_CONSTANTS       \
    "add x21, x24, #16\n"        \
    "ld1r {v28.4s}, [x21], #4\n" \
    "ldr w9, [x21]\n"            \
    "fmov v30.4s, #1.0\n"        \
    "movi v31.4s, #0\n"
#define SPR_HARD(sum, t)                         \
    "dup v" t ".4s, w9\n"                        \
    "fmla v" t ".4s, v" sum ".4s, v28.4s\n"      \
    "fmax v" t ".4s, v" t ".4s, v31.4s\n"        \
    "fmin v" t ".4s, v" t ".4s, v30.4s\n"        \
    "fmul v" sum ".4s, v" sum ".4s, v" t ".4s\n"
#define SPR_HARD_T0 "24"
#define SPR_HARD_T1 "25"
#define SPR_HARD_T2 "26"
#define SPR_HARD_T3 "27"
#define SPR_HARD_T4 "24"
#define SPR_HARD_T5 "25"
#define SPR_HARD_T6 "26"
#define SPR_HARD_T7 "27"
#define SPR_HARD_T8 "24"
#define SPR_HARD_T9 "25"
#define SPR_HARD_T10 "26"
#define SPR_HARD_T11 "27"
#define SPR_HARD_T12 "24"
#define SPR_HARD_A(j) SPR_HARD(#j, SPR_HARD_T##j)
#define SPR_HARD_B(j) SPR_HARD(SPR_B##j, SPR_HARD_T##j)

/* A row: sums begin with the bias, not from a general register, whose port the loop uses, or with what lies in y; LOOP;
   bounds; store. */
#define SPR_CSR_ROWS(V, PREPARE, LOOP)                                   \
    SPR_ENTER_ORDER SPR_ENTER PREPARE                                    \
    "b 10f\n"                                                            \
    "9: ldr w12, [x13], #4\n"                                            \
    "madd x7, x12, x8, x14\n"                                            \
    "10:\n" SPR_COUNT                                                    \
    "cbz x16, 11f\n"                                                     \
    "ldr q0, [x16], #16\n" SPR_REP##V(SPR_COPY_A)                        \
    "b 12f\n"                                                            \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A)                           \
    "12:\n" SPR_TOUCH##V "cbz x22, 2f\n" LOOP                            \
    "2: cbz x20, 13f\n"                                                  \
    "tbnz x20, #2, 16f\n"                                                \
    "ld1r {v31.4s}, [x24]\n" SPR_REP##V(SPR_LOWER_A)                     \
    "tbz x20, #1, 13f\n" SPR_UPPER SPR_REP##V(SPR_UPPER_A)               \
    "13:\n" SPR_PAIRS##V(SPR_STR_A, SPR_STP_A)                           \
    "subs x2, x2, #1\n"                                                  \
    "b.ne 9b\n"                                                          \
    "b 19f\n"                                                            \
    "16:\n" SPR_HARD_CONSTANTS SPR_REP##V(SPR_HARD_A)                    \
    "b 13b\n"                                                            \
    "19:\n"

#endif
