/* Depthwise 3x3 and 5x5 at stride 1 and 2 with AVX2, eight channels in the lanes: for maps whose rows are too short for
 * vectors of pixels, of which each load would straddle lines and each end need masks.
 *
 * Input rows are turned into vectors of eight channels in scratch, with zeros around the image; a tile of eight, seven
 * or four outputs of a row is summed up there and turned back. Packed weights: for each eight channels, bias[8] and
 * then w[taps][8]; a last group of less begins with channels of the one before. */
#include "base/compiler.h"

#if SPR_X86_64
#include <string.h>

#include "kernels/conv/vec_avx2.h"
#include "kernels/dwconv/dwconv.h"

SPR_TARGET_PUSH("avx2,fma")

enum { GROUP = SPR_VL };

/* Four vectors of channels 0 to 3 and 4 to 7 by four pixels become four of pixels by eight channels, or back. */
SPR_INLINE void turn_halves(const spr_v *in, spr_v *out) {
    const spr_v a = _mm256_unpacklo_ps(in[0], in[1]), b = _mm256_unpackhi_ps(in[0], in[1]);
    const spr_v c = _mm256_unpacklo_ps(in[2], in[3]), d = _mm256_unpackhi_ps(in[2], in[3]);
    out[0] = _mm256_shuffle_ps(a, c, 0x44);
    out[1] = _mm256_shuffle_ps(a, c, 0xee);
    out[2] = _mm256_shuffle_ps(b, d, 0x44);
    out[3] = _mm256_shuffle_ps(b, d, 0xee);
}

/* Four pixels of eight planes, of which x is in the first, to four vectors at `to`. */
SPR_INLINE void turn_in(const float *x, size_t stride, float *to) {
    spr_v in[4], out[4];
    SPR_UNROLL
    for (size_t i = 0; i < 4; i++)
        in[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x + i * stride)),
                                     _mm_loadu_ps(x + 4 * stride + i * stride), 1);
    turn_halves(in, out);
    SPR_UNROLL
    for (int i = 0; i < 4; i++) spr_vstore(to + i * GROUP, out[i]);
}

/* A row of the input. The last pixels are turned with some before them once more. */
SPR_INLINE void turn_row(const float *x, size_t stride, size_t iw, float *to) {
    size_t i = 0;
    if (iw < 4) {
        for (; i < iw; i++)
            for (size_t c = 0; c < GROUP; c++) to[i * GROUP + c] = x[c * stride + i];
        return;
    }
    for (; i + 4 <= iw; i += 4) turn_in(x + i, stride, to + i * GROUP);
    if (i < iw) turn_in(x + iw - 4, stride, to + (iw - 4) * GROUP);
}

typedef struct lanes_plan {
    size_t pitch;  /* floats from row to row of the scratch */
    uint32_t rows; /* output rows of a band: its input rows are about half of 32 KB of L1 */
} lanes_plan;

static lanes_plan make_plan(const spr_window *win) {
    const size_t out = (spr_round_up(win->ow, 4) - 1) * win->sw + win->kw, in = (size_t)win->pl + win->iw;
    const size_t pitch = (out > in ? out : in) * GROUP, fit = 18 * 1024 / (pitch * sizeof(float));
    const size_t rows = fit > win->kh ? (fit - win->kh) / win->sh + 1 : 1;
    return (lanes_plan){pitch, rows < win->oh ? (uint32_t)rows : win->oh};
}

enum { ANY, FROM, CLIP, SWISH };

typedef struct lanes_tile {
    const spr_conv_args *a;
    const float *w; /* a group's */
    float *y;       /* its first plane */
    size_t pitch, y_stride;
    size_t end;         /* outputs of the call: what a vector spills before is computed later */
    uint32_t row, skip; /* first channel; how many belong to the group before, if there is no eighth */
    int kind;           /* ANY, or all eight are stored, after no more than a maximum, clip or hard_swish */
    SPR_ACT(spr_act_consts) act;
} lanes_tile;

/* Stores `n` pixels of the channels from output `at` on, in general. */
static SPR_NOINLINE void end_any(const lanes_tile *t, spr_v *out, size_t at, size_t n) {
    const spr_conv_args *a = t->a;
    for (uint32_t i = t->skip; i < GROUP; i++) {
        const spr_vact act = spr_vact_load(&a->act, t->row + i);
        if (a->z) out[i] = spr_vadd(out[i], spr_vload_n(a->z + (t->row + i) * a->z_stride + at, n));
        spr_vact_each(&out[i], 1, &act);
        spr_vstore_n(t->y + i * t->y_stride + at, out[i], n);
    }
}

static SPR_NOINLINE void store_some(const lanes_tile *t, const spr_v *out, size_t at, size_t n) {
    float *y = t->y + at;
    const size_t stride = t->y_stride;
    for (int i = 0; i < GROUP; i++, y += stride) spr_vstore_n(y, out[i], n);
}

/* `px` outputs of a row, from `at` on, of which n are stored; x is the first one's first tap. */
SPR_INLINE void tile(const int k, const int st, const int px, const lanes_tile *t, const float *x, size_t at,
                     size_t n) {
    const float *w = t->w;
    spr_v acc[8];
    const spr_v bias = spr_vload(w);
    SPR_UNROLL
    for (int i = 0; i < px; i++) acc[i] = bias;
    w += GROUP;
    for (int ky = 0; ky < k; ky++, x += t->pitch, w += k * GROUP) {
        SPR_UNROLL
        for (int kx = 0; kx < k; kx++) {
            const spr_v weight = spr_vload(w + kx * GROUP);
            SPR_UNROLL
            for (int i = 0; i < px; i++) acc[i] = spr_vfma(acc[i], weight, spr_vload(x + (i * st + kx) * GROUP));
        }
    }
    if (px == 7) acc[7] = acc[6];
    spr_v low[4], high[4], out[8];
    turn_halves(acc, low);
    if (px > 4)
        turn_halves(acc + 4, high);
    else
        SPR_UNROLL for (int i = 0; i < 4; i++) high[i] = low[i];
    SPR_UNROLL
    for (int i = 0; i < 4; i++) {
        out[i] = _mm256_insertf128_ps(low[i], _mm256_castps256_ps128(high[i]), 1);
        out[i + 4] = _mm256_permute2f128_ps(low[i], high[i], 0x31);
    }
    if (t->kind == ANY) {
        spr_v any[8]; /* in memory; the others stay in registers */
        SPR_UNROLL
        for (int i = 0; i < GROUP; i++) any[i] = out[i];
        end_any(t, any, at, n);
        return;
    }
    if (t->kind == SWISH) {
        SPR_UNROLL
        for (int i = 0; i < GROUP; i++) out[i] = SPR_ACT(spr_hard_swish)(out[i], &t->act);
    } else {
        SPR_UNROLL
        for (int i = 0; i < GROUP; i++) out[i] = spr_vmaxc(out[i], t->act.a);
        if (t->kind == CLIP) {
            SPR_UNROLL
            for (int i = 0; i < GROUP; i++) out[i] = spr_vminc(out[i], t->act.b);
        }
    }
    if (n < GROUP && at + GROUP > t->end) {
        spr_v some[8];
        SPR_UNROLL
        for (int i = 0; i < GROUP; i++) some[i] = out[i];
        store_some(t, some, at, n);
        return;
    }
    float *y = t->y + at;
    const size_t stride = t->y_stride; /* read once: the stores might change it, for all that compilers know */
    SPR_UNROLL
    for (size_t i = 0; i < GROUP; i++) spr_vstore(y + i * stride, out[i]);
}

typedef void row_fn(const lanes_tile *t, const float *x, size_t at, size_t ow);

#define ROW(k, st)                                                                                       \
    static SPR_NOINLINE void row_##k##_##st(const lanes_tile *t, const float *x, size_t at, size_t ow) { \
        size_t ox = 0;                                                                                   \
        for (; ow % 7 == 0 && ow < 28 && ox < ow; ox += 7) tile(k, st, 7, t, x + ox * st * GROUP, at + ox, 7);      \
        for (; ox + 4 < ow; ox += 8)                                                                     \
            tile(k, st, 8, t, x + ox * st * GROUP, at + ox, ow - ox < 8 ? ow - ox : 8);                  \
        if (ox < ow) tile(k, st, 4, t, x + ox * st * GROUP, at + ox, ow - ox);                           \
    }
ROW(3, 1) ROW(3, 2) ROW(5, 1) ROW(5, 2)
#undef ROW

static size_t band_rows(const spr_window *win, const lanes_plan *p) {
    return (size_t)(p->rows - 1) * win->sh + win->kh;
}

static size_t lanes_scratch(const spr_conv_shape *s) {
    const lanes_plan p = make_plan(&s->win);
    return band_rows(&s->win, &p) * p.pitch * sizeof(float);
}

static size_t lanes_size(const spr_conv_shape *s) {
    return spr_round_up(s->oc, GROUP) * ((size_t)s->win.kh * s->win.kw + 1) * sizeof(float);
}

/* The first channel of the group that begins with `row`, or with eight before the end. */
SPR_INLINE uint32_t group_start(const spr_conv_shape *s, uint32_t row) {
    return s->oc - row < GROUP ? s->oc - GROUP : row;
}

static void lanes_pack(const spr_conv_shape *s, const float *w, const float *bias, void *dst) {
    const size_t taps = (size_t)s->win.kh * s->win.kw;
    float *to = dst;
    for (uint32_t row = 0; row < s->oc; row += GROUP) {
        const uint32_t start = group_start(s, row);
        for (int c = 0; c < GROUP; c++) *to++ = bias ? bias[start + c] : 0;
        for (size_t i = 0; i < taps; i++)
            for (int c = 0; c < GROUP; c++) *to++ = w[(start + c) * taps + i];
    }
}

void spr_dwconv_lanes_f32_avx2(const spr_conv_args *a) {
    const spr_window *win = &a->shape->win;
    const lanes_plan p = make_plan(win);
    const size_t hw = (size_t)win->oh * win->ow, record = ((size_t)win->kh * win->kw + 1) * GROUP;
    row_fn *fn = win->kw == 5 ? win->sw == 2 ? row_5_2 : row_5_1 : win->sw == 2 ? row_3_2 : row_3_1;
    float *image = a->scratch;
    memset(image, 0, lanes_scratch(a->shape));
    const spr_vact act = spr_vact_load(&a->act, a->row0);
    const int later = a->act.fn == SPR_FN_NONE || !SPR_ACT_IN_REGISTERS(a->act.fn);
    const int kind = later || act.relu                ? FROM
                     : a->act.fn == SPR_FN_CLIP       ? CLIP
                     : a->act.fn == SPR_FN_HARD_SWISH ? SWISH
                                                      : ANY;
    lanes_tile t = {.a = a, .pitch = p.pitch, .y_stride = a->y_stride, .end = (size_t)a->oy1 * win->ow,
                    .act = act.consts};
    if (later) t.act.a = spr_vset(-__builtin_inff());
    for (uint32_t row = a->row0; row < a->row1; row += GROUP) {
        t.row = group_start(a->shape, row);
        t.skip = row - t.row;
        t.kind = a->z || t.skip ? ANY : kind;
        t.w = (const float *)a->packed + row / GROUP * record;
        t.y = a->y + t.row * a->y_stride;
        const float *x = a->x + t.row * a->x_stride;
        for (uint32_t oy = a->oy0, rows; oy < a->oy1; oy += rows) {
            rows = a->oy1 - oy < p.rows ? a->oy1 - oy : p.rows;
            const int64_t top = (int64_t)oy * win->sh - win->pt;
            for (uint32_t i = 0; i < (rows - 1) * win->sh + win->kh; i++) {
                float *to = image + i * p.pitch + (size_t)win->pl * GROUP;
                if (top + i >= 0 && top + i < win->ih)
                    turn_row(x + (top + i) * win->iw, a->x_stride, win->iw, to);
                else
                    memset(to, 0, win->iw * GROUP * sizeof *to);
            }
            for (uint32_t r = 0; r < rows; r++)
                fn(&t, image + (size_t)r * win->sh * p.pitch, (size_t)(oy + r) * win->ow, win->ow);
            for (uint32_t i = t.skip; i < GROUP && !SPR_ACT_IN_REGISTERS(a->act.fn); i++) {
                float *y = t.y + i * a->y_stride + (size_t)oy * win->ow;
                a->unary(y, y, (size_t)rows * win->ow, &a->act);
            }
        }
        for (uint32_t i = t.skip; i < GROUP && a->oy1 == win->oh; i++)
            memset(t.y + i * a->y_stride + hw, 0, (spr_plane_lanes(hw) - hw) * sizeof *a->y);
    }
}

/* Where it is faster than vectors of pixels; measured on Zen 3. */
static int lanes_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    if (!spr_dwconv_match_fixed(s) || w->pt < 0 || w->pl < 0 || s->oc < GROUP) return 0;
    return w->kw == 5 ? w->ow <= (w->sw == 2 ? 36 : 28) : w->ow <= 12 || (w->ow > 16 && w->ow <= 20);
}

const spr_conv_traits spr_dwconv_lanes_traits_avx2 = {lanes_match, lanes_size, lanes_pack, lanes_scratch};

SPR_TARGET_POP
#endif
