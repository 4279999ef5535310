/* What vec_neon.h does otherwise on 64-bit and on 32-bit ARM: here the latter. */
SPR_INLINE void spr_qsplit(spr_q a, spr_q b, spr_q *even, spr_q *odd) {
    const int32x4x2_t parts = vuzpq_s32(a, b);
    *even = parts.val[0];
    *odd = parts.val[1];
}
SPR_INLINE int32x2_t spr_qpairs(spr_q c) { return vpadd_s32(vget_low_s32(c), vget_high_s32(c)); }
SPR_INLINE void spr_qfold(const spr_q *c, int32_t *sum) {
    vst1_s32(sum, vpadd_s32(spr_qpairs(c[0]), spr_qpairs(c[1])));
    vst1_s32(sum + 2, vpadd_s32(spr_qpairs(c[2]), spr_qpairs(c[3])));
}
SPR_INLINE void spr_qwiden(spr_q q, spr_q *c) {
    const int16x8_t low = vmovl_s8(vget_low_s8(SPR_Q_8(q))), high = vmovl_s8(vget_high_s8(SPR_Q_8(q)));
    c[0] = vmovl_s16(vget_low_s16(low));
    c[1] = vmovl_s16(vget_high_s16(low));
    c[2] = vmovl_s16(vget_low_s16(high));
    c[3] = vmovl_s16(vget_high_s16(high));
}
/* Four pixels of four channels to four channels of four pixels, and back: even bytes, then odd ones, twice. */
SPR_INLINE spr_q spr_qturn(spr_q q) {
    const int8x8x2_t once = vuzp_s8(vget_low_s8(SPR_Q_8(q)), vget_high_s8(SPR_Q_8(q)));
    const int8x8x2_t twice = vuzp_s8(once.val[0], once.val[1]);
    return SPR_Q_OF_8(vcombine_s8(twice.val[0], twice.val[1]));
}
/* To the nearest integer, half to even, at least `least`, which takes the place of NaN. Adding 1.5 * 2^23 rounds; what
   is above 2^15 saturates later. */
SPR_INLINE int32x4_t spr_qround(spr_v v, spr_v least) {
    const spr_v magic = spr_vset(12582912.0f), number = vbslq_f32(vceqq_f32(v, v), v, least);
    const spr_v inside = vminq_f32(vmaxq_f32(number, least), spr_vset(32768.0f));
    return vcvtq_s32_f32(vsubq_f32(vaddq_f32(inside, magic), magic));
}

typedef struct spr_qtable {
    uint8x8x4_t eighth[8];
} spr_qtable;
SPR_INLINE spr_qtable spr_qtable_of(const spr_q8 *p) {
    spr_qtable t;
    for (int i = 0; i < 32; i++) t.eighth[i / 4].val[i % 4] = vld1_u8((const uint8_t *)p + 8 * i);
    return t;
}
/* An index beyond an eighth leaves what the eighths before it gave. */
SPR_INLINE uint8x8_t spr_qlookup_half(uint8x8_t at, const spr_qtable *t) {
    const uint8x8_t step = vdup_n_u8(32);
    uint8x8_t y = vtbl4_u8(t->eighth[0], at);
    SPR_UNROLL
    for (int i = 1; i < 8; i++) {
        at = vsub_u8(at, step);
        y = vtbx4_u8(y, t->eighth[i], at);
    }
    return y;
}
SPR_INLINE spr_q spr_qlookup(spr_q q, const spr_qtable *t) {
    const uint8x16_t at = vreinterpretq_u8_s32(q);
    return vreinterpretq_s32_u8(
        vcombine_u8(spr_qlookup_half(vget_low_u8(at), t), spr_qlookup_half(vget_high_u8(at), t)));
}
