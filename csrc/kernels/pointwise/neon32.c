/* Pointwise convolution for NEON on 32-bit ARM: dense, CSR and 2x1.
 *
 * Sixteen registers hold a row of eight vectors, two rows of six or four rows of three, with inputs and weights beside
 * them. There is no fused multiply-add by a lane, so weights are broadcast by their loads. Sums wait in the output
 * between panels. */
#include "base/compiler.h"

#if SPR_ARM32

#include <string.h>

#include "kernels/pointwise/neon_sparse.h"
#include "kernels/unary/act_neon.h"

SPR_NEON_PUSH

/* The loops of the widest tiles are assembly: compilers would spill sums. They take these registers for themselves. */
#define FMA(sum, x, w) "vfma.f32 %q[s" #sum "], " x ", " w "\n"
#define SUMS8(s)                                                                                                \
    [s0] "+w"((s)[0]), [s1] "+w"((s)[1]), [s2] "+w"((s)[2]), [s3] "+w"((s)[3]), [s4] "+w"((s)[4]),               \
        [s5] "+w"((s)[5]), [s6] "+w"((s)[6]), [s7] "+w"((s)[7])
#define SUMS12(s) SUMS8(s), [s8] "+w"((s)[8]), [s9] "+w"((s)[9]), [s10] "+w"((s)[10]), [s11] "+w"((s)[11])
#define TAKEN "d24", "d25", "d26", "d27", "d28", "d29", "d30", "d31", "cc", "memory"

/* One pixel tile of one panel. */
typedef struct tile {
    const spr_pw_args *args;
    uint32_t px;
    uint32_t pad;    /* vectors of padding lanes after the tile, to be zeroed */
    int first, last; /* panel */
} tile;

/* What the sums of `rows` rows by V vectors begin with: bias and residual, or what is in y, which may be the
   residual. */
SPR_INLINE void begin(const tile *t, const int rows, const int V, uint32_t row, const float *bias, float32x4_t *sum) {
    const spr_pw_args *a = t->args;
    SPR_UNROLL
    for (int r = 0; r < rows; r++) {
        const uint32_t at = row + (uint32_t)r;
        const float *y = a->y + at * a->y_stride + t->px;
        SPR_UNROLL
        for (int v = 0; v < V; v++) sum[r * V + v] = t->first ? vdupq_n_f32(bias[r]) : vld1q_f32(y + 4 * v);
        if (!t->first || !a->z) continue;
        const float *z = a->z + at * a->z_stride + t->px;
        SPR_UNROLL
        for (int v = 0; v < V; v++) sum[r * V + v] = vaddq_f32(sum[r * V + v], vld1q_f32(z + 4 * v));
    }
}

/* Activation, store and padding; between panels nothing but the store. */
SPR_INLINE void end(const tile *t, const int rows, const int V, uint32_t row, float32x4_t *sum) {
    const spr_pw_args *a = t->args;
    SPR_UNROLL
    for (int r = 0; r < rows; r++) {
        const uint32_t at = row + (uint32_t)r;
        float *y = a->y + at * a->y_stride + t->px;
        if (t->last) {
            const spr_act_consts_neon c = spr_act_load_neon(&a->act, at);
            if (a->act.fn == SPR_FN_CLIP) {
                SPR_UNROLL
                for (int v = 0; v < V; v++) sum[r * V + v] = vminq_f32(vmaxq_f32(sum[r * V + v], c.a), c.b);
            } else if (a->act.fn != SPR_FN_NONE) {
                SPR_UNROLL
                for (int v = 0; v < V; v++) sum[r * V + v] = spr_act_vec_neon(sum[r * V + v], &c);
            }
        }
        SPR_UNROLL
        for (int v = 0; v < V; v++) vst1q_f32(y + 4 * v, sum[r * V + v]);
        if (!t->last) continue;
        if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, 4 * (size_t)V, &a->act);
        for (uint32_t i = 0; i < t->pad; i++) vst1q_f32(y + 4 * V + 4 * i, vdupq_n_f32(0));
    }
}

/* The tile at `px` of at most `most` vectors; returns its vectors, 0 at the end. */
static uint32_t make_tile(const spr_pw_args *a, uint32_t px, uint32_t most, tile *t) {
    const uint32_t left = px < a->px1 ? (a->px1 - px + 3) / 4 : 0, vectors = left < most ? left : most;
    *t = (tile){.args = a, .px = px};
    if (vectors == left) t->pad = ((uint32_t)spr_round_up(a->px1, SPR_PX) - (px + 4 * left)) / 4;
    return vectors;
}

/* ---- CSR ---- */

typedef void csr_fn(const tile *t, const char *x, const spr_neon_sparse *w, const uint32_t *ptr, uint32_t row,
                    uint32_t count);

/* Records [p, stop), at least one, for eight vectors. */
SPR_INLINE void csr_loop8(float32x4_t *sum, const char *x, const spr_neon_record *p, const spr_neon_record *stop) {
    const char *in, *value;
    __asm__ volatile(".fpu neon-vfpv4\n"
                     "1: ldr %[in], [%[p]], #8\n"
                     "add %[value], %[p], #4\n"
                     "vld1.32 {d24[], d25[]}, [%[value]]\n"
                     "add %[in], %[in], %[x]\n"
                     "vld1.32 {d26-d29}, [%[in]]!\n"
                     "cmp %[p], %[stop]\n" FMA(0, "q13", "q12") FMA(1, "q14", "q12")
                     "vld1.32 {d26-d29}, [%[in]]!\n" FMA(2, "q13", "q12") FMA(3, "q14", "q12")
                     "vld1.32 {d26-d29}, [%[in]]!\n" FMA(4, "q13", "q12") FMA(5, "q14", "q12")
                     "vld1.32 {d26-d29}, [%[in]]\n" FMA(6, "q13", "q12") FMA(7, "q14", "q12")
                     "blo 1b\n"
                     : SUMS8(sum), [p] "+r"(p), [in] "=&r"(in), [value] "=&r"(value)
                     : [x] "r"(x), [stop] "r"(stop)
                     : TAKEN);
}

/* `count` rows from `row` on, whose records lie between the count + 1 positions at ptr. */
SPR_INLINE void csr_rows(const int V, const tile *t, const char *x, const spr_neon_sparse *w, const uint32_t *ptr,
                         uint32_t row, uint32_t count) {
    for (uint32_t r = 0; r < count; r++) {
        float32x4_t sum[8];
        begin(t, 1, V, row + r, w->bias + 4 * (size_t)(row + r), sum);
        const spr_neon_record *const records = w->records, *p = records + ptr[r], *const stop = records + ptr[r + 1];
        if (V == 8 && p < stop) {
            csr_loop8(sum, x, p, stop);
            p = stop;
        }
        for (; p < stop; p++) {
            const float *in = (const float *)(x + p->offset);
            const float32x4_t weight = vld1q_dup_f32(&p[1].value);
            SPR_UNROLL
            for (int v = 0; v < V; v++) sum[v] = spr_neon_fma(sum[v], vld1q_f32(in + 4 * v), weight);
        }
        end(t, 1, V, row + r, sum);
    }
}

#define CSR(V)                                                                                                        \
    static SPR_NOINLINE void spr_pw_csr_rows##V##_neon32(const tile *t, const char *x, const spr_neon_sparse *w,          \
                                                         const uint32_t *ptr, uint32_t row, uint32_t count) {          \
        csr_rows(V, t, x, w, ptr, row, count);                                                                        \
    }
CSR(1) CSR(2) CSR(3) CSR(4) CSR(5) CSR(6) CSR(7) CSR(8)
#undef CSR
static csr_fn *const csr_of[] = {spr_pw_csr_rows1_neon32, spr_pw_csr_rows2_neon32, spr_pw_csr_rows3_neon32,
                                 spr_pw_csr_rows4_neon32, spr_pw_csr_rows5_neon32, spr_pw_csr_rows6_neon32,
                                 spr_pw_csr_rows7_neon32, spr_pw_csr_rows8_neon32};

static const char *panel_at(const spr_pw_args *a, uint32_t panel, uint32_t kp, uint32_t px) {
    return (const char *)(a->x + (size_t)panel * kp * a->x_stride + px);
}

void spr_pw_csr_f32_neon32(const spr_pw_args *a) {
    const spr_neon_sparse w = spr_neon_view(a->packed, 0);
    tile t;
    for (uint32_t px = a->px0, V; (V = make_tile(a, px, 8, &t)); px += 4 * V)
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            t.first = panel == 0;
            t.last = panel + 1 == w.panels;
            csr_of[V - 1](&t, panel_at(a, panel, w.kp, px), &w, w.ptr + (size_t)panel * a->n + a->row0, a->row0,
                          a->row1 - a->row0);
        }
}

/* ---- 2x1 ---- */

typedef void pair_fn(const tile *t, const char *x, const spr_neon_sparse *w, const uint32_t *ptr, uint32_t row,
                     uint32_t count);

/* Records [p, stop), at least one, for two rows of six vectors. */
SPR_INLINE void pair_loop6(float32x4_t *sum, const char *x, const spr_neon_pair_record *p,
                           const spr_neon_pair_record *stop) {
    const char *in, *value;
    __asm__ volatile(".fpu neon-vfpv4\n"
                     "1: ldr %[in], [%[p]], #12\n"
                     "add %[value], %[p], #4\n"
                     "vld1.32 {d24[], d25[]}, [%[value]]!\n"
                     "vld1.32 {d26[], d27[]}, [%[value]]\n"
                     "add %[in], %[in], %[x]\n"
                     "vld1.32 {d28-d31}, [%[in]]!\n"
                     "cmp %[p], %[stop]\n" FMA(0, "q14", "q12") FMA(6, "q14", "q13") FMA(1, "q15", "q12")
                     FMA(7, "q15", "q13")
                     "vld1.32 {d28-d31}, [%[in]]!\n" FMA(2, "q14", "q12") FMA(8, "q14", "q13") FMA(3, "q15", "q12")
                     FMA(9, "q15", "q13")
                     "vld1.32 {d28-d31}, [%[in]]\n" FMA(4, "q14", "q12") FMA(10, "q14", "q13") FMA(5, "q15", "q12")
                     FMA(11, "q15", "q13")
                     "blo 1b\n"
                     : SUMS12(sum), [p] "+r"(p), [in] "=&r"(in), [value] "=&r"(value)
                     : [x] "r"(x), [stop] "r"(stop)
                     : TAKEN);
}

/* `count` pairs of rows from `row` on. */
SPR_INLINE void pair_rows(const int V, const tile *t, const char *x, const spr_neon_sparse *w, const uint32_t *ptr,
                          uint32_t row, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, row += 2) {
        float32x4_t sum[12];
        const float bias[2] = {w->bias[4 * (size_t)row], w->bias[4 * (size_t)row + 4]};
        begin(t, 2, V, row, bias, sum);
        const spr_neon_pair_record *const records = w->records, *p = records + ptr[i], *const stop = records + ptr[i + 1];
        if (V == 6 && p < stop) {
            pair_loop6(sum, x, p, stop);
            p = stop;
        }
        for (; p < stop; p++) {
            const float *in = (const float *)(x + p->offset);
            const float32x4_t w0 = vld1q_dup_f32(&p[1].value[0]), w1 = vld1q_dup_f32(&p[1].value[1]);
            SPR_UNROLL
            for (int v = 0; v < V; v++) {
                const float32x4_t input = vld1q_f32(in + 4 * v);
                sum[v] = spr_neon_fma(sum[v], input, w0);
                sum[V + v] = spr_neon_fma(sum[V + v], input, w1);
            }
        }
        end(t, 2, V, row, sum);
    }
}

#define PAIR(V)                                                                                                       \
    static SPR_NOINLINE void spr_pw_2x1_rows##V##_neon32(const tile *t, const char *x, const spr_neon_sparse *w,          \
                                                         const uint32_t *ptr, uint32_t row, uint32_t count) {          \
        pair_rows(V, t, x, w, ptr, row, count);                                                                       \
    }
PAIR(1) PAIR(2) PAIR(3) PAIR(4) PAIR(5) PAIR(6)
#undef PAIR
static pair_fn *const pair_of[] = {spr_pw_2x1_rows1_neon32, spr_pw_2x1_rows2_neon32, spr_pw_2x1_rows3_neon32,
                                   spr_pw_2x1_rows4_neon32, spr_pw_2x1_rows5_neon32, spr_pw_2x1_rows6_neon32};

void spr_pw_2x1_f32_neon32(const spr_pw_args *a) {
    const spr_neon_sparse w = spr_neon_view(a->packed, 0), last = spr_neon_view(a->packed, 1);
    const uint32_t pair0 = a->row0 / 2, pairs = a->row1 / 2 - pair0;
    tile t;
    for (uint32_t px = a->px0, V; (V = make_tile(a, px, 6, &t)); px += 4 * V)
        for (uint32_t panel = 0; panel < w.panels; panel++) {
            const char *x = panel_at(a, panel, w.kp, px);
            t.first = panel == 0;
            t.last = panel + 1 == w.panels;
            pair_of[V - 1](&t, x, &w, w.ptr + (size_t)panel * (a->n / 2) + pair0, a->row0, pairs);
            if (a->row1 % 2) csr_of[V - 1](&t, x, &last, last.ptr + panel, a->row1 - 1, 1);
        }
}

/* ---- dense: bias[groups * 4], w[panel][groups][kp][4]; zeros beyond row n - 1 ---- */

enum { DENSE_ROWS = 4, DENSE_PANEL = 256 };

static uint32_t dense_groups(uint32_t n) { return (n + DENSE_ROWS - 1) / DENSE_ROWS; }

static size_t dense_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return (size_t)dense_groups(w->n) * DENSE_ROWS * ((size_t)w->k + 1) * sizeof(float);
}

static void dense_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    (void)x_stride;
    const uint32_t rows = dense_groups(w->n) * DENSE_ROWS;
    float *out = dst;
    for (uint32_t r = 0; r < rows; r++) *out++ = r < w->n && w->bias ? w->bias[r] : 0.0f;
    for (uint32_t k0 = 0; k0 < w->k; k0 += DENSE_PANEL)
        for (uint32_t row = 0; row < rows; row += DENSE_ROWS)
            for (uint32_t k = k0; k < w->k && k - k0 < DENSE_PANEL; k++)
                for (uint32_t r = row; r < row + DENSE_ROWS; r++)
                    *out++ = r < w->n ? w->dense[(size_t)r * w->k + k] : 0.0f;
}

const spr_pw_packing spr_pack_pw_dense_neon32 = {dense_size, dense_pack};

typedef void dense_fn(const tile *t, const float *x, const float *w, uint32_t channels, const float *bias,
                      uint32_t row);

/* All channels, at least one, for four rows of three vectors. */
SPR_INLINE void dense_loop3(float32x4_t *sum, const float *x, size_t stride, const float *w, uint32_t channels) {
    const float *const stop = w + (size_t)channels * DENSE_ROWS;
#define ROW(a, b, c) "vld1.32 {d24[], d25[]}, [%[w]]!\n" FMA(a, "q13", "q12") FMA(b, "q14", "q12") FMA(c, "q15", "q12")
    __asm__ volatile(".fpu neon-vfpv4\n"
                     "1: vld1.32 {d26-d29}, [%[x]]!\n"
                     "vld1.32 {d30-d31}, [%[x]], %[step]\n" ROW(0, 1, 2) ROW(3, 4, 5) ROW(6, 7, 8) ROW(9, 10, 11)
                     "cmp %[w], %[stop]\n"
                     "blo 1b\n"
                     : SUMS12(sum), [x] "+r"(x), [w] "+r"(w)
                     : [step] "r"(stride * sizeof *x - 32), [stop] "r"(stop)
                     : TAKEN);
#undef ROW
}

/* Four rows, of which those beyond row1 are not stored. */
SPR_INLINE void dense_rows(const int V, const tile *t, const float *x, const float *w, uint32_t channels,
                           const float *bias, uint32_t row) {
    const spr_pw_args *a = t->args;
    const uint32_t rows = a->row1 - row < DENSE_ROWS ? a->row1 - row : DENSE_ROWS;
    float32x4_t sum[DENSE_ROWS * 3];
    if (rows == DENSE_ROWS)
        begin(t, DENSE_ROWS, V, row, bias, sum);
    else
        for (uint32_t r = 0; r < DENSE_ROWS; r++)
            begin(t, 1, V, row + (r < rows ? r : 0), bias + r, sum + r * (uint32_t)V);
    if (V == 3) {
        dense_loop3(sum, x, a->x_stride, w, channels);
        channels = 0;
    }
    for (; channels; channels--, w += DENSE_ROWS, x += a->x_stride) {
        const float32x4_t weights = vld1q_f32(w);
        float32x4_t in[3];
        SPR_UNROLL
        for (int v = 0; v < V; v++) in[v] = vld1q_f32(x + 4 * v);
#define ROW(r, half, lane)                                                                     \
    {                                                                                          \
        const float32x4_t weight = vdupq_lane_f32(vget_##half##_f32(weights), lane);           \
        SPR_UNROLL                                                                             \
        for (int v = 0; v < V; v++) sum[r * V + v] = spr_neon_fma(sum[r * V + v], in[v], weight); \
    }
        ROW(0, low, 0) ROW(1, low, 1) ROW(2, high, 0) ROW(3, high, 1)
#undef ROW
    }
    if (rows == DENSE_ROWS)
        end(t, DENSE_ROWS, V, row, sum);
    else
        for (uint32_t r = 0; r < rows; r++) end(t, 1, V, row + r, sum + r * (uint32_t)V);
}

#define DENSE(V)                                                                                                     \
    static SPR_NOINLINE void spr_pw_dense_tile##V##_neon32(const tile *t, const float *x, const float *w,             \
                                                           uint32_t channels, const float *bias, uint32_t row) {      \
        dense_rows(V, t, x, w, channels, bias, row);                                                                 \
    }
DENSE(1) DENSE(2) DENSE(3)
#undef DENSE
static dense_fn *const dense_of[] = {spr_pw_dense_tile1_neon32, spr_pw_dense_tile2_neon32, spr_pw_dense_tile3_neon32};

void spr_pw_dense_f32_neon32(const spr_pw_args *a) {
    const uint32_t all = dense_groups(a->n) * DENSE_ROWS;
    const float *bias = a->packed, *weights = bias + all;
    tile t;
    for (uint32_t px = a->px0, V; (V = make_tile(a, px, 3, &t)); px += 4 * V)
        for (uint32_t k0 = 0; k0 < a->k; k0 += DENSE_PANEL) {
            const uint32_t channels = a->k - k0 < DENSE_PANEL ? a->k - k0 : DENSE_PANEL;
            t.first = k0 == 0;
            t.last = k0 + channels == a->k;
            for (uint32_t row = a->row0; row < a->row1; row += DENSE_ROWS)
                dense_of[V - 1](&t, a->x + (size_t)k0 * a->x_stride + px,
                                weights + (size_t)k0 * all + (size_t)row * channels, channels, bias + row, row);
        }
}

SPR_NEON_POP

#endif
