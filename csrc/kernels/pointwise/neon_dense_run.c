/* See neon_dense.h. */
#include "base/compiler.h"

#if SPR_AARCH64
#include <arm_neon.h>
#include <string.h>

#include "kernels/pointwise/neon_dense.h"

typedef struct header {
    uint32_t n, kp, panels, groups; /* groups of 8 rows */
} header;

void spr_neon_dense_begin(spr_neon_dense_block *b, float *buffer, const spr_neon_dense_job *t, uint32_t row,
                          uint32_t rows, uint32_t lanes) {
    const spr_pw_args *a = t->args;
    const size_t stride = t->first ? a->z_stride : a->y_stride;
    const float *from = t->first ? a->z : a->y;
    b->from = NULL;
    b->bias = t->first ? t->bias + row : NULL;
    if (!from) return;
    b->from = from + row * stride + t->px;
    b->from_stride = stride * sizeof(float);
    if (rows == 8) return;
    memset(buffer, 0, 8 * SPR_NEON_DENSE_LANES * sizeof(float));
    for (uint32_t r = 0; r < rows; r++)
        memcpy(buffer + r * SPR_NEON_DENSE_LANES, b->from + r * stride, lanes * sizeof(float));
    b->from = buffer;
    b->from_stride = SPR_NEON_DENSE_LANES * sizeof(float);
}

void spr_neon_dense_pad(const spr_neon_dense_job *t, float *y, uint32_t rows, uint32_t lanes) {
    for (uint32_t r = 0; r < rows; r++, y += t->args->y_stride)
        for (uint32_t i = 0; i < t->pad; i++) vst1q_f32(y + lanes + 4 * i, vdupq_n_f32(0));
}

/* Applies the activation to pixels [px0, px1) of all rows. */
static void activate(const spr_pw_args *a, uint32_t px0, uint32_t px1) {
    spr_act act = a->act;
    for (uint32_t row = a->row0; row < a->row1; row++) {
        float *y = a->y + row * a->y_stride + px0;
        if (act.fn == SPR_FN_PRELU) act.slope = a->act.slope + row;
        a->unary(y, y, px1 - px0, &act);
    }
}

void spr_neon_dense_run(const spr_pw_args *args, spr_neon_dense_tile *one, spr_neon_dense_tile *three) {
    const header *h = args->packed;
    const float *bias = (const float *)((const char *)args->packed + SPR_LINE);
    const float *weights = bias + spr_round_up((size_t)h->groups * 8, SPR_LINE / sizeof(float));
    spr_neon_dense_job t = {.args = args, .bias = bias};
    /* Pixels for each call of an activation, 0 where tiles apply it: several tiles, as long as they stay in L1. */
    const uint32_t most = args->act.fn <= SPR_FN_HARD_SWISH ? 0 : args->row1 - args->row0 > 128 ? 24 : 48;
    uint32_t active = args->px0; /* pixels up to here are done */
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
            (vectors == 1 ? one : three)(&t);
        }
        const uint32_t end = px + 4 * vectors;
        if (most && (end >= args->px1 || end - active >= most)) {
            activate(args, active, end);
            active = end;
        }
    }
}

size_t spr_neon_dense_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    const size_t rows = spr_round_up(w->n, 8);
    return SPR_LINE + spr_round_up(rows * sizeof(float), SPR_LINE) + rows * w->k * sizeof(float);
}

void spr_neon_dense_pack(const spr_pw_weights *w, uint32_t panel, void *dst) {
    header h = {.n = w->n, .panels = (w->k + panel - 1) / panel, .groups = (w->n + 7) / 8};
    h.kp = (w->k + h.panels - 1) / h.panels;
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

#endif
