/* Packing for the quantized fully connected kernels; the format is in pack.h. */
#include "kernels/fc_q8/pack.h"

#include <string.h>

/* At the start of the packed weights: where the arrays begin, in bytes. */
typedef struct head {
    uint64_t scale, w;
    uint32_t groups;
    int32_t w_zero;
} head;

static head head_of(const spr_fc_q8_weights *w) {
    const size_t column = spr_round_up(spr_round_up(w->n, SPR_FC_Q8_ROWS) * 4, SPR_LINE);
    return (head){.scale = SPR_LINE + column, .w = SPR_LINE + 2 * column, .groups = (w->k + 3) / 4,
                  .w_zero = w->w_zero};
}

static size_t size(const spr_fc_q8_weights *w) {
    const head h = head_of(w);
    return (size_t)h.w + spr_round_up(w->n, SPR_FC_Q8_ROWS) * h.groups * 4;
}

static void pack(const spr_fc_q8_weights *w, void *dst) {
    const head h = head_of(w);
    int32_t *bias = (int32_t *)((char *)dst + SPR_LINE);
    float *scale = (float *)((char *)dst + h.scale);
    int8_t *out = (int8_t *)dst + h.w;
    memcpy(dst, &h, sizeof h);
    for (uint32_t row = 0; row < spr_round_up(w->n, SPR_FC_Q8_ROWS); row++) {
        bias[row] = row < w->n ? w->bias[row] : 0;
        scale[row] = row < w->n ? w->scale[row] : 0;
    }
    for (uint32_t row0 = 0; row0 < w->n; row0 += SPR_FC_Q8_ROWS)
        for (uint32_t g = 0; g < h.groups; g++)
            for (uint32_t row = row0; row < row0 + SPR_FC_Q8_ROWS; row++)
                for (uint32_t k = 4 * g; k < 4 * g + 4; k++)
                    *out++ = row >= w->n ? 0 : k < w->k ? w->w[(size_t)row * w->k + k] : (int8_t)w->w_zero;
}

spr_fc_q8_packed spr_fc_q8_packed_of(const void *packed) {
    const char *p = packed;
    head h;
    memcpy(&h, p, sizeof h);
    return (spr_fc_q8_packed){.bias = (const int32_t *)(p + SPR_LINE), .scale = (const float *)(p + h.scale),
                              .w = (const int8_t *)(p + h.w), .groups = h.groups, .w_zero = h.w_zero};
}

const spr_fc_q8_packing spr_pack_fc_dense_q8 = {size, pack};
