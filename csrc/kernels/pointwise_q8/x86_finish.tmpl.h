/* From sums to outputs, a group of four rows at a time. Included with these defined:
 *
 *   NAME(x)           x with the suffix of the instruction set
 *   I, F, LANES       vectors of int32 and float32, and how many are in them
 *   MM(op), MI(op)    intrinsics of that width, and those whose names end in it: _mm512_##op, _mm512_##op##_si512
 *   AS_FLOAT(v)       the bits of I as F
 *   REPEAT16(v)       a vector of 16 bytes repeated
 *   ACT(x)            x of kernels/unary/act_*.h */

/* What finishing needs of a call. */
typedef struct NAME(finish) {
    I y_zero, lo, bytes; /* y_zero 16 bits wide, lo 8; bytes: transposes the 4 x 4 bytes in each 128 bits */
    F hi, z_scale;
    I z_zero;
    int plain;     /* quantized, neither activation nor residual */
    int saturates; /* and in the way of kernels/q8_x86.h */
    int32_t start; /* to be added to the bias */
} NAME(finish);

/* starts: what spr_pw_q8_rows_start told of the weights. */
SPR_INLINE NAME(finish) NAME(finish_of)(const spr_pw_q8_args *a, uint32_t starts) {
    const spr_q8_finish *f = a->finish;
    const int saturates = starts && !a->z && spr_q8_saturates(f);
    return (NAME(finish)){
        .y_zero = MM(set1_epi16)((short)f->y_zero),
        .lo = MM(set1_epi8)((char)f->lo),
        .bytes = REPEAT16(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
        .hi = MM(set1_ps)((float)(f->hi - f->y_zero)),
        .z_scale = MM(set1_ps)(f->z_scale),
        .z_zero = MM(set1_epi32)(f->z_zero),
        .plain = !f->to_float && !a->z && f->act.fn == SPR_FN_NONE,
        .saturates = saturates,
        .start = saturates ? SPR_Q8_START : 0,
    };
}

SPR_INLINE void NAME(activate)(const spr_pw_q8_args *a, uint32_t row, F *value) {
    const spr_q8_finish *f = a->finish;
    const F y_inv = MM(set1_ps)(f->to_float ? 1 : f->y_inv);
    for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) {
        const ACT(consts) c = ACT(load)(&f->act, row + r < a->n ? row + r : a->n - 1);
        value[r] = MM(mul_ps)(ACT(vec)(value[r], &c), y_inv);
    }
}

/* To quantized numbers: four rows of a vector of pixels. What is below any integer converts to the least one, and
   packing saturates: only the upper end needs a clamp before. */
SPR_INLINE void NAME(round)(const NAME(finish) * f, const F *value, spr_q8 *y) {
    I q[SPR_Q8_GROUP];
    SPR_UNROLL for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) q[r] = MM(cvtps_epi32)(MM(min_ps)(value[r], f->hi));
    const I q01 = MM(adds_epi16)(MM(packs_epi32)(q[0], q[1]), f->y_zero);
    const I q23 = MM(adds_epi16)(MM(packs_epi32)(q[2], q[3]), f->y_zero);
    MI(storeu)((void *)y, MM(shuffle_epi8)(MM(max_epu8)(MM(packus_epi16)(q01, q23), f->lo), f->bytes));
}

/* Whatever is not just rounded. */
static SPR_NOINLINE void NAME(finish_special)(const spr_pw_q8_args *a, const NAME(finish) * f, const I *sum,
                                              const float *scale, uint32_t row, uint32_t px) {
    const spr_q8_finish *fin = a->finish;
    const size_t quad = row / SPR_Q8_GROUP;
    F value[SPR_Q8_GROUP];
    SPR_UNROLL for (uint32_t r = 0; r < SPR_Q8_GROUP; r++)
        value[r] = MM(mul_ps)(MM(cvtepi32_ps)(sum[r]), MM(set1_ps)(scale[r]));
    if (a->z) {
        const I z = MI(loadu)((const void *)(a->z + (quad * a->z_stride + px) * SPR_Q8_GROUP));
        SPR_UNROLL for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) {
            const I byte = MI(and)(MM(srl_epi32)(z, _mm_cvtsi32_si128((int)r * 8)), MM(set1_epi32)(255));
            const F t = MM(cvtepi32_ps)(MM(sub_epi32)(byte, f->z_zero));
            value[r] = MM(add_ps)(value[r], MM(mul_ps)(t, f->z_scale));
        }
    }
    if (fin->act.fn != SPR_FN_NONE) NAME(activate)(a, row, value);
    for (uint32_t r = 0; fin->to_float && r < SPR_Q8_GROUP && row + r < a->n; r++)
        MM(storeu_ps)((float *)a->y + (row + r) * a->y_stride + px, value[r]);
    if (!fin->to_float) NAME(round)(f, value, (spr_q8 *)a->y + (quad * a->y_stride + px) * SPR_Q8_GROUP);
}

/* v vectors of pixels from px on of the rows from row on; their sums `step` vectors apart. scale and shift are those of
   all rows. */
SPR_INLINE void NAME(finish_rows)(const spr_pw_q8_args *a, const NAME(finish) * f, uint32_t v, const I *sum,
                                  uint32_t step, const float *scale, const float *shift, uint32_t row, uint32_t px) {
    scale += row;
    shift += row;
    if (!f->plain) {
        for (uint32_t j = 0; j < v; j++) NAME(finish_special)(a, f, sum + j * step, scale, row, px + j * LANES);
        return;
    }
    spr_q8 *y = (spr_q8 *)a->y + ((size_t)(row / SPR_Q8_GROUP) * a->y_stride + px) * SPR_Q8_GROUP;
    const F s[SPR_Q8_GROUP] = {MM(set1_ps)(scale[0]), MM(set1_ps)(scale[1]), MM(set1_ps)(scale[2]),
                               MM(set1_ps)(scale[3])};
    if (f->saturates) {
        const F t[SPR_Q8_GROUP] = {MM(set1_ps)(shift[0]), MM(set1_ps)(shift[1]), MM(set1_ps)(shift[2]),
                                   MM(set1_ps)(shift[3])};
        for (; v > 0; v--, sum += step, y += LANES * SPR_Q8_GROUP) {
            I q[SPR_Q8_GROUP];
            SPR_UNROLL for (uint32_t r = 0; r < SPR_Q8_GROUP; r++)
                q[r] = MM(cvtps_epi32)(MM(fmadd_ps)(AS_FLOAT(sum[r]), s[r], t[r]));
            const I bytes = MM(packus_epi16)(MM(packs_epi32)(q[0], q[1]), MM(packs_epi32)(q[2], q[3]));
            MI(storeu)((void *)y, MM(shuffle_epi8)(bytes, f->bytes));
        }
        return;
    }
    for (; v > 0; v--, sum += step, y += LANES * SPR_Q8_GROUP) {
        F value[SPR_Q8_GROUP];
        SPR_UNROLL for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) value[r] = MM(mul_ps)(MM(cvtepi32_ps)(sum[r]), s[r]);
        NAME(round)(f, value, y);
    }
}
