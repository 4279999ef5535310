/* What vec_neon.h does otherwise on 64-bit and on 32-bit ARM: here the former. */
SPR_INLINE void spr_qsplit(spr_q a, spr_q b, spr_q *even, spr_q *odd) {
    *even = vuzp1q_s32(a, b);
    *odd = vuzp2q_s32(a, b);
}
SPR_INLINE void spr_qfold(const spr_q *c, int32_t *sum) {
    vst1q_s32(sum, vpaddq_s32(vpaddq_s32(c[0], c[1]), vpaddq_s32(c[2], c[3])));
}
SPR_INLINE void spr_qwiden(spr_q q, spr_q *c) {
    const int16x8_t low = vmovl_s8(vget_low_s8(SPR_Q_8(q))), high = vmovl_high_s8(SPR_Q_8(q));
    c[0] = vmovl_s16(vget_low_s16(low));
    c[1] = vmovl_high_s16(low);
    c[2] = vmovl_s16(vget_low_s16(high));
    c[3] = vmovl_high_s16(high);
}
/* Four pixels of four channels to four channels of four pixels, and back. */
SPR_INLINE spr_q spr_qturn(spr_q q) {
    const uint8x16_t from = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    return SPR_Q_OF_8(vqtbl1q_s8(SPR_Q_8(q), from));
}
/* To the nearest integer, half to even, at least `least`: of a maximum with NaN, the number is the result. */
SPR_INLINE int32x4_t spr_qround(spr_v v, spr_v least) { return vcvtnq_s32_f32(vmaxnmq_f32(v, least)); }

typedef struct spr_qtable {
    uint8x16x4_t quarter[4];
} spr_qtable;
SPR_INLINE spr_qtable spr_qtable_of(const spr_q8 *p) {
    spr_qtable t;
    for (int i = 0; i < 4; i++) t.quarter[i] = vld1q_u8_x4((const uint8_t *)p + 64 * i);
    return t;
}
/* An index beyond a quarter leaves what the quarters before it gave. */
SPR_INLINE spr_q spr_qlookup(spr_q q, const spr_qtable *t) {
    const uint8x16_t step = vdupq_n_u8(64);
    uint8x16_t at = vreinterpretq_u8_s32(q), y = vqtbl4q_u8(t->quarter[0], at);
    SPR_UNROLL
    for (int i = 1; i < 4; i++) {
        at = vsubq_u8(at, step);
        y = vqtbx4q_u8(y, t->quarter[i], at);
    }
    return vreinterpretq_s32_u8(y);
}
