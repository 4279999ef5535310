/* Instruction set features of the CPU at hand. */
#ifndef SPR_BASE_CPU_H
#define SPR_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Bits of a feature mask; a kernel lists those it needs, 0 is plain C. */
enum {
    SPR_ISA_REF = 0,
    SPR_ISA_NEON = 1 << 0,     /* aarch64 Advanced SIMD; on 32-bit ARM NEON with VFPv4 (fused multiply-add) */
    SPR_ISA_DOTPROD = 1 << 1,  /* SDOT/UDOT */
    SPR_ISA_FP16 = 1 << 2,     /* half precision arithmetic */
    SPR_ISA_I8MM = 1 << 3,
    SPR_ISA_INORDER = 1 << 7,  /* not an instruction set: the core issues in order (Cortex-A53, A55, A510 ...) */
    SPR_ISA_AVX2 = 1 << 8,     /* AVX2 and FMA */
    SPR_ISA_AVX512 = 1 << 9,   /* F, BW, DQ, VL */
    SPR_ISA_VNNI = 1 << 10,    /* AVX-512 VNNI */
    SPR_ISA_VBMI = 1 << 12,    /* AVX-512 VBMI */
    SPR_ISA_AMX = 1 << 11,     /* AMX-TILE, AMX-INT8, and the system lets us use them */
};

/* Features of this CPU, less those masked out by the environment variable SPR_ISA: a comma list of names as
   spr_isa_name() prints them ("ref" for none), e.g. SPR_ISA=avx2. Unknown names are ignored. As it is no instruction
   set, naming "inorder" sets it on any ARM core. */
uint32_t spr_cpu_features(void);

#if SPR_X86_64
/* Whether it has cores of different kinds, as Intel's hybrid CPUs do. */
int spr_cpu_is_hybrid(void);
#endif

/* Which CPU this is, for telling results of one from those of another: its marketing name on x86, the main ID registers
   of its kinds of cores on ARM; printable ASCII without quotes, "" where unknown. */
void spr_cpu_name(char *text, size_t size);

/* Name of one feature bit ("neon", "avx512" ...), "ref" for 0, NULL for an unknown bit. */
const char *spr_isa_name(uint32_t bit);

/* Parses a comma list of names into a mask, with what they imply (avx512 implies avx2); names that are not known are
   left out and reported by returning 0. */
int spr_isa_parse(const char *list, uint32_t *mask);

#endif
