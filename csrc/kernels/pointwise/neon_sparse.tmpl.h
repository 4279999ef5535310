/* Driver of the sparse pointwise NEON kernels, included by one file per kind of core, which defines before:
 *
 *   CSR_ASM(V)   inline assembly that computes rows of V vectors as spr_neon_rows tells, V = 1 ... 13
 *   PAIR_ASM(V)  the same for pairs of rows, V = 1 ... PAIR_NARROW and 12
 *   PAIR_NARROW  8 or 12
 *   PAIR_WIDE_PANEL  most channels of a panel for pairs in tiles of 12 vectors; 8 above
 *   VARIANT(x)   x with the suffix of the variant */
#include <arm_neon.h>
#include <math.h>

#include "kernels/pointwise/neon_sparse.h"

/* One pixel tile of one panel. */
typedef struct tile {
    const spr_pw_args *args;
    const char *xb; /* the tile in the panel's first plane */
    uint32_t px, vectors;
    uint32_t pad;    /* vectors of padding lanes after the tile, to be zeroed */
    int first, last; /* panel */
} tile;

/* Rows that are computed at once: all, or as many as stay in L1 for what is done before and after. */
static uint32_t rows_at_once(const tile *t) {
    const int before = t->first && t->args->z, after = t->last && (t->pad || t->args->act.fn > SPR_FN_CLIP);
    return before || after ? 16 : UINT32_MAX - 15;
}

/* What is common to CSR and pairs for rows [row, row + rows): where sums begin (with bias plus residual put
   together in y, as y may be the residual) and how they are bounded. */
static spr_neon_rows begin_rows(const tile *t, const float *bias, uint32_t row, uint32_t rows) {
    const spr_pw_args *a = t->args;
    spr_neon_rows w = {.xb = t->xb,
                       .y = a->y + row * a->y_stride + t->px,
                       .y_stride = a->y_stride * sizeof(float),
                       .lower = a->act.a,
                       .upper = a->act.b};
    if (t->last && a->act.fn == SPR_FN_CLIP) w.bounds = a->act.b < INFINITY ? 3 : 1;
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

/* Activations other than CLIP, and padding lanes. */
static void finish_rows(const tile *t, uint32_t row, uint32_t rows) {
    const spr_act *act = &t->args->act;
    const uint32_t lanes = 4 * t->vectors;
    if (!t->last || (!t->pad && act->fn <= SPR_FN_CLIP)) return;
    for (uint32_t r = row; r < row + rows; r++) {
        float *y = t->args->y + r * t->args->y_stride + t->px;
        if (act->fn > SPR_FN_CLIP) {
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
static void csr_tile(const tile *t, const spr_neon_csr *w, const uint32_t *ptr, uint32_t row, uint32_t count) {
    for (uint32_t n; count; count -= n, row += n, ptr += n) {
        n = rows_at_once(t) < count ? rows_at_once(t) : count;
        const spr_neon_record *p = w->records + ptr[0];
        spr_neon_rows rows = begin_rows(t, w->bias, row, n);
        rows.ptr = ptr;
        rows.count = n;
        rows.xa = t->xb + p->offset;
        rows.p = p + 1;
        csr_rows[t->vectors - 1](&rows);
        finish_rows(t, row, n);
    }
}

/* The same for `count` pairs of rows. */
static void pair_tile(const tile *t, const spr_neon_2x1 *w, const uint32_t *ptr, uint32_t row, uint32_t count) {
    for (uint32_t n; count; count -= n, row += 2 * n, ptr += n) {
        n = rows_at_once(t) / 2 < count ? rows_at_once(t) / 2 : count;
        const uint32_t *offset = w->offset + ptr[0];
        spr_neon_rows rows = begin_rows(t, w->bias, row, 2 * n);
        rows.ptr = ptr;
        rows.count = n;
        rows.xa = t->xb + *offset;
        rows.p = offset + 1;
        rows.pw = w->value + 2 * (size_t)ptr[0];
        pair_rows[t->vectors - 1](&rows);
        finish_rows(t, row, 2 * n);
    }
}

/* Vectors of the next tile when `left` remain: three lines, which prefetchers follow where two are too few, so
   that tiles begin at lines; at the end up to `narrow` and no crumbs, as narrow tiles are slow. */
static uint32_t tile_vectors(uint32_t left, uint32_t usual, uint32_t narrow) {
    if (left <= narrow || left == usual) return left;
    return left < usual + 4 ? (left + 1) / 2 : usual;
}

/* The tile at `px`; the last one of the plane has padding lanes after it. */
static tile next_tile(const spr_pw_args *args, uint32_t px, uint32_t usual, uint32_t narrow) {
    const uint32_t left = (args->px1 - px + 3) / 4;
    tile t = {.args = args, .px = px, .vectors = tile_vectors(left, usual, narrow)};
    if (t.vectors == left) t.pad = ((uint32_t)spr_round_up(args->px1, SPR_PX) - (px + 4 * left)) / 4;
    return t;
}

static void set_panel(tile *t, uint32_t panel, uint32_t panels, uint32_t kp) {
    t->xb = (const char *)(t->args->x + (size_t)panel * kp * t->args->x_stride + t->px);
    t->first = panel == 0;
    t->last = panel + 1 == panels;
}

void VARIANT(spr_pw_csr_f32)(const spr_pw_args *args) {
    const spr_neon_csr w = spr_neon_csr_view(args->packed);
    tile t;
    for (uint32_t px = args->px0; px < args->px1; px += 4 * t.vectors) {
        t = next_tile(args, px, 12, 13);
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            set_panel(&t, panel, w.panels, w.kp);
            csr_tile(&t, &w, w.ptr + (size_t)panel * args->n + args->row0, args->row0, args->row1 - args->row0);
        }
    }
}

void VARIANT(spr_pw_2x1_f32)(const spr_pw_args *args) {
    const spr_neon_2x1 w = spr_neon_2x1_view(args->packed);
    const uint32_t pair0 = args->row0 / 2, pairs = args->row1 / 2 - pair0;
    const uint32_t usual = w.kp <= PAIR_WIDE_PANEL ? 12 : 8;
    tile t;
    for (uint32_t px = args->px0; px < args->px1; px += 4 * t.vectors) {
        t = next_tile(args, px, usual, PAIR_NARROW);
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            set_panel(&t, panel, w.panels, w.kp);
            pair_tile(&t, &w, w.ptr + (size_t)panel * (args->n / 2) + pair0, args->row0, pairs);
            if (args->row1 % 2) csr_tile(&t, &w.last, w.last.ptr + panel, args->row1 - 1, 1);
        }
    }
}
