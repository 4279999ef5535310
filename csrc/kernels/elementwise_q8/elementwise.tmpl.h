/* Quantized functions of two variables, table lookups and conversions for the vectors of one ISA. */

/* Of two inputs; for products the zeros, else what is added, and the products' scale is a's. */
typedef struct binary_numbers {
    spr_q a_zero, b_zero;
    spr_v a_scale, b_scale, shift;
    spr_qbounds bounds;
} binary_numbers;

SPR_INLINE spr_q binary_vector(const int mul, spr_q a, spr_q b, const binary_numbers *k) {
    spr_q u[4], v[4];
    spr_v sum[4];
    spr_qwiden(a, u);
    spr_qwiden(b, v);
    SPR_UNROLL
    for (int i = 0; i < 4; i++) {
        if (mul) {
            const spr_v product =
                spr_vmul(spr_qfloat(spr_qsub32(u[i], k->a_zero)), spr_qfloat(spr_qsub32(v[i], k->b_zero)));
            sum[i] = spr_vadd(spr_vmul(product, k->a_scale), k->shift);
        } else {
            sum[i] = spr_vfma(spr_vfma(k->shift, spr_qfloat(v[i]), k->b_scale), spr_qfloat(u[i]), k->a_scale);
        }
    }
    return spr_qnarrow(sum, &k->bounds);
}

SPR_INLINE void binary_run(const int mul, const spr_binary_q8 *f, const spr_q8 *a, int a_step, const spr_q8 *b,
                           int b_step, spr_q8 *y, size_t n) {
    /* One pixel for all becomes a vector that is read again and again. */
    spr_q8 a0[4 * SPR_VL], b0[4 * SPR_VL];
    const size_t da = a_step ? 4 : 0, db = b_step ? 4 : 0;
    const float b_scale = f->f == SPR_BIN_SUB ? -f->b_scale : f->b_scale;
    const binary_numbers k = {spr_qset32(f->a_zero),
                              spr_qset32(f->b_zero),
                              spr_vset(f->a_scale),
                              spr_vset(b_scale),
                              spr_vset(mul ? (float)f->y_zero : spr_q8_shift(f, b_scale)),
                              spr_qbounds_of(0, f->lo, f->hi)};
    const spr_q none = spr_qset32(0);
    size_t p = 0;
    if (!n) return;
    if (!a_step) spr_qstore(a0, spr_qpixel(a)), a = a0;
    if (!b_step) spr_qstore(b0, spr_qpixel(b)), b = b0;
    for (; p + SPR_VL <= n; p += SPR_VL)
        spr_qstore(y + 4 * p, binary_vector(mul, spr_qload(a + da * p), spr_qload(b + db * p), &k));
    if (p == n) return;
    const size_t rest = n - p;
    spr_qstore_n(y + 4 * p,
                 binary_vector(mul, spr_qload_n(a + da * p, rest, none), spr_qload_n(b + db * p, rest, none), &k),
                 rest);
}

void SPR_Q_NAME(spr_binary_q8)(const spr_binary_q8 *f, const spr_q8 *a, int a_step, const spr_q8 *b, int b_step,
                               spr_q8 *y, size_t n) {
    if (f->f == SPR_BIN_MUL)
        binary_run(1, f, a, a_step, b, b_step, y, n);
    else
        binary_run(0, f, a, a_step, b, b_step, y, n);
}

void SPR_Q_NAME(spr_table_q8)(const spr_q8 *x, spr_q8 *y, size_t n, const spr_q8 *table) {
    const spr_qtable t = spr_qtable_of(table);
    size_t p = 0;
    for (; p + SPR_VL <= n; p += SPR_VL) spr_qstore(y + 4 * p, spr_qlookup(spr_qload(x + 4 * p), &t));
    if (p < n) spr_qstore_n(y + 4 * p, spr_qlookup(spr_qload_n(x + 4 * p, n - p, spr_qset32(0)), &t), n - p);
}

/* To divide floats by one number, up to where bytes saturate: times its inverse, corrected twice by what is left
   (Markstein's theorem: if the inverse is rounded correctly, the second is the quotient as division rounds it). */
typedef struct SPR_Q_NAME(divisor) {
    spr_v by, minus, inverse, most, least;
    int usual; /* the inverse and what is left are normal numbers */
} SPR_Q_NAME(divisor);

SPR_INLINE SPR_Q_NAME(divisor) SPR_Q_NAME(divisor_of)(float by) {
    return (SPR_Q_NAME(divisor)){.by = spr_vset(by),
                                 .minus = spr_vset(-by),
                                 .inverse = spr_vset(1 / by),
                                 .most = spr_vset(1024 * by),
                                 .least = spr_vset(-1024 * by),
                                 .usual = by > 1e-20f && by < 1e20f};
}

SPR_INLINE spr_v SPR_Q_NAME(quotient)(spr_v x, const SPR_Q_NAME(divisor) * d) {
    if (!d->usual) return spr_vdiv(x, d->by);
    x = spr_vminc(spr_vmaxc(x, d->least), d->most); /* infinities would become NaN */
    const spr_v near = spr_vmul(x, d->inverse), nearer = spr_vfma(near, spr_vfma(x, near, d->minus), d->inverse);
    return spr_vfma(nearer, spr_vfma(x, nearer, d->minus), d->inverse);
}

void SPR_Q_NAME(spr_quantize_q8)(const float *const x[4], spr_q8 *y, size_t n, float scale, int32_t zero) {
    static const float none[SPR_VL];
    const float *plane[4];
    size_t step[4], p = 0;
    const SPR_Q_NAME(divisor) s = SPR_Q_NAME(divisor_of)(scale);
    const spr_qbounds bounds = spr_qbounds_of(zero, SPR_Q8_MIN, SPR_Q8_MAX);
    for (int i = 0; i < 4; i++) {
        plane[i] = x[i] ? x[i] : none;
        step[i] = x[i] != NULL;
    }
    for (; p + SPR_VL <= n; p += SPR_VL) {
        spr_v v[4];
        SPR_UNROLL
        for (int i = 0; i < 4; i++) v[i] = SPR_Q_NAME(quotient)(spr_vload(plane[i] + p * step[i]), &s);
        spr_qstore(y + 4 * p, spr_qjoin(v, &bounds));
    }
    if (p == n) return;
    spr_v v[4];
    for (int i = 0; i < 4; i++) v[i] = SPR_Q_NAME(quotient)(spr_vload_n(plane[i] + p * step[i], n - p), &s);
    spr_qstore_n(y + 4 * p, spr_qjoin(v, &bounds), n - p);
}

void SPR_Q_NAME(spr_dequantize_q8)(const spr_q8 *x, float *const y[4], size_t n, float scale, int32_t zero) {
    const spr_v s = spr_vset(scale);
    const spr_q z = spr_qset32(zero);
    for (size_t p = 0; p < n; p += SPR_VL) {
        const size_t rest = n - p;
        spr_q c[4];
        spr_qchannels(rest < SPR_VL ? spr_qload_n(x + 4 * p, rest, z) : spr_qload(x + 4 * p), c);
        SPR_UNROLL
        for (int i = 0; i < 4; i++) {
            if (!y[i]) continue;
            const spr_v v = spr_vmul(spr_qfloat(spr_qsub32(c[i], z)), s);
            if (rest < SPR_VL)
                spr_vstore_n(y[i] + p, v, rest);
            else
                spr_vstore(y[i] + p, v);
        }
    }
}
