/* Driver of the sparse pointwise NEON kernels, included by one file per kind of core, which defines before:
 *
 *   CSR_ASM(V)   inline assembly that computes rows of V vectors as spr_neon_rows tells, V = 1 ... 13
 *   PAIR_ASM(V)  the same for pairs of rows, V = 1 ... PAIR_NARROW and 12
 *   PAIR_NARROW  8 or 12
 *   TOUCH_LEAST  floats of the input from which on it does not stay in a cache that is fast enough to leave it there
 *   VARIANT(x)   x with the suffix of the variant */
#include <arm_neon.h>
#include <math.h>

#include "kernels/pointwise/neon_sparse.h"
#include "kernels/unary/act_neon.h"

/* One pixel tile of one panel. */
typedef struct tile {
    const spr_pw_args *args;
    const char *xb; /* the tile in the panel's first plane */
    uint32_t px, vectors;
    uint32_t pad;    /* vectors of padding lanes after the tile, to be zeroed */
    int first, last; /* panel */
    const char *touch; /* as in spr_neon_rows */
    uint32_t touch_planes, touch_step, touch_lines;
    int odd; /* whether it is the second, fourth ... */
} tile;

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Activations that the assembly leaves to be done on what it stored. */
static int act_after(const spr_act *act) {
    return act->fn > SPR_FN_HARD_SWISH;
}

/* Rows that are computed at once: all, or as many as stay in L1 for what is done before and after. */
static uint32_t rows_at_once(const tile *t) {
    const int before = t->first && t->args->z, after = t->last && (t->pad || act_after(&t->args->act));
    return before || after ? 16 : UINT32_MAX - 15;
}

/* What is common to CSR and pairs for rows [row, row + rows): where sums begin (with bias plus residual put
   together in y, as y may be the residual) and how they are bounded. */
static spr_neon_rows begin_rows(const tile *t, const float *bias, uint32_t row, uint32_t rows) {
    const spr_pw_args *a = t->args;
    spr_neon_rows w = {.xb = t->xb,
                       .y = a->y + row * a->y_stride + t->px,
                       .y_stride = a->y_stride * sizeof(float),
                       .touch = t->touch,
                       .touch_stride = a->x_stride * sizeof(float),
                       .touch_planes = t->touch_planes,
                       .touch_step = t->touch_step,
                       .touch_lines = t->touch_lines,
                       .lower = -INFINITY,
                       .upper = a->act.b};
    if (t->last && a->act.fn == SPR_FN_CLIP) {
        w.lower = a->act.a < a->act.b ? a->act.a : a->act.b;
        w.bounds = a->act.b < INFINITY ? 3 : 1;
    } else if (t->last && a->act.fn == SPR_FN_HARD_SWISH) {
        w.scale = a->act.a;
        w.shift = a->act.b;
        w.bounds = 6;
    }
    if (!t->first) return w;
    if (!a->z) {
        w.bias = bias + (size_t)row * 4;
        return w;
    }
    for (uint32_t r = row; r < row + rows; r++) {
        const float32x4_t b = vld1q_f32(bias + (size_t)r * 4);
        const float *z = a->z + r * a->z_stride + t->px;
        float *y = a->y + r * a->y_stride + t->px;
        for (uint32_t v = 0; v < t->vectors; v++) vst1q_f32(y + 4 * v, vaddq_f32(b, vld1q_f32(z + 4 * v)));
    }
    return w;
}

/* Activations that the assembly leaves, and padding lanes, for what `visits` of a kernel to a row or pair computed. */
static void finish_rows(tile *t, uint32_t row, uint32_t rows, uint32_t visits) {
    const uint32_t touched = min_u32(t->touch_planes, visits * t->touch_step);
    t->touch += touched * t->args->x_stride * sizeof(float);
    t->touch_planes -= touched;
    const spr_act *act = &t->args->act;
    const uint32_t lanes = 4 * t->vectors;
    const int after = act_after(act);
    if (!t->last || (!t->pad && !after)) return;
    for (uint32_t r = row; r < row + rows; r++) {
        float *y = t->args->y + r * t->args->y_stride + t->px;
        if (after) {
            spr_act own = *act;
            if (act->fn == SPR_FN_PRELU) own.slope += r;
            t->args->unary(y, y, lanes, &own);
        }
        for (uint32_t i = 0; i < t->pad; i++) vst1q_f32(y + lanes + 4 * i, vdupq_n_f32(0));
    }
}

typedef void rows_fn(const spr_neon_rows *rows);

#define CSR_ROWS(V) \
    static SPR_NOINLINE void VARIANT(spr_pw_csr_rows##V)(const spr_neon_rows *rows) { CSR_ASM(V); }
#define PAIR_ROWS(V) \
    static SPR_NOINLINE void VARIANT(spr_pw_2x1_rows##V)(const spr_neon_rows *rows) { PAIR_ASM(V); }

CSR_ROWS(1)
CSR_ROWS(2)
CSR_ROWS(3)
CSR_ROWS(4)
CSR_ROWS(5)
CSR_ROWS(6)
CSR_ROWS(7)
CSR_ROWS(8)
CSR_ROWS(9)
CSR_ROWS(10)
CSR_ROWS(11)
CSR_ROWS(12)
CSR_ROWS(13)

PAIR_ROWS(1)
PAIR_ROWS(2)
PAIR_ROWS(3)
PAIR_ROWS(4)
PAIR_ROWS(5)
PAIR_ROWS(6)
PAIR_ROWS(7)
PAIR_ROWS(8)
#if PAIR_NARROW == 12
PAIR_ROWS(9)
PAIR_ROWS(10)
PAIR_ROWS(11)
#endif
PAIR_ROWS(12)

static rows_fn *const csr_rows[] = {
    VARIANT(spr_pw_csr_rows1),  VARIANT(spr_pw_csr_rows2),  VARIANT(spr_pw_csr_rows3),  VARIANT(spr_pw_csr_rows4),
    VARIANT(spr_pw_csr_rows5),  VARIANT(spr_pw_csr_rows6),  VARIANT(spr_pw_csr_rows7),  VARIANT(spr_pw_csr_rows8),
    VARIANT(spr_pw_csr_rows9),  VARIANT(spr_pw_csr_rows10), VARIANT(spr_pw_csr_rows11), VARIANT(spr_pw_csr_rows12),
    VARIANT(spr_pw_csr_rows13),
};
static rows_fn *const pair_rows[] = {
    VARIANT(spr_pw_2x1_rows1), VARIANT(spr_pw_2x1_rows2),  VARIANT(spr_pw_2x1_rows3),  VARIANT(spr_pw_2x1_rows4),
    VARIANT(spr_pw_2x1_rows5), VARIANT(spr_pw_2x1_rows6),  VARIANT(spr_pw_2x1_rows7),  VARIANT(spr_pw_2x1_rows8),
#if PAIR_NARROW == 12
    VARIANT(spr_pw_2x1_rows9), VARIANT(spr_pw_2x1_rows10), VARIANT(spr_pw_2x1_rows11),
#else
    NULL, NULL, NULL,
#endif
    VARIANT(spr_pw_2x1_rows12),
};

/* `count` rows from `row` on, whose records lie between the count + 1 positions at ptr. */
static void csr_tile(tile *t, const spr_neon_csr *w, const uint32_t *ptr, uint32_t row, uint32_t count) {
    for (uint32_t n; count; count -= n, row += n, ptr += n) {
        n = min_u32(rows_at_once(t), count);
        const spr_neon_record *p = w->records + ptr[0];
        spr_neon_rows rows = begin_rows(t, w->bias, row, n);
        rows.ptr = ptr;
        rows.count = n;
        rows.xa = t->xb + p->offset;
        rows.p = rows.ahead = p + 1;
        csr_rows[t->vectors - 1](&rows);
        finish_rows(t, row, n, n);
    }
}

/* The same for `count` pairs of rows. */
static void pair_tile(tile *t, const spr_neon_2x1 *w, const uint32_t *ptr, uint32_t row, uint32_t count) {
    for (uint32_t n; count; count -= n, row += 2 * n, ptr += n) {
        n = min_u32(rows_at_once(t) / 2, count);
        const spr_neon_pair_record *p = w->records + ptr[0];
        spr_neon_rows rows = begin_rows(t, w->bias, row, 2 * n);
        rows.ptr = ptr;
        rows.count = n;
        rows.xa = t->xb + p->offset;
        rows.p = rows.ahead = p + 1;
        pair_rows[t->vectors - 1](&rows);
        finish_rows(t, row, 2 * n, n);
    }
}

/* Vectors of the next tile when `left` remain: whole lines, so that the next one begins at a line; at the end up to
   `narrow` and no crumbs, as narrow tiles are slow. */
static uint32_t tile_vectors(uint32_t left, uint32_t narrow) {
    if (left <= narrow || left == 12) return left;
    return left < 12 ? 4 : left < 16 ? 8 : 12;
}

/* The tile at `px`, of no vectors at the end of the pixels; the last one of the plane has padding lanes after it. */
static tile next_tile(const spr_pw_args *args, uint32_t px, uint32_t narrow) {
    const uint32_t left = px < args->px1 ? (args->px1 - px + 3) / 4 : 0;
    tile t = {.args = args, .px = px, .vectors = tile_vectors(left, narrow)};
    if (t.vectors == left) t.pad = ((uint32_t)spr_round_up(args->px1, SPR_PX) - (px + 4 * left)) / 4;
    return t;
}

/* Inputs to touch in `visits` to rows or pairs of a panel: those of the next panel, or of the first one in the next
   tile, and in the tile thereafter, as streams should be long; so that every second tile has been seen to. */
static void touch_next(tile *t, uint32_t panel, uint32_t kp, uint32_t visits, const tile *next) {
    const spr_pw_args *a = t->args;
    const uint32_t after = t->last ? 0 : panel + 1, px = t->last ? next->px : t->px;
    const uint32_t end = (uint32_t)spr_round_up(a->px1, SPR_PX), lines = px < end ? (end - px) / SPR_PX : 0;
    t->touch_planes = 0;
    t->touch_step = 1;
    if (lines < 3 || t->odd != t->last || (size_t)a->k * a->x_stride <= TOUCH_LEAST) return;
    t->touch = (const char *)(a->x + (size_t)after * kp * a->x_stride + px);
    t->touch_planes = min_u32(kp, a->k - after * kp);
    t->touch_lines = lines < 6 ? 1 : 2;
    if (visits) t->touch_step = (t->touch_planes + visits - 1) / visits;
}

/* Moves to a panel; `visits` rows or pairs of it are to come, `next` is the tile thereafter, if it has vectors. */
static void set_panel(tile *t, uint32_t panel, uint32_t panels, uint32_t kp, uint32_t visits, const tile *next) {
    const spr_pw_args *a = t->args;
    t->xb = (const char *)(a->x + (size_t)panel * kp * a->x_stride + t->px);
    t->first = panel == 0;
    t->last = panel + 1 == panels;
    touch_next(t, panel, kp, visits, next);
}

void VARIANT(spr_pw_csr_f32)(const spr_pw_args *args) {
    const spr_neon_csr w = spr_neon_csr_view(args->packed);
    const uint32_t rows = args->row1 - args->row0;
    for (tile next, t = next_tile(args, args->px0, 13); t.vectors; t = next) {
        next = next_tile(args, t.px + 4 * t.vectors, 13);
        next.odd = !t.odd;
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            set_panel(&t, panel, w.panels, w.kp, rows, &next);
            csr_tile(&t, &w, w.ptr + (size_t)panel * args->n + args->row0, args->row0, rows);
        }
    }
}

void VARIANT(spr_pw_2x1_f32)(const spr_pw_args *args) {
    const spr_neon_2x1 w = spr_neon_2x1_view(args->packed);
    const uint32_t pair0 = args->row0 / 2, pairs = args->row1 / 2 - pair0;
    for (tile next, t = next_tile(args, args->px0, PAIR_NARROW); t.vectors; t = next) {
        next = next_tile(args, t.px + 4 * t.vectors, PAIR_NARROW);
        next.odd = !t.odd;
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            set_panel(&t, panel, w.panels, w.kp, pairs, &next);
            pair_tile(&t, &w, w.ptr + (size_t)panel * (args->n / 2) + pair0, args->row0, pairs);
            if (args->row1 % 2) csr_tile(&t, &w.last, w.last.ptr + panel, args->row1 - 1, 1);
        }
    }
}
