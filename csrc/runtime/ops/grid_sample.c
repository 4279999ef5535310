/* GridSample of images: each output pixel is read from the input where the grid says, between its pixels if need be. */
#include <math.h>
#include <string.h>

#include "runtime/ops/ops.h"

enum { MOST_TAPS = 16 };

typedef enum sampling { NEAREST, LINEAR, CUBIC } sampling;
typedef enum outside { ZEROS, BORDER, REFLECTION } outside;

typedef struct grid_state {
    sampling mode;
    outside padding;
    int align_corners, pixels;
} grid_state;

/* An output pixel: a weighted sum of input pixels, the same for all channels. */
typedef struct taps {
    int count;
    int64_t at[MOST_TAPS]; /* offsets within a plane */
    float weight[MOST_TAPS];
} taps;

static SPR_COLD spr_status grid_plan(spr_plan_ctx *ctx, spr_step *step) {
    grid_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    const char *mode = SPR_ATTR_OF(step, GridSample, mode)->s,
               *padding = SPR_ATTR_OF(step, GridSample, padding_mode)->s;
    state->mode = !strcmp(mode, "nearest") ? NEAREST : !strcmp(mode, "linear") ? LINEAR : CUBIC;
    state->padding = !strcmp(padding, "zeros") ? ZEROS : !strcmp(padding, "border") ? BORDER : REFLECTION;
    state->align_corners = (int)SPR_ATTR_OF(step, GridSample, align_corners)->i;
    state->pixels = (int)SPR_ATTR_OF(step, GridSample, pixels)->i;
    step->state = state;
    return SPR_OK;
}

/* Mirrored at low and high until it lies between them. */
static double reflect(double v, double low, double high) {
    double range = high - low;
    if (range <= 0) return low;
    double far = fabs(v - low), turns = floor(far / range), rest = far - turns * range;
    return fmod(turns, 2) == 0 ? low + rest : high - rest;
}

/* -1 .. 1, unless it is one already, to a position in pixels; one that is no number, or far away, comes to lie far
   outside. */
static double to_pixels(const grid_state *s, double v, int64_t dim) {
    double x = s->pixels ? v : s->align_corners ? (v + 1) / 2 * (double)(dim - 1) : ((v + 1) * (double)dim - 1) / 2;
    return x > -1e9 && x < 1e9 ? x : -1e9;
}

/* The position with what lies outside brought in, as far as the mode of padding does that to positions. */
static double bring_in(const grid_state *s, double x, int64_t dim) {
    if (s->padding == REFLECTION)
        x = s->align_corners ? reflect(x, 0, (double)(dim - 1)) : reflect(x, -0.5, (double)dim - 0.5);
    if (s->padding != ZEROS) x = x < 0 ? 0 : x > (double)(dim - 1) ? (double)(dim - 1) : x;
    return x;
}

/* Index of a pixel that may lie outside; -1: it is zero. */
static int64_t pixel(const grid_state *s, double x, int64_t dim) {
    if (x >= 0 && x < (double)dim) return (int64_t)x;
    return s->padding == ZEROS ? -1 : (int64_t)bring_in(s, x, dim);
}

/* Keys' cubic convolution with a = -0.75: weights of the pixels at -1, 0, 1, 2 for a position t past 0. */
static void cubic_weights(double t, double *w) {
    const double a = -0.75;
    for (int i = 0; i < 4; i++) {
        double d = fabs(t + 1 - i);
        w[i] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
}

/* Pixels and weights along one axis; returns how many. */
static int axis_taps(const grid_state *s, double x, int64_t dim, int64_t *at, double *weight) {
    if (s->mode != CUBIC) x = bring_in(s, x, dim); /* cubic interpolation brings in pixels instead */
    if (s->mode == NEAREST) {
        at[0] = pixel(s, nearbyint(x), dim);
        weight[0] = 1;
        return 1;
    }
    double first = floor(x);
    int n = s->mode == LINEAR ? 2 : 4;
    if (n == 2) {
        weight[1] = x - first;
        weight[0] = 1 - weight[1];
    } else {
        cubic_weights(x - first, weight);
        first -= 1;
    }
    for (int i = 0; i < n; i++) at[i] = pixel(s, first + i, dim);
    return n;
}

static void find_taps(const grid_state *s, const float *position, int64_t h, int64_t w, taps *t) {
    int64_t x_at[4], y_at[4];
    double x_weight[4], y_weight[4];
    int nx = axis_taps(s, to_pixels(s, position[0], w), w, x_at, x_weight);
    int ny = axis_taps(s, to_pixels(s, position[1], h), h, y_at, y_weight);
    t->count = 0;
    for (int i = 0; i < ny; i++)
        for (int j = 0; j < nx; j++) {
            if (y_at[i] < 0 || x_at[j] < 0) continue;
            t->at[t->count] = y_at[i] * w + x_at[j];
            t->weight[t->count++] = (float)(y_weight[i] * x_weight[j]);
        }
}

static void grid_lines(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_view *x = &step->in[0], *grid = &step->in[1], *y = &step->out[0];
    int64_t height = y->desc.dim[2], width = y->desc.dim[3];
    for (int64_t line = begin; line < end; line++) {
        int64_t n = line / height, oy = line % height;
        const float *positions = (const float *)grid->data + n * grid->stride[0] + oy * grid->stride[1];
        for (int64_t ox = 0; ox < width; ox++) {
            taps t;
            find_taps(step->state, positions + 2 * ox, x->desc.dim[2], x->desc.dim[3], &t);
            for (int64_t c = 0; c < y->desc.dim[1]; c++) {
                const float *plane = (const float *)x->data + n * x->stride[0] + c * x->stride[1];
                float sum = 0;
                for (int i = 0; i < t.count; i++) sum += plane[t.at[i]] * t.weight[i];
                ((float *)y->data)[n * y->stride[0] + c * y->stride[1] + oy * width + ox] = sum;
            }
        }
    }
}

static void grid_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    if (spr_desc_count(y))
        spr_parallel_range(ctx, y->dim[0] * y->dim[2], spr_desc_count(y), grid_lines, (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

spr_exec spr_exec_GridSample(void) { return (spr_exec){.plan = grid_plan, .run = grid_run}; }
