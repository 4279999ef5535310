#include "runtime/strips.h"

#if SPR_STRIPS
#include <string.h>

#include "runtime/ops/ops.h"

/* Below these a strip is not worth its halos, or a tensor in one core's cache not worth a copy in two. */
#define LEAST_LINES 4
#define LEAST_BYTES (16 * 1024)

/* Nor is it where a thread's strip does not stay in its L2 until a window reads it: measured on Zen 3 (512 KB), where
   depthwise layers on larger ones take 5 to 10 % longer in strips; by its size on Xeons (2 MB). */
static int64_t most_bytes(const spr_plan_ctx *ctx) {
    return ctx->threads * (int64_t)(ctx->features & SPR_ISA_AVX512 ? 2048 << 10 : 768 << 10);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Room for the halo, and for what kernels read beyond the lines they use (see chain_stripes.c). */
int64_t spr_strips_front(const spr_view *view) {
    if (!view->strips) return 0;
    return (int64_t)spr_round_up((size_t)((view->halo + 4) * view->desc.dim[3]) + 4 * SPR_PX, SPR_PX);
}

void spr_strides_strips(spr_view *view) {
    const int64_t *dim = view->desc.dim;
    /* Of two strips, one has a halo above and the other below. A vector that ends a strip, or zeroes what is behind,
       does not reach the next plane's halo. */
    const int64_t halos = view->strips > 2 ? 2 : 1;
    size_t lines = spr_round_up((size_t)((dim[2] + halos * view->halo) * dim[3]) + SPR_PX, SPR_PX) / SPR_PX;
    view->stride[3] = 1;
    view->stride[2] = dim[3];
    view->stride[1] = (int64_t)(lines | 1) * SPR_PX;
    view->stride[0] = view->stride[1] * dim[1] + spr_strips_front(view);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

spr_lines_range spr_strip_output(const spr_view *x, const spr_view *y, const spr_window *win, uint32_t strip) {
    if (y->strips) {
        uint32_t lines = (uint32_t)y->desc.dim[2];
        return (spr_lines_range){strip * lines, (strip + 1) * lines};
    }
    uint32_t lines = (uint32_t)x->desc.dim[2], lo = (strip * lines + win->sh - 1) / win->sh,
             hi = ((strip + 1) * lines + win->sh - 1) / win->sh;
    if (hi > win->oh || strip + 1 == x->strips) hi = win->oh;
    return (spr_lines_range){lo < hi ? lo : hi, hi};
}

spr_lines_range spr_strip_input(const spr_window *win, spr_lines_range out) {
    int64_t lo = (int64_t)out.lo * win->sh - win->pt, hi = lo;
    if (out.hi > out.lo)
        hi = ((int64_t)out.hi - 1) * win->sh - win->pt + (int64_t)(win->kh - 1) * win->dh + 1;
    if (lo < 0) lo = 0;
    if (hi > win->ih) hi = win->ih;
    return (spr_lines_range){(uint32_t)(lo < hi ? lo : hi), (uint32_t)hi};
}

/* `n` floats of each plane. They come from another core, one by one unless they are asked for early. */
static void copy_lines(float *to, const float *from, size_t stride, size_t n, uint32_t c0, uint32_t c1) {
    const uint32_t ahead = 24;
    for (uint32_t c = c0; c < c1 + ahead; c++) {
        for (size_t i = 0; i < n + SPR_PX && c < c1; i += SPR_PX) __builtin_prefetch(from + c * stride + i);
        if (c >= c0 + ahead) memcpy(to + (c - ahead) * stride, from + (c - ahead) * stride, n * sizeof(float));
    }
}

void spr_strip_fill(const spr_view *x, uint32_t strip, spr_lines_range lines, uint32_t c0, uint32_t c1) {
    if (!x->strips) return;
    const uint32_t h = (uint32_t)x->desc.dim[2], first = strip * h, last = first + h;
    const size_t width = (size_t)x->desc.dim[3];
    if (lines.lo < first)
        copy_lines(spr_strip_origin(x, strip) + lines.lo * width, spr_strip_origin(x, strip - 1) + lines.lo * width,
                   (size_t)x->stride[1], (first - lines.lo) * width, c0, c1);
    if (lines.hi > last)
        copy_lines(spr_strip_origin(x, strip) + last * width, spr_strip_origin(x, strip + 1) + last * width,
                   (size_t)x->stride[1], (lines.hi - last) * width, c0, c1);
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

typedef struct ability {
    spr_strips_kind kind;
    spr_window win;
} ability;

typedef struct chooser {
    spr_plan *plan;
    ability *of; /* by step */
    uint32_t strips;
    int64_t most; /* bytes of what windows read and write */
    uint8_t *chosen; /* by value */
    uint32_t *halo;  /* by value */
    int changed;
} chooser;

static int64_t bytes_of(const chooser *c, int32_t v) {
    return spr_desc_count(&c->plan->views[v].desc) * (int64_t)sizeof(float);
}

static int may_lie_in_strips(const chooser *c, int32_t v) {
    const spr_desc *desc = &c->plan->views[v].desc;
    return desc->rank == 4 && desc->dtype == SPR_FLOAT32 && desc->dim[0] == 1 && desc->dim[2] % c->strips == 0 &&
           desc->dim[2] / c->strips >= LEAST_LINES && desc->dim[3] > 1 &&
           bytes_of(c, v) >= LEAST_BYTES;
}

/* Value i of a step, inputs first, if it is computed and an image; else -1. */
static int32_t image_of(const chooser *c, const spr_step *step, int i) {
    const spr_node *node = step->node;
    int32_t v = i < node->in_count ? node->in[i] : node->out[i - node->in_count];
    if (v < 0 || c->plan->known[v]) return -1;
    const spr_desc *desc = &c->plan->views[v].desc;
    return desc->rank == 4 && desc->dim[2] > 1 ? v : -1;
}

static int value_count(const spr_step *step) { return step->node->in_count + step->node->out_count; }

static void drop(chooser *c, int32_t v) {
    if (v < 0 || !c->chosen[v]) return;
    c->chosen[v] = 0;
    c->changed = 1;
}

static void drop_all(chooser *c, const spr_step *step) {
    for (int i = 0; i < value_count(step); i++) drop(c, image_of(c, step, i));
}

/* Whether a batch of strips of an image that lies as a whole can be written without touching the next strip. */
static int whole_lines(const chooser *c, int32_t v) {
    const spr_desc *desc = &c->plan->views[v].desc;
    return may_lie_in_strips(c, v) && desc->dim[2] / c->strips * desc->dim[3] % SPR_PX == 0;
}

/* The lines of its neighbours that a step reads of its input, were that in strips; more than there are if they are not
   known. */
static uint32_t halo_of(const chooser *c, int s) {
    const spr_node *node = c->plan->steps[s].node;
    spr_view x = c->plan->views[node->in[0]], y = c->plan->views[node->out[0]];
    const spr_window *win = &c->of[s].win;
    uint32_t most = 0, h = (uint32_t)x.desc.dim[2] / c->strips;
    x.strips = c->strips;
    x.desc.dim[2] = h;
    if (c->chosen[node->out[0]]) y.strips = c->strips, y.desc.dim[2] /= c->strips;
    for (uint32_t k = 0; k < c->strips; k++) {
        spr_lines_range in = spr_strip_input(win, spr_strip_output(&x, &y, win, k));
        if (in.lo >= in.hi) continue;
        if (in.lo < k * h && k * h - in.lo > most) most = k * h - in.lo;
        if (in.hi > (k + 1) * h && in.hi - (k + 1) * h > most) most = in.hi - (k + 1) * h;
        if (in.lo > (k + 1) * h || in.hi < k * h) return UINT32_MAX;
    }
    return most;
}

static void check(chooser *c, int s) {
    const spr_step *step = &c->plan->steps[s];
    spr_strips_kind kind = c->of[s].kind;
    if (kind == SPR_STRIPS_INPUT) {
        if (c->strips != 2 && c->strips != 4) drop_all(c, step);
        return;
    }
    if (kind == SPR_STRIPS_NONE) {
        drop_all(c, step);
        return;
    }
    if (kind == SPR_STRIPS_ALIKE || kind == SPR_STRIPS_LOOSE) {
        for (int i = 0; i < value_count(step); i++) {
            int32_t v = image_of(c, step, i);
            if (v >= 0 && !c->chosen[v] && !(kind == SPR_STRIPS_LOOSE && whole_lines(c, v))) drop_all(c, step);
        }
        return;
    }
    int32_t x = step->node->in[0], y = step->node->out[0];
    if (bytes_of(c, x) > c->most) drop(c, x);
    if (bytes_of(c, y) > c->most) drop(c, y);
    /* A whole output is shared out by channels. Kernels that take eight at a time begin the last eight before the end,
       and would read halos that another thread fills. */
    if (!c->chosen[y] && (kind == SPR_STRIPS_LINES || c->plan->views[y].desc.dim[1] % 8)) drop(c, x);
    if (!c->chosen[x]) return;
    uint32_t halo = halo_of(c, s);
    if (halo > (uint32_t)c->plan->views[x].desc.dim[2] / c->strips) drop(c, x);
    else if (c->halo[x] < halo) c->halo[x] = halo;
}

static int same_image(const spr_desc *a, const spr_desc *b) {
    return a->rank == b->rank && a->dim[2] == b->dim[2] && a->dim[3] == b->dim[3];
}

/* Images of one size have one halo, so that one can take another's memory, or be a part of it. */
static void spread_halos(chooser *c) {
    const int count = c->plan->graph->value_count;
    for (int v = 0; v < count; v++)
        for (int w = 0; c->chosen[v] && w < count; w++)
            if (c->chosen[w] && c->halo[v] < c->halo[w] &&
                same_image(&c->plan->views[v].desc, &c->plan->views[w].desc))
                c->halo[v] = c->halo[w];
}

spr_status spr_plan_strips(spr_plan *plan, spr_plan_ctx *ctx) {
    if (ctx->threads == 1 || spr_tasks_per_thread(ctx->features) > 1) return SPR_OK;
    size_t values = (size_t)plan->graph->value_count + 1;
    chooser c = {plan, spr_arena_array(&plan->arena, (size_t)plan->step_count + 1, sizeof *c.of),
                 (uint32_t)ctx->threads, most_bytes(ctx), spr_arena_array(&plan->arena, values, 1),
                 spr_arena_array(&plan->arena, values, sizeof *c.halo), 1};
    if (!c.of || !c.chosen || !c.halo) return spr_fail_memory(ctx->err, "the plan", values);
    for (int s = 0; s < plan->step_count; s++) {
        const spr_step *step = &plan->steps[s];
        if (step->exec.run == spr_exec_get(step->node->op).run) /* no chain */
            c.of[s].kind = spr_op_in_strips(step, ctx->sparse, &c.of[s].win);
        for (int i = 0; i < plan->steps[s].node->out_count; i++) {
            int32_t v = plan->steps[s].node->out[i];
            c.chosen[v] = (uint8_t)may_lie_in_strips(&c, v);
        }
    }
    for (int i = 0; i < plan->kept_count; i++) c.chosen[plan->kept[i]] = 0;
    while (c.changed) {
        c.changed = 0;
        memset(c.halo, 0, values * sizeof *c.halo);
        for (int s = 0; s < plan->step_count; s++) check(&c, s);
    }
    spread_halos(&c);
    for (size_t v = 0; v + 1 < values; v++) {
        spr_view *view = &plan->views[v];
        if (!c.chosen[v]) continue;
        view->strips = c.strips;
        view->halo = c.halo[v];
        view->desc.dim[0] = c.strips;
        view->desc.dim[2] /= c.strips;
    }
    for (int s = 0; s < plan->step_count; s++) {
        spr_step *step = &plan->steps[s];
        spr_strips_kind kind = c.of[s].kind;
        for (int i = 0; kind != SPR_STRIPS_NONE && i < value_count(step); i++) {
            int32_t v = image_of(&c, step, i);
            if (v < 0 || !c.chosen[v]) continue;
            step->strip_kind = (uint8_t)kind;
            if (kind == SPR_STRIPS_ALIKE || kind == SPR_STRIPS_LOOSE) step->strips = c.strips;
        }
    }
    return SPR_OK;
}

void spr_strips_show(const spr_plan *plan, spr_step *step) {
    if (!step->strips) return;
    const spr_node *node = step->node;
    for (int i = 0; i < value_count(step); i++) {
        int in = i < node->in_count;
        int32_t v = in ? node->in[i] : node->out[i - node->in_count];
        spr_view *view = in ? &step->in[i] : &step->out[i - node->in_count];
        if (v < 0 || plan->known[v] || view->strips || view->desc.rank != 4 || view->desc.dim[2] == 1) continue;
        view->strips = step->strips;
        view->desc.dim[0] = step->strips;
        view->desc.dim[2] /= step->strips;
        view->stride[0] = view->desc.dim[2] * view->desc.dim[3];
    }
}
#endif
