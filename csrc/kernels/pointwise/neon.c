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
#define PAIR_ASM(V) __asm__ volatile(SPR_2X1_ROWS(V, "", PAIR_LOOP(V)) : : [rows] "r"(rows) : SPR_CLOBBERS)

#define CSR(V) \
    static SPR_NOINLINE void csr##V(const spr_neon_rows *rows) { CSR_ASM(V); }
#define PAIRS(V) \
    static SPR_NOINLINE void pairs##V(const spr_neon_rows *rows) { PAIR_ASM(V); }
CSR(4)
CSR(7)
CSR(8)
CSR(12)
CSR(13)
PAIRS(4)
PAIRS(5)
PAIRS(7)
PAIRS(8)
PAIRS(12)

static const spr_neon_core core = {{5, {4, 7, 8, 12, 13}, {csr4, csr7, csr8, csr12, csr13}},
                                   {5, {4, 5, 7, 8, 12}, {pairs4, pairs5, pairs7, pairs8, pairs12}},
                                   1024 << 8};

void spr_pw_csr_f32_neon(const spr_pw_args *args) { spr_neon_csr_run(&core, args); }
void spr_pw_2x1_f32_neon(const spr_pw_args *args) { spr_neon_2x1_run(&core, args); }

#endif
