#include "runtime/chain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/ops/conv.h"

#define MAX_MEMBERS 5
/* Alignment of parts of planes, and room before and after each buffer for what kernels read beyond the rows they use. */
#define SLACK_LANES(width) (4 * SPR_PX + 4 * (size_t)(width))

typedef struct member {
    spr_step step; /* planned like any other Conv, but on buffers instead of tensors */
    spr_conv_way way;
    spr_conv_shape shape;
    size_t buffer, stride; /* output of all but the last: floats from the thread's scratch, floats between planes */
} member;

typedef struct chain {
    int count;
    member members[MAX_MEMBERS];
    int residual;  /* the last member has one: input 1 of the chain */
    uint32_t rows; /* output rows per stripe */
    uint32_t stripes, bands, stripes_per_band;
    size_t kernel_scratch; /* bytes from the thread's scratch */
    uint64_t *ns;          /* [threads][MAX_MEMBERS] of the last profiled run */
    int threads;
} chain;

typedef struct rows {
    uint32_t lo, hi;
} rows;

/* Rows of its input that a member needs for rows of its output. */
static rows needed(const member *m, rows out) {
    const spr_window *win = &m->shape.win;
    if (m->way == SPR_CONV_POINTWISE) { /* computed by whole lines */
        size_t end = spr_round_up((size_t)out.hi * win->ow, SPR_PX);
        out.lo = (uint32_t)((size_t)out.lo * win->ow / SPR_PX * SPR_PX / win->ow);
        out.hi = (uint32_t)((end + win->ow - 1) / win->ow);
        if (out.hi > win->oh) out.hi = win->oh;
        return out;
    }
    int64_t lo = (int64_t)out.lo * win->sh - win->pt;
    int64_t hi = ((int64_t)out.hi - 1) * win->sh - win->pt + (int64_t)(win->kh - 1) * win->dh + 1;
    if (lo < 0) lo = 0;
    if (hi > win->ih) hi = win->ih;
    if (lo > hi) lo = hi;
    return (rows){(uint32_t)lo, (uint32_t)hi};
}

/* ---- deciding ------------------------------------------------------------------------------------------------------------ */

/* Bytes of buffers that stay in the cache beside what streams through, and of a tensor between two members that does not stay
   there as a whole. On x86 measured with MobileNetV1 and V2: with 2 MiB of L2, joining where all tensors were below 1.7 MB lost
   up to a tenth. */
typedef struct stripe_sizes {
    size_t buffers, worth;
} stripe_sizes;

static stripe_sizes stripe_sizes_for(uint32_t features) {
    if (features & SPR_ISA_INORDER) return (stripe_sizes){96 << 10, 256 << 10};
    if (features & SPR_ISA_AVX2) return (stripe_sizes){768 << 10, 1664 << 10};
    return (stripe_sizes){192 << 10, 512 << 10};
}

/* Bytes of the largest tensor between two members. */
static size_t largest_tensor(const chain *c) {
    size_t largest = 0;
    for (int i = 0; i + 1 < c->count; i++) {
        const spr_conv_shape *s = &c->members[i].shape;
        size_t bytes = (size_t)s->oc * s->win.oh * s->win.ow * sizeof(float);
        if (largest < bytes) largest = bytes;
    }
    return largest;
}

/* Lays out the buffers for stripes of `n` output rows; returns their bytes. */
static size_t place_buffers(chain *c, uint32_t n) {
    uint32_t need = n;
    size_t at = 0;
    for (int i = c->count - 1; i > 0; i--) {
        const spr_window *win = &c->members[i].shape.win;
        if (c->members[i].way != SPR_CONV_POINTWISE)
            need = (need - 1) * win->sh + (win->kh - 1) * win->dh + 1;
        else if (i + 1 < c->count) /* what completes lines at both ends; the last layer's stripes consist of whole ones */
            need += 2 * ((SPR_PX - 1 + win->ow - 1) / win->ow);
        if (need > win->ih) need = win->ih;
        member *from = &c->members[i - 1];
        size_t lines = spr_round_up((size_t)need * win->iw + 2 * SPR_PX, SPR_PX) / SPR_PX;
        from->stride = (lines | 1) * SPR_PX;
        at += spr_round_up(SLACK_LANES(win->iw), SPR_PX);
        from->buffer = at;
        at += from->stride * from->shape.oc + spr_round_up(SLACK_LANES(win->iw), SPR_PX);
    }
    return at * sizeof(float);
}

/* Rows of a stripe start at whole lines of the cache in the output, so that no two threads write to one. */
static uint32_t row_unit(const member *last) {
    uint32_t unit = 1;
    while (last->way == SPR_CONV_POINTWISE && unit * last->shape.win.ow % SPR_PX) unit *= 2;
    return unit;
}

/* Chooses the stripes; 0 if the chain is not worth it: the tensors between its members fit into the cache as they are, or there
   would be too few stripes for the threads. */
static int choose_stripes(chain *c, const spr_plan_ctx *ctx, size_t images) {
    const member *last = &c->members[c->count - 1];
    uint32_t oh = last->shape.win.oh, unit = row_unit(last);
    stripe_sizes sizes = stripe_sizes_for(ctx->features);
    if (unit > oh || largest_tensor(c) <= sizes.worth || place_buffers(c, unit) > sizes.buffers) return 0;
    uint32_t n = unit;
    while (n + unit <= oh && place_buffers(c, n + unit) <= sizes.buffers) n += unit;
    c->rows = n;
    c->stripes = (oh + n - 1) / n;
    /* about even stripes, no fewer than there are bands for */
    uint32_t want = ctx->threads > 1 ? (uint32_t)((4 * (size_t)ctx->threads + images - 1) / images) : 1;
    if (c->stripes < want) c->stripes = want;
    c->rows = ((oh + c->stripes - 1) / c->stripes + unit - 1) / unit * unit;
    c->stripes = (oh + c->rows - 1) / c->rows;
    if (c->stripes * images < 2 * (size_t)ctx->threads && ctx->threads > 1) return 0;
    c->bands = want < c->stripes ? want : c->stripes;
    c->stripes_per_band = (c->stripes + c->bands - 1) / c->bands;
    c->bands = (c->stripes + c->stripes_per_band - 1) / c->stripes_per_band;
    c->kernel_scratch = spr_round_up(place_buffers(c, c->rows), SPR_LINE);
    return 1;
}

/* ---- finding --------------------------------------------------------------------------------------------------------------- */

/* What is known of each value and step while chains are sought. */
typedef struct finder {
    spr_plan *plan;
    spr_plan_ctx *ctx;
    int32_t *uses, *consumer; /* by value: how many read it (graph outputs count), and a step that does */
    uint8_t *taken;           /* by step */
} finder;

/* Whether a step can be a member; fills in its geometry. */
static int eligible(const finder *f, int s, member *m) {
    const spr_plan *plan = f->plan;
    const spr_node *node = plan->steps[s].node;
    if (f->taken[s] || node->op != SPR_OP_Conv || plan->known[node->in[0]] || !plan->known[node->in[1]]) return 0;
    const spr_desc *x = &plan->views[node->in[0]].desc, *y = &plan->views[node->out[0]].desc;
    if (!spr_desc_count(y) || !spr_desc_count(x) || x->dtype != SPR_FLOAT32) return 0;
    return !spr_conv_classify(plan->graph, node, x, &plan->views[node->in[1]].desc, y, &m->shape, &m->way, NULL);
}

static int has_residual(const spr_node *node) { return node->in_count > 3 && node->in[3] >= 0; }

/* The step that alone reads the step's output as its image, or -1. */
static int next_step(const finder *f, int s) {
    int32_t out = f->plan->steps[s].node->out[0];
    if (f->uses[out] != 1 || has_residual(f->plan->steps[s].node)) return -1;
    int next = f->consumer[out];
    return next >= 0 && f->plan->steps[next].node->in[0] == out ? next : -1;
}

/* Members from step s on, [any] depthwise [pointwise [depthwise [pointwise]]]; returns their number, 0 for no chain. */
static int collect(const finder *f, int s, chain *c, int *steps) {
    int depthwise = 0;
    spr_conv_way before = SPR_CONV_WINDOW;
    for (c->count = 0; s >= 0 && c->count < MAX_MEMBERS; s = next_step(f, s)) {
        member *m = &c->members[c->count];
        if (!eligible(f, s, m)) break;
        int first = c->count == 0;
        int fits = m->way == SPR_CONV_DEPTHWISE ? first || before != SPR_CONV_DEPTHWISE
                   : m->way == SPR_CONV_POINTWISE ? first || before == SPR_CONV_DEPTHWISE
                                                  : first && m->way == SPR_CONV_WINDOW && m->shape.group == 1;
        if (!fits) break;
        steps[c->count++] = s;
        before = m->way;
        depthwise += before == SPR_CONV_DEPTHWISE;
    }
    return depthwise ? c->count : 0;
}

/* A node that stands for the whole chain in the layout: it reads the image, and the residual if there is one. */
static spr_node *chain_node(spr_plan *plan, const chain *c, const int *steps) {
    const spr_node *first = plan->steps[steps[0]].node, *last = plan->steps[steps[c->count - 1]].node;
    spr_node *node = spr_arena_alloc(&plan->arena, sizeof *node);
    int32_t *in = spr_arena_array(&plan->arena, 2, sizeof *in);
    if (!node || !in) return NULL;
    *node = *last;
    in[0] = first->in[0];
    in[1] = c->residual ? last->in[3] : -1;
    node->in = in;
    node->in_count = c->residual ? 2 : 1;
    return node;
}

static spr_status join(finder *f, const chain *found, const int *steps) {
    spr_plan *plan = f->plan;
    chain *c = spr_plan_alloc(f->ctx, sizeof *c, "a chain");
    if (!c) return SPR_ERROR_MEMORY;
    *c = *found;
    c->threads = f->ctx->threads;
    c->ns = spr_plan_alloc(f->ctx, (size_t)c->threads * MAX_MEMBERS * sizeof *c->ns, "a chain");
    spr_node *node = chain_node(plan, c, steps);
    if (!c->ns || !node) return spr_fail_memory(f->ctx->err, "a chain", sizeof *node);
    for (int i = 0; i < c->count; i++) {
        spr_status status = spr_plan_init_step(plan, plan->steps[steps[i]].node, &c->members[i].step, f->ctx->err);
        if (status) return status;
        f->taken[steps[i]] = 1;
    }
    spr_step *last = &plan->steps[steps[c->count - 1]];
    last->node = node;
    last->state = c;
    f->taken[steps[c->count - 1]] = 2; /* stays, as the chain */
    return SPR_OK;
}

static spr_status find_chains(finder *f) {
    spr_plan *plan = f->plan;
    for (int s = 0; s < plan->step_count; s++) {
        const spr_node *node = plan->steps[s].node;
        for (int i = 0; i < node->in_count; i++)
            if (node->in[i] >= 0) {
                f->uses[node->in[i]]++;
                f->consumer[node->in[i]] = s;
            }
    }
    for (int i = 0; i < plan->graph->output_count; i++) f->uses[plan->graph->outputs[i]]++;
    for (int s = 0; s < plan->step_count; s++) {
        chain c = {0};
        int steps[MAX_MEMBERS];
        int count = collect(f, s, &c, steps);
        /* the longest that is worth it */
        for (int worth = 0; count > 1 && !worth; count -= !worth) {
            const spr_node *last = plan->steps[steps[count - 1]].node;
            c.count = count;
            c.residual = has_residual(last);
            worth = !(c.residual && plan->known[last->in[3]]) &&
                    choose_stripes(&c, f->ctx, (size_t)plan->views[last->out[0]].desc.dim[0]);
        }
        if (count < 2) continue;
        spr_status status = join(f, &c, steps);
        if (status) return status;
    }
    int kept = 0;
    for (int s = 0; s < plan->step_count; s++)
        if (f->taken[s] != 1) plan->steps[kept++] = plan->steps[s];
    plan->step_count = kept;
    return SPR_OK;
}

spr_status spr_plan_chains(spr_plan *plan, spr_plan_ctx *ctx) {
    size_t values = (size_t)plan->graph->value_count + 1;
    finder f = {plan, ctx, spr_arena_array(&plan->arena, values, sizeof *f.uses),
                spr_arena_array(&plan->arena, values, sizeof *f.consumer),
                spr_arena_array(&plan->arena, (size_t)plan->step_count + 1, 1)};
    if (!f.uses || !f.consumer || !f.taken) return spr_fail_memory(ctx->err, "the plan", values);
    return find_chains(&f);
}

/* ---- planning ------------------------------------------------------------------------------------------------------------ */

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    chain *c = step->state;
    spr_plan_ctx alone = *ctx; /* a member's part is not split further */
    alone.threads = 1;
    step->scratch = 0;
    for (int i = 0; i < c->count; i++) {
        member *m = &c->members[i];
        int last = i + 1 == c->count;
        if (i == 0) m->step.in[0] = step->in[0];
        if (i > 0) m->step.in[0] = c->members[i - 1].step.out[0];
        if (last) {
            m->step.out[0] = step->out[0];
            if (c->residual) m->step.in[3] = step->in[1];
        } else {
            spr_strides_contiguous(&m->step.out[0].desc, m->step.out[0].stride);
            m->step.out[0].stride[1] = (int64_t)m->stride;
        }
        spr_status status = m->step.exec->plan(&alone, &m->step);
        if (status) return status;
        size_t used = strlen(m->step.reason);
        snprintf(m->step.reason + used, sizeof m->step.reason - used, "%sfused, %u rows at a time", used ? "; " : "", c->rows);
        if (step->scratch < m->step.scratch) step->scratch = m->step.scratch;
    }
    step->scratch += c->kernel_scratch;
    return SPR_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------------------- */

typedef struct chain_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    const chain *c;
} chain_job;

/* What a buffer holds: pixels [base, end) of every plane of a member's output; `row` is the first row not yet computed. */
typedef struct held {
    size_t base, end;
    uint32_t row;
    int valid;
} held;

static float *plane_origin(float *buffer, size_t base) {
    return (float *)((uintptr_t)buffer - base * sizeof(float)); /* where pixel 0 would lie */
}

/* Makes the buffer begin at the line of the first row needed, keeping what is computed already. */
static void advance(const member *m, float *buffer, held *h, uint32_t row) {
    size_t base = (size_t)row * m->shape.win.ow / SPR_PX * SPR_PX;
    if (h->valid && base < h->end) {
        size_t skip = base - h->base, keep = h->end - base;
        for (uint32_t ch = 0; skip && ch < m->shape.oc; ch++)
            memmove(buffer + ch * m->stride, buffer + ch * m->stride + skip, keep * sizeof(float));
    } else {
        h->row = row;
        h->end = base;
        h->valid = 1;
    }
    h->base = base;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Computes rows [h->row, to) of a member's output, or the pixels that complete them. */
static void compute(const member *m, spr_part *part, held *h, uint32_t to) {
    const spr_window *win = &m->shape.win;
    size_t pixels = (size_t)win->oh * win->ow, end = (size_t)to * win->ow;
    if (m->way == SPR_CONV_POINTWISE) {
        end = spr_round_up(end, SPR_PX);
        if (end > pixels) end = pixels;
        part->begin = (uint32_t)h->end;
        part->end = (uint32_t)end;
    } else {
        part->begin = h->row;
        part->end = to;
    }
    if (part->begin < part->end) spr_conv_run_part(&m->step, part);
    if (h->row < to) h->row = to;
    if (h->end < end) h->end = end;
}

static void run_stripe(const chain_job *job, size_t image, rows out, held *state, char *scratch, uint64_t *ns) {
    const chain *c = job->c;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0], *z = c->residual ? &job->step->in[1] : NULL;
    rows want[MAX_MEMBERS];
    want[c->count - 1] = out;
    for (int i = c->count - 1; i > 0; i--) want[i - 1] = needed(&c->members[i], want[i]);
    const spr_part whole = spr_part_of(x, y, z, image);
    spr_part part = {.x = whole.x, .x_stride = whole.x_stride, .scratch = scratch + c->kernel_scratch};
    uint64_t start = job->ctx->profile ? now_ns() : 0;
    for (int i = 0; i < c->count; i++) {
        const member *m = &c->members[i];
        if (i + 1 < c->count) {
            float *buffer = (float *)scratch + m->buffer;
            advance(m, buffer, &state[i], want[i].lo);
            part.y = plane_origin(buffer, state[i].base);
            part.y_stride = m->stride;
        } else {
            state[i] = (held){.row = out.lo, .end = (size_t)out.lo * m->shape.win.ow};
            part.y = whole.y;
            part.y_stride = whole.y_stride;
            part.z = whole.z;
            part.z_stride = whole.z_stride;
        }
        compute(m, &part, &state[i], want[i].hi);
        part.x = part.y;
        part.x_stride = part.y_stride;
        if (job->ctx->profile) {
            uint64_t now = now_ns();
            ns[i] += now - start;
            start = now;
        }
    }
}

static void chain_task(void *arg, int task, int thread) {
    const chain_job *job = arg;
    const chain *c = job->c;
    size_t image = (size_t)task / c->bands;
    uint32_t first = (uint32_t)task % c->bands * c->stripes_per_band, oh = c->members[c->count - 1].shape.win.oh;
    held state[MAX_MEMBERS] = {{0}};
    for (uint32_t s = first; s < first + c->stripes_per_band && s < c->stripes; s++) {
        rows out = {s * c->rows, (s + 1) * c->rows < oh ? (s + 1) * c->rows : oh};
        run_stripe(job, image, out, state, spr_scratch(job->ctx, thread), c->ns + thread * MAX_MEMBERS);
    }
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const chain *c = step->state;
    chain_job job = {ctx, step, c};
    memset(c->ns, 0, (size_t)c->threads * MAX_MEMBERS * sizeof *c->ns);
    spr_pool_run(ctx->pool, (int)(c->bands * (uint32_t)step->out[0].desc.dim[0]), chain_task, &job);
}

const spr_exec spr_exec_chain = {.in_place = 1u << 1, .plan = plan, .run = run};

/* ---- telling ------------------------------------------------------------------------------------------------------------- */

int spr_step_layers(const spr_step *step) {
    return step->exec == &spr_exec_chain ? ((const chain *)step->state)->count : 1;
}

const spr_step *spr_step_layer(const spr_step *step, int i) {
    return step->exec == &spr_exec_chain ? &((const chain *)step->state)->members[i].step : step;
}

double spr_step_layer_share(const spr_step *step, int i) {
    if (step->exec != &spr_exec_chain) return 1;
    const chain *c = step->state;
    double all = 0, own = 0;
    for (int t = 0; t < c->threads; t++)
        for (int k = 0; k < c->count; k++) {
            all += (double)c->ns[t * MAX_MEMBERS + k];
            if (k == i) own += (double)c->ns[t * MAX_MEMBERS + k];
        }
    return all > 0 ? own / all : 0;
}
