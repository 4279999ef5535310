/* Depthwise 3x3 and 5x5 at stride 1 and 2 over bands. Blocks of up to four output rows by two vectors take their
 * inputs from registers: each input vector is loaded once per horizontal tap and used by all output rows it belongs
 * to. On 64-bit ARM other kernels do what is common, so this one is to be small: it has 5x5 at stride 2 only. After
 * any.tmpl.h. */

#define DW_ROWS 4 /* output rows of a block at most */

/* One block: `rows` rows by NV vectors; K x K taps, stride ST. Input rows lie rs apart, phases ps. */
SPR_INLINE void dw_block(const int k, const int st, const int rows, const int nv, const float *in, size_t rs, size_t ps,
                         const spr_w *w, spr_v bias, float *y, const float *z, size_t ow, size_t rest,
                         const spr_vact *act) {
    spr_v acc[2 * DW_ROWS];
    SPR_UNROLL
    for (int r = 0; r < rows * nv; r++) acc[r] = bias;
    /* Row pointers are made here, by one addition each: compilers would prepare all of them before the loop over
       blocks, and spill them. */
    __asm__("" : "+r"(rs));
    /* Loads run one step ahead of the arithmetic, for cores that issue in order. */
    spr_v x[2], next[2];
    SPR_UNROLL
    for (int v = 0; v < nv; v++) next[v] = spr_vload(in + v * SPR_VL);
    SPR_UNROLL
    for (int i = 0; i < (rows - 1) * st + k; i++) {
        SPR_UNROLL
        for (int kx = 0; kx < k; kx++) {
            const int last = kx == k - 1, kx1 = last ? 0 : kx + 1;
            if (last) in += rs;
            SPR_UNROLL
            for (int v = 0; v < nv; v++) {
                x[v] = next[v];
                if (!last || i < (rows - 1) * st + k - 1)
                    next[v] = spr_vload(in + kx1 % st * ps + kx1 / st + v * SPR_VL);
            }
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
    dw_finish(acc, rows, nv, y, z, ow, rest, act);
}

/* `rows` output rows from row r of the task. */
SPR_INLINE void dw_rows(const int k, const int st, const int rows, const dw_task *t, uint32_t r, const spr_w *w,
                        spr_v bias) {
    const spr_window *win = t->band->win;
    const size_t ow = win->ow, rs = t->band->rs, ps = t->band->s;
    const float *in = t->in + r * st * rs;
    float *y = t->y + r * ow;
    const float *z = t->z ? t->z + r * ow : NULL;
    size_t ox = 0;
    for (; ox + SPR_VL < ow; ox += 2 * SPR_VL)
        dw_block(k, st, rows, 2, in + ox, rs, ps, w, bias, y + ox, z ? z + ox : NULL, ow, ow - ox - SPR_VL, &t->act);
    if (ox < ow) dw_block(k, st, rows, 1, in + ox, rs, ps, w, bias, y + ox, z ? z + ox : NULL, ow, ow - ox, &t->act);
}

SPR_INLINE void dw_fixed(const int k, const int st, const dw_task *t) {
    spr_w w;
    SPR_W_LOAD(w, t->packed, k * k);
    const spr_v bias = spr_vset(t->packed[k * k]);
    for (uint32_t r = 0, rows; r < t->n; r += rows) {
        const uint32_t left = t->n - r;
        if (DW_APART) {
            /* The last block goes back over rows that are there already. */
            rows = t->n < 4 ? 1 : 4;
            if (rows > left) r = t->n - rows;
        } else {
            rows = spr_dwconv_step(left, 0);
        }
        if (rows == 4)
            dw_rows(k, st, 4, t, r, &w, bias);
        else if (!DW_APART && rows == 3)
            dw_rows(k, st, 3, t, r, &w, bias);
        else
            dw_rows(k, st, 1, t, r, &w, bias);
    }
}

#define FIXED(k, st) \
    static SPR_NOINLINE void dw_fixed_##k##_##st(const dw_task *t) { dw_fixed(k, st, t); }
FIXED(5, 2)
#if !SPR_AARCH64
FIXED(3, 1) FIXED(3, 2) FIXED(5, 1)
#endif
#undef FIXED

void SPR_CONV_NAME(spr_dwconv_f32)(const spr_conv_args *args) {
#if SPR_AARCH64
    dw_run(args, SPR_DW_5X5(dw_fixed_5_2));
#else
    const spr_window *win = &args->shape->win;
    dw_rows_fn *const three = win->sh == 1 ? dw_fixed_3_1 : dw_fixed_3_2;
    dw_run(args, win->kh == 3 ? three : win->sh == 1 ? SPR_DW_5X5(dw_fixed_5_1) : SPR_DW_5X5(dw_fixed_5_2));
#endif
}

static int dw_match_fixed(const spr_conv_shape *s) {
    return spr_dwconv_match_fixed(s) && (!SPR_AARCH64 || (s->win.kh == 5 && s->win.sh == 2));
}

const spr_conv_traits SPR_CONV_NAME(spr_dwconv_traits) = {dw_match_fixed, spr_dwconv_size, spr_dwconv_pack,
                                                          dw_scratch_any};
