/* What keeps compilers from undoing the shape of the x86 kernels. */
#ifndef SPR_KERNELS_POINTWISE_X86_KEEP_H
#define SPR_KERNELS_POINTWISE_X86_KEEP_H

/* Holds a vector in a register: it is used twice, and gcc would otherwise load it twice. */
#define KEEP_VECTOR(v) __asm__("" : "+v"(v))
/* Holds an address in one register, as a sum in an FMA's memory operand or of more than two terms costs operations. */
#define KEEP_ADDRESS(p) __asm__("" : "+r"(p))

#endif
