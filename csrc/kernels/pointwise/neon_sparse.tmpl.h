/* Driver of the sparse pointwise NEON kernels, included by one file per kind of core, which defines before:
 *
 *   CSR_LOOP(V)   inline assembly that computes the sums a0 ... a<V-1> of a row segment
 *   PAIR_LOOP(V)  the same for two rows, b0 ... b<V-1> being those of the second
 *   VARIANT(x)    x with the suffix of the variant
 *   PAIR_MOST     the widest tile of pairs, in vectors: 8 or 12
 *
 * Loops find in scope: `from` (PAIR_LOOP: `from_b` too) and `same`, how sums begin; `xb`, the tile in the panel's
 * first plane; `n`, the number of records; and what is kept from row to row: `xa`, the tile in the next record's
 * plane; CSR: `p`, the record with its value; pairs: `pw`, its values, and `po`, the offset after it. */
#include <arm_neon.h>
#include <math.h>

#include "kernels/pointwise/neon_asm.h"
#include "kernels/pointwise/neon_sparse.h"
#include "kernels/unary/act_neon.h"

/* One pixel tile of one panel. */
typedef struct tile {
    const spr_pw_args *args;
    const char *xb;
    uint32_t px, vectors;
    uint32_t pad;     /* vectors of padding lanes after the tile, to be zeroed */
    int first, last;  /* panel */
} tile;

/* What sums of row r begin with: bias, bias plus residual (put together in y), or what the last panel left in y. */
SPR_INLINE const float *row_begin(const tile *t, const float *bias, const float *y, uint32_t r) {
    const spr_pw_args *a = t->args;
    if (!t->first) return y;
    if (!a->z) return bias + (size_t)r * 4;
    const float32x4_t b = vld1q_f32(bias + (size_t)r * 4);
    const float *z = a->z + r * a->z_stride + t->px;
    float *dst = a->y + r * a->y_stride + t->px;
    for (uint32_t v = 0; v < t->vectors; v++) vst1q_f32(dst + 4 * v, vaddq_f32(b, vld1q_f32(z + 4 * v)));
    return y;
}

/* Activations that are not worth a copy of the code per tile width, on what was just stored, and padding lanes. */
static SPR_NOINLINE void row_rest(const tile *t, float *y, uint32_t r) {
    const spr_act *act = &t->args->act;
    const uint32_t lanes = 4 * t->vectors;
    if (!SPR_ACT_IN_REGISTERS(act->fn)) {
        t->args->unary(y, y, lanes, act);
    } else if (act->fn > SPR_FN_HARD_SWISH) {
        const spr_act_consts_neon c = spr_act_load_neon(act, r);
        for (uint32_t i = 0; i < lanes; i += 4) vst1q_f32(y + i, spr_act_vec_neon(vld1q_f32(y + i), &c));
    }
    for (uint32_t i = 0; i < t->pad; i++) vst1q_f32(y + lanes + 4 * i, vdupq_n_f32(0));
}

#define LOWER_A(j) a##j = vmaxq_f32(a##j, c.a);
#define LOWER_B(j) b##j = vmaxq_f32(b##j, c.a);
#define UPPER_A(j) a##j = vminq_f32(a##j, c.b);
#define UPPER_B(j) b##j = vminq_f32(b##j, c.b);
#define SWISH_A(j) a##j = spr_act_vec_neon(a##j, &c);
#define SWISH_B(j) b##j = spr_act_vec_neon(b##j, &c);
#define STORE_A(j) vst1q_f32(y + 4 * j, a##j);
#define STORE_B(j) vst1q_f32(y_b + 4 * j, b##j);

/* The activation of the last panel; c.fn is NONE in all others. Relu has no upper bound. */
#define FINISH(V, X)                        \
    if (c.fn == SPR_FN_CLIP) {              \
        SPR_REP##V(LOWER_##X)               \
        if (upper) {                        \
            SPR_REP##V(UPPER_##X)           \
        }                                   \
    } else if (c.fn == SPR_FN_HARD_SWISH) { \
        SPR_REP##V(SWISH_##X)               \
    }                                       \
    SPR_REP##V(STORE_##X)

/* Activation of the tile and whether row_rest() has something to do. */
SPR_INLINE spr_act_consts_neon tile_act(const tile *t, int *rest) {
    const spr_act *act = &t->args->act;
    spr_act_consts_neon c = {.fn = SPR_FN_NONE, .a = vdupq_n_f32(act->a), .b = vdupq_n_f32(act->b)};
    if (t->last && act->fn <= SPR_FN_HARD_SWISH) c.fn = act->fn;
    *rest = t->last && (t->pad || act->fn > SPR_FN_HARD_SWISH);
    return c;
}

/* Rows row0, row0 + 1 ... whose records lie between the `count` + 1 positions in ptr. */
typedef void csr_rows_fn(const tile *t, const spr_neon_csr *w, const uint32_t *ptr, uint32_t row0, uint32_t count);

#define CSR_ROWS(V)                                                                                                 \
    static SPR_NOINLINE void VARIANT(spr_pw_csr_rows##V)(const tile *t, const spr_neon_csr *w, const uint32_t *ptr, \
                                                      uint32_t row0, uint32_t count) {                              \
        int rest;                                                                                                   \
        const spr_act_consts_neon c = tile_act(t, &rest);                                                           \
        const int same = t->first && !t->args->z, upper = t->args->act.b < INFINITY;                                \
        const char *const xb = t->xb;                                                                               \
        const spr_neon_record *p = w->records + ptr[0];                                                             \
        const char *xa = xb + p++->offset;                                                                          \
        for (uint32_t i = 0, r = row0; i < count; i++, r++) {                                                       \
            float *y = t->args->y + r * t->args->y_stride + t->px;                                                  \
            const float *from = row_begin(t, w->bias, y, r);                                                        \
            uint32_t n = ptr[i + 1] - ptr[i];                                                                       \
            SPR_REP##V(SPR_SUM_A) CSR_LOOP(V);                                                                      \
            FINISH(V, A)                                                                                            \
            if (rest) row_rest(t, y, r);                                                                            \
        }                                                                                                           \
    }

/* Pairs of rows row0, row0 + 2 ..., `count` pairs. */
typedef void pair_rows_fn(const tile *t, const spr_neon_2x1 *w, const uint32_t *ptr, uint32_t row0, uint32_t count);

#define PAIR_ROWS(V)                                                                                                \
    static SPR_NOINLINE void VARIANT(spr_pw_2x1_rows##V)(const tile *t, const spr_neon_2x1 *w, const uint32_t *ptr, \
                                                      uint32_t row0, uint32_t count) {                              \
        int rest;                                                                                                   \
        const spr_act_consts_neon c = tile_act(t, &rest);                                                           \
        const int same = t->first && !t->args->z, upper = t->args->act.b < INFINITY;                                \
        const char *const xb = t->xb;                                                                               \
        const uint32_t *po = w->offset + ptr[0];                                                                    \
        const float *pw = w->value + 2 * (size_t)ptr[0];                                                            \
        const char *xa = xb + *po++;                                                                                \
        for (uint32_t i = 0, r = row0; i < count; i++, r += 2) {                                                    \
            float *y = t->args->y + r * t->args->y_stride + t->px, *y_b = y + t->args->y_stride;                    \
            const float *from = row_begin(t, w->bias, y, r);                                                        \
            const float *from_b = row_begin(t, w->bias, y_b, r + 1);                                                \
            uint32_t n = ptr[i + 1] - ptr[i];                                                                       \
            SPR_REP##V(SPR_SUM_A) SPR_REP##V(SPR_SUM_B) PAIR_LOOP(V);                                               \
            FINISH(V, A)                                                                                            \
            FINISH(V, B)                                                                                            \
            if (rest) {                                                                                             \
                row_rest(t, y, r);                                                                                  \
                row_rest(t, y_b, r + 1);                                                                            \
            }                                                                                                       \
        }                                                                                                           \
    }

CSR_ROWS(1)
CSR_ROWS(2)
CSR_ROWS(3)
CSR_ROWS(4)
CSR_ROWS(5)
CSR_ROWS(6)
CSR_ROWS(7)
CSR_ROWS(8)
CSR_ROWS(9)
CSR_ROWS(10)
CSR_ROWS(11)
CSR_ROWS(12)
CSR_ROWS(13)

PAIR_ROWS(1)
PAIR_ROWS(2)
PAIR_ROWS(3)
PAIR_ROWS(4)
PAIR_ROWS(5)
PAIR_ROWS(6)
PAIR_ROWS(7)
PAIR_ROWS(8)
#if PAIR_MOST == 12
PAIR_ROWS(9)
PAIR_ROWS(10)
PAIR_ROWS(11)
PAIR_ROWS(12)
#endif

static csr_rows_fn *const csr_rows[] = {
    VARIANT(spr_pw_csr_rows1),  VARIANT(spr_pw_csr_rows2),  VARIANT(spr_pw_csr_rows3),  VARIANT(spr_pw_csr_rows4),
    VARIANT(spr_pw_csr_rows5),  VARIANT(spr_pw_csr_rows6),  VARIANT(spr_pw_csr_rows7),  VARIANT(spr_pw_csr_rows8),
    VARIANT(spr_pw_csr_rows9),  VARIANT(spr_pw_csr_rows10), VARIANT(spr_pw_csr_rows11), VARIANT(spr_pw_csr_rows12),
    VARIANT(spr_pw_csr_rows13),
};
static pair_rows_fn *const pair_rows[] = {
    VARIANT(spr_pw_2x1_rows1), VARIANT(spr_pw_2x1_rows2), VARIANT(spr_pw_2x1_rows3), VARIANT(spr_pw_2x1_rows4),
    VARIANT(spr_pw_2x1_rows5), VARIANT(spr_pw_2x1_rows6), VARIANT(spr_pw_2x1_rows7), VARIANT(spr_pw_2x1_rows8),
#if PAIR_MOST == 12
    VARIANT(spr_pw_2x1_rows9), VARIANT(spr_pw_2x1_rows10), VARIANT(spr_pw_2x1_rows11), VARIANT(spr_pw_2x1_rows12),
#endif
};

/* Vectors of the next tile when `left` remain: `usual` (lines, so that tiles begin at lines), all up to `most`, and no
   crumbs: narrow tiles are slow. */
static uint32_t tile_vectors(uint32_t left, uint32_t usual, uint32_t most) {
    if (left <= most) return left;
    return left < usual + 4 ? (left + 1) / 2 : usual;
}

/* The tile at `px`; those of the plane's end have padding lanes after them. */
static tile next_tile(const spr_pw_args *args, uint32_t px, uint32_t usual, uint32_t most) {
    const uint32_t left = (args->px1 - px + 3) / 4;
    tile t = {.args = args, .px = px, .vectors = tile_vectors(left, usual, most)};
    if (t.vectors == left) t.pad = ((uint32_t)spr_round_up(args->px1, SPR_PX) - (px + 4 * left)) / 4;
    return t;
}

void VARIANT(spr_pw_csr_f32)(const spr_pw_args *args) {
    const spr_neon_csr w = spr_neon_csr_view(args->packed);
    tile t;
    for (uint32_t px = args->px0; px < args->px1; px += 4 * t.vectors) {
        t = next_tile(args, px, 12, 13);
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            t.xb = (const char *)(args->x + (size_t)panel * w.kp * args->x_stride + px);
            t.first = panel == 0;
            t.last = panel + 1 == w.panels;
            csr_rows[t.vectors - 1](&t, &w, w.ptr + (size_t)panel * args->n + args->row0, args->row0,
                                    args->row1 - args->row0);
        }
    }
}

void VARIANT(spr_pw_2x1_f32)(const spr_pw_args *args) {
    const spr_neon_2x1 w = spr_neon_2x1_view(args->packed);
    const uint32_t pair0 = args->row0 / 2, pairs = args->row1 / 2 - pair0;
    tile t;
    for (uint32_t px = args->px0; px < args->px1; px += 4 * t.vectors) {
        t = next_tile(args, px, PAIR_MOST, PAIR_MOST);
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            t.xb = (const char *)(args->x + (size_t)panel * w.kp * args->x_stride + px);
            t.first = panel == 0;
            t.last = panel + 1 == w.panels;
            pair_rows[t.vectors - 1](&t, &w, w.ptr + (size_t)panel * (args->n / 2) + pair0, args->row0, pairs);
            if (args->row1 % 2) csr_rows[t.vectors - 1](&t, &w.last, w.last.ptr + panel, args->row1 - 1, 1);
        }
    }
}
