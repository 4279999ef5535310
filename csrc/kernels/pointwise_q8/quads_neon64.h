/* Sums of a row of quads, or of two, with NEON of 64 bits but no dot products: loops as inline assembly, as compilers
 * spill when loads are in the order that cores want which issue in order.
 *
 * Such a core takes two cycles for a 128-bit load and issues nothing else meanwhile. A vector loaded as two halves, one
 * through a general register ("ldr x", "ins"), leaves room for arithmetic beside it. All inputs of a part (sixteen
 * pixels of two rows, or 32 of one) are in registers when its products begin; each is replaced by that of the next part
 * after its last use, and its halves are joined a step later. So a quad beyond the row is read.
 *
 *   v16 ... v19  weights of the first row          v24 ... v27  products, 16 bits
 *   v20 ... v23  those of the second, or the second sixteen pixels of each line; v28 ... v31  the first
 *   x9 ... x12   the lines of the inputs to come   x13 ... x16  their upper halves      x17  weights to come */
#ifndef SPR_KERNELS_POINTWISE_Q8_QUADS_NEON64_H
#define SPR_KERNELS_POINTWISE_Q8_QUADS_NEON64_H

#include "base/neon.h"
#include "kernels/pointwise_q8/planar.h"

#if SPR_AARCH64

/* ---- a step: the products of line t, whose inputs are replaced by those at `off` of the line to come ---- */

#define PRODUCT(m, p, x, w) m " v" #p ".8h, v" #x ".8b, v" #w ".8b\n"
#define PRODUCT2(m, p, x, w) m "2 v" #p ".8h, v" #x ".16b, v" #w ".16b\n"
#define LOWER(x, line, off) "ldr d" #x ", [x" #line ", #" #off "]\n"
#define UPPER(r, line, off) "ldr x" #r ", [x" #line ", #" #off "+8]\n"
#define JOIN(x, r) "ins v" #x ".d[1], x" #r "\n"

/* Inputs x, weights v, w of both rows; the upper half goes to r, that of the step before (s) is joined to its x. */
#define PAIR_STEP(m, x, v, w, line, off, r, before, s) \
    PRODUCT(m, 24, x, v) UPPER(r, line, off)           \
    PRODUCT2(m, 25, x, v)                              \
    PRODUCT(m, 26, x, w)                               \
    PRODUCT2(m, 27, x, w)                              \
    LOWER(x, line, off) JOIN(before, s)
#define PAIR_0(m, off) PAIR_STEP(m, 28, 16, 20, 9, off, 13, 31, 14)
#define PAIR_1(m, off) PAIR_STEP(m, 29, 17, 21, 10, off, 14, 28, 13)
#define PAIR_2(m, off) PAIR_STEP(m, 30, 18, 22, 11, off, 13, 29, 14)
#define PAIR_3(m, off) PAIR_STEP(m, 31, 19, 23, 12, off, 14, 30, 13)

/* The same of inputs x and y, weight w. */
#define ROW_STEP(m, x, y, w, line, off, r, q, x_before, y_before, s, t) \
    PRODUCT(m, 24, x, w) UPPER(r, line, off)                            \
    PRODUCT2(m, 25, x, w) UPPER(q, line, off + 16)                      \
    PRODUCT(m, 26, y, w)                                                \
    PRODUCT2(m, 27, y, w)                                               \
    LOWER(x, line, off) JOIN(x_before, s)                               \
    LOWER(y, line, off + 16) JOIN(y_before, t)
#define ROW_0(m, off) ROW_STEP(m, 28, 20, 16, 9, off, 13, 14, 31, 23, 15, 16)
#define ROW_1(m, off) ROW_STEP(m, 29, 21, 17, 10, off, 15, 16, 28, 20, 13, 14)
#define ROW_2(m, off) ROW_STEP(m, 30, 22, 18, 11, off, 13, 14, 29, 21, 15, 16)
#define ROW_3(m, off) ROW_STEP(m, 31, 23, 19, 12, off, 15, 16, 30, 22, 13, 14)

/* ---- a part: steps, and what they add to sums a ... h ---- */

#define TO_SUMS(a, b, p) "saddw %" #a ".4s, %" #a ".4s, v" #p ".4h\n" "saddw2 %" #b ".4s, %" #b ".4s, v" #p ".8h\n"
#define ADD_PRODUCTS(BESIDE, a, b, c, d, e, f, g, h) \
    TO_SUMS(a, b, 24) BESIDE##_0 TO_SUMS(c, d, 25) BESIDE##_1 TO_SUMS(e, f, 26) BESIDE##_2 TO_SUMS(g, h, 27) BESIDE##_3
#define ADD_TO(...) ADD_PRODUCTS(__VA_ARGS__)
#define SUMS_0 0, 1, 2, 3, 4, 5, 6, 7
#define SUMS_1 8, 9, 10, 11, 12, 13, 14, 15

/* Adds to the sums once, or after half of the steps too where only the products of halves fit 16 bits (HALF, at label
   l, comes back at label m). BESIDE is done beside the last additions. */
#define PART(STEP, off, BESIDE, SUMS, l, m)                                                        \
    STEP##_0("smull", off) STEP##_1("smlal", off) "b.mi " #l "f\n" STEP##_2("smlal", off) #m ":\n" \
    STEP##_3("smlal", off) ADD_TO(BESIDE, SUMS)
#define HALF(STEP, off, SUMS, l, m) #l ":\n" ADD_TO(NONE, SUMS) STEP##_2("smull", off) "b " #m "b\n"
#define NONE_0
#define NONE_1
#define NONE_2
#define NONE_3

/* The lines of the next quad, and its weights. */
#define LINES_0 "ldp w9, w10, [%[quad]], #8\n"
#define LINES_1 "ldp w11, w12, [%[quad]], %[step]\n"
#define LINES_2 "add x9, %[lines], x9\n" "add x10, %[lines], x10\n"
#define LINES_3 "add x11, %[lines], x11\n" "add x12, %[lines], x12\n"
#define WEIGHTS(a, b) "ld1r {v" #a ".16b}, [x17], #1\n" "ld1r {v" #b ".16b}, [x17], #1\n"
#define PAIR_WEIGHTS_0 WEIGHTS(16, 17)
#define PAIR_WEIGHTS_1 WEIGHTS(18, 19)
#define PAIR_WEIGHTS_2 WEIGHTS(20, 21)
#define PAIR_WEIGHTS_3 WEIGHTS(22, 23) "add x17, x17, #16\n"
#define ROW_WEIGHTS_0 WEIGHTS(16, 17)
#define ROW_WEIGHTS_1 WEIGHTS(18, 19)
#define ROW_WEIGHTS_2 "add x17, x17, #16\n"
#define ROW_WEIGHTS_3

/* ---- a row, or two; sums begin with the bias ---- */

#define PAIR_QUAD PART(PAIR, 16, LINES, SUMS_0, 3, 4) PART(PAIR, 0, PAIR_WEIGHTS, SUMS_1, 5, 6)
#define ROW_QUAD PART(ROW, 32, LINES, SUMS_0, 3, 4) PART(ROW, 0, ROW_WEIGHTS, SUMS_1, 5, 6)
#define PAIR_HALVES HALF(PAIR, 16, SUMS_0, 3, 4) HALF(PAIR, 0, SUMS_1, 5, 6)
#define ROW_HALVES HALF(ROW, 32, SUMS_0, 3, 4) HALF(ROW, 0, SUMS_1, 5, 6)

#define BIAS(b, i) "dup %" #i ".4s, %w[" #b "]\n"
#define BIAS4(b, i, j, k, l) BIAS(b, i) BIAS(b, j) BIAS(b, k) BIAS(b, l)
#define BIAS16(a, b) BIAS4(a, 0, 1, 2, 3) BIAS4(b, 4, 5, 6, 7) BIAS4(a, 8, 9, 10, 11) BIAS4(b, 12, 13, 14, 15)

#define FIRST_LINES "add x17, %[quad], #16\n" LINES_0 LINES_1 LINES_2 LINES_3
#define PAIR_FIRST                                                          \
    FIRST_LINES PAIR_WEIGHTS_0 PAIR_WEIGHTS_1 PAIR_WEIGHTS_2 PAIR_WEIGHTS_3 \
    "ldr q28, [x9]\n" "ldr q29, [x10]\n" "ldr q30, [x11]\n" "ldr q31, [x12]\n" "ldr x14, [x12, #8]\n"
#define ROW_FIRST                                                         \
    FIRST_LINES ROW_WEIGHTS_0 ROW_WEIGHTS_1 ROW_WEIGHTS_2                  \
    "ldp q28, q20, [x9]\n" "ldp q29, q21, [x10]\n" "ldp q30, q22, [x11]\n" \
    "ldp q31, q23, [x12]\n" "ldr x15, [x12, #8]\n" "ldr x16, [x12, #24]\n"

/* What is in registers before the first quad; quads. The minus flag: products of this one fit by halves only. */
#define QUADS(KIND)                          \
    "cbz %w[all], 2f\n" KIND##_FIRST         \
    "1: subs %w[whole], %w[whole], #1\n"     \
    "sub %w[all], %w[all], #1\n" KIND##_QUAD \
    "cbnz %w[all], 1b\n"                     \
    "b 2f\n" KIND##_HALVES                   \
    "2:\n"

#define CLOBBERS                                                                                                     \
    "memory", "cc", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "v16", "v17", "v18", "v19", "v20", \
        "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"

#define OUT4(s) "=&w"((s)[0]), "=&w"((s)[1]), "=&w"((s)[2]), "=&w"((s)[3])
#define IN_OUT [quad] "+r"(quad), [all] "+r"(all), [whole] "+r"(whole)
#define IN(type) [lines] "r"(lines), [step] "i"(sizeof(type) - 8), [bias] "r"(bias[0])

/* Sums of h rows, of one times 64 pixels of `lines` or of two times 32, over those of `quads` that `ptr` tells: see
   spr_pw_q8_planar. */
SPR_INLINE void sums_of_quads(const int h, int32x4_t *sum, int32x4_t *second, const int32_t *bias, const int8_t *lines,
                              const char *quads, const uint32_t *ptr) {
    const char *quad = quads + ptr[0] * (h == 2 ? sizeof(spr_q8_quad2) : sizeof(spr_q8_quad1));
    uint32_t all = ptr[2] - ptr[0], whole = ptr[1] - ptr[0];
    if (h == 2)
        __asm__ volatile(BIAS16(bias, bias_1) QUADS(PAIR)
                         : OUT4(sum), OUT4(second), OUT4(sum + 4), OUT4(second + 4), IN_OUT
                         : IN(spr_q8_quad2), [bias_1] "r"(bias[1])
                         : CLOBBERS);
    else
        __asm__ volatile(BIAS16(bias, bias) QUADS(ROW)
                         : OUT4(sum), OUT4(sum + 4), OUT4(sum + 8), OUT4(sum + 12), IN_OUT
                         : IN(spr_q8_quad1)
                         : CLOBBERS);
}

#endif
#endif
