/* Dense pointwise kernel for NEON on cores that issue in order, two instructions a cycle (Cortex-A53, A55).
 *
 * A 128-bit load would take two cycles alone, and on the A53 vector loads go badly with FMAs. So everything is
 * loaded into general registers, beside FMAs, and moved over in pairs of moves: 24 FMAs in 30 cycles on both
 * cores. Six runs of four FMAs, each for one vector of inputs and one of weights, are in such an order that every
 * vector rests for two runs between its last use in a channel and its first in the next: time to be replaced. */
#include "base/compiler.h"

#if SPR_AARCH64

/* Inputs are in registers 24, 25 and 26, weights of rows 0 to 3 in 27, 4 to 7 in 28. */
#define FMA(r, x, input, weight, lane) "fmla %[c" #r #x "].4s, v" #input ".4s, v" #weight ".s[" #lane "]\n"
#define LOWER(v, half) "fmov d" #v ", " half "\n"
#define UPPER(v, half) "ins v" #v ".d[1], " half "\n"

#define FETCH(text) "ldr " text "\n"
#define DO(text) text
#define NOT(text)

/* One channel. F fetches for the next and D does what else is for the next; input 2, weights 4 to 7 and half of
   input 1 are moved in the channel itself. */
#define CHANNEL3(F, D)                                 \
    UPPER(25, "x6") LOWER(26, "x7")                    \
    FMA(0, 0, 24, 27, 0) F("x3, [x9]")                 \
    FMA(1, 0, 24, 27, 1) F("x4, [x9, #8]")             \
    FMA(2, 0, 24, 27, 2) F("x1, [x10]")                \
    FMA(3, 0, 24, 27, 3) F("x2, [x10, #8]")            \
    UPPER(26, "x8") LOWER(28, "x15")                   \
    FMA(0, 1, 25, 27, 0) F("x5, [x9, #16]")            \
    FMA(1, 1, 25, 27, 1) F("x6, [x9, #24]")            \
    FMA(2, 1, 25, 27, 2) F("x7, [x9, #32]")            \
    FMA(3, 1, 25, 27, 3) F("x8, [x9, #40]")            \
    UPPER(28, "x16")                                   \
    FMA(0, 2, 26, 27, 0) F("x15, [x10, #16]")          \
    FMA(1, 2, 26, 27, 1) F("x16, [x10, #24]")          \
    FMA(2, 2, 26, 27, 2)                               \
    FMA(3, 2, 26, 27, 3)                               \
    FMA(4, 0, 24, 28, 0)                               \
    FMA(5, 0, 24, 28, 1)                               \
    FMA(6, 0, 24, 28, 2)                               \
    FMA(7, 0, 24, 28, 3)                               \
    D(LOWER(24, "x3") LOWER(27, "x1"))                 \
    FMA(4, 1, 25, 28, 0) D("add x9, x9, x12\n")        \
    FMA(5, 1, 25, 28, 1) D("add x10, x10, #32\n")      \
    FMA(6, 1, 25, 28, 2) D("subs x11, x11, #1\n")      \
    FMA(7, 1, 25, 28, 3)                               \
    D(UPPER(24, "x4") UPPER(27, "x2") LOWER(25, "x5")) \
    FMA(4, 2, 26, 28, 0)                               \
    FMA(5, 2, 26, 28, 1)                               \
    FMA(6, 2, 26, 28, 2)                               \
    FMA(7, 2, 26, 28, 3)

/* Before the first channel. */
#define FETCH3                            \
    "ldr x3, [x9]\n"                      \
    "ldr x4, [x9, #8]\n"                  \
    "ldr x1, [x10]\n"                     \
    "ldr x2, [x10, #8]\n" LOWER(24, "x3") \
    "ldr x5, [x9, #16]\n" UPPER(24, "x4") \
    "ldr x6, [x9, #24]\n" LOWER(27, "x1") \
    "ldr x7, [x9, #32]\n" UPPER(27, "x2") \
    "ldr x8, [x9, #40]\n" LOWER(25, "x5") \
    "ldr x15, [x10, #16]\n"               \
    "ldr x16, [x10, #24]\n"

/* The narrow tile: whole vectors, each loaded after its last use. */
#define FMA4(x, input) FMA(0, x, input, 27, 0) FMA(1, x, input, 27, 1) FMA(2, x, input, 27, 2) FMA(3, x, input, 27, 3)
#define FMA8(x, input) FMA(4, x, input, 28, 0) FMA(5, x, input, 28, 1) FMA(6, x, input, 28, 2) FMA(7, x, input, 28, 3)
#define CHANNEL1(F, D) FMA4(0, 24) F("q27, [x10]") FMA8(0, 24) F("q24, [x9]") F("q28, [x10, #16]") STEP(D)
#define FETCH1 "ldr q24, [x9]\n" "ldp q27, q28, [x10]\n"

#define STEP(D) D("add x9, x9, x12\n") D("add x10, x10, #32\n") D("subs x11, x11, #1\n")
#define LOOP(V)                                      \
    __asm__ volatile(BEGIN(V) FETCH##V STEP(DO)      \
                     "b.eq 4f\n"                     \
                     "1:\n" CHANNEL##V(FETCH, DO)    \
                     "b.ne 1b\n"                     \
                     "4:\n" CHANNEL##V(NOT, NOT)     \
                     : [c00] "=&w"(c00) REST##V(OUT) \
                     : [b] "r"(&b)                   \
                     : CLOBBERS, "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x16")

#define VARIANT(x) x##_neon_inorder
#define PANEL 192
#include "kernels/pointwise/neon_dense.tmpl.h"

/* Cores with dot products take fewer cycles for the same: a kernel of its own for the sake of its costs. */
void spr_pw_dense_f32_neon_inorder_dotprod(const spr_pw_args *args) { spr_pw_dense_f32_neon_inorder(args); }

#endif
