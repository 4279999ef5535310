/* Part of vec_avx2.h and vec_avx512.h: what differs by the names of instructions alone. SPR_MM(op) is the instruction
   for integers op. */

SPR_INLINE spr_q spr_qbyte(int32_t b) { return SPR_MM(set1_epi8)((char)b); }
SPR_INLINE spr_q spr_qset32(int32_t i) { return SPR_MM(set1_epi32)(i); }
SPR_INLINE spr_q spr_qpixel(const spr_q8 *p) {
    int32_t pixel;
    memcpy(&pixel, p, sizeof pixel);
    return SPR_MM(set1_epi32)(pixel);
}
SPR_INLINE spr_q spr_qmax(spr_q a, spr_q b) { return SPR_MM(max_epu8)(a, b); }
SPR_INLINE spr_q spr_qmin(spr_q a, spr_q b) { return SPR_MM(min_epu8)(a, b); }
SPR_INLINE spr_q spr_qadd16(spr_q a, spr_q b) { return SPR_MM(add_epi16)(a, b); }
SPR_INLINE spr_q spr_qadd32(spr_q a, spr_q b) { return SPR_MM(add_epi32)(a, b); }
SPR_INLINE spr_q spr_qsub32(spr_q a, spr_q b) { return SPR_MM(sub_epi32)(a, b); }
SPR_INLINE void spr_qhalves(spr_q q, spr_q *h) {
    h[0] = spr_qand(q, SPR_MM(set1_epi32)(0x00ff00ff));
    h[1] = SPR_MM(srli_epi16)(q, 8);
}
SPR_INLINE void spr_qhalf_channels(const spr_q *h, spr_q *c) {
    for (int i = 0; i < 2; i++) {
        c[i] = spr_qand(h[i], SPR_MM(set1_epi32)(0xffff));
        c[i + 2] = SPR_MM(srli_epi32)(h[i], 16);
    }
}
SPR_INLINE void spr_qchannels(spr_q q, spr_q *c) {
    const spr_q byte = SPR_MM(set1_epi32)(255);
    c[0] = spr_qand(q, byte);
    c[1] = spr_qand(SPR_MM(srli_epi32)(q, 8), byte);
    c[2] = spr_qand(SPR_MM(srli_epi32)(q, 16), byte);
    c[3] = SPR_MM(srli_epi32)(q, 24);
}
SPR_INLINE void spr_qwiden(spr_q q, spr_q *c) { spr_qchannels(q, c); }
SPR_INLINE spr_v spr_qfloat(spr_q c) { return SPR_MM(cvtepi32_ps)(c); }

typedef struct spr_qbounds {
    spr_v most;
    spr_q zero, lo;
} spr_qbounds;
SPR_INLINE spr_qbounds spr_qbounds_of(int32_t zero, int32_t lo, int32_t hi) {
    return (spr_qbounds){spr_vset((float)(hi - zero)), SPR_MM(set1_epi16)((short)zero), spr_qbyte(lo)};
}
/* NaN and what is far below the least int32 become that: of a minimum with NaN the second operand is the result. Four
   channels of four pixels are packed in each 128 bits. */
SPR_INLINE spr_q spr_qjoin(const spr_v *v, const spr_qbounds *b) {
    spr_q q[4];
    SPR_UNROLL
    for (int i = 0; i < 4; i++) q[i] = SPR_MM(cvtps_epi32)(SPR_MM(min_ps)(b->most, v[i]));
    const spr_q low = SPR_MM(add_epi16)(SPR_MM(packs_epi32)(q[0], q[1]), b->zero);
    const spr_q high = SPR_MM(add_epi16)(SPR_MM(packs_epi32)(q[2], q[3]), b->zero);
    const spr_q rows = spr_qmax(SPR_MM(packus_epi16)(low, high), b->lo);
    return SPR_MM(shuffle_epi8)(rows, spr_qlanes(0x0c080400, 0x0d090501, 0x0e0a0602, 0x0f0b0703));
}
SPR_INLINE spr_q spr_qnarrow(const spr_v *v, const spr_qbounds *b) { return spr_qjoin(v, b); }

/* Row k holds entries 16 k ... 16 k + 15; those of each half but the first come as differences to the row before. */
typedef struct spr_qtable {
    __m128i row[16];
} spr_qtable;
SPR_INLINE spr_qtable spr_qtable_of(const spr_q8 *p) {
    spr_qtable t;
    for (int k = 0; k < 16; k++) {
        t.row[k] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * k));
        if (k % 8)
            t.row[k] = _mm_xor_si128(t.row[k], _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * k - 16)));
    }
    return t;
}
/* A byte below 0 selects 0, others an entry by their low four bits. With 16 less at each row, a byte of 16 k + i of a
   half selects entry i of the rows 0 to k: the sum of their differences is the entry of row k. */
SPR_INLINE spr_q spr_qlookup(spr_q q, const spr_qtable *t) {
    const spr_q step = spr_qbyte(16);
    spr_q at[2] = {q, spr_qxor(q, spr_qbyte(-128))}, y[2];
    SPR_UNROLL
    for (int h = 0; h < 2; h++) {
        y[h] = SPR_MM(shuffle_epi8)(spr_qlane(t->row[8 * h]), at[h]);
        SPR_UNROLL
        for (int k = 1; k < 8; k++) {
            at[h] = SPR_MM(subs_epi8)(at[h], step);
            y[h] = spr_qxor(y[h], SPR_MM(shuffle_epi8)(spr_qlane(t->row[8 * h + k]), at[h]));
        }
    }
    return spr_qxor(y[0], y[1]);
}
