/* Finishing for the depthwise kernels of x86: vectors of sums hold pixels of 4 channels. Included with these defined:
 *
 *   I, F, PIXELS        vectors of int32 and float32; bytes of so many pixels in a vector
 *   MM(op), MI(op)      intrinsics of that width, and those whose names end in it
 *   AS_FLOAT(v)         the bits of I as F
 *   REPEAT4(p)          four floats, repeated
 *   LOAD_FIRST(p, n), STORE_FIRST(p, v, n)   the first n pixels
 *   SPREAD(v), GATHER(v)   for a stride of 2: from pixels in order to how they lie when sums have been packed, and
 *                          back */

/* What finishing needs of a call, ready to be loaded. */
typedef struct finish_consts {
    I y_zero, lo;
    float hi, z_scale;
    int32_t z_zero;
    int saturates; /* in the way of kernels/q8_x86.h: sums start there */
} finish_consts;

SPR_INLINE finish_consts finish_of(const spr_q8_finish *f, int saturates) {
    return (finish_consts){.y_zero = MM(set1_epi16)((short)f->y_zero), .lo = MM(set1_epi8)((char)f->lo),
                           .hi = (float)(f->hi - f->y_zero), .z_scale = f->z_scale, .z_zero = f->z_zero,
                           .saturates = saturates};
}

/* Values of four channels, of any of four pixels; not inlined, as most layers come without. */
static SPR_NOINLINE void activate(const spr_q8_finish *f, uint32_t c, uint32_t channels, float *value, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = c + i % 4 < channels ? c + i % 4 : channels - 1;
        value[i] = spr_act_scalar(value[i], &f->act, row) * f->y_inv;
    }
}

/* The sums of pixels i, 4 + i ... in sum[i], or for a stride of 2 of the pixels i, 2 + i ... of half h in
   sum[2 h + i]. scale is that of the channels, shift as in spr_pw_q8_packed and read only where results saturate. */
SPR_INLINE void finish(const spr_dw_q8_args *a, const finish_consts *consts, const I *sum, const float *scale,
                       const float *shift, uint32_t c, spr_q8 *y, const spr_q8 *z, uint32_t n,
                       const uint32_t stride) {
    const spr_q8_finish *f = a->finish;
    const F s = REPEAT4(scale), hi = MM(set1_ps)(consts->hi);
    F value[4];
    I q[4];
    if (consts->saturates) {
        const F t = REPEAT4(shift);
        SPR_UNROLL for (int i = 0; i < 4; i++) q[i] = MM(cvtps_epi32)(MM(fmadd_ps)(AS_FLOAT(sum[i]), s, t));
        const I all = MM(packus_epi16)(MM(packs_epi32)(q[0], q[1]), MM(packs_epi32)(q[2], q[3]));
        STORE_FIRST(y, stride == 2 ? GATHER(all) : all, n);
        return;
    }
    SPR_UNROLL for (int i = 0; i < 4; i++) value[i] = MM(mul_ps)(MM(cvtepi32_ps)(sum[i]), s);
    if (z) {
        I all = LOAD_FIRST(z, n);
        const I zero = MI(setzero)();
        if (stride == 2) all = SPREAD(all);
        const I low = MM(unpacklo_epi8)(all, zero), high = MM(unpackhi_epi8)(all, zero);
        const I four[4] = {MM(unpacklo_epi16)(low, zero), MM(unpackhi_epi16)(low, zero), MM(unpacklo_epi16)(high, zero),
                           MM(unpackhi_epi16)(high, zero)};
        SPR_UNROLL for (int i = 0; i < 4; i++) {
            const F t = MM(cvtepi32_ps)(MM(sub_epi32)(four[i], MM(set1_epi32)(consts->z_zero)));
            value[i] = MM(add_ps)(value[i], MM(mul_ps)(t, MM(set1_ps)(consts->z_scale)));
        }
    }
    if (f->act.fn != SPR_FN_NONE) {
        float memory[PIXELS * 4];
        for (int i = 0; i < 4; i++) MM(storeu_ps)(memory + i * PIXELS, value[i]);
        activate(f, c, a->channels, memory, PIXELS * 4);
        for (int i = 0; i < 4; i++) value[i] = MM(loadu_ps)(memory + i * PIXELS);
    }
    /* What is below any integer converts to the least one, and packing saturates: only the upper end needs a clamp
       here. */
    SPR_UNROLL for (int i = 0; i < 4; i++) q[i] = MM(cvtps_epi32)(MM(min_ps)(value[i], hi));
    const I q01 = MM(adds_epi16)(MM(packs_epi32)(q[0], q[1]), consts->y_zero);
    const I q23 = MM(adds_epi16)(MM(packs_epi32)(q[2], q[3]), consts->y_zero);
    I bytes = MM(max_epu8)(MM(packus_epi16)(q01, q23), consts->lo);
    if (stride == 2) bytes = GATHER(bytes);
    STORE_FIRST(y, bytes, n);
}
