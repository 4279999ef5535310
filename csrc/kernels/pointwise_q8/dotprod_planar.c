/* Quantized pointwise kernels over single weights with SDOT: the lines of a quad are zipped to pixels of its four
   channels. Eight zips serve four dot products, or eight where two rows share them. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>

#include "kernels/pointwise_q8/finish_dotprod.h"
#include "kernels/pointwise_q8/planar.h"

SPR_TARGET_PUSH("arch=armv8.2-a+dotprod")

SPR_INLINE int8x16_t zip_1(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s16(vzip1q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
}
SPR_INLINE int8x16_t zip_2(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s16(vzip2q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
}

/* Sixteen pixels, or eight, to vectors of four. */
SPR_INLINE void zip(const int vectors, const int8_t *const *at, int8x16_t *out) {
    int8x16_t x[4];
    SPR_UNROLL for (int i = 0; i < 4; i++)
        x[i] = vectors == 4 ? vld1q_s8(at[i]) : vcombine_s8(vld1_s8(at[i]), vdup_n_s8(0));
    const int8x16_t ab = vzip1q_s8(x[0], x[1]), cd = vzip1q_s8(x[2], x[3]);
    out[0] = zip_1(ab, cd);
    out[1] = zip_2(ab, cd);
    if (vectors == 2) return;
    const int8x16_t ab_2 = vzip2q_s8(x[0], x[1]), cd_2 = vzip2q_s8(x[2], x[3]);
    out[2] = zip_1(ab_2, cd_2);
    out[3] = zip_2(ab_2, cd_2);
}

SPR_INLINE void add_quad(const int h, const int v, int32x4_t (*sum)[16], const int8_t *lines, const uint32_t *at,
                         const int8_t *weights) {
    const int8_t *const line[4] = {lines + at[0], lines + at[1], lines + at[2], lines + at[3]};
    const int8x8_t w =
        h == 2 ? vld1_s8(weights) : vreinterpret_s8_s32(vld1_dup_s32((const int32_t *)(const void *)weights));
    SPR_UNROLL for (int j = 0; j < v; j += 2) {
        const int8_t *const here[4] = {line[0] + j * 8, line[1] + j * 8, line[2] + j * 8, line[3] + j * 8};
        const int vectors = v - j > 1 ? 4 : 2;
        int8x16_t pixels[4];
        zip(vectors, here, pixels);
        SPR_UNROLL for (int i = 0; i < vectors; i++) {
            sum[0][2 * j + i] = vdotq_lane_s32(sum[0][2 * j + i], pixels[i], w, 0);
            if (h == 2) sum[1][2 * j + i] = vdotq_lane_s32(sum[1][2 * j + i], pixels[i], w, 1);
        }
        __asm__ volatile("" ::: "memory"); /* loads that come earlier cost registers that are not there */
    }
}

#define ADD_QUAD(h, v, sum, lines, quad) \
    add_quad(h, v, sum, lines, (const uint32_t *)(quad), (const int8_t *)(quad) + 16)
#define KERNEL(x) x##_dotprod
#include "kernels/pointwise_q8/planar.tmpl.h"

SPR_TARGET_POP
#endif
