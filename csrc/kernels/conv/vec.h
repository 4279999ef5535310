/* What vec_<isa>.h gives to the templates of convolution and pooling. A file includes one of them.
 *
 *   spr_v, SPR_VL                  vector of SPR_VL floats
 *   SPR_MIN_WIDTH                  rows of at most so many pixels are as fast with shorter vectors
 *   spr_vzero() spr_vset(f)        spr_vload(p) spr_vstore(p, v)        any alignment
 *   spr_vload_n(p, n)              the first n <= SPR_VL floats, the other lanes 0; touches no others
 *   spr_vstore_n(p, v, n)          stores the first n lanes, n <= SPR_VL
 *   spr_vmask_columns(c, iw)       a spr_vmask: the lanes inside of a row of iw columns, if the first one is column c;
 *                                  spr_vload_m(p, &mask): the other lanes 0 (AVX2 only)
 *   spr_vfma(acc, a, b)            acc + a * b, rounded once; spr_vadd spr_vmul spr_vdiv(a, b)
 *   spr_vmaxn(a, b)                maximum, NaN if either is
 *   spr_vsplit(a, b, &even, &odd)  lanes of a then b with even and with odd index
 *   spr_veven(a, b)                the even lanes alone (AVX2 only)
 *   spr_vshift_in(v, n)            n zeros, then the first lanes of v (NEON only)
 *   spr_vmask_below(n)             mask of the first n lanes, for spr_vand(v, mask) (NEON only)
 *   spr_w, SPR_W_LOAD(w, p, n)     n floats as multipliers, n a constant (NEON only)
 *   spr_vfma_w(acc, x, &w, i)      acc + x * w[i], i a constant (NEON only); spr_vmul_w0(x, &w) is x * w[0]
 *   spr_vmaxc(x, c) spr_vminc(x, c)   maximum, minimum, NaN if x is; c is a number
 *   SPR_ACT(name)                  a function or type of unary/act_<isa>.h
 *   spr_vact, spr_vact_load(), spr_vact_each(), spr_vfinish()   see vec_finish.h */
#ifndef SPR_KERNELS_CONV_VEC_H
#define SPR_KERNELS_CONV_VEC_H

#include "kernels/kernel.h"

#endif
