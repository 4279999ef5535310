/* Sparse pointwise kernels for NEON on cores that execute out of order (Cortex-A76 and later, Neoverse).
 *
 * Such a core loads two vectors a cycle and multiplies two, so a CSR loop is bound by loads: nothing but the
 * inputs may take a load slot if it can help it, hence offset and weight come by one 64-bit load. What limits
 * prototypes is the window of about 128 instructions: it must not fill up with records waiting for the address of
 * the next. So the address is computed one record ahead (92 % of peak instead of 74 % with twelve vectors). */
#include "base/compiler.h"

#if SPR_AARCH64

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
    __asm__ volatile(SPR_BEGIN_CSR(V)                                               \
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

#define PAIR_FMA(j) SPR_FMA_A(j, 0) SPR_FMA_B(j, 1)
#define PAIR_LOOP(V)                                                                            \
    __asm__ volatile(SPR_BEGIN_PAIR(V)                                                          \
                     "cbz %w[n], 2f\n"                                                          \
                     "1:\n"                                                                     \
                     "ldr d29, [%[pw]], #8\n"                                                   \
                     "ldr w9, [%[po]], #4\n" LOAD##V                                            \
                     "add %[xa], %[xb], x9\n"                                                   \
                     "subs %w[n], %w[n], #1\n" SPR_REP##V(PAIR_FMA)                             \
                     "b.ne 1b\n"                                                                \
                     "2:\n"                                                                     \
                     : SPR_REP##V(SPR_OUT_A) SPR_REP##V(SPR_OUT_B)[po] "+r"(po), [pw] "+r"(pw), \
                       [xa] "+r"(xa), [n] "+r"(n)                                               \
                     : [xb] "r"(xb), [from] "r"(from), [from_b] "r"(from_b), [same] "r"(same)   \
                     : SPR_CLOBBERS)

#define CSR_WIDE SPR_NEON_PANEL
#define VARIANT(x) x##_neon
#include "kernels/pointwise/neon_sparse.tmpl.h"

#endif
