/* Finishing for the quantized pointwise kernels with AVX-512; included inside a region of it. */
#define NAME(x) x##_avx512
#define I __m512i
#define F __m512
#define LANES 16
#define MM(op) _mm512_##op
#define MI(op) _mm512_##op##_si512
#define AS_FLOAT(v) _mm512_castsi512_ps(v)
#define REPEAT16(v) _mm512_broadcast_i32x4(v)
#define ACT(x) ACT_##x
#define ACT_consts spr_act_consts_avx512
#define ACT_load spr_act_load_avx512
#define ACT_vec spr_act_vec_avx512

#include "kernels/pointwise_q8/x86_finish.tmpl.h"
