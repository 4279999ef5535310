/* Sparse pointwise kernels for NEON on cores that execute out of order (Cortex-A76 and later, Neoverse).
 *
 * Such a core loads two vectors a cycle and multiplies two, so a CSR loop is bound by loads: nothing but the
 * inputs may take a load slot if it can help it, hence offset and weight come by one 64-bit load. What limits
 * prototypes is the window of about 128 instructions: it must not fill up with records waiting for the address of
 * the next. So the address is computed one record ahead (92 % of peak instead of 74 % with twelve vectors). */
#include "base/compiler.h"

#if SPR_AARCH64

#include "kernels/pointwise/neon_asm.h"
#include "kernels/pointwise/neon_sparse.h"

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
#define LDR(j) "ldr q" T##j ", [x4, #16*" #j "]\n"
#define LDP(j, k) "ldp q" T##j ", q" T##k ", [x4, #16*" #j "]\n"
#define FMA(j) "fmla v" #j ".4s, v" T##j ".4s, v29.s[1]\n"
#define CSR_LOOP(V)                                \
    "1: ldr x9, [x5], #8\n" SPR_PAIRS##V(LDR, LDP) \
    "fmov d29, x9\n"                               \
    "add x4, x3, w9, uxtw\n"                       \
    "subs x22, x22, #1\n" SPR_REP##V(FMA)          \
    "b.ne 1b\n"
#define CSR_ASM(V) __asm__ volatile(SPR_CSR_ROWS(V, "", CSR_LOOP(V)) : : [rows] "r"(rows) : SPR_CLOBBERS)

/* 24 sums leave room for four inputs, which the core renames. */
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
#define U0 "24"
#define U1 "25"
#define U2 "26"
#define U3 "27"
#define U4 "24"
#define U5 "25"
#define U6 "26"
#define U7 "27"
#define U8 "24"
#define U9 "25"
#define U10 "26"
#define U11 "27"
#define PAIR_FMA(j)                             \
    "fmla v" #j ".4s, v" U##j ".4s, v28.s[0]\n" \
    "fmla v" SPR_B##j ".4s, v" U##j ".4s, v28.s[1]\n"
#define PAIR_ONE(j) "ldr q" U##j ", [x4, #16*" #j "]\n" PAIR_FMA(j)
#define PAIR_TWO(j, k) "ldp q" U##j ", q" U##k ", [x4, #16*" #j "]\n" PAIR_FMA(j) PAIR_FMA(k)
#define PAIR_LOOP(V)                                       \
    "1: ldr d28, [x5, #4]\n"                               \
    "ldr w9, [x5], #12\n"                                  \
    "subs x22, x22, #1\n" SPR_PAIRS##V(PAIR_ONE, PAIR_TWO) \
    "add x4, x3, x9\n"                                     \
    "b.ne 1b\n"

/* Bounds and hard_swish are the same code for all widths: called, from the vector on that is the last. x30: return. */
#define UPPER_BOTH(j) SPR_UPPER_A(j) SPR_UPPER_B(j)
#define LOWER_A(j) "fmax v" #j ".4s, v" #j ".4s, v29.4s\n"
#define LOWER_B(j) "fmax v" SPR_B##j ".4s, v" SPR_B##j ".4s, v29.4s\n"
#define LOWER_BOTH(j) LOWER_A(j) LOWER_B(j)
#define HARD_BOTH(j) SPR_HARD_A(j) SPR_HARD_B(j)
#define DOWN12(F) F(11) F(10) F(9) F(8) F(7) F(6) F(5) F(4) F(3) F(2) F(1) F(0) "ret\n"
#define PAIR_SHARED "30:\n" DOWN12(LOWER_BOTH) "31:\n" DOWN12(UPPER_BOTH) "32:\n" DOWN12(HARD_BOTH)
#define CALL(label, V, bytes) "bl " #label "f + (12 - " #V ") * " #bytes "\n"

#define PAIR_BIAS           \
    "ldr w9, [x16]\n"       \
    "ldr w10, [x16, #16]\n" \
    "add x16, x16, #32\n"
#define PAIR_ORDER "ldr w12, [x13], #4\n"
#define PAIR_NEXT             \
    "madd x7, x12, x8, x14\n" \
    "add x23, x7, x8\n"

/* The end of a pair of rows with a lower bound beside the beginning of the next: stores take the ports of loads, and
   leave those of the arithmetic to bounds and the first record's products. Sums begin by another port still. */
#define RENEW_ONE(j) LOWER_BOTH(j) SPR_STR_A(j) SPR_STR_B(j) SPR_BEGIN_A(j) SPR_BEGIN_B(j) PAIR_ONE(j)
#define RENEW_TWO(j, k)                                               \
    LOWER_A(j) LOWER_A(k) SPR_STP_A(j, k)                             \
    LOWER_B(j) LOWER_B(k) SPR_STP_B(j, k)                             \
    SPR_BEGIN_A(j) SPR_BEGIN_A(k) SPR_BEGIN_B(j) SPR_BEGIN_B(k) PAIR_TWO(j, k)
#define PAIR_RENEW(V)                                        \
    PAIR_BIAS PAIR_ORDER "ldr d28, [x5, #4]\n"                 \
    "ldr w11, [x5], #12\n"                                     \
    "subs x22, x22, #1\n" SPR_PAIRS##V(RENEW_ONE, RENEW_TWO)   \
    PAIR_NEXT "add x4, x3, x11\n"

/* Pairs of rows: sums begin with the bias, from general registers, or with what lies in y. */
#define PAIR_ROWS(V)                                                                    \
    "4" #V ":\n"                                                                        \
    "10: cbz x16, 11f\n" PAIR_BIAS SPR_REP##V(SPR_BEGIN_A) SPR_REP##V(SPR_BEGIN_B)      \
    "b 12f\n"                                                                           \
    "11:\n" SPR_PAIRS##V(SPR_LDR_A, SPR_LDP_A) SPR_PAIRS##V(SPR_LDR_B, SPR_LDP_B)       \
    "12: cbnz x22, 1f\n"                                                                \
    "b 2f\n"                                                                            \
    "20:\n" PAIR_RENEW(V)                                                               \
    "b.eq 2f\n" PAIR_LOOP(V)                                                            \
    "2:\n" SPR_TOUCH##V                                                                 \
    "tbz x20, #0, 16f\n"                                                                \
    "tbz x20, #1, 13f\n" SPR_UPPER CALL(31, V, 8)                                       \
    "13: subs x2, x2, #1\n"                                                             \
    "b.eq 17f\n" SPR_COUNT                                                              \
    "cbz x16, 17f\n"                                                                    \
    "cbnz x22, 20b\n"                                                                   \
    "17: " CALL(30, V, 8)                                                               \
    "18:\n" SPR_PAIRS##V(SPR_STR_A, SPR_STP_A) SPR_PAIRS##V(SPR_STR_B, SPR_STP_B)       \
    "cbz x2, 19f\n" PAIR_ORDER PAIR_NEXT                                                \
    "b 10b\n"                                                                           \
    "16: tbz x20, #2, 21f\n" SPR_HARD_CONSTANTS CALL(32, V, 40)                         \
    "21: subs x2, x2, #1\n"                                                             \
    "b.eq 18b\n" SPR_COUNT                                                              \
    "b 18b\n"

#define CSR(V) \
    static SPR_NOINLINE void csr##V(const spr_neon_rows *rows) { CSR_ASM(V); }
CSR(4)
CSR(7)
CSR(8)
CSR(12)
CSR(13)

static SPR_NOINLINE void pairs(const spr_neon_rows *rows) {
    __asm__ volatile(
        "ldr x9, [%[rows], #136]\n" SPR_ENTER_ORDER SPR_ENTER SPR_COUNT
        "ld1r {v29.4s}, [x24]\n"
        "add x23, x7, x8\n"
        "cmp x9, #8\n"
        "b.eq 48f\n"
        "b.hi 412f\n"
        "cmp x9, #5\n"
        "b.eq 45f\n"
        "b.hi 47f\n" PAIR_ROWS(4) PAIR_ROWS(5) PAIR_ROWS(7) PAIR_ROWS(8) PAIR_ROWS(12) PAIR_SHARED "19:\n"
        :
        : [rows] "r"(rows)
        : SPR_CLOBBERS, "x30");
}

static const spr_neon_core core = {{5, {4, 7, 8, 12, 13}, {csr4, csr7, csr8, csr12, csr13}},
                                   {5, {4, 5, 7, 8, 12}, {pairs, pairs, pairs, pairs, pairs}},
                                   1024 << 8, 0, 0, UINT32_MAX};

void spr_pw_csr_f32_neon(const spr_pw_args *args) { spr_neon_sparse_run(&core, args, 0); }
void spr_pw_2x1_f32_neon(const spr_pw_args *args) { spr_neon_sparse_run(&core, args, 1); }

#endif
