/* Recurrent: LSTM, GRU and RNN, one direction. The product with the input was made before, for all times at once; what
   is left is one product with the last state per time, by rows of the turned matrix, which compilers vectorize. */
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

typedef enum cell { LSTM, GRU, RNN } cell;

typedef struct recurrent_state {
    cell cell;
    int gates, reverse, linear_before_reset, input_forget;
    int64_t hidden;
    float clip;        /* 0: none */
    float *turned;     /* R as [hidden][gates * hidden] */
    spr_act f, g, h;
    spr_unary_fn *unary;
} recurrent_state;

/* A gate's function with the parameters that ONNX gives it by default. */
static spr_act gate_function(const char *name) {
    spr_act act = {.fn = SPR_FN_NONE};
    while (strcmp(spr_function_name(act.fn), name) != 0) act.fn++; /* one of those that spr_graph_check accepts */
    if (act.fn == SPR_FN_CLIP) act.b = INFINITY;
    if (act.fn == SPR_FN_HARD_SIGMOID) act.a = 0.2f, act.b = 0.5f;
    return act;
}

static SPR_COLD spr_status recurrent_plan(spr_plan_ctx *ctx, spr_step *step) {
    recurrent_state *s = spr_plan_alloc(ctx, sizeof *s, "a layer");
    if (!s) return SPR_ERROR_MEMORY;
    const spr_view *r = &step->in[1];
    const char *name = SPR_ATTR_OF(step, Recurrent, cell)->s;
    int64_t rows = r->desc.dim[0], hidden = r->desc.dim[1];
    if (!r->data)
        return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED, "node '%s': '%s' is computed, it must be constant",
                        step->node->name, spr_step_value(step, 1)->name);
    *s = (recurrent_state){
        .cell = !strcmp(name, "lstm") ? LSTM : !strcmp(name, "gru") ? GRU : RNN,
        .gates = (int)(rows / hidden),
        .hidden = hidden,
        .reverse = (int)SPR_ATTR_OF(step, Recurrent, reverse)->i,
        .linear_before_reset = (int)SPR_ATTR_OF(step, Recurrent, linear_before_reset)->i,
        .input_forget = (int)SPR_ATTR_OF(step, Recurrent, input_forget)->i,
        .clip = (float)SPR_ATTR_OF(step, Recurrent, clip)->f,
        .turned = spr_plan_alloc(ctx, (size_t)(rows * hidden) * sizeof(float), "packed weights"),
        .f = gate_function(SPR_ATTR_OF(step, Recurrent, f)->s),
        .g = gate_function(SPR_ATTR_OF(step, Recurrent, g)->s),
        .h = gate_function(SPR_ATTR_OF(step, Recurrent, h)->s),
        .unary = spr_kernel_best(SPR_K_UNARY, ctx->features)->run.unary,
    };
    if (!s->turned) return SPR_ERROR_MEMORY;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < hidden; k++) s->turned[k * rows + i] = ((const float *)r->data)[i * hidden + k];
    step->state = s;
    step->macs = (double)step->in[0].desc.dim[0] * (double)step->in[0].desc.dim[1] * (double)(rows * hidden);
    /* per batch: the gates, and a state that is being made */
    step->workspace_bytes = (size_t)(step->in[0].desc.dim[1] * (rows + 2 * hidden)) * sizeof(float);
    return SPR_OK;
}

/* y[i] += R[first + i] . state, for `n` rows of R. */
static void add_product(const recurrent_state *s, int64_t first, int64_t n, const float *state, float *y) {
    for (int64_t k = 0; k < s->hidden; k++) {
        const float *row = s->turned + k * s->gates * s->hidden + first;
        float factor = state[k];
        for (int64_t i = 0; i < n; i++) y[i] += row[i] * factor;
    }
}

static void gate(const recurrent_state *s, const spr_act *act, float *x) {
    if (s->clip > 0)
        for (int64_t i = 0; i < s->hidden; i++) x[i] = x[i] < -s->clip ? -s->clip : x[i] > s->clip ? s->clip : x[i];
    s->unary(x, x, (size_t)s->hidden, act);
}

/* `a`: the gates i o f c, products with the input and biases so far; `p`: peepholes, or NULL. */
static void lstm(const recurrent_state *s, const float *p, float *a, float *h, float *c) {
    int64_t n = s->hidden;
    float *i = a, *o = a + n, *f = a + 2 * n, *g = a + 3 * n;
    add_product(s, 0, 4 * n, h, a);
    for (int64_t k = 0; p && k < n; k++) {
        i[k] += p[k] * c[k];
        f[k] += p[2 * n + k] * c[k];
    }
    gate(s, &s->f, i);
    gate(s, &s->g, g);
    if (s->input_forget)
        for (int64_t k = 0; k < n; k++) f[k] = 1 - i[k];
    else
        gate(s, &s->f, f);
    for (int64_t k = 0; k < n; k++) {
        c[k] = f[k] * c[k] + i[k] * g[k];
        if (p) o[k] += p[n + k] * c[k];
        h[k] = c[k];
    }
    gate(s, &s->f, o);
    s->unary(h, h, (size_t)n, &s->h);
    for (int64_t k = 0; k < n; k++) h[k] *= o[k];
}

/* `a`: the gates z r h; `b`: what linear_before_reset adds before it multiplies, or NULL; `room`: a state. */
static void gru(const recurrent_state *s, const float *b, float *a, float *h, float *room) {
    int64_t n = s->hidden;
    float *z = a, *r = a + n, *g = a + 2 * n;
    add_product(s, 0, 2 * n, h, a);
    gate(s, &s->f, z);
    gate(s, &s->f, r);
    if (s->linear_before_reset) {
        for (int64_t k = 0; k < n; k++) room[k] = b ? b[k] : 0;
        add_product(s, 2 * n, n, h, room);
        for (int64_t k = 0; k < n; k++) g[k] += r[k] * room[k];
    } else {
        for (int64_t k = 0; k < n; k++) room[k] = r[k] * h[k];
        add_product(s, 2 * n, n, room, g);
    }
    gate(s, &s->g, g);
    for (int64_t k = 0; k < n; k++) h[k] = (1 - z[k]) * g[k] + z[k] * h[k];
}

static void rnn(const recurrent_state *s, float *a, float *h) {
    add_product(s, 0, s->hidden, h, a);
    gate(s, &s->f, a);
    memcpy(h, a, (size_t)s->hidden * sizeof *h);
}

static void start(const spr_step *step, int input, int64_t batch, float *state, int64_t n) {
    if (spr_step_has(step, input))
        memcpy(state, (const float *)step->in[input].data + batch * n, (size_t)n * sizeof *state);
    else
        memset(state, 0, (size_t)n * sizeof *state);
}

/* Members of the batch know nothing of each other. */
static void recurrent_batch(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const recurrent_state *s = step->state;
    int64_t time = step->in[0].desc.dim[0], batches = step->in[0].desc.dim[1], n = s->hidden, wide = s->gates * n;
    const float *b = spr_step_has(step, 2) ? step->in[2].data : NULL,
                *p = spr_step_has(step, 6) ? step->in[6].data : NULL;
    for (int64_t batch = begin; batch < end; batch++) {
        float *a = (float *)step->workspace + batch * (wide + 2 * n), *room = a + wide;
        float *h = (float *)step->out[1].data + batch * n, *c = (float *)step->out[2].data + batch * n;
        int64_t length = spr_step_has(step, 5) ? spr_step_int(step, 5, batch) : time;
        if (length < 0 || length > time) length = length < 0 ? 0 : time;
        start(step, 3, batch, h, n);
        start(step, s->cell == LSTM ? 4 : step->node->in_count, batch, c, n);
        for (int64_t i = 0; i < time; i++) {
            int64_t t = s->reverse && i < length ? length - 1 - i : i;
            float *y = (float *)step->out[0].data + (t * batches + batch) * n;
            if (i >= length) {
                memset(y, 0, (size_t)n * sizeof *y);
                continue;
            }
            memcpy(a, (const float *)step->in[0].data + (t * batches + batch) * wide, (size_t)wide * sizeof *a);
            if (s->cell == LSTM)
                lstm(s, p, a, h, c);
            else if (s->cell == GRU)
                gru(s, b, a, h, room);
            else
                rnn(s, a, h);
            memcpy(y, h, (size_t)n * sizeof *y);
        }
    }
}

static void recurrent_run(const spr_run_ctx *ctx, const spr_step *step) {
    int64_t batches = step->in[0].desc.dim[1];
    int64_t worth = step->macs > 1e15 ? INT64_MAX : (int64_t)step->macs;
    spr_parallel_range(ctx, batches, worth, recurrent_batch, (void *)(uintptr_t)step);
}

spr_exec spr_exec_Recurrent(void) { return (spr_exec){.plan = recurrent_plan, .run = recurrent_run}; }
