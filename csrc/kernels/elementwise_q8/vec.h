/* What vec_<isa>.h gives to the templates of quantized pooling, elementwise functions and conversions, besides the
 * float vectors of conv/vec.h. A file includes one of them.
 *
 *   spr_q                         vector of SPR_VL pixels of 4 bytes, or of as many int32, or of twice as many int16
 *   SPR_Q_NAME(x)                 name of a kernel
 *   spr_qload(p) spr_qstore(p, q)   any alignment
 *   spr_qload_n(p, n, fill)       the first n < SPR_VL pixels, the others those of fill; touches no others
 *   spr_qstore_n(p, q, n)         stores the first n < SPR_VL pixels
 *   spr_qpixel(p)                 one pixel in all places; spr_qbyte(b): one byte
 *   spr_qmax(a, b) spr_qmin(a, b) of bytes
 *   spr_qadd16(a, b) spr_qadd32(a, b) spr_qsub32(a, b), spr_qset32(i) int32 in all places
 *   spr_qsplit(a, b, &even, &odd) pixels of a then b with even and with odd index
 *   spr_qhalves(q, h)             int16: channels 0 and 2 of each pixel to h[0], 1 and 3 to h[1]
 *   spr_qhalf_channels(h, c)      from there to int32: channel i of each pixel to c[i]
 *   spr_qfold(c, sum)             int32 sum[i]: all of c[i] added
 *   spr_qchannels(q, c)           int32: channel i of each pixel to c[i]; spr_qwiden(q, c): bytes in any order
 *   spr_qfloat(c)                 of int32
 *   spr_qbounds, spr_qbounds_of(zero, lo, hi)   what rounding needs
 *   spr_qjoin(v, &bounds)         floats to the nearest integers, half to even, plus zero, clamped, back to pixels:
 *                                 from the order of spr_qchannels; spr_qnarrow(v, &bounds): from that of spr_qwiden.
 *                                 NaN becomes lo.
 *   spr_qtable, spr_qtable_of(p)  256 bytes, and spr_qlookup(q, &table): those at the bytes of q */
#ifndef SPR_KERNELS_ELEMENTWISE_Q8_VEC_H
#define SPR_KERNELS_ELEMENTWISE_Q8_VEC_H

#include "kernels/conv/vec.h"
#include "kernels/q8_scalar.h"

#endif
