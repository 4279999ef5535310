/* The dense pointwise NEON kernels (see neon_dense.h), included by one file per kind of core, which defines before:
 *
 *   LOOP(V)       inline assembly that computes 8 rows of V vectors, 1 or 3, sums c<row><vector>, from an
 *                 spr_neon_dense_block
 *   PANEL         channels per panel: a panel's tile of 12 pixels, up to two lines of every plane, stays in L1
 *   VARIANT(x)    x with the suffix of the variant */
#include <arm_neon.h>

#include "kernels/pointwise/neon_dense.h"

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

/* Row r, V = 1 or 3: sums begin with what lies at x13, to which its bias is added; or as copies of the bias. All biases
   are in registers 30 and 31, 29 holds ones. */
#define FROM1(r) "ldr %q[c" #r "0], [x13]\n" FROM_NEXT
#define FROM3(r) "ldp %q[c" #r "0], %q[c" #r "1], [x13]\n" "ldr %q[c" #r "2], [x13, #32]\n" FROM_NEXT
#define FROM_NEXT "add x13, x13, x14\n"
#define BIAS1(r, v, lane) "dup %[c" #r "0].4s, v" #v ".s[" #lane "]\n"
#define BIAS2(r, v, lane) BIAS1(r, v, lane) "dup %[c" #r "1].4s, v" #v ".s[" #lane "]\n"
#define BIAS3(r, v, lane) BIAS2(r, v, lane) "dup %[c" #r "2].4s, v" #v ".s[" #lane "]\n"
#define ADD1(r, v, lane) "fmla %[c" #r "0].4s, v29.4s, v" #v ".s[" #lane "]\n"
#define ADD2(r, v, lane) ADD1(r, v, lane) "fmla %[c" #r "1].4s, v29.4s, v" #v ".s[" #lane "]\n"
#define ADD3(r, v, lane) ADD2(r, v, lane) "fmla %[c" #r "2].4s, v29.4s, v" #v ".s[" #lane "]\n"
#define ALL(F) F(0, 30, 0) F(1, 30, 1) F(2, 30, 2) F(3, 30, 3) F(4, 31, 0) F(5, 31, 1) F(6, 31, 2) F(7, 31, 3)

/* Loads the block into x9 (input), x10 (weights), x11 (channels) and x12 (stride), and begins the sums. */
#define BEGIN(V)                                                                                            \
    "ldp x9, x10, [%[b]]\n"                                                                                 \
    "ldp x11, x12, [%[b], #16]\n"                                                                           \
    "ldp x13, x14, [%[b], #32]\n"                                                                           \
    "ldr x15, [%[b], #48]\n"                                                                                \
    "cbz x13, 2f\n" FROM##V(0) FROM##V(1) FROM##V(2) FROM##V(3) FROM##V(4) FROM##V(5) FROM##V(6) FROM##V(7) \
    "cbz x15, 3f\n"                                                                                         \
    "ldp q30, q31, [x15]\n"                                                                                 \
    "fmov v29.4s, #1.0\n" ALL(ADD##V)                                                                       \
    "b 3f\n"                                                                                                \
    "2: ldp q30, q31, [x15]\n" ALL(BIAS##V)                                                                 \
    "3:\n"

#define CLOBBERS                                                                                                     \
    "memory", "cc", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "v24", "v25", "v26", "v27", "v28", "v29", "v30", \
        "v31"

#define TILE(V)                                                                             \
    static SPR_NOINLINE void VARIANT(spr_pw_dense_tile##V)(const spr_neon_dense_job *t) {   \
        const spr_pw_args *a = t->args;                                                     \
        const spr_act *act = &a->act;                                                       \
        const size_t y_stride = a->y_stride;                                                \
        const spr_function fn = t->last ? act->fn : SPR_FN_NONE;                            \
        float buffer[8 * SPR_NEON_DENSE_LANES];                                             \
        spr_neon_dense_block b = {.x = a->x + t->k0 * a->x_stride + t->px,                  \
                                  .channels = t->channels,                                  \
                                  .x_stride = a->x_stride * sizeof(float)};                 \
        for (uint32_t row = a->row0; row < a->row1; row += 8) {                             \
            const uint32_t rows = a->row1 - row < 8 ? a->row1 - row : 8;                    \
            float *y = a->y + row * y_stride + t->px;                                       \
            b.w = t->w + (size_t)row * t->channels;                                         \
            spr_neon_dense_begin(&b, buffer, t, row, rows, 4 * V);                          \
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
            if (t->last && t->pad) spr_neon_dense_pad(t, y, rows, 4 * V);                   \
        }                                                                                   \
    }

TILE(1)
TILE(3)

void VARIANT(spr_pw_dense_f32)(const spr_pw_args *args) {
    spr_neon_dense_run(args, VARIANT(spr_pw_dense_tile1), VARIANT(spr_pw_dense_tile3));
}

static void dense_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    (void)x_stride;
    spr_neon_dense_pack(w, PANEL, dst);
}

const spr_pw_packing VARIANT(spr_pack_pw_dense) = {spr_neon_dense_size, dense_pack};
