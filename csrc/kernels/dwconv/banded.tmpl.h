/* Depthwise 3x3 and 5x5 at stride 1 and 2 over bands. Blocks of up to four output rows by two vectors take their
 * inputs from registers: each input vector is loaded once per horizontal tap and used by all output rows it belongs
 * to. After any.tmpl.h. */

/* One block: R rows by NV vectors at output column `ox`; K x K taps, stride ST, phases `ps` apart. */
SPR_INLINE void dw_block(const int k, const int st, const int rows, const int nv, const float *in, size_t rs, size_t ps,
                         const spr_w *w, spr_v bias, float *y, const float *z, size_t ow, size_t rest,
                         const spr_vact *act) {
    spr_v acc[8];
    SPR_UNROLL
    for (int r = 0; r < rows * nv; r++) acc[r] = bias;
    SPR_UNROLL
    for (int i = 0; i < (rows - 1) * st + k; i++) {
        SPR_UNROLL
        for (int kx = 0; kx < k; kx++) {
            spr_v x[2];
            SPR_UNROLL
            for (int v = 0; v < nv; v++) x[v] = spr_vload(in + i * rs + kx % st * ps + kx / st + v * SPR_VL);
            SPR_UNROLL
            for (int r = 0; r < rows; r++) {
                if (i - r * st >= 0 && i - r * st < k) {
                    SPR_UNROLL
                    for (int v = 0; v < nv; v++)
                        acc[r * nv + v] = spr_vfma_w(acc[r * nv + v], x[v], w, (i - r * st) * k + kx);
                }
            }
        }
    }
    spr_vfinish(acc, rows, nv, y, z, ow, rest, act);
}

/* `rows` rows of the output at y, from the band row at `in`. */
SPR_INLINE void dw_rows(const int k, const int st, const int rows, const float *in, const spr_band *b, const spr_w *w,
                        spr_v bias, float *y, const float *z, const spr_vact *act) {
    const size_t ow = b->win->ow, rs = b->rs, ps = b->s;
    size_t ox = 0;
    for (; ox + SPR_VL < ow; ox += 2 * SPR_VL)
        dw_block(k, st, rows, 2, in + ox, rs, ps, w, bias, y + ox, z ? z + ox : NULL, ow, ow - ox - SPR_VL, act);
    if (ox < ow) dw_block(k, st, rows, 1, in + ox, rs, ps, w, bias, y + ox, z ? z + ox : NULL, ow, ow - ox, act);
}

/* See dw_band_fn. */
SPR_INLINE void dw_fixed(const int k, const int st, const spr_band *b, const size_t *taps, const float *in,
                         const float *packed, float *y, const float *z, uint32_t n, const spr_vact *act) {
    const size_t ow = b->win->ow;
    spr_w w;
    SPR_W_LOAD(w, packed, k * k);
    const spr_v bias = spr_vset(packed[k * k]);
    (void)taps; /* known here */
    while (n) {
        uint32_t rows = spr_dwconv_step(n);
        if (rows == 4)
            dw_rows(k, st, 4, in, b, &w, bias, y, z, act);
        else if (rows == 3)
            dw_rows(k, st, 3, in, b, &w, bias, y, z, act);
        else
            dw_rows(k, st, 1, in, b, &w, bias, y, z, act);
        in += rows * st * b->rs;
        y += rows * ow;
        if (z) z += rows * ow;
        n -= rows;
    }
}

#define FIXED(k, st)                                                                                                 \
    static SPR_NOINLINE void dw_fixed_##k##_##st(const spr_band *b, const size_t *taps, const float *in,              \
                                                 const float *packed, float *y, const float *z, uint32_t n,          \
                                                 const spr_vact *act) {                                              \
        dw_fixed(k, st, b, taps, in, packed, y, z, n, act);                                                          \
    }
FIXED(3, 1) FIXED(3, 2) FIXED(5, 1) FIXED(5, 2)
#undef FIXED

void SPR_CONV_NAME(spr_dwconv_f32)(const spr_conv_args *args) {
    const spr_window *win = &args->shape->win;
    if (win->kh == 3)
        dw_run(args, win->sh == 1 ? dw_fixed_3_1 : dw_fixed_3_2);
    else
        dw_run(args, win->sh == 1 ? dw_fixed_5_1 : dw_fixed_5_2);
}

const spr_conv_traits SPR_CONV_NAME(spr_dwconv_traits) = {spr_dwconv_match_fixed, spr_dwconv_size, spr_dwconv_pack,
                                                          dw_scratch_any};
