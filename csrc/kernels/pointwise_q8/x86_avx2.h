/* Finishing for the quantized pointwise kernels with AVX2; included inside a region of it. */
#define NAME(x) x##_avx2
#define I __m256i
#define F __m256
#define LANES 8
#define MM(op) _mm256_##op
#define MI(op) _mm256_##op##_si256
#define AS_FLOAT(v) _mm256_castsi256_ps(v)
#define REPEAT16(v) _mm256_broadcastsi128_si256(v)
#define ACT(x) ACT_##x
#define ACT_consts spr_act_consts_avx2
#define ACT_load spr_act_load_avx2
#define ACT_vec spr_act_vec_avx2

#include "kernels/pointwise_q8/x86_finish.tmpl.h"
