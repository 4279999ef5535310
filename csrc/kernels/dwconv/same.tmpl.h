/* Depthwise 3x3 and 5x5 at stride 1 with as many output columns as input columns, straight from the image.
 *
 * A block goes through its input rows tap by tap; a step loads the vectors of the next tap while it multiplies those of
 * the last for all output rows that the input row belongs to.
 *
 * Included by one file per kind of core, which defines before
 *   SAME_INORDER     whether cores issue in order: loads are then spread as same_step() tells
 *   SAME_NAME(x)     x with the suffix of the variant */
#include "kernels/dwconv/image_neon.h"

#define SAME_OVER 2

/* Halves of vectors, as IMG_LOAD loads whole ones, and how they are joined. */
typedef uint64_t same_d __attribute__((may_alias, aligned(4)));
#define SAME_LOW(x, p, at) __asm__ volatile("ldr %d0, %1" : "=w"(x) : "m"(*(const same_d *)((p) + (at))))
#define SAME_HIGH(h, p, at) __asm__ volatile("ldr %0, %1" : "=r"(h) : "m"(*(const same_d *)((p) + (at) + 2)))
#define SAME_JOIN(x, h) __asm__ volatile("ins %0.d[1], %1" : "+w"(x) : "r"(h))

/* A row's loads are counted from its leftmost. Where the load of vector v of a block is for the tap `d` columns right
   of the middle, and what is made of it. */
SPR_INLINE int same_left(const int k, const int edge) { return edge & IMG_LEFT ? 0 : k / 2; }
SPR_INLINE int same_at(const int k, const int d, const int v, const int edge) {
    /* Of narrow images both vectors have a pointer of their own. */
    return (edge == IMG_NARROW ? 0 : v * SPR_VL) + same_left(k, edge) + (d < 0 && v == 0 && (edge & IMG_LEFT) ? 0 : d);
}
SPR_INLINE spr_v same_cut(spr_v x, const int d, const int v, const int nv, const int edge, const spr_v *mask) {
    if (d < 0 && v == 0 && (edge & IMG_LEFT)) return spr_vshift_in(x, -d);
    return d > 0 && v == nv - 1 && (edge & IMG_RIGHT) ? spr_vand(x, mask[d - 1]) : x;
}

/* Output rows [first, end) to which input row s / k belongs, and the multiplications of step s. */
SPR_INLINE int same_first(const img_block b, const int s) { return s / b.k < b.k ? 0 : s / b.k - b.k + 1; }
SPR_INLINE int same_end(const img_block b, const int s) { return s / b.k < b.rows ? s / b.k + 1 : b.rows; }
SPR_INLINE int same_count(const img_block b, const int s) { return (same_end(b, s) - same_first(b, s)) * b.nv; }

/* The inputs of a step on their way into registers. */
typedef struct same_inputs {
    spr_v x[2];
    uint64_t high[2];
} same_inputs;

SPR_INLINE void same_join(same_inputs *in, const int v, const img_block b, const int s, const spr_v *mask) {
    SAME_JOIN(in->x[v], in->high[v]);
    in->x[v] = same_cut(in->x[v], s % b.k - b.k / 2, v, b.nv, b.edge, mask);
}

/* Step s multiplies its inputs `in`, tap s % k of input row s / k, and loads `next` from p.
 *
 * In order: A53 takes two cycles for a load of 16 bytes, in which nothing else issues. Half of it goes through a
 * general register: that load issues together with a multiplication, and joining the halves together with the first
 * half of the vector after it. A load to a vector register cannot issue four cycles after a multiplication, so first
 * halves stand four cycles apart, with three multiplications between. The last vector is joined when those after its
 * first half are through, if the step has more, else at the beginning of its own step. */
SPR_INLINE void same_step(const img_block b, const int s, spr_v *acc, same_inputs *in, same_inputs *next,
                          const float *const p[2], const spr_w *w, const img_task *t) {
    const spr_v *mask = t->mask;
    const int r0 = same_first(b, s), n = same_end(b, s) - r0, count = n * b.nv;
    const int last = s == (b.rows + b.k - 1) * b.k - 1;
    const int d1 = (s + 1) % b.k - b.k / 2, joined = s == 0 || same_count(b, s - 1) > 3 * b.nv;
    SPR_UNROLL
    for (int f = 0; f < count; f++) {
        SPR_UNROLL
        for (int v = 0; v < b.nv; v++) {
            if (f != (3 * v < count ? 3 * v : count - 1)) continue;
            if (!last && !SAME_INORDER) {
                IMG_LOAD(next->x[v], p[v], same_at(b.k, d1, v, b.edge));
                next->x[v] = same_cut(next->x[v], d1, v, b.nv, b.edge, mask);
            }
            if (!last && SAME_INORDER) SAME_LOW(next->x[v], p[v], same_at(b.k, d1, v, b.edge));
            if (!last && SAME_INORDER && v > 0) same_join(next, v - 1, b, s + 1, mask);
            if (SAME_INORDER && v == 0 && !joined) same_join(in, b.nv - 1, b, s, mask);
        }
        const int r = r0 + f % n, v = f / n;
        const int tap = (s / b.k - r) * b.k + s % b.k;
        spr_v *sum = acc + r * b.nv + v;
        /* Sums begin with the bias where a load is cheaper than an addition. */
        if (tap == 0 && !SAME_INORDER) IMG_LOAD(*sum, (const float *)&t->bias, 0);
        *sum = tap || !SAME_INORDER ? spr_vfma_w(*sum, in->x[v], w, tap) : spr_vmul_w0(in->x[v], w);
        SPR_UNROLL
        for (int u = 0; u < b.nv; u++)
            if (!last && SAME_INORDER && f == (3 * u < count ? 3 * u : count - 1))
                SAME_HIGH(next->high[u], p[u], same_at(b.k, d1, u, b.edge));
        if (!last && SAME_INORDER && f == 3 * b.nv - 1 && count > 3 * b.nv) same_join(next, b.nv - 1, b, s + 1, mask);
    }
}

/* A block at column ox, its second vector `gap` columns after the first. */
SPR_INLINE void same_block(const img_block b, const float *const *rp, size_t ox, const size_t gap, const spr_w *w,
                           float *y, const img_task *t) {
    const int steps = (b.rows + b.k - 1) * b.k;
    const size_t from = ox - same_left(b.k, b.edge);
    spr_v acc[2 * IMG_ROWS];
    same_inputs in, next;
    const float *p1 = rp[0] + from, *p[2] = {p1, b.edge == IMG_NARROW ? p1 + gap : p1};
    SPR_UNROLL
    for (int v = 0; v < b.nv; v++) {
        IMG_LOAD(in.x[v], p[v], same_at(b.k, -(b.k / 2), v, b.edge));
        in.x[v] = same_cut(in.x[v], -(b.k / 2), v, b.nv, b.edge, t->mask);
    }
    SPR_UNROLL
    for (int s = 0; s < steps; s++) {
        /* The next row's pointer is fetched in time. */
        if (s % b.k == 0 && s + b.k < steps) {
            p1 = rp[s / b.k + 1];
            __asm__ volatile("" : "+r"(p1));
        }
        if ((s + 1) % b.k == 0 && s + 1 < steps) {
            p[0] = p1 + from;
            p[1] = b.edge == IMG_NARROW ? p[0] + gap : p[0];
        }
        same_step(b, s, acc, &in, &next, p, w, t);
        in = next;
    }
    SPR_UNROLL
    for (int i = 0; i < b.rows * b.nv; i++)
        if (SAME_INORDER) acc[i] = spr_vadd(acc[i], t->bias);
    img_finish(b, acc, y + ox, gap, t);
}

/* `rows` output rows from row r of the task. */
SPR_INLINE void same_rows(const int k, const int rows, const img_task *t, uint32_t r) {
    const size_t ow = t->win->ow, wide = 2 * SPR_VL;
    const float *const *rp = t->rp + r;
    float *y = t->y + r * ow;
    spr_w w;
    SPR_W_LOAD(w, t->packed, k * k);
    if (ow <= wide) { /* and more than SPR_VL */
        same_block((img_block){k, rows, 2, IMG_NARROW}, rp, 0, ow - SPR_VL, &w, y, t);
        return;
    }
    same_block((img_block){k, rows, 2, IMG_LEFT}, rp, 0, SPR_VL, &w, y, t);
    size_t ox = wide;
    for (; ox + wide < ow; ox += wide) same_block((img_block){k, rows, 2, IMG_INSIDE}, rp, ox, SPR_VL, &w, y, t);
    if (ow - ox > SPR_VL)
        same_block((img_block){k, rows, 2, IMG_RIGHT}, rp, ow - wide, SPR_VL, &w, y, t);
    else
        same_block((img_block){k, rows, 1, IMG_RIGHT}, rp, ow - SPR_VL, 0, &w, y, t);
}

#define ROWS(k, rows) \
    static SPR_NOINLINE void same_rows_##k##_##rows(const img_task *t, uint32_t r) { same_rows(k, rows, t, r); }
ROWS(3, 1) ROWS(3, 2) ROWS(3, 4) ROWS(3, 7) ROWS(5, 1) ROWS(5, 4) ROWS(5, 7)
#undef ROWS

static size_t same_scratch(const spr_conv_shape *s) { return img_scratch(s, SAME_OVER); }

static int same_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    const uint32_t half = w->kw / 2, last = (w->ow - 1) % SPR_VL + 1;
    return spr_dwconv_match_fixed(s) && w->sw == 1 && w->pl == (int32_t)half && w->ow == w->iw && w->iw > SPR_VL &&
           last >= half;
}

void SAME_NAME(spr_dwconv_same_f32)(const spr_conv_args *a) {
    /* Two rows: chains of layers (runtime/chain.h) have stripes of that height. */
    static const img_kernel kernels[] = {
        {{same_rows_3_1, same_rows_3_2, same_rows_3_4, same_rows_3_7}, SAME_OVER},
        {{SPR_DW_5X5(same_rows_5_1), NULL, SPR_DW_5X5(same_rows_5_4), SPR_DW_5X5(same_rows_5_7)}, SAME_OVER},
    };
    /* For the taps one and two columns right of the middle. */
    const spr_v mask[2] = {spr_vmask_below(SPR_VL - 1), spr_vmask_below(SPR_VL - 2)};
    img_run(a, &kernels[a->shape->win.kh == 5], mask);
}

const spr_conv_traits SAME_NAME(spr_dwconv_same_traits) = {
    same_match,
    spr_dwconv_size,
    spr_dwconv_pack,
    same_scratch,
};
