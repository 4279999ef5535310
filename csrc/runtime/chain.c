#include "runtime/chain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/chain_stripes.h"

/* ---- finding ----------------------------------------------------------------------------------------------------- */

/* What is known of each value and step while chains are sought. */
typedef struct finder {
    spr_plan *plan;
    spr_plan_ctx *ctx;
    int32_t *uses, *consumer; /* by value: how many read it (graph outputs count), and a step that does */
    uint8_t *taken;           /* by step */
} finder;

/* Whether a step can be a member; fills in its geometry. */
static int eligible(const finder *f, int s, spr_member *m) {
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
static int collect(const finder *f, int s, spr_chain *c, int *steps) {
    int depthwise = 0;
    spr_conv_way before = SPR_CONV_WINDOW;
    for (c->count = 0; s >= 0 && c->count < SPR_CHAIN_MEMBERS; s = next_step(f, s)) {
        spr_member *m = &c->members[c->count];
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
static spr_node *chain_node(spr_plan *plan, const spr_chain *c, const int *steps) {
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

static spr_status join(finder *f, const spr_chain *found, const int *steps) {
    spr_plan *plan = f->plan;
    spr_chain *c = spr_plan_alloc(f->ctx, sizeof *c, "a chain");
    if (!c) return SPR_ERROR_MEMORY;
    *c = *found;
    c->threads = f->ctx->threads;
    c->ns = spr_plan_alloc(f->ctx, (size_t)c->threads * SPR_CHAIN_MEMBERS * sizeof *c->ns, "a chain");
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
    f->taken[steps[c->count - 1]] = 2; /* stays, as the spr_chain */
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
    for (int i = 0; i < plan->kept_count; i++) f->uses[plan->kept[i]]++;
    for (int s = 0; s < plan->step_count; s++) {
        spr_chain c = {0};
        int steps[SPR_CHAIN_MEMBERS];
        int count = collect(f, s, &c, steps);
        /* the longest that is worth it */
        for (int worth = 0; count > 1 && !worth; count -= !worth) {
            const spr_node *last = plan->steps[steps[count - 1]].node;
            c.count = count;
            c.residual = has_residual(last);
            worth = !(c.residual && plan->known[last->in[3]]) &&
                    spr_chain_stripes(&c, f->ctx, (size_t)plan->views[last->out[0]].desc.dim[0]);
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

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static spr_status plan(spr_plan_ctx *ctx, spr_step *step) {
    spr_chain *c = step->state;
    spr_plan_ctx alone = *ctx; /* a member's part is not split further */
    alone.threads = 1;
    step->scratch = 0;
    uint32_t part_rows[SPR_CHAIN_MEMBERS] = {0};
    for (int i = c->count - 1; i >= 0; i--) {
        const spr_window *next = &c->members[i + 1 < c->count ? i + 1 : i].shape.win;
        uint32_t oh = c->members[i].shape.win.oh;
        part_rows[i] = i + 1 == c->count ? c->rows : part_rows[i + 1] * next->sh;
        if (part_rows[i] > oh) part_rows[i] = oh;
    }
    spr_loads loads = spr_chain_loads(c, ctx->threads, (size_t)step->out[0].desc.dim[0]);
    for (int i = 0; i < c->count; i++) {
        spr_member *m = &c->members[i];
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
        alone.part_rows = part_rows[i];
        spr_status status = m->step.exec.plan(&alone, &m->step);
        if (status) return status;
        m->step.balance = ctx->threads > 1 ? spr_loads_balance(&loads) : 0;
        size_t used = strlen(m->step.reason);
        snprintf(m->step.reason + used, sizeof m->step.reason - used, "%sfused, %u rows at a time", used ? "; " : "",
                 c->rows);
        if (step->scratch < m->step.scratch) step->scratch = m->step.scratch;
    }
    step->scratch += c->kernel_scratch;
    return SPR_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct chain_job {
    const spr_run_ctx *ctx;
    const spr_step *step;
    const spr_chain *c;
} chain_job;

/* What a buffer holds: pixels [base, end) of every plane of a member's output; `row` is the first row not yet
   computed. */
typedef struct held {
    size_t base, end;
    uint32_t row;
    int valid;
} held;

static float *plane_origin(float *buffer, size_t base) {
    return (float *)((uintptr_t)buffer - base * sizeof(float)); /* where pixel 0 would lie */
}

/* Makes the buffer begin at the line of the first row needed, keeping what is computed already. */
static void advance(const spr_member *m, float *buffer, held *h, uint32_t row) {
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
static void compute(const spr_member *m, spr_part *part, held *h, uint32_t to) {
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

static void run_stripe(const chain_job *job, size_t image, spr_rows out, held *state, char *scratch, uint64_t *ns) {
    const spr_chain *c = job->c;
    const spr_view *x = &job->step->in[0], *y = &job->step->out[0], *z = c->residual ? &job->step->in[1] : NULL;
    spr_rows want[SPR_CHAIN_MEMBERS];
    want[c->count - 1] = out;
    for (int i = c->count - 1; i > 0; i--) want[i - 1] = spr_chain_needed(&c->members[i], want[i]);
    const spr_part whole = spr_part_of(x, y, z, image);
    spr_part part = {.x = whole.x, .x_stride = whole.x_stride, .scratch = scratch + c->kernel_scratch};
    uint64_t start = job->ctx->profile ? now_ns() : 0;
    for (int i = 0; i < c->count; i++) {
        const spr_member *m = &c->members[i];
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
    const spr_chain *c = job->c;
    size_t image = (size_t)task / c->bands;
    spr_rows band = spr_chain_band(c, (uint32_t)task % c->bands);
    held state[SPR_CHAIN_MEMBERS] = {{0}};
    for (uint32_t row = band.lo; row < band.hi; row += c->rows) {
        spr_rows out = {row, row + c->rows < band.hi ? row + c->rows : band.hi};
        run_stripe(job, image, out, state, spr_scratch(job->ctx, thread), c->ns + thread * SPR_CHAIN_MEMBERS);
    }
}

static void run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_chain *c = step->state;
    chain_job job = {ctx, step, c};
    memset(c->ns, 0, (size_t)c->threads * SPR_CHAIN_MEMBERS * sizeof *c->ns);
    spr_pool_run(ctx->pool, (int)(c->bands * (uint32_t)step->out[0].desc.dim[0]), chain_task, &job);
}

static int lends(const spr_step *step) {
    const spr_step *first = spr_step_layer(step, 0);
    return first->exec.lends(first); /* a Conv */
}

spr_exec spr_exec_chain(void) {
    return (spr_exec){.in_place = 1u << 1, .plan = plan, .lends = lends, .run = run};
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

int spr_step_layers(const spr_step *step) {
    return step->exec.run == run ? ((const spr_chain *)step->state)->count : 1;
}

const spr_step *spr_step_layer(const spr_step *step, int i) {
    return step->exec.run == run ? &((const spr_chain *)step->state)->members[i].step : step;
}

double spr_step_layer_share(const spr_step *step, int i) {
    if (step->exec.run != run) return 1;
    const spr_chain *c = step->state;
    double all = 0, own = 0;
    for (int t = 0; t < c->threads; t++)
        for (int k = 0; k < c->count; k++) {
            all += (double)c->ns[t * SPR_CHAIN_MEMBERS + k];
            if (k == i) own += (double)c->ns[t * SPR_CHAIN_MEMBERS + k];
        }
    return all > 0 ? own / all : 0;
}
