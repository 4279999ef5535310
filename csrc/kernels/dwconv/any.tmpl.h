/* Depthwise convolution over bands (see conv/band.h), for the vectors of one ISA: any kernel, stride, dilation and
 * number of output channels for each input channel. Bands keep the copied rows in L1. Packed weights: see dwconv.h.
 *
 * Defined before: DW_APART, whether residuals and activations are left to passes over rows that are still in L1,
 * instead of being code of each kind of block. */
#include "kernels/conv/band.h"
#include "kernels/dwconv/dwconv.h"

/* Bytes of bands, so that they stay in L1 beside the rows that are written. */
#define DW_BUDGET 24576

/* The band for a shape: the whole image if two of them fit (then one is filled while the other, whose stores have
   long left the store buffer, is read), else as many rows as fit. */
typedef struct dw_plan {
    spr_band band;
    uint32_t rows, buffers;
    size_t size, tap_bytes; /* floats of a buffer; bytes of the table of taps before the buffers */
    size_t piece;           /* floats of SPR_DW_PIECE output rows behind the buffers */
} dw_plan;

static SPR_NOINLINE dw_plan dw_make_plan(const spr_window *win) {
    dw_plan p;
    p.band = spr_band_make(win, win->oh);
    p.rows = win->oh;
    p.buffers = 2 * p.band.ni * p.band.rs * sizeof(float) <= DW_BUDGET ? 2 : 1;
    if (p.buffers == 1) {
        const uint32_t rows = spr_band_fit(win, DW_BUDGET / sizeof(float));
        p.rows = rows > 28 ? rows - rows % 28 : rows > 4 ? rows - rows % 4 : rows ? rows : 1;
        p.band.ni = spr_band_rows_in(win, p.rows);
    }
    p.size = p.band.ni * p.band.rs + SPR_VL;
    p.piece = DW_APART ? SPR_DW_PIECE * (size_t)win->ow : 0;
    p.tap_bytes = spr_round_up((size_t)win->kh * win->kw * sizeof(size_t), SPR_LINE);
    return p;
}

static size_t dw_scratch_any(const spr_conv_shape *s) {
    dw_plan p = dw_make_plan(&s->win);
    return p.tap_bytes + (p.buffers * p.size + p.piece) * sizeof(float);
}

typedef struct dw_job {
    uint32_t row, oy, n; /* output rows [oy, oy + n) of channel `row` */
} dw_job;

SPR_INLINE dw_job dw_job_at(const spr_conv_args *a, const dw_plan *p, uint32_t row, uint32_t oy) {
    if (oy >= a->oy1) row++, oy = a->oy0;
    return (dw_job){row, oy, a->oy1 - oy < p->rows ? a->oy1 - oy : p->rows};
}

/* `n` output rows of a channel, the first at y and z. */
typedef struct dw_task {
    const spr_band *band;
    const size_t *taps; /* offsets from `in` */
    const float *in;    /* the first input row */
    uint32_t n;
    float *y;
    const float *z, *packed;
    spr_vact act;
} dw_task;

typedef void dw_rows_fn(const dw_task *t);

static SPR_NOINLINE void dw_fill(const spr_conv_args *a, const dw_plan *p, const dw_job *job, float *buffer) {
    const uint32_t multiplier = a->shape->oc / a->shape->ic;
    const uint32_t channel = multiplier == 1 ? job->row : job->row / multiplier;
    spr_band_fill(&p->band, a->x + channel * a->x_stride, buffer, job->oy, spr_band_rows_in(&a->shape->win, job->n));
}

/* Ends a block as spr_vfinish() does. */
SPR_INLINE void dw_finish(spr_v *acc, const int rows, const int nv, float *y, const float *z, size_t ow, size_t rest,
                          const spr_vact *act) {
    const spr_vact none = {.consts = {.fn = SPR_FN_NONE}};
    spr_vfinish(acc, rows, nv, y, DW_APART ? NULL : z, ow, rest, DW_APART ? &none : act);
}

static SPR_NOINLINE void dw_run(const spr_conv_args *a, dw_rows_fn *rows) {
    const spr_window *win = &a->shape->win;
    const dw_plan p = dw_make_plan(win);
    const size_t hw = (size_t)win->oh * win->ow, record = spr_dwconv_record(a->shape);
    size_t *taps = a->scratch;
    float *buffer = (float *)((char *)a->scratch + p.tap_bytes), *other = buffer + (p.buffers - 1) * p.size;
    float *const piece = buffer + p.buffers * p.size;
    memset(buffer, 0, p.buffers * p.size * sizeof *buffer);
    for (uint32_t ky = 0; ky < win->kh; ky++)
        for (uint32_t kx = 0; kx < win->kw; kx++)
            taps[ky * win->kw + kx] = ky * win->dh * p.band.rs + spr_band_tap(&p.band, kx);

    dw_job job = dw_job_at(a, &p, a->row0, a->oy0);
    if (job.row < a->row1) dw_fill(a, &p, &job, buffer);
    while (job.row < a->row1) {
        dw_job next = dw_job_at(a, &p, job.row, job.oy + job.n);
        if (p.buffers == 2 && next.row < a->row1) dw_fill(a, &p, &next, other);

        float *plane = a->y + job.row * a->y_stride;
        dw_task task = {
            .band = &p.band,
            .taps = taps,
            .packed = (const float *)a->packed + job.row * record,
            .act = spr_vact_load(&a->act, job.row),
        };
        for (uint32_t r = 0; r < job.n; r += task.n) {
            const size_t at = (size_t)(job.oy + r) * win->ow;
            float *y = plane + at;
            task.n = DW_APART && a->z && job.n - r > SPR_DW_PIECE ? SPR_DW_PIECE : job.n - r;
            task.in = buffer + (size_t)r * win->sh * p.band.rs;
            task.y = DW_APART && a->z ? piece : y;
            task.z = a->z ? a->z + job.row * a->z_stride + at : NULL;
            rows(&task);
            if (DW_APART || !SPR_ACT_IN_REGISTERS(a->act.fn))
                spr_dwconv_finish(a, job.row, task.y, DW_APART ? task.z : NULL, y, (size_t)task.n * win->ow);
        }
        if (job.oy + job.n == win->oh) memset(plane + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof *plane);

        if (p.buffers == 1 && next.row < a->row1) dw_fill(a, &p, &next, buffer);
        float *swap = buffer;
        buffer = other;
        other = swap;
        job = next;
    }
}

/* NV vectors of one row, any kernel. */
SPR_INLINE void dw_any_block(const int nv, const dw_task *t, size_t tap_count, const float *in, float *y,
                             const float *z, size_t rest) {
    spr_v acc[4];
    SPR_UNROLL
    for (int v = 0; v < nv; v++) acc[v] = spr_vset(t->packed[tap_count]);
    for (size_t i = 0; i < tap_count; i++) {
        const spr_v w = spr_vset(t->packed[i]);
        SPR_UNROLL
        for (int v = 0; v < nv; v++) acc[v] = spr_vfma(acc[v], spr_vload(in + t->taps[i] + v * SPR_VL), w);
    }
    dw_finish(acc, 1, nv, y, z, 0, rest, &t->act);
}

static SPR_NOINLINE void dw_any_rows(const dw_task *t) {
    const spr_window *win = t->band->win;
    const size_t ow = win->ow, tap_count = (size_t)win->kh * win->kw;
    const float *in = t->in;
    for (uint32_t r = 0; r < t->n; r++, in += win->sh * t->band->rs) {
        float *y = t->y + r * ow;
        const float *z = t->z ? t->z + r * ow : NULL;
        size_t ox = 0;
        for (; ox + 3 * SPR_VL < ow; ox += 4 * SPR_VL)
            dw_any_block(4, t, tap_count, in + ox, y + ox, z ? z + ox : NULL, ow - ox - 3 * SPR_VL);
        for (; ox < ow; ox += SPR_VL) dw_any_block(1, t, tap_count, in + ox, y + ox, z ? z + ox : NULL, ow - ox);
    }
}

static int dw_match_any(const spr_conv_shape *s) {
    (void)s;
    return 1;
}

void SPR_CONV_NAME(spr_dwconv_any_f32)(const spr_conv_args *args) {
    dw_run(args, dw_any_rows);
}

const spr_conv_traits SPR_CONV_NAME(spr_dwconv_any_traits) = {
    dw_match_any, spr_dwconv_size, spr_dwconv_pack, dw_scratch_any,
};
