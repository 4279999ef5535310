/* Dense pointwise kernel for NEON on cores that execute out of order: five loads feed 24 FMAs, for which two pipes
 * of 128 bits take 12 cycles. */
#include "base/compiler.h"

#if SPR_AARCH64

/* Inputs are in registers 24, 25 and 26, weights in 27 and 28. */
#define INPUT1 "ldr q24, [x9]\n"
#define INPUT3              \
    "ldp q24, q25, [x9]\n" \
    "ldr q26, [x9, #32]\n"
#define FMA(r, x, input, weight, lane) "fmla %[c" #r #x "].4s, v" #input ".4s, v" #weight ".s[" #lane "]\n"
#define FMA8(x, input)                                                                              \
    FMA(0, x, input, 27, 0) FMA(1, x, input, 27, 1) FMA(2, x, input, 27, 2) FMA(3, x, input, 27, 3) \
    FMA(4, x, input, 28, 0) FMA(5, x, input, 28, 1) FMA(6, x, input, 28, 2) FMA(7, x, input, 28, 3)
#define FMAS1 FMA8(0, 24)
#define FMAS3 FMAS1 FMA8(1, 25) FMA8(2, 26)

#define LOOP(V)                                      \
    __asm__ volatile(BEGIN(V)                        \
                     "1:\n" INPUT##V                 \
                     "ldp q27, q28, [x10], #32\n"    \
                     "add x9, x9, x12\n"             \
                     "subs x11, x11, #1\n" FMAS##V   \
                     "b.ne 1b\n"                     \
                     : [c00] "=&w"(c00) REST##V(OUT) \
                     : [b] "r"(&b)                   \
                     : CLOBBERS)

#define VARIANT(x) x##_neon
#define PANEL 256
#include "kernels/pointwise/neon_dense.tmpl.h"

#endif
