/* Pooling, AVX2. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx2.h"

SPR_TARGET_PUSH("avx2,fma")
#include "kernels/pool/pool.tmpl.h"
SPR_TARGET_POP
#endif
