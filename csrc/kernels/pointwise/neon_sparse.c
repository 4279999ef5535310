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
    for (uint32_t r = row; r < row + rows; r++) {
        const float32x4_t b = vld1q_f32(bias + (size_t)r * 4);
        const float *z = a->z + r * a->z_stride + t->px;
        float *y = a->y + r * a->y_stride + t->px;
        for (uint32_t v = 0; v < t->width; v++) vst1q_f32(y + 4 * v, vaddq_f32(b, vld1q_f32(z + 4 * v)));
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
        t->rows(&rows);
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
        t->rows(&rows);
        finish_rows(t, row, 2 * n, n);
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

void spr_neon_csr_run(const spr_neon_core *core, const spr_pw_args *args) {
    const spr_neon_csr w = spr_neon_csr_view(args->packed);
    const uint32_t rows = args->row1 - args->row0;
    for (tile next, t = next_tile(args, args->px0, &core->csr); t.vectors; t = next) {
        next = next_tile(args, t.px + 4 * t.vectors, &core->csr);
        next.turn = (t.turn + 1) % tiles_touched(core, args);
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            const uint32_t *ptr = w.ptr + (size_t)panel * args->n + args->row0;
            set_panel(&t, core, panel, w.panels, w.kp, rows, ptr, w.bias, &next);
            csr_tile(&t, &w, ptr, args->row0, rows);
        }
    }
}

/* The odd row at the end in one panel of what the tile of pairs covers. */
static void last_row(const tile *pairs, const spr_neon_core *core, const spr_neon_2x1 *w, uint32_t panel) {
    tile t = *pairs;
    set_width(&t, &core->csr);
    csr_tile(&t, &w->last, w->last.ptr + panel, t.args->row1 - 1, 1);
}

void spr_neon_2x1_run(const spr_neon_core *core, const spr_pw_args *args) {
    const spr_neon_2x1 w = spr_neon_2x1_view(args->packed);
    const uint32_t pair0 = args->row0 / 2, pairs = args->row1 / 2 - pair0;
    for (tile next, t = next_tile(args, args->px0, &core->pairs); t.vectors; t = next) {
        next = next_tile(args, t.px + 4 * t.vectors, &core->pairs);
        next.turn = (t.turn + 1) % tiles_touched(core, args);
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            const uint32_t *ptr = w.ptr + (size_t)panel * (args->n / 2) + pair0;
            set_panel(&t, core, panel, w.panels, w.kp, pairs, ptr, w.bias, &next);
            pair_tile(&t, &w, ptr, args->row0, pairs);
            if (args->row1 % 2) last_row(&t, core, &w, panel);
        }
    }
}

#endif
