/* Pooling, NEON. */
#include "base/compiler.h"

#if SPR_NEON
#include "kernels/conv/vec_neon.h"

SPR_NEON_PUSH
#include "kernels/pool/pool.tmpl.h"
SPR_NEON_POP
#endif
