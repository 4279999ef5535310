/* Depthwise convolution, AVX-512. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx512.h"

#define DW_APART 0
SPR_TARGET_PUSH("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")
#include "kernels/dwconv/any.tmpl.h"
#include "kernels/dwconv/avx512_pairs.h"
#include "kernels/dwconv/avx512_shift.h"
SPR_TARGET_POP
#endif
