/* What keeps compilers from undoing the shape of the x86 kernels. */
#ifndef SPR_KERNELS_POINTWISE_X86_UNROLL_H
#define SPR_KERNELS_POINTWISE_X86_UNROLL_H

/* Before a loop over the vectors of a tile: arrays of vectors live in registers only if it is unrolled wholly. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Holds a vector in a register: it is used twice, and gcc would otherwise load it twice. */
#define KEEP_VECTOR(v) __asm__("" : "+v"(v))
/* Holds an address in one register, as a sum in an FMA's memory operand or of more than two terms costs operations. */
#define KEEP_ADDRESS(p) __asm__("" : "+r"(p))

#endif
