/* Depthwise 3x3 at stride 2 with up to one column of padding at the left and the right, straight from the image, NEON.
 *
 * Four outputs take their inputs from nine columns of a row: the last eight are split into those of the second and
 * those of the third tap; the latter are those of the first tap too, but for one. */
#include "base/compiler.h"

#if SPR_AARCH64
#include "kernels/dwconv/image_neon.h"

#define S2_OVER 1

/* Inputs of one row for each tap and vector. */
typedef struct s2_inputs {
    spr_v x[3][2];
} s2_inputs;
/* Where they come from, for each vector: columns 1 to 8, and column 0 in all lanes. */
typedef struct s2_loads {
    spr_v low[2], high[2], first[2];
} s2_loads;

typedef struct s2_strip {
    int border;
    size_t from0, from1; /* column 1 of both vectors */
    ptrdiff_t first;     /* from there to column 0; at the left border, if that is padding, to any other column */
    size_t down;         /* rows */
    const spr_w *w;
    spr_v is_first, mask; /* at borders: of column 0 of the first vector; of the third tap of the second */
} s2_strip;

/* Of the rows at rp and below. */
SPR_INLINE void s2_load(const s2_strip *s, const float *const *rp, s2_loads *in) {
    const float *p[2] = {rp[0] + s->from0, rp[s->down] + s->from1};
    SPR_UNROLL
    for (int v = 0; v < 2; v++) {
        const float *first = p[v] + (s->border && v == 0 ? s->first : -1);
        IMG_LOAD(in->low[v], p[v], 0);
        IMG_LOAD(in->high[v], p[v], SPR_VL);
        __asm__ volatile("ld1r {%0.4s}, %1" : "=w"(in->first[v]) : "Q"(*first));
    }
}

/* Compilers keep these where they are: between multiplications that wait for each other. */
#define S2_TWO(op, y, a, b, end) __asm__ volatile(op " %0." end : "=w"(y) : "w"(a), "w"(b))
#define S2_SPLITS 6
SPR_INLINE void s2_split(const s2_strip *s, const int i, s2_loads *in, s2_inputs *to) {
    const int v = i % 2;
    if (i / 2 == 0) S2_TWO("uzp2", to->x[2][v], in->low[v], in->high[v], "4s, %1.4s, %2.4s");
    if (i / 2 == 1) S2_TWO("uzp1", to->x[1][v], in->low[v], in->high[v], "4s, %1.4s, %2.4s");
    if (i == 1 && s->border) in->first[0] = spr_vand(in->first[0], s->is_first);
    if (i / 2 == 2) S2_TWO("ext", to->x[0][v], in->first[v], to->x[2][v], "16b, %1.16b, %2.16b, #12");
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

SPR_INLINE void s2_rows(const int border, const img_task *t, const spr_w *w, const img_strip at) {
    const size_t pl = (size_t)t->win->pl, from = 2 * at.ox + 1 - pl;
    const s2_strip s = {border, from, from + 2 * at.gap, pl ? 0 : -1, 2 * at.down, w,
                        spr_vmask_below(pl ? 0 : SPR_VL), t->mask[0]};
    img_out out = img_out_make(t, &at);
    const float *const *rp = t->rp;
    spr_v even[2] = {spr_vzero(), spr_vzero()}, odd[2] = {spr_vzero(), spr_vzero()};
    s2_inputs in;
    s2_loads loads;
    s2_load(&s, rp, &loads);
    SPR_UNROLL
    for (int i = 0; i < S2_SPLITS; i++) s2_split(&s, i, &loads, &in);
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

static void s2_task(const img_task *t) {
    spr_w w;
    SPR_W_LOAD(w, t->packed, 9);
    for (size_t ox = SPR_VL; ox < t->win->ow - SPR_VL; ox += 2 * SPR_VL) s2_rows(0, t, &w, img_inside(t, ox, 1));
    s2_rows(1, t, &w, img_border(t));
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
