/* Pooling, NEON. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/conv/vec_neon.h"

#include "kernels/pool/pool.tmpl.h"
#endif
