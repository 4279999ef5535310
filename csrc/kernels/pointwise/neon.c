/* Sparse pointwise kernels for NEON on cores that execute out of order (Cortex-A76 and later, Neoverse).
 *
 * Such a core loads two vectors a cycle and multiplies two, so a CSR loop is bound by loads: nothing but the
 * inputs may take a load slot if it can help it, hence offset and weight come by one 64-bit load. What limits
 * prototypes is the window of about 128 instructions: it must not fill up with records waiting for the address of
 * the next. So the address is computed one record ahead (92 % of peak instead of 74 % with twelve vectors). */
#include "base/compiler.h"

#if SPR_AARCH64

#include <stdint.h>

#include "kernels/pointwise/neon_asm.h"

#define LDR(j) "ldr q" SPR_T##j ", [%[xa], #16*" #j "]\n"
#define LDP(j, k) "ldp q" SPR_T##j ", q" SPR_T##k ", [%[xa], #16*" #j "]\n"
#define LOAD1 LDR(0)
#define LOAD2 LDP(0, 1)
#define LOAD3 LOAD2 LDR(2)
#define LOAD4 LOAD2 LDP(2, 3)
#define LOAD5 LOAD4 LDR(4)
#define LOAD6 LOAD4 LDP(4, 5)
#define LOAD7 LOAD6 LDR(6)
#define LOAD8 LOAD6 LDP(6, 7)
#define LOAD9 LOAD8 LDR(8)
#define LOAD10 LOAD8 LDP(8, 9)
#define LOAD11 LOAD10 LDR(10)
#define LOAD12 LOAD10 LDP(10, 11)
#define LOAD13 LOAD12 LDR(12)

#define CSR_FMA(j) SPR_FMA_A(j, 1)
#define CSR_LOOP(V)                                                                 \
    __asm__ volatile(SPR_BEGIN_CSR(V, "%w[same]", "%[from]")                        \
                     "cbz %w[n], 2f\n"                                              \
                     "1:\n"                                                         \
                     "ldr x9, [%[p]], #8\n" LOAD##V                                 \
                     "fmov d29, x9\n"                                               \
                     "add %[xa], %[xb], w9, uxtw\n"                                 \
                     "subs %w[n], %w[n], #1\n" SPR_REP##V(CSR_FMA)                  \
                     "b.ne 1b\n"                                                    \
                     "2:\n"                                                         \
                     : SPR_REP##V(SPR_OUT_A)[p] "+r"(p), [xa] "+r"(xa), [n] "+r"(n) \
                     : [xb] "r"(xb), [from] "r"(from), [same] "r"(same)             \
                     : SPR_CLOBBERS)

/* Up to 24 sums leave room for six inputs, which are renamed on the way, and the two weights in register 31;
   assembly has 30 operands at most, so all else goes through memory. */
typedef struct pair_state {
    const uint32_t *po;  /* 0 */
    const float *pw;     /* 8 */
    const char *xa, *xb; /* 16, 24 */
    const float *from;   /* 32 */
    const float *from_b; /* 40 */
    uint64_t n, same;    /* 48, 56 */
} pair_state;

#define T0 "24"
#define T1 "25"
#define T2 "26"
#define T3 "27"
#define T4 "28"
#define T5 "29"
#define PAIR_LDR(j, t) "ldr q" t ", [x13, #16*" #j "]\n"
#define PAIR_LDP(j, t, u) "ldp q" t ", q" u ", [x13, #16*" #j "]\n"
#define PAIR_FMA(j, t)                          \
    "fmla %[a" #j "].4s, v" t ".4s, v31.s[0]\n" \
    "fmla %[b" #j "].4s, v" t ".4s, v31.s[1]\n"
#define PAIR1 PAIR_LDR(0, T0) PAIR_FMA(0, T0)
#define PAIR2 PAIR_LDP(0, T0, T1) PAIR_FMA(0, T0) PAIR_FMA(1, T1)
#define PAIR3 PAIR2 PAIR_LDR(2, T2) PAIR_FMA(2, T2)
#define PAIR4 PAIR2 PAIR_LDP(2, T2, T3) PAIR_FMA(2, T2) PAIR_FMA(3, T3)
#define PAIR5 PAIR4 PAIR_LDR(4, T4) PAIR_FMA(4, T4)
#define PAIR6 PAIR4 PAIR_LDP(4, T4, T5) PAIR_FMA(4, T4) PAIR_FMA(5, T5)
#define PAIR7 PAIR6 PAIR_LDR(6, T0) PAIR_FMA(6, T0)
#define PAIR8 PAIR6 PAIR_LDP(6, T0, T1) PAIR_FMA(6, T0) PAIR_FMA(7, T1)
#define PAIR9 PAIR8 PAIR_LDR(8, T2) PAIR_FMA(8, T2)
#define PAIR10 PAIR8 PAIR_LDP(8, T2, T3) PAIR_FMA(8, T2) PAIR_FMA(9, T3)
#define PAIR11 PAIR10 PAIR_LDR(10, T4) PAIR_FMA(10, T4)
#define PAIR12 PAIR10 PAIR_LDP(10, T4, T5) PAIR_FMA(10, T4) PAIR_FMA(11, T5)

#define PAIR_LOOP(V)                                                                                               \
    pair_state state = {po, pw, xa, xb, from, from_b, n, (uint64_t)same}, *at = &state;                            \
    __asm__ volatile("ldp x11, x12, [%[state]]\n"                                                                  \
                     "ldp x13, x14, [%[state], #16]\n"                                                             \
                     "ldp x9, x10, [%[state], #32]\n"                                                              \
                     "ldp x15, x16, [%[state], #48]\n" SPR_BEGIN_PAIR(V, "x16", "x9", "x10")                       \
                     "cbz x15, 2f\n"                                                                               \
                     "1: ldr d31, [x12], #8\n"                                                                     \
                     "ldr w9, [x11], #4\n"                                                                         \
                     "subs x15, x15, #1\n" PAIR##V                                                                 \
                     "add x13, x14, x9\n"                                                                          \
                     "b.ne 1b\n"                                                                                   \
                     "2: stp x11, x12, [%[state]]\n"                                                               \
                     "str x13, [%[state], #16]\n"                                                                  \
                     : SPR_REP##V(SPR_OUT_A) SPR_REP##V(SPR_OUT_B)[state] "+r"(at)                                 \
                     :                                                                                             \
                     : "memory", "cc", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "v24", "v25", "v26", \
                       "v27", "v28", "v29", "v31");                                                                \
    po = state.po;                                                                                                 \
    pw = state.pw;                                                                                                 \
    xa = state.xa

#define PAIR_MOST 12
#define VARIANT(x) x##_neon
#include "kernels/pointwise/neon_sparse.tmpl.h"

#endif
