/* Depthwise 3x3 at stride 2 with up to one column of padding at the left and the right, straight from the image, NEON.
 *
 * Two output vectors take their inputs from 17 columns of a row, which are split into even and odd ones. The first
 * column is that of the first tap; at the left border, if that is a padding column, that of the second tap. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/dwconv/image_neon.h"

#define S2_OVER 10

/* Inputs of one row for each tap and vector. */
typedef struct s2_inputs {
    spr_v x[3][2];
} s2_inputs;

SPR_INLINE s2_inputs s2_load(const img_block b, const float *p, spr_v mask) {
    s2_inputs in;
    spr_v even[3], odd[2];
    SPR_UNROLL
    for (int v = 0; v < b.nv; v++) {
        spr_v low, high;
        IMG_LOAD(low, p, 2 * SPR_VL * v);
        IMG_LOAD(high, p, 2 * SPR_VL * v + SPR_VL);
        spr_vsplit(low, high, &even[v], &odd[v]);
    }
    if (b.edge & IMG_LEFT) {
        SPR_UNROLL
        for (int v = 0; v < b.nv; v++) {
            in.x[0][v] = vextq_f32(v ? odd[v - 1] : spr_vzero(), odd[v], 3);
            in.x[1][v] = even[v];
            in.x[2][v] = odd[v];
        }
    } else {
        IMG_LOAD(even[b.nv], p, 2 * SPR_VL * b.nv);
        SPR_UNROLL
        for (int v = 0; v < b.nv; v++) {
            in.x[0][v] = even[v];
            in.x[1][v] = odd[v];
            in.x[2][v] = vextq_f32(even[v], even[v + 1], 1);
        }
    }
    if (b.edge & IMG_RIGHT) in.x[2][b.nv - 1] = spr_vand(in.x[2][b.nv - 1], mask);
    return in;
}

/* A block at output column ox, whose first input column is `from`; `rest` columns are left in its last vector. */
SPR_INLINE void s2_block(const img_block b, const float *const *rp, size_t ox, size_t from, size_t rest, const spr_w *w,
                         float *y, const float *z, const img_task *t) {
    const int inputs = 2 * b.rows + 1;
    const spr_v mask = t->mask[0];
    spr_v acc[2 * IMG_ROWS];
    s2_inputs next = s2_load(b, rp[0] + from, mask);
    SPR_UNROLL
    for (int i = 0; i < inputs; i++) {
        const s2_inputs in = next;
        if (i + 1 < inputs) next = s2_load(b, rp[i + 1] + from, mask);
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
    if (!IMG_IN_REGISTERS(t->act.consts.fn)) __builtin_unreachable();
    img_finish(b, acc, y + ox, z ? z + ox : NULL, rest, t);
}

/* `rows` output rows from row r of the task. */
SPR_INLINE void s2_rows(const int rows, const img_task *t, uint32_t r) {
    const size_t ow = t->win->ow, wide = 2 * SPR_VL, pl = (size_t)t->win->pl;
    const float *const *rp = t->rp + 2 * r;
    float *y = t->y + r * ow;
    const float *z = t->z ? t->z + r * ow : NULL;
    spr_w w;
    SPR_W_LOAD(w, t->packed, 9);
    size_t ox = 0;
    if (pl && ow <= wide) { /* and more than SPR_VL */
        s2_block((img_block){3, rows, 2, IMG_LEFT | IMG_RIGHT}, rp, 0, 0, ow - SPR_VL, &w, y, z, t);
        return;
    }
    if (pl) {
        s2_block((img_block){3, rows, 2, IMG_LEFT}, rp, 0, 0, SPR_VL, &w, y, z, t);
        ox = wide;
    }
    for (; ox + wide < ow; ox += wide)
        s2_block((img_block){3, rows, 2, IMG_INSIDE}, rp, ox, 2 * ox - pl, SPR_VL, &w, y, z, t);
    if (ow - ox > SPR_VL)
        s2_block((img_block){3, rows, 2, IMG_RIGHT}, rp, ox, 2 * ox - pl, ow - ox - SPR_VL, &w, y, z, t);
    else
        s2_block((img_block){3, rows, 1, IMG_RIGHT}, rp, ox, 2 * ox - pl, ow - ox, &w, y, z, t);
}

#define ROWS(rows) \
    static SPR_NOINLINE void s2_rows_##rows(const img_task *t, uint32_t r) { s2_rows(rows, t, r); }
ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(7)
#undef ROWS

static size_t s2_scratch(const spr_conv_shape *s) { return img_scratch(s, S2_OVER); }

/* Of the last column's taps only the third may stand beyond the right border. */
static int s2_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    return spr_dwconv_match_fixed(s) && w->kw == 3 && w->sw == 2 && (w->pl == 0 || w->pl == 1) && w->ow > SPR_VL &&
           2 * (uint64_t)w->ow <= (uint64_t)w->iw + (uint32_t)w->pl;
}

void spr_dwconv_s2_f32_neon(const spr_conv_args *a) {
    static const img_kernel kernel = {
        {NULL, s2_rows_1, s2_rows_2, s2_rows_3, s2_rows_4, NULL, NULL, s2_rows_7},
        S2_OVER,
    };
    const spr_window *win = &a->shape->win;
    /* For the third tap: all lanes if it stands within the image. */
    const int lanes = (int)((win->ow - 1) % SPR_VL) + 1;
    const int beyond = 2 * (uint64_t)win->ow == (uint64_t)win->iw + (uint32_t)win->pl;
    const spr_v mask[2] = {spr_vmask_below(lanes - beyond), spr_vzero()};
    img_run(a, &kernel, mask);
}

const spr_conv_traits spr_dwconv_s2_traits_neon = {s2_match, spr_dwconv_size, spr_dwconv_pack, s2_scratch};
#endif
