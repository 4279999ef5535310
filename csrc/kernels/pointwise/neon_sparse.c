/* Driver of the sparse pointwise kernels for 64-bit NEON: tiles, panels, what comes before and after a row. */
#include "base/compiler.h"

#if SPR_AARCH64

#include <arm_neon.h>
#include <math.h>

#include "kernels/pointwise/neon_sparse.h"
#include "kernels/unary/act_neon.h"

/* One pixel tile of one panel. */
typedef struct tile {
    const spr_pw_args *args;
    const char *xb; /* the tile in the panel's first plane */
    uint32_t px, vectors;
    uint32_t width;  /* vectors that are computed */
    spr_neon_rows_fn *rows; /* that computes them */
    uint32_t pad;    /* vectors of padding lanes after the tile, to be zeroed */
    int first, last; /* panel */
    const char *touch; /* as in spr_neon_rows */
    uint32_t touch_planes, touch_step, touch_lines;
    uint32_t turn; /* which it is of the tiles that are touched together */
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

/* The i-th row of a panel; pairs: 1 if order tells those of pairs, else 0. */
static uint32_t row_at(const uint32_t *order, uint32_t pairs, uint32_t i) {
    return order ? order[i >> pairs] + (i & pairs) : i;
}

/* What is common to CSR and pairs for rows [row, row + rows): where sums begin (with bias plus residual put
   together in y, as y may be the residual) and how they are bounded. */
static spr_neon_rows begin_rows(const tile *t, const float *bias, const uint32_t *order, uint32_t pairs, uint32_t row,
                                uint32_t rows) {
    const spr_pw_args *a = t->args;
    spr_neon_rows w = {.xb = t->xb,
                       .order = order ? order + (row >> pairs) + 1 : NULL,
                       .y0 = a->y + t->px,
                       .y = a->y + row_at(order, pairs, row) * a->y_stride + t->px,
                       .y_stride = a->y_stride * sizeof(float),
                       .touch = t->touch,
                       .touch_stride = a->x_stride * sizeof(float),
                       .touch_planes = t->touch_planes,
                       .touch_step = t->touch_step,
                       .touch_lines = t->touch_lines,
                       .width = t->width,
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
    for (uint32_t i = row; i < row + rows; i++) {
        const uint32_t r = row_at(order, pairs, i);
        const float32x4_t b = vld1q_f32(bias + (size_t)i * 4);
        const float *z = a->z + r * a->z_stride + t->px;
        float *y = a->y + r * a->y_stride + t->px;
        for (uint32_t v = 0; v < t->width; v++) vst1q_f32(y + 4 * v, vaddq_f32(b, vld1q_f32(z + 4 * v)));
    }
    return w;
}

/* Activations that the assembly leaves, and padding lanes. */
static void finish_rows(tile *t, const uint32_t *order, uint32_t pairs, uint32_t row, uint32_t rows) {
    const uint32_t touched = min_u32(t->touch_planes, (rows >> pairs) * t->touch_step);
    t->touch += touched * t->args->x_stride * sizeof(float);
    t->touch_planes -= touched;
    const spr_act *act = &t->args->act;
    const uint32_t lanes = 4 * t->vectors;
    const int after = act_after(act);
    if (!t->last || (!t->pad && !after)) return;
    for (uint32_t i = row; i < row + rows; i++) {
        const uint32_t r = row_at(order, pairs, i);
        float *y = t->args->y + r * t->args->y_stride + t->px;
        if (after) {
            spr_act own = *act;
            if (act->fn == SPR_FN_PRELU) own.slope += r;
            t->args->unary(y, y, lanes, &own);
        }
        for (uint32_t v = 0; v < t->pad; v++) vst1q_f32(y + lanes + 4 * v, vdupq_n_f32(0));
    }
}

/* `count` rows or pairs of a panel from the one at `row` on, whose records lie between the count + 1 positions at
   ptr. */
static void run_rows(tile *t, const spr_neon_sparse *w, uint32_t pairs, const uint32_t *ptr, const uint32_t *order,
                     uint32_t row, uint32_t count) {
    for (uint32_t n; count; count -= n, row += n << pairs, ptr += n) {
        n = min_u32(rows_at_once(t) >> pairs, count);
        const uint32_t words = 2 + pairs, *p = (const uint32_t *)w->records + (size_t)ptr[0] * words;
        spr_neon_rows rows = begin_rows(t, w->bias, order, pairs, row, n << pairs);
        rows.ptr = ptr;
        rows.count = n;
        rows.xa = t->xb + p[0];
        rows.p = rows.ahead = p + words;
        t->rows(&rows);
        finish_rows(t, order, pairs, row, n << pairs);
    }
}

/* Takes the narrowest assembly that covers the tile. Tiles for which there is none are the last of their plane and
   compute padding lanes as well: from a line's beginning there are as many as the next multiple of four leaves. */
static void set_width(tile *t, const spr_neon_tiles *tiles) {
    int i = 0;
    while (tiles->width[i] < t->vectors) i++;
    t->width = tiles->width[i];
    t->rows = tiles->rows[i];
}

/* The tile at `px`, of no vectors at the end of the pixels; the last one of the plane has padding lanes after it. Tiles
   are whole lines, so that the next one begins at a line; the last one is up to as wide as the widest. */
static tile next_tile(const spr_pw_args *args, uint32_t px, const spr_neon_tiles *tiles) {
    const uint32_t left = px < args->px1 ? (args->px1 - px + 3) / 4 : 0;
    tile t = {.args = args, .px = px, .vectors = left};
    if (left > tiles->width[tiles->count - 1]) t.vectors = left < 16 ? 8 : 12;
    if (t.vectors == left) t.pad = ((uint32_t)spr_round_up(args->px1, SPR_PX) - (px + 4 * left)) / 4;
    set_width(&t, tiles);
    return t;
}

/* How many tiles are touched together: 2 to 4, as their planes should stay in the cache that they come to. */
static uint32_t tiles_touched(const spr_neon_core *core, const spr_pw_args *a) {
    const uint32_t tiles = core->touch_planes / a->k;
    return tiles < 2 ? 2 : min_u32(tiles, 4);
}

/* Inputs to touch in `visits` to rows or pairs of a panel: those of the next panel, or of the first one in the next
   tile, and in the tiles after it, as streams should be long; so that these have been seen to. Inputs of up to
   touch_least floats stay where they are fast enough. */
static void touch_next(tile *t, const spr_neon_core *core, uint32_t panel, uint32_t kp, uint32_t visits,
                       const tile *next) {
    const spr_pw_args *a = t->args;
    const uint32_t after = t->last ? 0 : panel + 1, px = t->last ? next->px : t->px;
    const uint32_t end = (uint32_t)spr_round_up(a->px1, SPR_PX), lines = px < end ? (end - px) / SPR_PX : 0;
    t->touch_planes = 0;
    t->touch_step = 1;
    if (lines < 3 || (t->last ? next->turn : t->turn) || (size_t)a->k * a->x_stride <= core->touch_least) return;
    t->touch = (const char *)(a->x + (size_t)after * kp * a->x_stride + px);
    t->touch_planes = min_u32(kp, a->k - after * kp);
    t->touch_lines = min_u32(lines / 3, tiles_touched(core, a) - core->touch_less);
    if (visits) t->touch_step = (t->touch_planes + visits - 1) / visits;
}

/* Loads what is read once and a little at a time, line after line so that prefetchers see a stream. */
static void fetch(const void *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += SPR_LINE) (void)((const volatile char *)from)[i];
}

/* Moves to a panel; `visits` rows or pairs of it are to come, whose positions are at ptr, `next` is the tile thereafter,
   if it has vectors. Where there are many rows, their positions and biases do not stay in caches from tile to tile. */
static void set_panel(tile *t, const spr_neon_core *core, uint32_t panel, uint32_t panels, uint32_t kp, uint32_t visits,
                      const uint32_t *ptr, const float *bias, const tile *next) {
    const spr_pw_args *a = t->args;
    const uint32_t rows = a->row1 - a->row0;
    t->xb = (const char *)(a->x + (size_t)panel * kp * a->x_stride + t->px);
    t->first = panel == 0;
    t->last = panel + 1 == panels;
    touch_next(t, core, panel, kp, visits, next);
    if (rows < core->fetch_rows) return;
    fetch(ptr, visits * sizeof *ptr);
    if (t->first) fetch(bias + (size_t)a->row0 * 4, (size_t)rows * 4 * sizeof(float));
}

/* The odd row at the end in one panel of what the tile of pairs covers. */
static void last_row(const tile *pairs, const spr_neon_core *core, uint32_t panel) {
    tile t = *pairs;
    set_width(&t, &core->csr);
    const spr_neon_sparse w = spr_neon_view(t.args->packed, 1);
    run_rows(&t, &w, 0, w.ptr + panel, NULL, t.args->row1 - 1, 1);
}

void spr_neon_sparse_run(const spr_neon_core *core, const spr_pw_args *args, uint32_t pairs) {
    const spr_neon_sparse w = spr_neon_view(args->packed, 0);
    const spr_neon_tiles *tiles = pairs ? &core->pairs : &core->csr;
    const uint32_t all = args->n >> pairs, first = args->row0 >> pairs, rows = (args->row1 >> pairs) - first;
    for (tile next, t = next_tile(args, args->px0, tiles); t.vectors; t = next) {
        next = next_tile(args, t.px + 4 * t.vectors, tiles);
        next.turn = (t.turn + 1) % tiles_touched(core, args);
        const uint32_t *ptr = w.ptr + first, *order = w.order;
        for (uint32_t panel = 0; panel < w.panels; panel++, ptr += all) {
            set_panel(&t, core, panel, w.panels, w.kp, rows, ptr, w.bias, &next);
            run_rows(&t, &w, pairs, ptr, order, args->row0, rows);
            if (order) order += all;
            if (args->row1 & pairs) last_row(&t, core, panel);
        }
    }
}

#endif
