/* Depthwise 3x3 at stride 2 with up to one column of padding at the left and the right, straight from the image, NEON.
 *
 * Four outputs take their inputs from nine columns of a row: eight are split into those of two taps; those of the third
 * one are those of one of them too, but for one column. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/dwconv/image_neon.h"

#define S2_OVER 1
#define S2_SHORT 2 /* rows that s2_singles() does sooner */

/* Inputs of one row for each tap and vector. */
typedef struct s2_inputs {
    spr_v x[3][2];
} s2_inputs;
/* Where they come from, for each vector: columns 0 to 7, and column 8 in the first lane. At the left border, where
   column 0 may be padding, columns 1 to 8, and column 0 in all lanes. */
typedef struct s2_loads {
    spr_v low[2], high[2], other[2];
} s2_loads;

typedef struct s2_strip {
    int border, side; /* side: the vectors lie side by side */
    size_t from0, from1; /* where columns are counted from */
    ptrdiff_t first;     /* at borders: from there to column 0; if that is padding, to any other */
    size_t down;         /* rows */
    const spr_w *w;
    spr_v is_first, mask; /* at borders: of column 0 of the first vector; of the third tap of the second */
} s2_strip;

/* Of the rows at rp and below. */
SPR_INLINE void s2_load(const s2_strip *s, const float *const *rp, s2_loads *in) {
    const float *p0 = rp[0] + s->from0, *p[2] = {p0, s->side ? p0 + 2 * SPR_VL : rp[s->down] + s->from1};
    SPR_UNROLL
    for (int v = 0; v < 2; v++) {
        const int left = s->border && v == 0;
        IMG_LOAD(in->low[v], p[v], left);
        IMG_LOAD(in->high[v], p[v], left + SPR_VL);
        if (left)
            __asm__ volatile("ld1r {%0.4s}, %1" : "=w"(in->other[v]) : "Q"(*(p[v] + s->first)));
        else
            __asm__ volatile("ldr %s0, %1" : "=w"(in->other[v]) : "m"(*(p[v] + 2 * SPR_VL)));
    }
}

/* Compilers keep these where they are: between multiplications that wait for each other. */
#define S2_TWO(op, y, a, b, end) __asm__ volatile(op " %0." end : "=w"(y) : "w"(a), "w"(b))
#define S2_SPLITS 6
SPR_INLINE void s2_split(const s2_strip *s, const int i, s2_loads *in, s2_inputs *to) {
    const int v = i % 2, left = s->border && v == 0;
    if (i / 2 == 0) S2_TWO("uzp1", to->x[left][v], in->low[v], in->high[v], "4s, %1.4s, %2.4s");
    if (i / 2 == 1) S2_TWO("uzp2", to->x[left + 1][v], in->low[v], in->high[v], "4s, %1.4s, %2.4s");
    if (i / 2 == 1 && left) in->other[0] = spr_vand(in->other[0], s->is_first);
    if (i / 2 == 2 && left) S2_TWO("ext", to->x[0][v], in->other[v], to->x[2][v], "16b, %1.16b, %2.16b, #12");
    if (i / 2 == 2 && !left) S2_TWO("ext", to->x[2][v], to->x[0][v], in->other[v], "16b, %1.16b, %2.16b, #4");
    if (i == 5 && s->border) to->x[2][1] = spr_vand(to->x[2][1], s->mask);
}

/* Multiplies an input row by row ky of the window for `sums`, and by row 0 for `started` if there is one; loads the
   row `below` meanwhile. */
SPR_INLINE void s2_input(const s2_strip *s, const int ky, spr_v *sums, spr_v *started, s2_inputs *in,
                         const float *const *below) {
    const int count = started ? 12 : 6;
    s2_inputs next;
    s2_loads loads;
    if (below) s2_load(s, below, &loads);
    SPR_UNROLL
    for (int f = 0; f < count; f++) {
        const int kx = f / (count / 3), v = f % 2;
        if (f % (count / 3) < 2)
            sums[v] = ky + kx ? spr_vfma_w(sums[v], in->x[kx][v], s->w, ky * 3 + kx) : spr_vmul_w0(in->x[0][v], s->w);
        else
            started[v] = kx ? spr_vfma_w(started[v], in->x[kx][v], s->w, kx) : spr_vmul_w0(in->x[0][v], s->w);
        SPR_UNROLL
        for (int i = 0; i < S2_SPLITS; i++)
            if (below && i * count / S2_SPLITS == f) s2_split(s, i, &loads, &next);
    }
    if (below) *in = next;
}

SPR_INLINE s2_strip s2_strip_make(const int border, const img_task *t, const spr_w *w, const img_strip at) {
    const size_t pl = (size_t)t->win->pl, from = 2 * at.ox - pl;
    return (s2_strip){border, 0, from, from + 2 * at.gap, pl ? 1 : 0, 2 * at.down, w, spr_vmask_below(pl ? 0 : SPR_VL),
                      t->mask[0]};
}

SPR_INLINE s2_inputs s2_begin(const s2_strip *s, const float *const *rp) {
    s2_inputs in;
    s2_loads loads;
    s2_load(s, rp, &loads);
    SPR_UNROLL
    for (int i = 0; i < S2_SPLITS; i++) s2_split(s, i, &loads, &in);
    return in;
}

SPR_INLINE void s2_rows(const int border, const img_task *t, const spr_w *w, const img_out *from,
                        const img_strip at) {
    const s2_strip s = s2_strip_make(border, t, w, at);
    img_out out = *from;
    img_out_at(&out, at);
    const float *const *rp = t->rp;
    spr_v even[2] = {spr_vzero(), spr_vzero()}, odd[2] = {spr_vzero(), spr_vzero()};
    s2_inputs in = s2_begin(&s, rp);
    s2_input(&s, 0, even, NULL, &in, ++rp);
    uint32_t left = t->n - at.down - 1;
    while (left) {
        s2_input(&s, 1, even, NULL, &in, ++rp);
        img_store(&out, odd, 1);
        s2_input(&s, 2, even, odd, &in, ++rp);
        if (!--left) {
            SPR_UNROLL
            for (int v = 0; v < 2; v++) {
                spr_v turned = even[v];
                __asm__ volatile("mov %0.16b, %1.16b" : "=w"(even[v]) : "w"(odd[v]));
                odd[v] = turned;
            }
            break;
        }
        s2_input(&s, 1, odd, NULL, &in, ++rp);
        img_store(&out, even, 1);
        s2_input(&s, 2, odd, even, &in, ++rp);
        left--;
    }
    s2_input(&s, 1, even, NULL, &in, ++rp);
    img_store(&out, odd, 1);
    s2_input(&s, 2, even, NULL, &in, NULL);
    img_store(&out, even, 1);
}

/* What is inside, row by row: stripes of chains (runtime/chain.h) have few. */
SPR_INLINE void s2_singles(const img_task *t, const spr_w *w, const img_out *from) {
    for (uint32_t r = 0; r < t->n; r++)
        for (size_t ox = SPR_VL; ox < from->ow - SPR_VL; ox += 2 * SPR_VL) {
            ox = img_short_column(ox, from->ow);
            s2_strip s = s2_strip_make(0, t, w, (img_strip){ox, SPR_VL, 0});
            const float *const *rp = t->rp + 2 * r;
            img_out out = *from;
            spr_v sums[2];
            s.side = 1;
            s2_inputs in = s2_begin(&s, rp);
            s2_input(&s, 0, sums, NULL, &in, rp + 1);
            s2_input(&s, 1, sums, NULL, &in, rp + 2);
            s2_input(&s, 2, sums, NULL, &in, NULL);
            out.y += r * out.ow + ox;
            img_store(&out, sums, 1);
        }
}

static void s2_task(const img_task *t) {
    const img_out out = img_out_make(t);
    spr_w w;
    SPR_W_LOAD(w, t->packed, 9);
    if (t->n <= S2_SHORT && out.ow >= IMG_SHORT_WIDTH)
        s2_singles(t, &w, &out);
    else
        for (size_t ox = SPR_VL; ox < out.ow - SPR_VL; ox += 2 * SPR_VL)
            s2_rows(0, t, &w, &out, img_inside(t, ox, 1));
    s2_rows(1, t, &w, &out, img_border(t));
}

static size_t s2_scratch(const spr_conv_shape *s) { return spr_dwconv_image_scratch(s, S2_OVER); }

/* Of the last column's taps only the third may stand beyond the right border. */
static int s2_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    return spr_dwconv_match_fixed(s) && w->kw == 3 && w->sw == 2 && (w->pl == 0 || w->pl == 1) && w->ow > SPR_VL &&
           2 * (uint64_t)w->ow <= (uint64_t)w->iw + (uint32_t)w->pl;
}

void spr_dwconv_s2_f32_neon(const spr_conv_args *a) {
    static const img_kernel kernel = {s2_task, S2_OVER, 1};
    const spr_window *win = &a->shape->win;
    /* For the third tap. */
    const int beyond = 2 * (uint64_t)win->ow == (uint64_t)win->iw + (uint32_t)win->pl;
    const spr_v mask[2] = {spr_vmask_below(SPR_VL - beyond), spr_vzero()};
    spr_dwconv_image_run(a, &kernel, mask);
}

const spr_conv_traits spr_dwconv_s2_traits_neon = {s2_match, spr_dwconv_size, spr_dwconv_pack, s2_scratch};
#endif
