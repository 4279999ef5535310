/* Depthwise 3x3 at stride 2 with up to one column of padding at the left and the right, straight from the image, NEON.
 *
 * Two output vectors take their inputs from 17 columns of a row, which are split into even and odd ones. The first
 * column is that of the first tap; at the left border, if that is a padding column, that of the second tap. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/dwconv/image_neon.h"

#define S2_OVER 4

/* Inputs of one row for each tap and vector. */
typedef struct s2_inputs {
    spr_v x[3][2];
} s2_inputs;

/* Of vectors that lie one behind the other. */
SPR_INLINE s2_inputs s2_load_row(const int nv, const int edge, const float *p, spr_v mask) {
    s2_inputs in;
    spr_v even[3], odd[2];
    SPR_UNROLL
    for (int v = 0; v < nv; v++) {
        spr_v low, high;
        IMG_LOAD(low, p, 2 * SPR_VL * v);
        IMG_LOAD(high, p, 2 * SPR_VL * v + SPR_VL);
        spr_vsplit(low, high, &even[v], &odd[v]);
    }
    if (edge & IMG_LEFT) {
        SPR_UNROLL
        for (int v = 0; v < nv; v++) {
            in.x[0][v] = vextq_f32(v ? odd[v - 1] : spr_vzero(), odd[v], 3);
            in.x[1][v] = even[v];
            in.x[2][v] = odd[v];
        }
    } else {
        IMG_LOAD(even[nv], p, 2 * SPR_VL * nv);
        SPR_UNROLL
        for (int v = 0; v < nv; v++) {
            in.x[0][v] = even[v];
            in.x[1][v] = odd[v];
            in.x[2][v] = vextq_f32(even[v], even[v + 1], 1);
        }
    }
    if (edge & IMG_RIGHT) in.x[2][nv - 1] = spr_vand(in.x[2][nv - 1], mask);
    return in;
}

/* Of narrow images the second vector begins at input column `second`. */
SPR_INLINE s2_inputs s2_load(const img_block b, const float *p, size_t second, spr_v mask) {
    if (b.edge != IMG_NARROW) return s2_load_row(b.nv, b.edge, p, mask);
    s2_inputs in = s2_load_row(1, IMG_LEFT, p, mask), right = s2_load_row(1, IMG_RIGHT, p + second, mask);
    SPR_UNROLL
    for (int kx = 0; kx < 3; kx++) in.x[kx][1] = right.x[kx][0];
    return in;
}

/* A block at output column ox, whose first input column is `from`; its second vector is `gap` columns after the first.
   The mask is for the third tap of the last vector. */
SPR_INLINE void s2_block(const img_block b, const float *const *rp, size_t ox, size_t from, const size_t gap,
                         spr_v mask, const spr_w *w, float *y, const img_task *t) {
    const int inputs = 2 * b.rows + 1;
    const size_t second = 2 * gap - 1;
    spr_v acc[2 * IMG_ROWS];
    s2_inputs next = s2_load(b, rp[0] + from, second, mask);
    SPR_UNROLL
    for (int i = 0; i < inputs; i++) {
        const s2_inputs in = next;
        if (i + 1 < inputs) next = s2_load(b, rp[i + 1] + from, second, mask);
        SPR_UNROLL
        for (int kx = 0; kx < 3; kx++) {
            SPR_UNROLL
            for (int r = 0; r < b.rows; r++) {
                const int ky = i - 2 * r;
                if (ky < 0 || ky > 2) continue;
                SPR_UNROLL
                for (int v = 0; v < b.nv; v++) {
                    spr_v *sum = acc + r * b.nv + v;
                    *sum = ky + kx ? spr_vfma_w(*sum, in.x[kx][v], w, ky * 3 + kx) : spr_vmul_w0(in.x[0][v], w);
                }
            }
        }
    }
    SPR_UNROLL
    for (int i = 0; i < b.rows * b.nv; i++) acc[i] = spr_vadd(acc[i], t->bias);
    img_finish(b, acc, y + ox, gap, t);
}

/* `rows` output rows from row r of the task. */
SPR_INLINE void s2_rows(const int rows, const img_task *t, uint32_t r) {
    const size_t ow = t->win->ow, wide = 2 * SPR_VL, pl = (size_t)t->win->pl;
    const float *const *rp = t->rp + 2 * r;
    float *y = t->y + r * ow;
    const spr_v mask = t->mask[0];
    spr_w w;
    SPR_W_LOAD(w, t->packed, 9);
    size_t ox = 0;
    if (pl && ow <= wide) { /* and more than SPR_VL */
        s2_block((img_block){3, rows, 2, IMG_NARROW}, rp, 0, 0, ow - SPR_VL, mask, &w, y, t);
        return;
    }
    if (pl) {
        s2_block((img_block){3, rows, 2, IMG_LEFT}, rp, 0, 0, SPR_VL, mask, &w, y, t);
        ox = wide;
    }
    for (; ox + wide < ow; ox += wide)
        s2_block((img_block){3, rows, 2, IMG_INSIDE}, rp, ox, 2 * ox - pl, SPR_VL, mask, &w, y, t);
    if (ow - ox > SPR_VL && ow >= wide) {
        ox = ow - wide;
        s2_block((img_block){3, rows, 2, IMG_RIGHT}, rp, ox, 2 * ox - pl, SPR_VL, mask, &w, y, t);
        return;
    }
    /* One vector, or both of a narrow image without padding. */
    for (ox = ow - ox > SPR_VL ? ox : ow - SPR_VL;; ox = ow - SPR_VL) {
        const int last = ox == ow - SPR_VL;
        s2_block((img_block){3, rows, 1, IMG_RIGHT}, rp, ox, 2 * ox - pl, 0, t->mask[!last], &w, y, t);
        if (last) break;
    }
}

#define ROWS(rows) \
    static SPR_NOINLINE void s2_rows_##rows(const img_task *t, uint32_t r) { s2_rows(rows, t, r); }
ROWS(1) ROWS(4) ROWS(7)
#undef ROWS

static size_t s2_scratch(const spr_conv_shape *s) { return img_scratch(s, S2_OVER); }

/* Of the last column's taps only the third may stand beyond the right border. */
static int s2_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    return spr_dwconv_match_fixed(s) && w->kw == 3 && w->sw == 2 && (w->pl == 0 || w->pl == 1) && w->ow > SPR_VL &&
           2 * (uint64_t)w->ow <= (uint64_t)w->iw + (uint32_t)w->pl;
}

void spr_dwconv_s2_f32_neon(const spr_conv_args *a) {
    static const img_kernel kernel = {{s2_rows_1, NULL, s2_rows_4, s2_rows_7}, S2_OVER};
    const spr_window *win = &a->shape->win;
    /* For the third tap: all lanes if it stands within the image, or if there are vectors behind. */
    const int beyond = 2 * (uint64_t)win->ow == (uint64_t)win->iw + (uint32_t)win->pl;
    const spr_v mask[2] = {spr_vmask_below(SPR_VL - beyond), spr_vmask_below(SPR_VL)};
    img_run(a, &kernel, mask);
}

const spr_conv_traits spr_dwconv_s2_traits_neon = {s2_match, spr_dwconv_size, spr_dwconv_pack, s2_scratch};
#endif
