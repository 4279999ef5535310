/* Which kernel multiplies by a matrix of weights: the one estimated to be fastest, or with autotuning the one measured
   to be. */
#include <stdio.h>
#include <string.h>

#include "model/compress.h"
#include "runtime/ops/pointwise.h"
#include "runtime/tune.h"

enum { DENSE, CSR, B2X1, FORMATS };
static const char format_names[FORMATS][6] = {"dense", "csr", "2x1"};
static const spr_kernel_class pw_class[FORMATS] = {SPR_K_PW_DENSE, SPR_K_PW_CSR, SPR_K_PW_2X1};
static const spr_kernel_class fc_class[FORMATS] = {SPR_K_FC_DENSE, SPR_K_FC_CSR, SPR_K_COUNT};
/* Of fully connected layers whose rows are turned into planes: dense weights gain nothing by that. */
static const spr_kernel_class turned_class[FORMATS] = {SPR_K_COUNT, SPR_K_PW_CSR, SPR_K_PW_2X1};
/* Cycles an element for turning rows into planes or planes into rows. */
#define TURN_CYCLES 1.5

/* By how much a sparse kernel has to be estimated cheaper than the dense one: estimates err, and sparse must not
   lose. */
#define SPARSE_MARGIN 0.9

typedef struct candidate {
    const spr_kernel *kernel;
    int format;
    double cycles; /* estimated */
} candidate;
enum { MAX_CANDIDATES = 16 };

typedef struct choice {
    candidate list[MAX_CANDIDATES];
    int count, best; /* best: by estimates */
    int admitted[FORMATS];
} choice;

spr_work spr_pointwise_work(const spr_value *weights, const spr_pointwise_use *use) {
    spr_sparsity counted = spr_count_sparsity(weights);
    return (spr_work){
        .rows = (double)weights->desc.dim[0],
        .channels = (double)weights->desc.dim[1],
        .nonzeros = (double)counted.nonzeros,
        .elements = (double)counted.block_elements,
        .pixels = use->pixels,
        .part = use->part_pixels ? use->part_pixels : use->pixels,
        .images = use->images,
    };
}

/* Which formats the layer and the policy admit; the reason where only dense ones are. */
static void admit(const spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const spr_pointwise_use *use,
                  choice *c) {
    uint32_t n = (uint32_t)weights->desc.dim[0], k = (uint32_t)weights->desc.dim[1];
    /* sparse kernels may keep byte offsets of planes in 32 bits */
    size_t x_stride = use->fully_connected && use->pixels > 1 ? spr_turned_stride(use->pixels) : use->x_stride;
    int reachable = (double)k * (double)x_stride * sizeof(float) < (double)INT32_MAX;
    if (weights->encoding == SPR_ENC_DENSE)
        snprintf(step->reason, sizeof step->reason, "weights are stored dense (%.0f %% zeros)", 100 * step->sparsity);
    else if (ctx->sparse == SPR_SPARSE_NEVER)
        snprintf(step->reason, sizeof step->reason, "sparse kernels are switched off (sparse=never)");
    else if (!reachable)
        snprintf(step->reason, sizeof step->reason, "the input is too large for sparse kernels (%u channels of %zu)", k,
                 x_stride);
    else {
        c->admitted[CSR] = 1;
        c->admitted[B2X1] = n > 1;
    }
    c->admitted[DENSE] = !c->admitted[CSR] || ctx->sparse != SPR_SPARSE_ALWAYS;
}

/* The best kernels of the admitted formats; with autotuning all, and those for in-order cores on any core that has
   their instructions, but not plain C if there is another. `more`: cycles besides those of the kernel. */
static void collect_from(const spr_kernel_class *classes, const spr_plan_ctx *ctx, const spr_work *work, double more,
                         choice *c) {
    uint32_t features = ctx->features;
    if (SPR_TUNE_OF(ctx) && features & SPR_ISA_NEON) features |= SPR_ISA_INORDER;
    for (int f = 0; f < FORMATS; f++) {
        const spr_kernel *usual =
            c->admitted[f] && classes[f] < SPR_K_COUNT ? spr_kernel_best(classes[f], ctx->features) : NULL;
        for (size_t i = 0; usual && i < spr_kernel_count && c->count < MAX_CANDIDATES; i++) {
            const spr_kernel *kernel = &spr_kernels[i];
            if (kernel->cls != classes[f] || !spr_kernel_runs(kernel, features)) continue;
            if (kernel != usual && (!SPR_TUNE_OF(ctx) || kernel->isa == SPR_ISA_REF)) continue;
            candidate *made = &c->list[c->count];
            *made = (candidate){kernel, f, spr_estimate(kernel, ctx->features, work) + more};
            double limit = c->best < 0 ? 0 : c->list[c->best].cycles;
            if (c->best >= 0 && f != DENSE && c->list[c->best].format == DENSE) limit *= SPARSE_MARGIN;
            if (kernel == usual && (c->best < 0 || made->cycles < limit)) c->best = c->count;
            c->count++;
        }
    }
}

static void collect(const spr_plan_ctx *ctx, const spr_pointwise_use *use, const spr_work *work, choice *c) {
    c->best = -1;
    collect_from(use->fully_connected ? fc_class : pw_class, ctx, work, 0, c);
    if (!use->fully_connected || use->pixels < 2) return;
    /* layers of few pixels were not among those that the pointwise kernels' costs are from: fetching shows with them */
    double fetching = spr_kernel_best(SPR_K_FC_CSR, ctx->features)->cost.per_fetch * work->nonzeros;
    collect_from(turned_class, ctx, work, fetching + TURN_CYCLES * work->pixels * (work->rows + work->channels), c);
}

/* Adds "what: dense 12 csr 5" to the reason, the smallest figure of each format. */
static void tell(char *text, size_t size, const char *what, const candidate *list, int count, const double *figure,
                 const char *format) {
    size_t used = strlen(text);
    used += (size_t)snprintf(text + used, size - used, "%s", what);
    for (int f = 0; f < FORMATS; f++) {
        int least = -1;
        for (int i = 0; i < count; i++)
            if (list[i].format == f && (least < 0 || figure[i] < figure[least])) least = i;
        if (least < 0 || used + 24 > size) continue;
        used += (size_t)snprintf(text + used, size - used, " %s ", format_names[f]);
        used += (size_t)snprintf(text + used, size - used, format, figure[least]);
    }
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

/* A layer made for one kernel, and tensors to run it on. */
typedef struct rehearsal {
    spr_pointwise pw;
    const spr_pointwise_use *use;
    spr_view x, y;
    void *workspace;
} rehearsal;

static void rehearse(const spr_run_ctx *ctx, void *arg) {
    const rehearsal *r = arg;
    if (!r->use->fully_connected) {
        spr_pointwise_run(ctx, &r->pw, &r->x, &r->y, NULL);
        return;
    }
    spr_fc_rows rows = {.rows = r->pw.pixels, .channels = 1, .images = 1, .x = {.data = r->x.data, .row = r->pw.k},
                        .y = {.data = r->y.data, .row = r->pw.n}};
    spr_pointwise_run_fc(ctx, &r->pw, &rows, r->workspace);
}

/* An image tensor with ordinary numbers in it. `stride`: floats between planes, 0: as the plan would lay it out. */
static spr_status make_tensor(spr_plan_ctx *ctx, const spr_pointwise_use *use, uint32_t channels, size_t stride,
                              spr_view *view) {
    view->desc = (spr_desc){.dtype = SPR_FLOAT32, .rank = 4,
                            .dim = {(int64_t)use->images, channels, 1, (int64_t)use->pixels}};
    spr_strides_planes(&view->desc, view->stride);
    if (stride) {
        view->stride[1] = (int64_t)stride;
        view->stride[0] = (int64_t)(stride * channels);
    }
    size_t count = (size_t)view->stride[0] * use->images;
    float *data = view->data = spr_plan_alloc(ctx, count * sizeof(float), "a tensor to measure with");
    if (!data) return SPR_ERROR_MEMORY;
    for (size_t i = 0; i < count; i++) data[i] = (float)(i % 251) / 251.0f;
    return SPR_OK;
}

/* Measures all candidates; returns the fastest, the estimated best where that is about as fast. */
static spr_status measure(spr_plan_ctx *ctx, const spr_value *weights, const float *bias, const spr_pointwise_use *use,
                          const spr_act *act, const choice *c, int *fastest, double *us) {
    spr_arena arena = {.allocator = ctx->arena->allocator};
    spr_plan_ctx own = *ctx; /* what is made here is gone when it has been measured */
    own.arena = &arena;
    spr_pointwise_use part = *use;
    if (use->part_pixels) part.pixels = use->part_pixels;
    if (part.images > (size_t)ctx->threads) part.images = (size_t)ctx->threads; /* more take longer and tell no more */
    rehearsal made[MAX_CANDIDATES];
    spr_trial trials[MAX_CANDIDATES];
    spr_view x, y;
    uint32_t n = (uint32_t)weights->desc.dim[0], k = (uint32_t)weights->desc.dim[1];
    spr_status status = make_tensor(&own, &part, k, use->fully_connected ? 0 : use->x_stride, &x);
    if (!status) status = make_tensor(&own, &part, n, 0, &y);
    for (int i = 0; !status && i < c->count; i++) {
        size_t bytes;
        made[i] = (rehearsal){.use = &part, .x = x, .y = y};
        trials[i] = (spr_trial){.run = rehearse, .arg = &made[i]};
        status = spr_pointwise_make(&own, weights, bias, c->list[i].kernel, &part, act, &made[i].pw, &bytes);
        if (status || !made[i].pw.turned) continue;
        made[i].workspace = spr_plan_alloc(&own, spr_pointwise_workspace(&made[i].pw), "rows turned into planes");
        if (!made[i].workspace) status = SPR_ERROR_MEMORY;
    }
    if (!status) {
        size_t bytes = (size_t)x.stride[0] * part.images * sizeof(float);
        spr_tune_measure(SPR_TUNE_OF(ctx), ctx->threads, x.data, bytes, trials, c->count, NULL, 0);
        *fastest = c->best;
        for (int i = 0; i < c->count; i++) {
            us[i] = trials[i].ns / 1e3;
            if (trials[i].ns < (*fastest == c->best ? 0.98 : 1.0) * trials[*fastest].ns) *fastest = i;
        }
    }
    spr_arena_free(&arena);
    return status;
}

static spr_status choose_tuned(spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const float *bias,
                               const spr_pointwise_use *use, const spr_act *act, const choice *c) {
    int node = (int)(step->node - ctx->graph->nodes), chosen = -1;
    const spr_tuned *known = spr_tune_find(SPR_TUNE_OF(ctx), node);
    size_t used = strlen(step->reason);
    const char *separator = used ? "; " : "";
    for (int i = 0; known && i < c->count; i++)
        if (!strcmp(c->list[i].kernel->name, known->kernel)) chosen = i;
    if (chosen >= 0) {
        snprintf(step->reason + used, sizeof step->reason - used, "%smeasured before, us: %s", separator,
                 known->figures);
    } else {
        double us[MAX_CANDIDATES];
        char figures[SPR_TUNE_FIGURES] = "";
        spr_status status = measure(ctx, weights, bias, use, act, c, &chosen, us);
        if (status) return status;
        tell(figures, sizeof figures, "", c->list, c->count, us, "%.1f");
        spr_tune_add(SPR_TUNE_OF(ctx), node, c->list[chosen].kernel->name, figures + 1);
        snprintf(step->reason + used, sizeof step->reason - used, "%smeasured, us: %s", separator, figures + 1);
    }
    step->kernel = c->list[chosen].kernel;
    return SPR_OK;
}

spr_status spr_pointwise_choose(spr_plan_ctx *ctx, spr_step *step, const spr_value *weights, const float *bias,
                                const spr_pointwise_use *use, const spr_act *act) {
    choice c = {.count = 0};
    spr_work work = spr_pointwise_work(weights, use);
    admit(ctx, step, weights, use, &c);
    collect(ctx, use, &work, &c);
    if (SPR_TUNE_OF(ctx) && c.count > 1 && use->pixels && use->images)
        return choose_tuned(ctx, step, weights, bias, use, act, &c);
    step->kernel = c.list[c.best].kernel;
    if (!c.admitted[CSR]) return SPR_OK;
    double kilo[MAX_CANDIDATES];
    for (int i = 0; i < c.count; i++) kilo[i] = c.list[i].cycles / 1e3;
    tell(step->reason, sizeof step->reason, "kcycles:", c.list, c.count, kilo, "%.0f");
    if (ctx->sparse == SPR_SPARSE_ALWAYS) {
        size_t used = strlen(step->reason);
        snprintf(step->reason + used, sizeof step->reason - used, " (sparse=always)");
    }
    return SPR_OK;
}
