/* Depthwise 3x3 and 5x5 at stride 1 with as many output columns as input columns, straight from the image: where a tap
 * stands beyond the left border zeros are shifted in, beyond the right border lanes are masked out, and rows above and
 * below the image are a row of zeros in scratch. Vectors read up to SAME_OVER floats beyond a row; where these do not
 * belong to the plane, its last row is copied to scratch.
 *
 * A block is up to seven output rows by two vectors. It goes through its input rows tap by tap; a step loads the
 * vectors of the next tap while it multiplies those of the last for all output rows that the input row belongs to.
 *
 * Included by one file per kind of core, which defines before
 *   SAME_INORDER     whether cores issue in order: loads are then spread as same_step() tells
 *   SAME_NAME(x)     x with the suffix of the variant */
#include <string.h>

#include "kernels/conv/band.h"
#include "kernels/dwconv/dwconv.h"

#define SAME_ROWS 7
#define SAME_OVER 5
/* Activations that blocks apply; five kinds of blocks with all of them would be much code. */
#define SAME_IN_REGISTERS(fn) ((fn) <= SPR_FN_HARD_SWISH)

typedef struct same_task {
    const spr_window *win;
    const float *const *rp; /* input rows, from the first of output row oy */
    const float *packed;
    uint32_t oy, n; /* output rows */
    float *y;
    const float *z;
    spr_vact act;
    spr_v mask[2]; /* of the last vector of a row: for the taps one and two columns right of the middle */
} same_task;

/* Where a block lies in its rows. */
enum { SAME_INSIDE = 0, SAME_LEFT = 1, SAME_RIGHT = 2 };

/* Loads from `at` floats behind p, a constant that becomes part of the instruction. Compilers keep these in order. */
typedef float32x4_t same_q __attribute__((may_alias, aligned(4)));
typedef uint64_t same_d __attribute__((may_alias, aligned(4)));
#define SAME_LOAD(x, p, at) __asm__ volatile("ldr %q0, %1" : "=w"(x) : "m"(*(const same_q *)((p) + (at))))
#define SAME_LOW(x, p, at) __asm__ volatile("ldr %d0, %1" : "=w"(x) : "m"(*(const same_d *)((p) + (at))))
#define SAME_HIGH(h, p, at) __asm__ volatile("ldr %0, %1" : "=r"(h) : "m"(*(const same_d *)((p) + (at) + 2)))
#define SAME_JOIN(x, h) __asm__ volatile("ins %0.d[1], %1" : "+w"(x) : "r"(h))

/* A row's loads are counted from its leftmost. Where the load of vector v of a block is for the tap `d` columns right
   of the middle, and what is made of it. */
SPR_INLINE int same_left(const int k, const int edge) { return edge & SAME_LEFT ? 0 : k / 2; }
SPR_INLINE int same_at(const int k, const int d, const int v, const int edge) {
    return v * SPR_VL + same_left(k, edge) + (d < 0 && v == 0 && (edge & SAME_LEFT) ? 0 : d);
}
SPR_INLINE spr_v same_cut(spr_v x, const int d, const int v, const int nv, const int edge, const spr_v *mask) {
    if (d < 0 && v == 0 && (edge & SAME_LEFT)) return spr_vshift_in(x, -d);
    return d > 0 && v == nv - 1 && (edge & SAME_RIGHT) ? spr_vand(x, mask[d - 1]) : x;
}

/* What does not change within a block: K x K taps, `rows` rows by NV vectors. */
typedef struct same_shape {
    int k, rows, nv, edge;
} same_shape;

/* Output rows [first, end) to which input row s / k belongs, and the multiplications of step s. */
SPR_INLINE int same_first(const same_shape b, const int s) { return s / b.k < b.k ? 0 : s / b.k - b.k + 1; }
SPR_INLINE int same_end(const same_shape b, const int s) { return s / b.k < b.rows ? s / b.k + 1 : b.rows; }
SPR_INLINE int same_count(const same_shape b, const int s) { return (same_end(b, s) - same_first(b, s)) * b.nv; }

/* The inputs of a step on their way into registers. */
typedef struct same_inputs {
    spr_v x[2];
    uint64_t high[2];
} same_inputs;

SPR_INLINE void same_join(same_inputs *in, const int v, const same_shape b, const int s, const spr_v *mask) {
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
SPR_INLINE void same_step(const same_shape b, const int s, spr_v *acc, same_inputs *in, same_inputs *next,
                          const float *p, const spr_w *w, const spr_v *mask) {
    const int r0 = same_first(b, s), n = same_end(b, s) - r0, count = n * b.nv;
    const int last = s == (b.rows + b.k - 1) * b.k - 1;
    const int d1 = (s + 1) % b.k - b.k / 2, joined = s == 0 || same_count(b, s - 1) > 3 * b.nv;
    SPR_UNROLL
    for (int f = 0; f < count; f++) {
        SPR_UNROLL
        for (int v = 0; v < b.nv; v++) {
            if (f != (3 * v < count ? 3 * v : count - 1)) continue;
            if (!last && !SAME_INORDER) {
                SAME_LOAD(next->x[v], p, same_at(b.k, d1, v, b.edge));
                next->x[v] = same_cut(next->x[v], d1, v, b.nv, b.edge, mask);
            }
            if (!last && SAME_INORDER) SAME_LOW(next->x[v], p, same_at(b.k, d1, v, b.edge));
            if (!last && SAME_INORDER && v > 0) same_join(next, v - 1, b, s + 1, mask);
            if (SAME_INORDER && v == 0 && !joined) same_join(in, b.nv - 1, b, s, mask);
        }
        const int r = r0 + f % n, v = f / n;
        const int tap = (s / b.k - r) * b.k + s % b.k;
        acc[r * b.nv + v] = tap ? spr_vfma_w(acc[r * b.nv + v], in->x[v], w, tap) : spr_vmul_w0(in->x[v], w);
        SPR_UNROLL
        for (int u = 0; u < b.nv; u++)
            if (!last && SAME_INORDER && f == (3 * u < count ? 3 * u : count - 1))
                SAME_HIGH(next->high[u], p, same_at(b.k, d1, u, b.edge));
        if (!last && SAME_INORDER && f == 3 * b.nv - 1 && count > 3 * b.nv) same_join(next, b.nv - 1, b, s + 1, mask);
    }
}

/* Stores the sums of a block at y, `ow` floats from row to row; `rest` lanes of the last vectors, a constant. */
SPR_INLINE void same_store(const same_shape b, const spr_v *acc, float *y, size_t ow, const int rest) {
    SPR_UNROLL
    for (int r = 0; r < b.rows; r++, y += ow) {
        __asm__("" : "+r"(y)); /* one addition a row, not an index for each */
        if (b.nv == 2) spr_vstore(y, acc[r * b.nv]);
        spr_vstore_n(y + (b.nv - 1) * SPR_VL, acc[r * b.nv + b.nv - 1], rest);
    }
}

/* Adds bias and residual, applies the activation and stores. */
SPR_INLINE void same_finish(const same_shape b, spr_v *acc, float *y, const float *z, size_t rest, const same_task *t) {
    const size_t ow = t->win->ow;
    const spr_v bias = spr_vset(t->packed[b.k * b.k]);
    SPR_UNROLL
    for (int i = 0; i < b.rows * b.nv; i++) acc[i] = spr_vadd(acc[i], bias);
    if (z) {
        SPR_UNROLL
        for (int r = 0; r < b.rows; r++, z += ow) {
            if (b.nv == 2) acc[r * b.nv] = spr_vadd(acc[r * b.nv], spr_vload(z));
            spr_v *last = acc + r * b.nv + b.nv - 1;
            *last = spr_vadd(*last, spr_vload_n(z + (b.nv - 1) * SPR_VL, b.edge & SAME_RIGHT ? rest : SPR_VL));
        }
    }
    /* All at once would not leave registers for hard_swish. */
    const int half = b.rows * b.nv > 8 ? b.rows * b.nv / 2 : 0;
    spr_vact_each(acc, half, &t->act);
    spr_vact_each(acc + half, b.rows * b.nv - half, &t->act);
    switch (b.edge & SAME_RIGHT ? rest : SPR_VL) {
    case 1: same_store(b, acc, y, ow, 1); break;
    case 2: same_store(b, acc, y, ow, 2); break;
    case 3: same_store(b, acc, y, ow, 3); break;
    default: same_store(b, acc, y, ow, 4); break;
    }
}

/* A block at column ox; `rest` columns are left in its last vector. */
SPR_INLINE void same_block(const same_shape b, const float *const *rp, size_t ox, size_t rest, const spr_w *w, float *y,
                           const float *z, const same_task *t) {
    const int steps = (b.rows + b.k - 1) * b.k;
    const size_t from = ox - same_left(b.k, b.edge);
    const spr_v mask[2] = {t->mask[0], t->mask[1]};
    spr_v acc[2 * SAME_ROWS];
    same_inputs in, next;
    const float *p = rp[0] + from, *p1 = p;
    SPR_UNROLL
    for (int v = 0; v < b.nv; v++) {
        SAME_LOAD(in.x[v], p, same_at(b.k, -(b.k / 2), v, b.edge));
        in.x[v] = same_cut(in.x[v], -(b.k / 2), v, b.nv, b.edge, mask);
    }
    SPR_UNROLL
    for (int s = 0; s < steps; s++) {
        /* The next row's pointer is fetched in time. */
        if (s % b.k == 0 && s + b.k < steps) {
            p1 = rp[s / b.k + 1];
            __asm__ volatile("" : "+r"(p1));
        }
        if ((s + 1) % b.k == 0 && s + 1 < steps) p = p1 + from;
        same_step(b, s, acc, &in, &next, p, w, mask);
        in = next;
    }
    if (!SAME_IN_REGISTERS(t->act.consts.fn)) __builtin_unreachable();
    same_finish(b, acc, y + ox, z ? z + ox : NULL, rest, t);
}

/* `rows` output rows from row r of the task. */
SPR_INLINE void same_rows(const int k, const int rows, const same_task *t, uint32_t r) {
    const size_t ow = t->win->ow, wide = 2 * SPR_VL;
    const float *const *rp = t->rp + r;
    float *y = t->y + r * ow;
    const float *z = t->z ? t->z + r * ow : NULL;
    spr_w w;
    SPR_W_LOAD(w, t->packed, k * k);
    if (ow <= wide) { /* and more than SPR_VL */
        same_block((same_shape){k, rows, 2, SAME_LEFT | SAME_RIGHT}, rp, 0, ow - SPR_VL, &w, y, z, t);
        return;
    }
    same_block((same_shape){k, rows, 2, SAME_LEFT}, rp, 0, SPR_VL, &w, y, z, t);
    size_t ox = wide;
    for (; ox + wide < ow; ox += wide) same_block((same_shape){k, rows, 2, SAME_INSIDE}, rp, ox, SPR_VL, &w, y, z, t);
    if (ow - ox > SPR_VL)
        same_block((same_shape){k, rows, 2, SAME_RIGHT}, rp, ox, ow - ox - SPR_VL, &w, y, z, t);
    else
        same_block((same_shape){k, rows, 1, SAME_RIGHT}, rp, ox, ow - ox, &w, y, z, t);
}

typedef void same_rows_fn(const same_task *t, uint32_t r);
#define ROWS(k, rows) \
    static SPR_NOINLINE void same_rows_##k##_##rows(const same_task *t, uint32_t r) { same_rows(k, rows, t, r); }
ROWS(3, 1) ROWS(3, 2) ROWS(3, 3) ROWS(3, 4) ROWS(3, 7) ROWS(5, 1) ROWS(5, 2) ROWS(5, 3) ROWS(5, 4) ROWS(5, 7)
#undef ROWS

/* Scratch: pointers to the input rows, a row of zeros, the last row. */
static size_t same_pointer_bytes(const spr_window *win) {
    return spr_round_up((win->oh - 1 + win->kh) * sizeof(float *), SPR_LINE);
}
static size_t same_row_floats(const spr_window *win) { return spr_round_up(win->iw + SAME_OVER, SPR_PX); }
static size_t same_scratch(const spr_conv_shape *s) {
    return same_pointer_bytes(&s->win) + 2 * same_row_floats(&s->win) * sizeof(float);
}

static int same_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    const uint32_t half = w->kw / 2, last = (w->ow - 1) % SPR_VL + 1;
    return spr_dwconv_match_fixed(s) && w->sw == 1 && w->pl == (int32_t)half && w->ow == w->iw && w->iw >= SAME_OVER &&
           last >= half;
}

/* Output rows to compute at once of `n`. */
SPR_INLINE uint32_t same_rows_of(uint32_t n) {
    return n % 7 == 0 ? 7 : n >= 3 && n % 4 != 0 ? 3 : n >= 4 ? 4 : n;
}

/* Copies a row of n >= SPR_VL floats. */
SPR_INLINE void same_copy(const float *src, float *dst, size_t n) {
    for (size_t i = 0; i + SPR_VL < n; i += SPR_VL) spr_vstore(dst + i, spr_vload(src + i));
    spr_vstore(dst + n - SPR_VL, spr_vload(src + n - SPR_VL));
}

/* Zeroes [from, to), `to` a multiple of SPR_VL. */
SPR_INLINE void same_zero(float *plane, size_t from, size_t to) {
    for (; from % SPR_VL; from++) plane[from] = 0;
    for (; from < to; from += SPR_VL) spr_vstore(plane + from, spr_vzero());
}

void SAME_NAME(spr_dwconv_same_f32)(const spr_conv_args *a) {
    static same_rows_fn *const fn[2][SAME_ROWS + 1] = {
        {NULL, same_rows_3_1, same_rows_3_2, same_rows_3_3, same_rows_3_4, NULL, NULL, same_rows_3_7},
        {NULL, same_rows_5_1, same_rows_5_2, same_rows_5_3, same_rows_5_4, NULL, NULL, same_rows_5_7},
    };
    const spr_window *win = &a->shape->win;
    const size_t hw = (size_t)win->oh * win->ow, hw_in = (size_t)win->ih * win->iw;
    const size_t record = spr_dwconv_record(a->shape), lanes = spr_plane_lanes(hw);
    const float **rp = a->scratch;
    float *zeros = (float *)((char *)a->scratch + same_pointer_bytes(win)), *last = zeros + same_row_floats(win);
    memset(zeros, 0, 2 * same_row_floats(win) * sizeof *zeros);
    /* What another kernel shall finish is handed over while it is in L1. */
    const uint32_t step = SAME_IN_REGISTERS(a->act.fn) ? win->oh : (1024 / win->ow + 1) * 4;
    const uint32_t rows_in = a->oy1 - a->oy0 - 1 + win->kh;
    const int64_t top = (int64_t)a->oy0 - win->pt;
    size_t i0, i1; /* the input rows within the image */
    spr_band_inside(win, top, rows_in, &i0, &i1);
    for (size_t i = 0; i < rows_in; i++) rp[i] = zeros;
    const int copy = top + (int64_t)i1 == win->ih && i1 > i0 && hw_in + SAME_OVER > spr_plane_lanes(hw_in);
    const spr_act none = {.fn = SPR_FN_NONE};
    same_task t = {.win = win};
    for (int d = 1; d <= 2; d++) t.mask[d - 1] = spr_vmask_below((int)((win->ow - 1) % SPR_VL) + 1 - d);

    for (uint32_t row = a->row0; row < a->row1; row++) {
        const float *x = a->x + row * a->x_stride;
        float *plane = a->y + row * a->y_stride;
        const float *from = x + (top + (int64_t)i0) * win->iw;
        for (size_t i = i0; i < i1; i++, from += win->iw) rp[i] = from;
        if (copy) {
            same_copy(rp[i1 - 1], last, win->iw);
            rp[i1 - 1] = last;
        }
        t.packed = (const float *)a->packed + row * record;
        spr_act act = a->act;
        if (act.fn == SPR_FN_PRELU) act.slope += row;
        t.act = spr_vact_load(SAME_IN_REGISTERS(act.fn) ? &act : &none, 0);
        for (t.oy = a->oy0; t.oy < a->oy1; t.oy += t.n) {
            const size_t at = (size_t)t.oy * win->ow;
            t.n = a->oy1 - t.oy < step ? a->oy1 - t.oy : step;
            t.rp = rp + (t.oy - a->oy0);
            t.y = plane + at;
            t.z = a->z ? a->z + row * a->z_stride + at : NULL;
            for (uint32_t r = 0, rows; r < t.n; r += rows) {
                rows = same_rows_of(t.n - r);
                fn[win->kh == 5][rows](&t, r);
            }
            if (!SAME_IN_REGISTERS(act.fn)) a->unary(t.y, t.y, (size_t)t.n * win->ow, &act);
        }
        if (a->oy1 == win->oh)
            same_zero(plane, hw, lanes);
    }
}

const spr_conv_traits SAME_NAME(spr_dwconv_same_traits) = {
    same_match,
    spr_dwconv_size,
    spr_dwconv_pack,
    same_scratch,
};
