/* Depthwise 3x3 at stride 1 with AVX2, four output rows by two vectors at a time, in assembly.
 *
 * What limits such a block is what it does beside its FMAs: compilers spill and reload the addresses of its input rows,
 * and a block of 72 FMAs takes 58 cycles on Zen 3. Here it takes 50, of which 36 are due to FMAs.
 *
 * The second vector of a row's last block ends where the row does, so that it may overlap the first, or the block
 * before; a last row may be computed twice in the same way. Only the loads that can reach beyond an end of the row have
 * masks. Rows above and below the image are a row of zeros in scratch. */
#include "base/compiler.h"

#if SPR_X86_64
#include "kernels/conv/vec_avx2.h"
#include "kernels/dwconv/dwconv.h"

SPR_TARGET_PUSH("avx2,fma")

#define ROWS 4

spr_conv_fn spr_dwconv_f32_avx2; /* for what is left to it, with the same weights */
extern const spr_conv_traits spr_dwconv_traits_avx2;

/* A block of a row of outputs: where the first taps of its two vectors lie in an input row, in bytes, and the masks of
   the first tap of the first vector and of the last tap of the second one. */
typedef struct rows_block {
    spr_vmask mask[2];
    uintptr_t at[2];
} rows_block;

/* The sums of row r and vector v, a<r><v>, += x<v> * weight ky of the column, w<ky>. */
#define FMA(r, v, ky) "vfmadd231ps %[w" #ky "], %[x" #v "], %[a" #r #v "]\n\t"
#define LOAD(i, v, kx) "vmovups " #kx "*4(%[r" #i "],%[o" #v "]), %[x" #v "]\n\t"
#define LOAD_SOME(i, v, kx) "vmaskmovps " #kx "*4(%[r" #i "],%[o" #v "]), %[m" #v "], %[x" #v "]\n\t"
#define BIAS(rv) "vmovaps %[a00], %[a" #rv "]\n\t"
#define WEIGHTS(kx)                               \
    "vbroadcastss " #kx "*4(%[w]), %[w0]\n\t"    \
    "vbroadcastss 12+" #kx "*4(%[w]), %[w1]\n\t" \
    "vbroadcastss 24+" #kx "*4(%[w]), %[w2]\n\t"

/* Input row i to the output rows it belongs to. */
#define INTO_0(v) FMA(0, v, 0)
#define INTO_1(v) FMA(0, v, 1) FMA(1, v, 0)
#define INTO_2(v) FMA(0, v, 2) FMA(1, v, 1) FMA(2, v, 0)
#define INTO_3(v) FMA(1, v, 2) FMA(2, v, 1) FMA(3, v, 0)
#define INTO_4(v) FMA(2, v, 2) FMA(3, v, 1)
#define INTO_5(v) FMA(3, v, 2)
#define ROW(i, kx, L0, L1) L0(i, 0, kx) INTO_##i(0) L1(i, 1, kx) INTO_##i(1)
#define COLUMN(kx, L0, L1) \
    WEIGHTS(kx)            \
    ROW(0, kx, L0, L1) ROW(1, kx, L0, L1) ROW(2, kx, L0, L1) ROW(3, kx, L0, L1) ROW(4, kx, L0, L1) ROW(5, kx, L0, L1)

#define CLIP(rv) "vmaxps %[a" #rv "], %[w0], %[a" #rv "]\n\tvminps %[a" #rv "], %[w1], %[a" #rv "]\n\t"
#define STORE(r, at) \
    CLIP(r##0) CLIP(r##1) "vmovups %[a" #r "0], (%[r0]" at ")\n\tvmovups %[a" #r "1], (%[r1]" at ")\n\t"

/* A block of the channel at x. row[i]: how many bytes behind x input row i lies; y: how many behind a vector's first
   taps in the first row its outputs do, `pitch` apart; ends[]: of the clip. */
SPR_INLINE void rows_tile(const uintptr_t *row, uintptr_t x, const float *w, uintptr_t y, size_t pitch,
                          const float *ends, const rows_block *b) {
    spr_v a00, a01, a10, a11, a20, a21, a30, a31, w0, w1, w2, x0, x1;
    uintptr_t r0 = row[0], r1 = row[1], r2 = row[2];
    const uintptr_t o0 = x + b->at[0], o1 = x + b->at[1];
    __asm__ volatile(
        "vbroadcastss 36(%[w]), %[a00]\n\t" BIAS(01) BIAS(10) BIAS(11) BIAS(20) BIAS(21) BIAS(30) BIAS(31)
        COLUMN(0, LOAD_SOME, LOAD) COLUMN(1, LOAD, LOAD) COLUMN(2, LOAD, LOAD_SOME)
        "vbroadcastss (%[ends]), %[w0]\n\t"
        "vbroadcastss 4(%[ends]), %[w1]\n\t"
        "lea (%[y],%[o0]), %[r0]\n\t"
        "lea (%[y],%[o1]), %[r1]\n\t"
        "lea (%[pitch],%[pitch],2), %[r2]\n\t"
        STORE(0, "") STORE(1, ",%[pitch]") STORE(2, ",%[pitch],2") STORE(3, ",%[r2]")
        : [a00] "=&x"(a00), [a01] "=&x"(a01), [a10] "=&x"(a10), [a11] "=&x"(a11), [a20] "=&x"(a20),
          [a21] "=&x"(a21), [a30] "=&x"(a30), [a31] "=&x"(a31), [w0] "=&x"(w0), [w1] "=&x"(w1), [w2] "=&x"(w2),
          [x0] "=&x"(x0), [x1] "=&x"(x1), [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2)
        : [r3] "r"(row[3]), [r4] "r"(row[4]), [r5] "r"(row[5]), [w] "r"(w), [o0] "r"(o0), [o1] "r"(o1), [y] "r"(y),
          [pitch] "r"(pitch), [ends] "r"(ends), [m0] "x"(b->mask[0]), [m1] "x"(b->mask[1])
        : "memory");
}

#define PAIR_0(v) FMA(0, v, 0)
#define PAIR_1(v) FMA(0, v, 1) FMA(1, v, 0)
#define PAIR_2(v) FMA(0, v, 2) FMA(1, v, 1)
#define PAIR_3(v) FMA(1, v, 2)
#define PAIR_ROW(i, kx, L0, L1) L0(i, 0, kx) PAIR_##i(0) L1(i, 1, kx) PAIR_##i(1)
#define PAIR_COLUMN(kx, L0, L1) \
    WEIGHTS(kx)                 \
    PAIR_ROW(0, kx, L0, L1) PAIR_ROW(1, kx, L0, L1) PAIR_ROW(2, kx, L0, L1) PAIR_ROW(3, kx, L0, L1)

/* The same of two rows. */
SPR_INLINE void pair_tile(const uintptr_t *row, uintptr_t x, const float *w, uintptr_t y, size_t pitch,
                          const float *ends, const rows_block *b) {
    spr_v a00, a01, a10, a11, w0, w1, w2, x0, x1;
    uintptr_t r0 = row[0], r1 = row[1];
    const uintptr_t o0 = x + b->at[0], o1 = x + b->at[1];
    __asm__ volatile(
        "vbroadcastss 36(%[w]), %[a00]\n\t" BIAS(01) BIAS(10) BIAS(11)
        PAIR_COLUMN(0, LOAD_SOME, LOAD) PAIR_COLUMN(1, LOAD, LOAD) PAIR_COLUMN(2, LOAD, LOAD_SOME)
        "vbroadcastss (%[ends]), %[w0]\n\t"
        "vbroadcastss 4(%[ends]), %[w1]\n\t"
        "lea (%[y],%[o0]), %[r0]\n\t"
        "lea (%[y],%[o1]), %[r1]\n\t"
        STORE(0, "") STORE(1, ",%[pitch]")
        : [a00] "=&x"(a00), [a01] "=&x"(a01), [a10] "=&x"(a10), [a11] "=&x"(a11), [w0] "=&x"(w0), [w1] "=&x"(w1),
          [w2] "=&x"(w2), [x0] "=&x"(x0), [x1] "=&x"(x1), [r0] "+r"(r0), [r1] "+r"(r1)
        : [r2] "r"(row[2]), [r3] "r"(row[3]), [w] "r"(w), [o0] "r"(o0), [o1] "r"(o1), [y] "r"(y),
          [pitch] "r"(pitch), [ends] "r"(ends), [m0] "x"(b->mask[0]), [m1] "x"(b->mask[1])
        : "memory");
}

/* n output rows, at least ROWS; the rest as in rows_tile(). What is left over is a pair, or the last ROWS again. */
static void rows_channel(const uintptr_t *rp, uintptr_t x, const float *w, uintptr_t y, size_t pitch, uint32_t n,
                         const float *ends, const rows_block *blocks, const rows_block *stop) {
    uint32_t oy = 0;
    for (; n - oy > 2; oy += ROWS) {
        if (n - oy < ROWS) oy = n - ROWS;
        for (const rows_block *b = blocks; b < stop; b++) rows_tile(rp + oy, x, w, y + oy * pitch, pitch, ends, b);
    }
    if (oy == n) return;
    oy = n - 2;
    for (const rows_block *b = blocks; b < stop; b++) pair_tile(rp + oy, x, w, y + oy * pitch, pitch, ends, b);
}

static uint32_t block_count(const spr_window *win) { return (win->ow + 2 * SPR_VL - 1) / (2 * SPR_VL); }

static void make_blocks(rows_block *blocks, const spr_window *win) {
    const uint32_t ow = win->ow, count = block_count(win);
    for (uint32_t i = 0; i < count; i++) {
        const size_t first = i + 1 < count ? i * 2 * SPR_VL : ow > 2 * SPR_VL ? ow - 2 * SPR_VL : 0;
        const size_t second = i + 1 < count ? first + SPR_VL : ow - SPR_VL;
        const ptrdiff_t left = (ptrdiff_t)first - win->pl, right = (ptrdiff_t)second - win->pl;
        blocks[i] = (rows_block){
            .mask = {spr_vmask_columns(left, win->iw), spr_vmask_columns(right + 2, win->iw)},
            .at = {(uintptr_t)left * sizeof(float), (uintptr_t)right * sizeof(float)},
        };
    }
}

/* Scratch: blocks, where the input rows lie, a row of zeros. */
static size_t rows_scratch(const spr_conv_shape *s) {
    const spr_window *win = &s->win;
    const size_t own = block_count(win) * sizeof(rows_block) + ((size_t)win->oh + 2) * sizeof(uintptr_t) +
                       win->iw * sizeof(float);
    const size_t other = spr_dwconv_traits_avx2.scratch(s);
    return own > other ? own : other;
}

void spr_dwconv_rows_f32_avx2(const spr_conv_args *a) {
    const spr_window *win = &a->shape->win;
    const uint32_t n = a->oy1 - a->oy0;
    const int clip = a->act.fn == SPR_FN_CLIP, plain = clip || a->act.fn == SPR_FN_NONE;
    /* What is computed twice must not read what was written. */
    if (a->z || n < ROWS || a->act.fn == SPR_FN_PRELU) {
        spr_dwconv_f32_avx2(a);
        return;
    }
    rows_block *const blocks = a->scratch, *const stop = blocks + block_count(win);
    uintptr_t *const rp = (uintptr_t *)stop;
    const spr_dw_rows rows = spr_dw_rows_make(a, rp, (float *)(rp + n + 2));
    make_blocks(blocks, win);
    const float ends[2] = {clip ? a->act.a : -__builtin_inff(), clip ? a->act.b : __builtin_inff()};
    /* Other activations take a pass over what is still in L1. */
    const uint32_t step = plain ? n : (1024 / win->ow + 1) * ROWS;
    const uintptr_t left = (uintptr_t)win->pl * sizeof(float);
    const size_t lanes = spr_plane_lanes((size_t)win->oh * win->ow), record = spr_dwconv_record(a->shape);
    for (uint32_t row = a->row0; row < a->row1; row++) {
        const uintptr_t x = (uintptr_t)(a->x + row * a->x_stride);
        const float *w = (const float *)a->packed + row * record;
        float *plane = a->y + row * a->y_stride;
        spr_dw_rows_begin(&rows, x);
        if (a->oy1 == win->oh) { /* the padding lanes; what of these lanes belongs to the last rows, they write over */
            spr_vstore(plane + lanes - 2 * SPR_VL, spr_vzero());
            spr_vstore(plane + lanes - SPR_VL, spr_vzero());
        }
        for (uint32_t oy = 0, end; oy < n; oy = end) {
            end = n - oy >= step + ROWS ? oy + step : n;
            float *y = plane + (size_t)(a->oy0 + oy) * win->ow;
            rows_channel(rp + oy, x, w, (uintptr_t)y - x + left, win->ow * sizeof *y, end - oy, ends, blocks, stop);
            if (!plain) a->unary(y, y, (size_t)(end - oy) * win->ow, &a->act);
        }
    }
}

/* At most one column is before the row and at most one behind it. Where the last block is little but overlap, other
   kernels are faster. */
static int rows_match(const spr_conv_shape *s) {
    const spr_window *w = &s->win;
    return spr_dwconv_match_fixed(s) && w->kw == 3 && w->sw == 1 && w->pl >= 0 && w->pl <= 1 &&
           w->ow - w->pl + 1 <= w->iw && w->oh >= ROWS && w->ow > 9 && (w->ow <= 16 || w->ow > 19);
}

const spr_conv_traits spr_dwconv_rows_traits_avx2 = {rows_match, spr_dwconv_size, spr_dwconv_pack, rows_scratch};

SPR_TARGET_POP
#endif
