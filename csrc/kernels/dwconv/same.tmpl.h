/* Depthwise 3x3 and 5x5 at stride 1 with as many output columns as input columns, straight from the image.
 *
 * A strip goes through its input rows tap by tap; a step loads the vectors of the next tap while it multiplies those of
 * the last for all output rows that the input row belongs to.
 *
 * Included by one file per kind of core, which defines before
 *   SAME_INORDER     whether cores issue in order: loads are then spread as same_step() tells
 *   SAME_NAME(x)     x with the suffix of the variant */
#include "kernels/dwconv/image_neon.h"

#define SAME_OVER 2
#define SAME_SHORT 4 /* rows that same_pairs() does sooner */

typedef uint64_t same_d __attribute__((may_alias, aligned(4))); /* half a vector */

/* What does not change within a strip of K x K taps. At borders lanes of taps left of the middle are shifted into the
   first vector, and those right of it masked out of the second. */
typedef struct same_strip {
    int k, border, side; /* side: the vectors lie side by side */
    size_t ox0, ox1, down;
    spr_v zero, mask1, mask2; /* for one and for two columns right of the middle */
    const spr_v *bias;
    const spr_w *w;
} same_strip;

/* The sums of output row r are sums[r % k]. In this input row the oldest output row, to which it is the last that
   belongs, has sums[phase]; taps of rows [lo, hi) of the window are multiplied. */
typedef struct same_row {
    int phase, lo, hi;
    int store; /* the output row before the oldest, whose sums the newest one takes over */
    int last;  /* no row is loaded after it */
} same_row;

/* The inputs of a step on their way into registers. */
typedef struct same_inputs {
    spr_v x[2];
    uint64_t low, high[2];
} same_inputs;

/* Vector v of tap kx of the row at p[v]. */
SPR_INLINE void same_load(const same_strip *s, same_inputs *in, const float *const *p, const int kx, const int v) {
    const int d = kx - s->k / 2, left = s->border && v == 0 && d < 0;
    IMG_LOAD(in->x[v], p[v], left ? 0 : d);
    if (left) in->x[v] = d == -1 ? vextq_f32(s->zero, in->x[v], 3) : vextq_f32(s->zero, in->x[v], 2);
    if (s->border && v == 1 && d > 0) in->x[v] = spr_vand(in->x[v], d == 1 ? s->mask1 : s->mask2);
}

/* The same in parts, of which each waits for the last: loads of the lower and the upper half, what happens to them at
   borders, joining. There the lower half of the first vector may come through a general register too. */
SPR_INLINE void same_low(const same_strip *s, same_inputs *in, const float *const *p, const int kx, const int v) {
    const int d = kx - s->k / 2, left = s->border && v == 0 && d < 0;
    if (left && d == -1)
        __asm__ volatile("ldr %w0, %1" : "=r"(in->low) : "m"(*p[v]));
    else if (!left)
        __asm__ volatile("ldr %d0, %1" : "=w"(in->x[v]) : "m"(*(const same_d *)(p[v] + d)));
}
SPR_INLINE void same_high(const same_strip *s, same_inputs *in, const float *const *p, const int kx, const int v) {
    const int d = kx - s->k / 2, right = s->border && v == 1 && d > 0;
    if (right && d == 1)
        __asm__ volatile("ldr %w0, %1" : "=r"(in->high[v]) : "m"(*(p[v] + 3)));
    else if (!right)
        __asm__ volatile("ldr %0, %1" : "=r"(in->high[v]) : "m"(*(const same_d *)(p[v] + d + 2)));
}
SPR_INLINE void same_shift(const same_strip *s, same_inputs *in, const int kx) {
    const int d = kx - s->k / 2;
    if (!s->border || d >= 0) return;
    if (d == -1) __asm__ volatile("lsl %0, %0, #32" : "+r"(in->low));
    __asm__ volatile("fmov %d0, %x1" : "=w"(in->x[0]) : "rZ"(d == -1 ? in->low : 0));
}
SPR_INLINE void same_join(const same_strip *s, same_inputs *in, const int kx, const int v) {
    if (s->border && v == 1 && kx - s->k / 2 == 2) return; /* loads of halves zero the others */
    __asm__ volatile("ins %0.d[1], %1" : "+w"(in->x[v]) : "r"(in->high[v]));
}

/* Step kx of a row multiplies the inputs `in`, and loads `next` from p[]: the next tap's, or the first of the next row.
 *
 * In order: A53 takes two cycles for a load of 16 bytes, in which nothing else issues. Half of it goes through a
 * general register: that load issues together with a multiplication, and joining the halves together with the first
 * half of the vector after it. A load to a vector register cannot issue four cycles after a multiplication, so first
 * halves stand four cycles apart, with three multiplications between. The last vector is joined when those after its
 * first half are through, if the step has more and is not the last of its row, else at the start of its own step. */
SPR_INLINE void same_step(const same_strip *s, const same_row row, const int kx, spr_v (*sums)[2], img_out *out,
                          same_inputs *in, same_inputs *next, const float *const *p) {
    const int k = s->k, n = row.hi - row.lo, count = 2 * n, kx1 = (kx + 1) % k, more = !row.last || kx1;
    /* Where a row of sums starts, that comes last: its registers held the row that is stored before. */
    const int started = kx == 0 && row.lo == 0, old = n - started;
    SPR_UNROLL
    for (int f = 0; f < count; f++) {
        const int second = f == (3 < count ? 3 : count - 1);
        if (SAME_INORDER && f == 0 && more) same_low(s, next, p, kx1, 0);
        if (SAME_INORDER && f == 0 && (kx == 0 || count <= 6)) same_join(s, in, kx, 1);
        if (SAME_INORDER && more) {
            if (f == (2 < count ? 2 : count - 1)) same_shift(s, next, kx1);
            if (second) same_low(s, next, p, kx1, 1);
            if (second) same_join(s, next, kx1, 0);
        } else if (more) {
            if (f == 0) same_load(s, next, p, kx1, 0);
            if (second) same_load(s, next, p, kx1, 1);
        }
        if (started && row.store && f == 2 * old) img_store(out, sums[(row.phase + k - 1) % k], SAME_INORDER);
        const int v = f < 2 * old ? f / old : f - 2 * old;
        const int ky = f < 2 * old ? row.hi - 1 - f % old : 0, tap = ky * k + kx;
        spr_v *sum = &sums[(row.phase + k - 1 - ky) % k][v];
        /* Sums begin with the bias where a load is cheaper than an addition. */
        if (tap == 0 && !SAME_INORDER) IMG_LOAD(*sum, (const float *)s->bias, 0);
        *sum = tap || !SAME_INORDER ? spr_vfma_w(*sum, in->x[v], s->w, tap) : spr_vmul_w0(in->x[v], s->w);
        if (SAME_INORDER && more && f == 0) same_high(s, next, p, kx1, 0);
        if (SAME_INORDER && more && second) same_high(s, next, p, kx1, 1);
        if (SAME_INORDER && f == 5 && count > 6 && kx < k - 1) same_join(s, next, kx1, 1);
    }
}

/* The input row of *rp, of which the first step is loaded; *rp becomes the next one. */
SPR_INLINE void same_input(const same_strip *s, const same_row row, spr_v (*sums)[2], img_out *out, same_inputs *in,
                           const float *const **rp, const float **p) {
    const float *below[2] = {NULL, NULL};
    ++*rp;
    if (!row.last) {
        below[0] = **rp;
        below[1] = s->side ? NULL : (*rp)[s->down];
        __asm__ volatile("" : "+r"(below[0]), "+r"(below[1])); /* fetched in time */
    }
    SPR_UNROLL
    for (int kx = 0; kx < s->k; kx++) {
        same_inputs next = *in;
        if (kx == s->k - 1 && !row.last) {
            p[0] = below[0] + s->ox0;
            p[1] = s->side ? p[0] + SPR_VL : below[1] + s->ox1;
        }
        same_step(s, row, kx, sums, out, in, &next, p);
        *in = next;
    }
}

/* Moves sums[(i + by) % k] to sums[i], in instructions that compilers do not spread over the code before. */
SPR_INLINE void same_turn(spr_v (*sums)[2], const int k, const int by) {
    spr_v from[5][2];
    if (by == k) return;
    SPR_UNROLL
    for (int i = 0; i < 2 * k; i++) from[i / 2][i % 2] = sums[i / 2][i % 2];
    SPR_UNROLL
    for (int i = 0; i < 2 * k; i++)
        __asm__ volatile("mov %0.16b, %1.16b" : "=w"(sums[i / 2][i % 2]) : "w"(from[(i / 2 + by) % k][i % 2]));
}

SPR_INLINE same_strip same_strip_make(const int k, const int border, const img_task *t, const spr_w *w,
                                      const img_strip at) {
    spr_v zero = spr_vzero();
    __asm__("" : "+w"(zero)); /* or it would be made anew for each use */
    return (same_strip){k, border, 0, at.ox, at.ox + at.gap, at.down, zero, t->mask[0], t->mask[1], &t->bias, w};
}

/* Loads the first step of row *rp, to which p[] points from then on. */
SPR_INLINE same_inputs same_begin(const same_strip *s, const float *const *rp, const float **p) {
    same_inputs in = {.low = 0};
    p[0] = rp[0] + s->ox0;
    p[1] = s->side ? p[0] + SPR_VL : rp[s->down] + s->ox1;
    if (SAME_INORDER) {
        same_low(s, &in, p, 0, 0);
        same_low(s, &in, p, 0, 1);
        same_high(s, &in, p, 0, 0);
        same_high(s, &in, p, 0, 1);
        same_shift(s, &in, 0);
        same_join(s, &in, 0, 0);
    } else {
        same_load(s, &in, p, 0, 0);
        same_load(s, &in, p, 0, 1);
    }
    return in;
}

/* A strip of at least k - 1 rows. */
SPR_INLINE void same_rows(const int k, const int border, const img_task *t, const spr_w *w, const img_out *from,
                          const img_strip at) {
    const int half = k / 2;
    const uint32_t top = at.down ? 0 : t->top, bottom = at.down ? 0 : t->bottom;
    const same_strip s = same_strip_make(k, border, t, w, at);
    img_out out = *from;
    img_out_at(&out, at);
    const float *const *rp = t->rp + top, *p[2];
    same_inputs in = same_begin(&s, rp, p);
    spr_v sums[5][2];
    SPR_UNROLL
    for (int i = 0; i < k; i++) sums[i][0] = sums[i][1] = SAME_INORDER ? spr_vzero() : t->bias;
    SPR_UNROLL
    for (int i = 0; i < k - 1; i++)
        if (i >= half || i >= (int)top)
            same_input(&s, (same_row){(i + 1) % k, 0, i + 1, 0, 0}, sums, &out, &in, &rp, p);

    /* Output rows start with rows of the window from k - 1 on. */
    uint32_t full = t->n - at.down - (uint32_t)(k - 1);
#define PHASE(i)                                                                \
    if ((i) < k) {                                                              \
        same_input(&s, (same_row){i, 0, k, 1, 0}, sums, &out, &in, &rp, p);        \
        if (!--full) {                                                          \
            same_turn(sums, k, (i) + 1);                                        \
            break;                                                              \
        }                                                                       \
    }
    while (full) {
        PHASE(0) PHASE(1) PHASE(2) PHASE(3) PHASE(4)
    }
#undef PHASE

    SPR_UNROLL
    for (int i = 1; i < k; i++) {
        if (i + half < k || i + (int)bottom < k)
            same_input(&s, (same_row){i - 1, i, k, 0, i == k - 1}, sums, &out, &in, &rp, p);
        img_store(&out, sums[(i + k - 2) % k], SAME_INORDER);
    }
    img_store(&out, sums[k - 2], SAME_INORDER);
}

/* What is inside of a 3x3 task of at least two rows, by pairs of rows: stripes of chains (runtime/chain.h) have few. */
SPR_INLINE void same_pairs(const img_task *t, const spr_w *w, const img_out *from) {
    for (uint32_t r = 0; r < t->n; r += 2) {
        if (r + 1 == t->n) r--;
        for (size_t ox = SPR_VL; ox < from->ow - SPR_VL; ox += 2 * SPR_VL) {
            ox = img_short_column(ox, from->ow);
            same_strip s = same_strip_make(3, 0, t, w, (img_strip){ox, SPR_VL, 0});
            const float *const *rp = t->rp + r, *p[2];
            img_out out = *from;
            spr_v sums[5][2];
            s.side = 1;
            same_inputs in = same_begin(&s, rp, p);
            out.y += r * out.ow + ox;
            out.step = out.ow;
            SPR_UNROLL
            for (int i = 0; i < 4; i++) {
                const same_row row = {(i + 1) % 3, i < 2 ? 0 : i - 1, i < 2 ? i + 1 : 3, 0, i == 3};
                same_input(&s, row, sums, &out, &in, &rp, p);
            }
            img_store(&out, sums[0], SAME_INORDER);
            img_store(&out, sums[1], SAME_INORDER);
        }
    }
}

SPR_INLINE void same_task(const int k, const img_task *t) {
    const img_out out = img_out_make(t);
    spr_w w;
    SPR_W_LOAD(w, t->packed, k * k);
    if (k == 3 && t->n <= SAME_SHORT && out.ow >= IMG_SHORT_WIDTH)
        same_pairs(t, &w, &out);
    else
        for (size_t ox = SPR_VL; ox < out.ow - SPR_VL; ox += 2 * SPR_VL)
            same_rows(k, 0, t, &w, &out, img_inside(t, ox, (uint32_t)k - 1));
    same_rows(k, 1, t, &w, &out, img_border(t));
}

static SPR_NOINLINE void same_task_3(const img_task *t) { same_task(3, t); }
static SPR_NOINLINE void same_task_5(const img_task *t) { same_task(5, t); }

static size_t same_scratch(const spr_conv_shape *s) { return spr_dwconv_image_scratch(s, SAME_OVER); }

static int same_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    const uint32_t half = w->kw / 2, last = (w->ow - 1) % SPR_VL + 1;
    return spr_dwconv_match_fixed(s) && w->sw == 1 && w->pl == (int32_t)half && w->ow == w->iw && w->iw > SPR_VL &&
           last >= half;
}

void SAME_NAME(spr_dwconv_same_f32)(const spr_conv_args *a) {
    static const img_kernel kernels[] = {
        {same_task_3, SAME_OVER, 2},
        {SPR_DW_5X5(same_task_5), SAME_OVER, 4},
    };
    /* For the taps one and two columns right of the middle. */
    const spr_v mask[2] = {spr_vmask_below(SPR_VL - 1), spr_vmask_below(SPR_VL - 2)};
    spr_dwconv_image_run(a, &kernels[a->shape->win.kh == 5], mask);
}

const spr_conv_traits SAME_NAME(spr_dwconv_same_traits) = {
    same_match,
    spr_dwconv_size,
    spr_dwconv_pack,
    same_scratch,
};
