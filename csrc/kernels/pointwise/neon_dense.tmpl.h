/* Driver of the dense pointwise NEON kernels, included by one file per kind of core, which defines before:
 *
 *   LOOP(V)       inline assembly that computes 8 rows of V vectors, 1 or 3, sums c<row><vector>, from a `block`
 *   PANEL         channels per panel: a panel's tile of 12 pixels, up to two lines of every plane, stays in L1
 *   VARIANT(x)    x with the suffix of the variant
 *
 * Tiles of 8 rows x 12 pixels, and x 4 at the end, read planes as they lie. Weights are packed in the order of use, [panel][8
 * rows][channel][8], the last rows filled up with zeros. Sums are carried through the output from panel to panel. */
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "kernels/kernel.h"

/* What the assembly reads, by these offsets. */
typedef struct block {
    const float *x;        /* 0 */
    const float *w;        /* 8 */
    size_t channels;       /* 16: at least 1 */
    size_t x_stride;       /* 24: bytes */
    const float *from;     /* 32: where sums begin: 8 rows, or NULL: with the bias */
    size_t from_stride;    /* 40: bytes */
    const float *bias;     /* 48: [8] */
} block;

typedef struct header {
    uint32_t n, kp, panels, groups; /* groups of 8 rows */
} header;

/* One tile of all rows of one panel. */
typedef struct tile {
    const spr_pw_args *args;
    const header *packed;
    const float *bias, *w; /* of row 0 in this panel */
    uint32_t k0, channels; /* of the panel */
    uint32_t px, pad;      /* pad: vectors of padding lanes after the tile, to be zeroed */
    int first, last;       /* panel */
} tile;

enum { LANES = 12 };

/* Lets sums begin with bias plus residual, or with what the last panel left; rows beyond the last are not touched. */
static void begin_from(block *b, float *buffer, const tile *t, uint32_t row, uint32_t rows, uint32_t lanes) {
    const spr_pw_args *a = t->args;
    const float *y = a->y + row * a->y_stride + t->px;
    b->from = NULL;
    b->bias = t->bias + row;
    if (t->first && !a->z) return;
    if (!t->first && rows == 8) {
        b->from = y;
        b->from_stride = a->y_stride * sizeof(float);
        return;
    }
    memset(buffer, 0, 8 * LANES * sizeof(float));
    for (uint32_t r = 0; r < rows; r++) {
        const float32x4_t bias = vdupq_n_f32(t->first ? t->bias[row + r] : 0.0f);
        const float *src = t->first ? a->z + (row + r) * a->z_stride + t->px : y + r * a->y_stride;
        for (uint32_t i = 0; i < lanes; i += 4) vst1q_f32(buffer + r * LANES + i, vaddq_f32(bias, vld1q_f32(src + i)));
    }
    b->from = buffer;
    b->from_stride = LANES * sizeof(float);
}

/* Activations that are not applied in registers, on what was just stored, and padding lanes. */
static SPR_NOINLINE void finish_rows(const tile *t, float *y, uint32_t row, uint32_t rows, uint32_t lanes) {
    spr_act act = t->args->act;
    if (act.fn == SPR_FN_PRELU) act.slope += row;
    for (uint32_t r = 0; r < rows; r++, y += t->args->y_stride) {
        if (act.fn > SPR_FN_HARD_SWISH) t->args->unary(y, y, lanes, &act);
        if (act.fn == SPR_FN_PRELU) act.slope++;
        for (uint32_t i = 0; i < t->pad; i++) vst1q_f32(y + lanes + 4 * i, vdupq_n_f32(0));
    }
}

/* F(row, vector) for all of 8 x V; REST: but the first */
#define REST1(F) F(1, 0) F(2, 0) F(3, 0) F(4, 0) F(5, 0) F(6, 0) F(7, 0)
#define REST2(F) REST1(F) F(0, 1) F(1, 1) F(2, 1) F(3, 1) F(4, 1) F(5, 1) F(6, 1) F(7, 1)
#define REST3(F) REST2(F) F(0, 2) F(1, 2) F(2, 2) F(3, 2) F(4, 2) F(5, 2) F(6, 2) F(7, 2)
#define BLOCK1(F) F(0, 0) REST1(F)
#define BLOCK3(F) F(0, 0) REST3(F)
#define SUM(r, x) float32x4_t c##r##x;
#define OUT(r, x) , [c##r##x] "=&w"(c##r##x)
#define CLIP(r, x) c##r##x = vminq_f32(vmaxq_f32(c##r##x, lower), upper);
#define HARD_SWISH(r, x) \
    c##r##x = vmulq_f32(c##r##x, vminq_f32(vmaxq_f32(vfmaq_f32(shift, c##r##x, scale), zero), one));
#define STORE(r, x) \
    if (r < rows) vst1q_f32(y + r * y_stride + 4 * x, c##r##x);

/* Row r, V = 1 or 3: sums begin with what lies at x13; or as copies of its bias, all of which are in registers 30
   and 31. */
#define FROM1(r) "ldr %q[c" #r "0], [x13]\n" FROM_NEXT
#define FROM3(r) "ldp %q[c" #r "0], %q[c" #r "1], [x13]\n" "ldr %q[c" #r "2], [x13, #32]\n" FROM_NEXT
#define FROM_NEXT "add x13, x13, x14\n"
#define BIAS1(r, v, lane) "dup %[c" #r "0].4s, v" #v ".s[" #lane "]\n"
#define BIAS2(r, v, lane) BIAS1(r, v, lane) "dup %[c" #r "1].4s, v" #v ".s[" #lane "]\n"
#define BIAS3(r, v, lane) BIAS2(r, v, lane) "dup %[c" #r "2].4s, v" #v ".s[" #lane "]\n"

/* Loads the block into x9 (input), x10 (weights), x11 (channels) and x12 (stride), and begins the sums. */
#define BEGIN(V)                                                                                            \
    "ldp x9, x10, [%[b]]\n"                                                                                 \
    "ldp x11, x12, [%[b], #16]\n"                                                                           \
    "ldp x13, x14, [%[b], #32]\n"                                                                           \
    "cbz x13, 2f\n" FROM##V(0) FROM##V(1) FROM##V(2) FROM##V(3) FROM##V(4) FROM##V(5) FROM##V(6) FROM##V(7) \
    "b 3f\n"                                                                                                \
    "2: ldr x13, [%[b], #48]\n"                                                                             \
    "ldp q30, q31, [x13]\n" BIAS##V(0, 30, 0) BIAS##V(1, 30, 1) BIAS##V(2, 30, 2) BIAS##V(3, 30, 3)         \
    BIAS##V(4, 31, 0) BIAS##V(5, 31, 1) BIAS##V(6, 31, 2) BIAS##V(7, 31, 3)                                 \
    "3:\n"

#define CLOBBERS                                                                                                     \
    "memory", "cc", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "v24", "v25", "v26", "v27", "v28", "v29", "v30", \
        "v31"

#define TILE(V)                                                                             \
    static SPR_NOINLINE void VARIANT(spr_pw_dense_tile##V)(const tile *t) {                 \
        const spr_pw_args *a = t->args;                                                     \
        const spr_act *act = &a->act;                                                       \
        const size_t y_stride = a->y_stride;                                                \
        const spr_function fn = t->last ? act->fn : SPR_FN_NONE;                            \
        const int rest = t->last && (t->pad || act->fn > SPR_FN_HARD_SWISH);                \
        float buffer[8 * LANES];                                                            \
        block b = {.x = a->x + t->k0 * a->x_stride + t->px, .channels = t->channels,        \
                   .x_stride = a->x_stride * sizeof(float)};                                \
        for (uint32_t row = a->row0; row < a->row1; row += 8) {                             \
            const uint32_t rows = a->row1 - row < 8 ? a->row1 - row : 8;                    \
            float *y = a->y + row * y_stride + t->px;                                       \
            b.w = t->w + (size_t)row * t->channels;                                         \
            begin_from(&b, buffer, t, row, rows, 4 * V);                                    \
            BLOCK##V(SUM) LOOP(V);                                                          \
            if (fn == SPR_FN_CLIP) {                                                        \
                const float32x4_t lower = vdupq_n_f32(act->a), upper = vdupq_n_f32(act->b); \
                BLOCK##V(CLIP)                                                              \
            } else if (fn == SPR_FN_HARD_SWISH) {                                           \
                const float32x4_t scale = vdupq_n_f32(act->a), shift = vdupq_n_f32(act->b); \
                const float32x4_t zero = vdupq_n_f32(0), one = vdupq_n_f32(1);              \
                BLOCK##V(HARD_SWISH)                                                        \
            }                                                                               \
            BLOCK##V(STORE)                                                                 \
            if (rest) finish_rows(t, y, row, rows, 4 * V);                                  \
        }                                                                                   \
    }

TILE(1)
TILE(3)

void VARIANT(spr_pw_dense_f32)(const spr_pw_args *args) {
    const header *h = args->packed;
    const float *bias = (const float *)((const char *)args->packed + SPR_LINE);
    const float *weights = bias + spr_round_up((size_t)h->groups * 8, SPR_LINE / sizeof(float));
    tile t = {.args = args, .bias = bias};
    for (uint32_t px = args->px0, vectors; px < args->px1; px += 4 * vectors) {
        const uint32_t left = (args->px1 - px + 3) / 4;
        vectors = left < 3 ? 1 : 3;
        t.px = px;
        t.pad = vectors == left ? ((uint32_t)spr_round_up(args->px1, SPR_PX) - (px + 4 * left)) / 4 : 0;
        for (uint32_t panel = 0; panel < h->panels; panel++) {
            t.k0 = panel * h->kp;
            t.channels = args->k - t.k0 < h->kp ? args->k - t.k0 : h->kp;
            t.w = weights + (size_t)t.k0 * h->groups * 8;
            t.first = panel == 0;
            t.last = panel + 1 == h->panels;
            (vectors == 1 ? VARIANT(spr_pw_dense_tile1) : VARIANT(spr_pw_dense_tile3))(&t);
        }
    }
}

static header layout(const spr_pw_weights *w) {
    header h = {.n = w->n, .panels = (w->k + PANEL - 1) / PANEL, .groups = (w->n + 7) / 8};
    h.kp = (w->k + h.panels - 1) / h.panels;
    return h;
}

static size_t dense_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    const header h = layout(w);
    return SPR_LINE + spr_round_up((size_t)h.groups * 8 * sizeof(float), SPR_LINE) +
           (size_t)h.groups * 8 * w->k * sizeof(float);
}

static void dense_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    (void)x_stride;
    const header h = layout(w);
    float *out = (float *)((char *)dst + SPR_LINE);
    memset(dst, 0, SPR_LINE);
    memcpy(dst, &h, sizeof h);
    const size_t bias_lanes = spr_round_up((size_t)h.groups * 8, SPR_LINE / sizeof(float));
    for (size_t i = 0; i < bias_lanes; i++) *out++ = i < w->n && w->bias ? w->bias[i] : 0.0f;
    for (uint32_t k0 = 0; k0 < w->k; k0 += h.kp)
        for (uint32_t row = 0; row < h.groups * 8; row += 8)
            for (uint32_t k = k0; k < w->k && k - k0 < h.kp; k++)
                for (uint32_t r = row; r < row + 8; r++) *out++ = r < w->n ? w->dense[(size_t)r * w->k + k] : 0.0f;
}

const spr_pw_packing VARIANT(spr_pack_pw_dense) = {dense_size, dense_pack};
