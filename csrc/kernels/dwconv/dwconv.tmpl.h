/* Depthwise convolution over bands (see conv/band.h), for the vectors of one ISA.
 *
 * Blocks of up to four output rows by two vectors take their inputs from registers: each input vector is loaded once per
 * horizontal tap and used by all output rows it belongs to. Bands keep the copied rows in L1. Packed weights: for each row
 * (output channel) its kh * kw weights, then the bias, padded to a multiple of four floats. */
#include "kernels/conv/band.h"
#include "kernels/dwconv/pack.h"

/* Bytes of bands, so that they stay in L1 beside the rows that are written. */
#define DW_BUDGET 24576

/* One block: R rows by NV vectors at output column `ox`; K x K taps, stride ST, phases `ps` apart. */
SPR_INLINE void dw_block(const int k, const int st, const int rows, const int nv, const float *in, size_t rs, size_t ps,
                         const spr_w *w, spr_v bias, float *y, const float *z, size_t ow, size_t rest,
                         const spr_vact *act) {
    spr_v acc[8];
    SPR_UNROLL
    for (int r = 0; r < rows * nv; r++) acc[r] = bias;
    SPR_UNROLL
    for (int i = 0; i < (rows - 1) * st + k; i++) {
        SPR_UNROLL
        for (int kx = 0; kx < k; kx++) {
            spr_v x[2];
            SPR_UNROLL
            for (int v = 0; v < nv; v++) x[v] = spr_vload(in + i * rs + kx % st * ps + kx / st + v * SPR_VL);
            SPR_UNROLL
            for (int r = 0; r < rows; r++) {
                if (i - r * st >= 0 && i - r * st < k) {
                    SPR_UNROLL
                    for (int v = 0; v < nv; v++) acc[r * nv + v] = spr_vfma_w(acc[r * nv + v], x[v], w, (i - r * st) * k + kx);
                }
            }
        }
    }
    if (rest > SPR_VL) rest = SPR_VL;
    if (z) {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) {
            const float *at = z + i / nv * ow + i % nv * SPR_VL;
            acc[i] = spr_vadd(acc[i], i % nv == nv - 1 ? spr_vload_n(at, rest) : spr_vload(at));
        }
    }
    spr_vact_each(acc, rows * nv, act);
    if (rest == SPR_VL) {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) spr_vstore(y + i / nv * ow + i % nv * SPR_VL, acc[i]);
    } else {
        SPR_UNROLL
        for (int i = 0; i < rows * nv; i++) {
            float *at = y + i / nv * ow + i % nv * SPR_VL;
            if (i % nv == nv - 1)
                spr_vstore_n(at, acc[i], rest);
            else
                spr_vstore(at, acc[i]);
        }
    }
}

/* `rows` rows of the output at y, from the band row at `in`. Wide blocks where the registers hold them. */
SPR_INLINE void dw_rows(const int k, const int st, const int rows, const float *in, const spr_band *b, const float *packed,
                        float *y, const float *z, const spr_vact *act) {
    const size_t ow = b->win->ow, rs = b->rs, ps = b->s;
    const int nv = k == 5 && SPR_VL == 16 ? 1 : 2;
    spr_w w;
    SPR_W_LOAD(w, packed, k * k);
    const spr_v bias = spr_vset(packed[k * k]);
    size_t ox = 0;
    for (; ox + (nv - 1) * SPR_VL < ow; ox += nv * SPR_VL) {
        size_t rest = ow - ox - (nv - 1) * SPR_VL;
        dw_block(k, st, rows, nv, in + ox, rs, ps, &w, bias, y + ox, z ? z + ox : NULL, ow, rest, act);
    }
    if (nv == 2 && ox < ow) dw_block(k, st, rows, 1, in + ox, rs, ps, &w, bias, y + ox, z ? z + ox : NULL, ow, ow - ox, act);
}

typedef void dw_rows_fn(const float *in, const spr_band *b, const float *packed, float *y, const float *z,
                        const spr_vact *act);
#define ROWS(k, st, rows)                                                                                                \
    static SPR_NOINLINE void dw_rows_##k##_##st##_##rows(const float *in, const spr_band *b, const float *packed, float *y, \
                                                         const float *z, const spr_vact *act) {                          \
        dw_rows(k, st, rows, in, b, packed, y, z, act);                                                                  \
    }
ROWS(3, 1, 4) ROWS(3, 1, 3) ROWS(3, 1, 1) ROWS(3, 2, 4) ROWS(3, 2, 3) ROWS(3, 2, 1)
ROWS(5, 1, 4) ROWS(5, 1, 3) ROWS(5, 1, 1) ROWS(5, 2, 4) ROWS(5, 2, 3) ROWS(5, 2, 1)
#undef ROWS

/* By [k == 5][stride - 1][rows: 1, 3, 4]. */
static dw_rows_fn *const dw_rows_table[2][2][3] = {
    {{dw_rows_3_1_1, dw_rows_3_1_3, dw_rows_3_1_4}, {dw_rows_3_2_1, dw_rows_3_2_3, dw_rows_3_2_4}},
    {{dw_rows_5_1_1, dw_rows_5_1_3, dw_rows_5_1_4}, {dw_rows_5_2_1, dw_rows_5_2_3, dw_rows_5_2_4}},
};

/* `n` output rows by the kernels for 3x3 and 5x5. Any number of rows but 1, 2 and 5 is a sum of threes and fours. */
SPR_INLINE void dw_fixed(const spr_band *b, const float *in, const float *packed, float *y, const float *z, uint32_t n,
                         const spr_vact *act) {
    const spr_window *win = b->win;
    dw_rows_fn *const *fn = dw_rows_table[win->kh == 5][win->sh - 1];
    while (n) {
        uint32_t rows = n >= 3 && n % 4 != 0 && n != 5 ? 3 : n >= 4 ? 4 : 1;
        fn[rows / 2](in, b, packed, y, z, act);
        in += rows * win->sh * b->rs;
        y += rows * win->ow;
        if (z) z += rows * win->ow;
        n -= rows;
    }
}

/* NV vectors of one row, any kernel; taps are offsets from `in`. */
SPR_INLINE void dw_any_block(const int nv, const size_t *taps, size_t tap_count, const float *in, const float *packed,
                             float *y, const float *z, size_t rest, const spr_vact *act) {
    spr_v acc[4];
    SPR_UNROLL
    for (int v = 0; v < nv; v++) acc[v] = spr_vset(packed[tap_count]);
    for (size_t t = 0; t < tap_count; t++) {
        const spr_v w = spr_vset(packed[t]);
        SPR_UNROLL
        for (int v = 0; v < nv; v++) acc[v] = spr_vfma(acc[v], spr_vload(in + taps[t] + v * SPR_VL), w);
    }
    SPR_UNROLL
    for (int v = 0; v < nv; v++) {
        size_t lanes = v == nv - 1 && rest < SPR_VL ? rest : SPR_VL;
        if (z) acc[v] = spr_vadd(acc[v], spr_vload_n(z + v * SPR_VL, lanes));
        spr_vstore_n(y + v * SPR_VL, spr_vact_run(acc[v], act), lanes);
    }
}

/* `n` output rows, any kernel. */
static SPR_NOINLINE void dw_any(const spr_band *b, const size_t *taps, const float *in, const float *packed, float *y,
                                const float *z, uint32_t n, const spr_vact *act) {
    const spr_window *win = b->win;
    const size_t ow = win->ow, tap_count = (size_t)win->kh * win->kw;
    for (; n; n--, in += win->sh * b->rs, y += ow, z = z ? z + ow : NULL) {
        size_t ox = 0;
        for (; ox + 3 * SPR_VL < ow; ox += 4 * SPR_VL)
            dw_any_block(4, taps, tap_count, in + ox, packed, y + ox, z ? z + ox : NULL, ow - ox - 3 * SPR_VL, act);
        for (; ox < ow; ox += SPR_VL)
            dw_any_block(1, taps, tap_count, in + ox, packed, y + ox, z ? z + ox : NULL, ow - ox, act);
    }
}

/* The band for a shape: the whole image if two of them fit (then one is filled while the other, whose stores have long left
   the store buffer, is read), else as many rows as fit. */
typedef struct dw_plan {
    spr_band band;
    uint32_t rows, buffers;
    size_t size, tap_bytes; /* floats of a buffer; bytes of the table of taps before the buffers */
} dw_plan;

SPR_INLINE dw_plan dw_make_plan(const spr_window *win) {
    dw_plan p;
    p.band = spr_band_make(win, win->oh);
    p.rows = win->oh;
    p.buffers = 2 * p.band.ni * p.band.rs * sizeof(float) <= DW_BUDGET ? 2 : 1;
    if (p.buffers == 1) {
        size_t in = DW_BUDGET / (p.band.rs * sizeof(float)), reach = (size_t)(win->kh - 1) * win->dh + 1;
        size_t rows = in > reach ? (in - reach) / win->sh + 1 : 1;
        if (rows < p.rows) p.rows = (uint32_t)(rows > 4 ? rows - rows % 4 : rows);
        p.band.ni = spr_band_rows_in(win, p.rows);
    }
    p.size = p.band.ni * p.band.rs;
    p.tap_bytes = spr_round_up((size_t)win->kh * win->kw * sizeof(size_t), SPR_LINE);
    return p;
}

static size_t dw_scratch(const spr_conv_shape *s) {
    dw_plan p = dw_make_plan(&s->win);
    return p.tap_bytes + p.buffers * p.size * sizeof(float);
}

typedef struct dw_job {
    uint32_t row, oy, n; /* output rows [oy, oy + n) of channel `row` */
} dw_job;

SPR_INLINE dw_job dw_job_at(const spr_conv_args *a, const dw_plan *p, uint32_t row, uint32_t oy) {
    if (oy >= a->oy1) row++, oy = a->oy0;
    return (dw_job){row, oy, a->oy1 - oy < p->rows ? a->oy1 - oy : p->rows};
}

SPR_INLINE void dw_fill(const spr_conv_args *a, const dw_plan *p, const dw_job *job, float *buffer) {
    const spr_conv_shape *s = a->shape;
    spr_band_fill(&p->band, a->x + job->row / (s->oc / s->ic) * a->x_stride, buffer, job->oy,
                  spr_band_rows_in(&s->win, job->n));
}

SPR_INLINE void dw_run(const spr_conv_args *a, const int fixed) {
    const spr_window *win = &a->shape->win;
    const dw_plan p = dw_make_plan(win);
    const size_t hw = (size_t)win->oh * win->ow, record = spr_dwconv_record(a->shape);
    size_t *taps = a->scratch;
    float *buffer = (float *)((char *)a->scratch + p.tap_bytes), *other = buffer + (p.buffers - 1) * p.size;
    memset(buffer, 0, p.buffers * p.size * sizeof *buffer);
    for (uint32_t ky = 0; !fixed && ky < win->kh; ky++)
        for (uint32_t kx = 0; kx < win->kw; kx++) taps[ky * win->kw + kx] = ky * win->dh * p.band.rs + spr_band_tap(&p.band, kx);

    dw_job job = dw_job_at(a, &p, a->row0, a->oy0);
    if (job.row < a->row1) dw_fill(a, &p, &job, buffer);
    while (job.row < a->row1) {
        dw_job next = dw_job_at(a, &p, job.row, job.oy + job.n);
        if (p.buffers == 2 && next.row < a->row1) dw_fill(a, &p, &next, other);

        const float *packed = (const float *)a->packed + job.row * record;
        const spr_vact act = spr_vact_load(&a->act, job.row);
        float *plane = a->y + job.row * a->y_stride, *y = plane + (size_t)job.oy * win->ow;
        const float *z = a->z ? a->z + job.row * a->z_stride + (size_t)job.oy * win->ow : NULL;
        if (fixed)
            dw_fixed(&p.band, buffer + p.band.base, packed, y, z, job.n, &act);
        else
            dw_any(&p.band, taps, buffer, packed, y, z, job.n, &act);
        if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, (size_t)job.n * win->ow, &a->act);
        if (job.oy + job.n == win->oh) memset(plane + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof *plane);

        if (p.buffers == 1 && next.row < a->row1) dw_fill(a, &p, &next, buffer);
        float *swap = buffer;
        buffer = other;
        other = swap;
        job = next;
    }
}

static int dw_match_fixed(const spr_conv_shape *s) { return spr_dwconv_match_fixed(s) && s->win.ow > DW_MIN_WIDTH; }
static int dw_match_any(const spr_conv_shape *s) { return s->win.ow >= 1; }

void SPR_CONV_NAME(spr_dwconv_f32)(const spr_conv_args *args) { dw_run(args, 1); }
void SPR_CONV_NAME(spr_dwconv_any_f32)(const spr_conv_args *args) { dw_run(args, 0); }

const spr_conv_traits SPR_CONV_NAME(spr_dwconv_traits) = {dw_match_fixed, spr_dwconv_size, spr_dwconv_pack, dw_scratch};
const spr_conv_traits SPR_CONV_NAME(spr_dwconv_any_traits) = {dw_match_any, spr_dwconv_size, spr_dwconv_pack, dw_scratch};
