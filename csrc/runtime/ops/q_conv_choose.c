/* Which quantized kernel multiplies by a matrix of weights, the one estimated to be fastest or with autotuning the one
   measured to be; and how the work is shared out. */
#include <stdio.h>
#include <string.h>

#include "runtime/cost.h"
#include "runtime/ops/ops.h"
#include "runtime/ops/q_conv.h"
#include "runtime/tune.h"

/* By how much a sparse kernel has to be estimated cheaper than the dense one: estimates err, and sparse must not
   lose. */
#define SPARSE_MARGIN 0.9

enum { FORMS = 5 };
static const struct {
    spr_kernel_class cls;
    uint32_t height, width; /* of a block */
    const char *name;
} forms[FORMS] = {{SPR_K_PW_DENSE_Q8, 0, 0, "dense"}, {SPR_K_PW_1X4_Q8, 1, 4, "1x4"}, {SPR_K_PW_2X4_Q8, 2, 4, "2x4"},
                  {SPR_K_PW_CSR_Q8, 1, 1, "csr"}, {SPR_K_PW_2X1_Q8, 2, 1, "2x1"}};

typedef struct candidate {
    const spr_kernel *kernel;
    int form;
    double cycles; /* estimated */
} candidate;

/* Weights in blocks of `height` rows and `width` channels that hold anything but zeros, in rows [row0, row1). */
static double stored_in(const spr_pw_q8_weights *w, int form, uint32_t row0, uint32_t row1) {
    const uint32_t height = forms[form].height, width = forms[form].width, channels = w->groups * SPR_Q8_GROUP;
    double count = 0;
    if (form == 0) return (double)(row1 - row0) * channels;
    for (uint32_t row = row0; row < row1; row += height)
        for (uint32_t c = 0; c < channels; c += width) {
            int any = 0;
            for (uint32_t r = row; r < row + height && r < row1; r++)
                for (uint32_t i = c; i < c + width; i++) any |= w->w[(size_t)r * channels + i];
            count += any != 0;
        }
    return count * height * width;
}

static spr_work work_of(const spr_pw_q8_weights *w, const spr_q_pixels *pixels, int form) {
    return (spr_work){.rows = w->n, .channels = (double)w->groups * SPR_Q8_GROUP,
                      .nonzeros = stored_in(w, form, 0, w->n),
                      .pixels = pixels->all, .part = pixels->part, .images = pixels->images};
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

typedef struct rehearsal {
    const spr_kernel *kernel;
    spr_pw_q8_args args;
} rehearsal;

static void rehearse(const spr_run_ctx *ctx, void *arg) {
    const rehearsal *r = arg;
    (void)ctx;
    r->kernel->run.pw_q8(&r->args);
}

/* Runs all candidates by one thread on one part of the pixels; returns the fastest, the estimated best where that is
   about as fast. */
static spr_status measure(spr_plan_ctx *ctx, const spr_pw_q8_weights *w, const spr_q_pixels *pixels,
                          const candidate *list, int count, int best, int *fastest, double *us) {
    spr_arena arena = {.allocator = ctx->arena->allocator};
    spr_plan_ctx own = *ctx; /* what is made here is gone when it has been measured */
    own.arena = &arena;
    rehearsal made[FORMS];
    spr_trial trials[FORMS];
    const size_t lanes = spr_round_up(pixels->part, SPR_PX), planes = spr_round_up(w->n, SPR_Q8_GROUP);
    size_t x_bytes = 0;
    for (uint32_t g = 0; g < w->groups; g++)
        if ((w->offset[g] + lanes) * SPR_Q8_GROUP > x_bytes) x_bytes = (w->offset[g] + lanes) * SPR_Q8_GROUP;
    spr_q8 *x = spr_plan_alloc(&own, x_bytes, "a tensor to measure with");
    void *y = spr_plan_alloc(&own, lanes * planes, "a tensor to measure with");
    const spr_q8_finish finish = {.y_inv = 1, .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX};
    spr_status status = x && y ? SPR_OK : SPR_ERROR_MEMORY;
    for (size_t i = 0; !status && i < x_bytes; i++) x[i] = (spr_q8)(i % 251);
    for (int i = 0; !status && i < count; i++) {
        const spr_pw_q8_packing *packing = list[i].kernel->packing_q8;
        void *packed = spr_plan_alloc(&own, packing->size(w), "packed weights"), *scratch = NULL;
        if (packed && packing->scratch) scratch = spr_plan_alloc(&own, packing->scratch(w) + 1, "scratch memory");
        if (!packed || (packing->scratch && !scratch)) {
            status = SPR_ERROR_MEMORY;
            break;
        }
        packing->pack(w, packed);
        made[i] = (rehearsal){list[i].kernel, {.x = x, .y = y, .y_stride = lanes, .packed = packed, .n = w->n,
                                               .row1 = w->n,
                                               .px1 = (uint32_t)pixels->part, .finish = &finish, .scratch = scratch}};
        trials[i] = (spr_trial){.run = rehearse, .arg = &made[i]};
    }
    if (!status) {
        spr_tune_measure(SPR_TUNE_OF(ctx), 1, x, x_bytes, trials, count, NULL, 0);
        *fastest = best;
        for (int i = 0; i < count; i++) {
            us[i] = trials[i].ns / 1e3;
            if (trials[i].ns < (*fastest == best ? 0.98 : 1.0) * trials[*fastest].ns) *fastest = i;
        }
    }
    spr_arena_free(&arena);
    return status;
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

/* Adds "dense 12 1x4 5" to a text. */
static void tell(char *text, size_t size, const candidate *list, int count, const double *figure, const char *format) {
    for (int i = 0; i < count; i++) {
        size_t used = strlen(text);
        used += (size_t)snprintf(text + used, size - used, " %s ", forms[list[i].form].name);
        if (used < size) snprintf(text + used, size - used, format, figure[i]);
    }
}

spr_status spr_q_choose(spr_plan_ctx *ctx, spr_step *step, const spr_pw_q8_weights *w, const spr_q_pixels *pixels,
                        spr_q_conv *s) {
    candidate list[FORMS];
    double figure[FORMS];
    int count = 0, best = -1;
    for (int form = 0; form < FORMS; form++) {
        const spr_kernel *kernel = spr_kernel_best(forms[form].cls, ctx->features);
        if (form == 0 ? ctx->sparse == SPR_SPARSE_ALWAYS : ctx->sparse == SPR_SPARSE_NEVER) continue;
        if (kernel->isa == SPR_ISA_REF && spr_kernel_best(forms[0].cls, ctx->features)->isa != SPR_ISA_REF) continue;
        /* costs of AVX2 are from cores without dot products, and say nothing beside those of VNNI */
        if (SPR_X86_64 && kernel->isa == SPR_ISA_AVX2 && (ctx->features & SPR_ISA_VNNI)) continue;
        const spr_work work = work_of(w, pixels, form);
        list[count] = (candidate){kernel, form, spr_estimate(kernel, ctx->features, &work)};
        const double limit = best < 0 ? 0 : list[best].cycles * (list[best].form == 0 ? SPARSE_MARGIN : 1);
        if (best < 0 || list[count].cycles < limit) best = count;
        figure[count] = list[count].cycles / 1e3;
        count++;
    }
    const int node = (int)(step->node - ctx->graph->nodes);
    const spr_tuned *known = SPR_TUNE_OF(ctx) ? spr_tune_find(SPR_TUNE_OF(ctx), node) : NULL;
    int measured_before = 0;
    for (int i = 0; known && i < count; i++)
        if (!strcmp(list[i].kernel->name, known->kernel)) {
            best = i;
            measured_before = 1;
        }
    if (measured_before) {
        snprintf(step->reason, sizeof step->reason, "8 bits, measured before, us: %s", known->figures);
    } else if (SPR_TUNE_OF(ctx) && count > 1) {
        char figures[SPR_TUNE_FIGURES] = "";
        spr_status status = measure(ctx, w, pixels, list, count, best, &best, figure);
        if (status) return status;
        tell(figures, sizeof figures, list, count, figure, "%.1f");
        spr_tune_add(SPR_TUNE_OF(ctx), node, list[best].kernel->name, figures + 1);
        snprintf(step->reason, sizeof step->reason, "8 bits, measured, us:%s", figures);
    } else {
        snprintf(step->reason, sizeof step->reason, "8 bits, kcycles:");
        tell(step->reason, sizeof step->reason, list, count, figure, "%.0f");
    }
    s->kernel = step->kernel = list[best].kernel;
    s->form = list[best].form;
    return SPR_OK;
}

/* ---- splitting --------------------------------------------------------------------------------------------------- */

/* Work of a row besides its weights, in weights. */
#define ROW_WORK 64.0
/* Rows that are split at multiples of it: what the largest tile computes together. */
#define ROW_UNIT 16

/* The work of a pixel in the rows before each quad of rows, [quads + 1]; to be released. */
static double *work_before(const spr_plan_ctx *ctx, const spr_pw_q8_weights *w, int form) {
    const uint32_t quads = (w->n + 3) / 4;
    double *before = spr_alloc(ctx->arena->allocator, (quads + 1) * sizeof *before);
    for (uint32_t q = 0; before && q < quads; q++) {
        const uint32_t row1 = 4 * q + 4 < w->n ? 4 * q + 4 : w->n;
        before[q + 1] = (q ? before[q] : 0) + stored_in(w, form, 4 * q, row1) + ROW_WORK * (row1 - 4 * q);
    }
    if (before) before[0] = 0;
    return before;
}

/* Bounds of about `groups` row groups of equal work. */
static void split_rows(uint32_t n, const double *before, uint32_t groups, spr_q_conv *s) {
    const uint32_t unit = n >= 2 * ROW_UNIT * groups ? ROW_UNIT : SPR_Q8_GROUP;
    const double total = before[(n + 3) / 4];
    s->row_tasks = 0;
    s->row_bound[0] = 0;
    for (uint32_t row = unit; row < n; row += unit)
        if (s->row_tasks + 1 < groups && before[row / 4] >= total * (s->row_tasks + 1) / groups)
            s->row_bound[++s->row_tasks] = row;
    s->row_bound[++s->row_tasks] = n;
}

/* Blocks of pixels of whole units first, as rows share their inputs, then rows. */
static void split_into(const spr_plan_ctx *ctx, uint32_t n, const double *before, const spr_q_pixels *pixels,
                       size_t want, size_t unit, spr_q_conv *s) {
    const size_t units = (pixels->all + unit - 1) / unit, per_image = (want + pixels->images - 1) / pixels->images;
    const size_t blocks = per_image < units ? per_image : units;
    s->px_per_task = (uint32_t)((units + blocks - 1) / blocks * unit);
    s->px_tasks = (uint32_t)((pixels->all + s->px_per_task - 1) / s->px_per_task);
    const size_t tasks = pixels->images * s->px_tasks;
    split_rows(n, before, (uint32_t)((want + tasks - 1) / tasks), s);
    spr_loads loads = {.threads = ctx->threads};
    for (size_t image = 0; image < pixels->images; image++)
        for (uint32_t group = 0; group < s->row_tasks; group++)
            for (uint32_t block = 0; block < s->px_tasks; block++) {
                const size_t begin = (size_t)block * s->px_per_task, end = begin + s->px_per_task;
                const size_t count = (end < pixels->all ? end : pixels->all) - begin;
                const double rows = before[(s->row_bound[group + 1] + 3) / 4] - before[s->row_bound[group] / 4];
                spr_loads_add(&loads, rows * (double)spr_round_up(count, s->kernel->cost.vector));
            }
    s->balance = spr_loads_balance(&loads);
}

spr_status spr_q_split(spr_plan_ctx *ctx, const spr_pw_q8_weights *w, const spr_q_pixels *pixels, spr_q_conv *s) {
    const size_t threads = (size_t)ctx->threads, most = 2 * SPR_TASKS_PER_THREAD * threads;
    s->row_bound = spr_plan_alloc(ctx, (most + 1) * sizeof *s->row_bound, "row groups");
    if (!s->row_bound) return SPR_ERROR_MEMORY;
    s->px_per_task = (uint32_t)pixels->all;
    s->px_tasks = 1;
    s->row_tasks = 1;
    s->row_bound[0] = 0;
    s->row_bound[1] = w->n;
    if (threads == 1 ||
        (double)w->n * w->groups * SPR_Q8_GROUP * (double)(pixels->all * pixels->images) < SPR_PARALLEL_MACS)
        return SPR_OK;
    const size_t tile = spr_round_up(s->kernel->cost.tile, SPR_PX); /* so that no task ends in the middle of one */
    size_t best_want = 1, best_unit = tile;
    double best = 0, *before = work_before(ctx, w, s->form);
    if (!before) return spr_fail_memory(ctx->err, "row groups", w->n);
    /* Units of all pixels leave the rows alone to be split, which shares out the weights of small maps. */
    const size_t units[] = {tile, SPR_PX, spr_round_up(pixels->all, SPR_PX)};
    for (size_t i = 0; i < SPR_COUNTOF(units) && best < SPR_EVEN; i++)
        for (size_t want = SPR_TASKS_PER_THREAD * threads; want <= most && best < SPR_EVEN; want += threads) {
            split_into(ctx, w->n, before, pixels, want, units[i], s);
            if (s->balance <= best) continue;
            best = s->balance;
            best_want = want;
            best_unit = units[i];
        }
    split_into(ctx, w->n, before, pixels, best_want, best_unit, s);
    spr_release(ctx->arena->allocator, before);
    return SPR_OK;
}

double spr_q_balance(int threads, size_t images, uint32_t groups, uint32_t groups_per_task, uint32_t lines,
                     uint32_t lines_per_task) {
    spr_loads loads = {.threads = threads};
    for (size_t image = 0; image < images; image++)
        for (uint32_t group = 0; group < groups; group += groups_per_task)
            for (uint32_t line = 0; line < lines; line += lines_per_task) {
                const uint32_t high = groups - group < groups_per_task ? groups - group : groups_per_task;
                spr_loads_add(&loads, (double)high * (lines - line < lines_per_task ? lines - line : lines_per_task));
            }
    return spr_loads_balance(&loads);
}
