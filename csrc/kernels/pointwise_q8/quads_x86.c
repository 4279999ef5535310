/* Packing of single weights in quads of magnitudes and signs; the format is in quads_x86.h. */
#include "kernels/pointwise_q8/quads_x86.h"

#if SPR_X86_64
#include <stdlib.h>
#include <string.h>

#include "kernels/q8_x86.h"

/* Pixels of a line: a line of the cache, which tiles of one row take at once, or half of one where so many channels do
   not fit into L1 otherwise. */
enum { WIDE = 64, NARROW = 32, WIDE_CHANNELS = 2048, WIDE_CHANNELS_2 = 256 };

typedef struct head {
    uint64_t bias, scale, shift, offset, line, ptr, quads, end;
    uint32_t groups, stride, starts;
} head;

static uint32_t rows_of(const spr_pw_q8_weights *w) { return (uint32_t)spr_round_up(w->n, SPR_Q8_GROUP); }

static int weight(const spr_pw_q8_weights *w, uint32_t row, uint32_t channel) {
    return row < w->n ? w->w[(size_t)row * w->groups * SPR_Q8_GROUP + channel] : 0;
}

/* Which signs a channel's weights have in some rows, one of 1 << height kinds; -1 if all are 0. */
static int kind_of(const spr_pw_q8_weights *w, uint32_t height, uint32_t row, uint32_t channel) {
    int any = 0, kind = 0;
    for (uint32_t r = 0; r < height; r++) {
        const int v = weight(w, row + r, channel);
        any |= v;
        kind |= (v < 0) << r;
    }
    return any ? kind : -1;
}

static int is_used(const spr_pw_q8_weights *w, uint32_t group) {
    for (uint32_t row = 0; row < w->n; row++)
        for (uint32_t i = 0; i < SPR_Q8_GROUP; i++)
            if (weight(w, row, group * SPR_Q8_GROUP + i)) return 1;
    return 0;
}

static size_t count_quads(const spr_pw_q8_weights *w, uint32_t height, uint32_t row) {
    size_t count[4] = {0}, pairs = 0;
    for (uint32_t c = 0; c < w->groups * SPR_Q8_GROUP; c++) {
        const int kind = kind_of(w, height, row, c);
        if (kind >= 0) count[kind]++;
    }
    for (int kind = 0; kind < 4; kind++) pairs += (count[kind] + 1) / 2;
    return (pairs + 1) / 2;
}

static size_t quad_bytes(uint32_t height) { return height == 1 ? sizeof(spr_q8_signed1) : sizeof(spr_q8_signed2); }

static head head_of(const spr_pw_q8_weights *w, uint32_t height) {
    const size_t rows = rows_of(w);
    size_t quads = 0;
    head h = {.groups = 0};
    for (uint32_t g = 0; g < w->groups; g++) h.groups += (uint32_t)is_used(w, g);
    for (uint32_t row = 0; row < rows; row += height) quads += count_quads(w, height, row);
    h.stride = h.groups * SPR_Q8_GROUP <= (height == 1 ? WIDE_CHANNELS : WIDE_CHANNELS_2) ? WIDE : NARROW;
    h.bias = spr_round_up(sizeof h, SPR_LINE);
    h.scale = h.bias + spr_round_up(rows * sizeof(int32_t), SPR_LINE);
    h.shift = h.scale + spr_round_up(rows * sizeof(float), SPR_LINE);
    h.offset = h.shift + spr_round_up(rows * sizeof(float), SPR_LINE);
    h.line = h.offset + spr_round_up(w->groups * sizeof(uint32_t), SPR_LINE);
    h.ptr = h.line + spr_round_up(w->groups * sizeof(uint32_t), SPR_LINE);
    h.quads = h.ptr + spr_round_up((rows / height + 1) * sizeof(uint32_t), SPR_LINE);
    h.end = h.quads + quads * quad_bytes(height);
    return h;
}

/* Packs the quads of some rows, channels in about ascending order; returns how many. line: those of the groups. */
static uint32_t pack_quads(const spr_pw_q8_weights *w, uint32_t height, uint32_t row, const uint32_t *line,
                           uint32_t stride, char *out) {
    uint32_t pairs = 0, open[4] = {0}; /* pairs of a kind that lack a weight, counted from 1 */
    for (uint32_t c = 0; c < w->groups * SPR_Q8_GROUP; c++) {
        const int kind = kind_of(w, height, row, c);
        if (kind < 0) continue;
        const uint32_t pair = open[kind] ? open[kind] - 1 : pairs, place = pair % 2 * 2 + (open[kind] != 0);
        char *const quad = out + pair / 2 * quad_bytes(height);
        uint32_t *const at = (uint32_t *)quad;
        uint8_t *const magnitude = (uint8_t *)(at + 4);
        int16_t *const sign = (int16_t *)(magnitude + 4 * height);
        if (!open[kind]) {
            if (pair % 2 == 0) memset(quad, 0, quad_bytes(height));
            open[kind] = ++pairs;
        } else {
            open[kind] = 0;
        }
        at[place] = (line[c / SPR_Q8_GROUP] + c % SPR_Q8_GROUP) * stride;
        for (uint32_t r = 0; r < height; r++) {
            magnitude[4 * r + place] = (uint8_t)abs(weight(w, row + r, c));
            sign[2 * r + pair % 2] = kind >> r & 1 ? -1 : 1;
        }
    }
    return (pairs + 1) / 2;
}

static void pack(const spr_pw_q8_weights *w, uint32_t height, void *dst) {
    head h = head_of(w, height);
    char *const to = dst;
    int32_t *bias = (int32_t *)(to + h.bias);
    float *scale = (float *)(to + h.scale), *shift = (float *)(to + h.shift);
    uint32_t *offset = (uint32_t *)(to + h.offset), *line = (uint32_t *)(to + h.line), *ptr = (uint32_t *)(to + h.ptr);
    uint32_t count = 0, used = 0;
    h.starts = spr_pw_q8_rows_start(w);
    memcpy(dst, &h, sizeof h);
    for (uint32_t row = 0; row < rows_of(w); row++) {
        uint32_t sum = row < w->n ? (uint32_t)w->bias[row] : 0; /* may wrap around, as sums do on the way */
        for (uint32_t c = 0; c < w->groups * SPR_Q8_GROUP; c++) sum += (uint32_t)(128 * weight(w, row, c));
        memcpy(bias + row, &sum, sizeof sum);
        scale[row] = row < w->n ? w->scale[row] : 0;
        shift[row] = -SPR_Q8_START_VALUE * scale[row];
    }
    for (uint32_t g = 0; g < w->groups; g++) {
        line[g] = used * SPR_Q8_GROUP;
        if (is_used(w, g)) offset[used++] = w->offset[g];
    }
    for (uint32_t row = 0; row < rows_of(w); row += height) {
        *ptr++ = count;
        count += pack_quads(w, height, row, line, h.stride, to + h.quads + count * quad_bytes(height));
    }
    *ptr = count;
}

spr_pw_q8_signed spr_pw_q8_signed_of(const void *packed) {
    const char *p = packed;
    head h;
    memcpy(&h, p, sizeof h);
    return (spr_pw_q8_signed){
        .bias = (const int32_t *)(p + h.bias),
        .scale = (const float *)(p + h.scale),
        .shift = (const float *)(p + h.shift),
        .offset = (const uint32_t *)(p + h.offset),
        .ptr = (const uint32_t *)(p + h.ptr),
        .quads = p + h.quads,
        .groups = h.groups,
        .stride = h.stride,
        .starts = h.starts,
    };
}

#define PACKING(name, height)                                                                                         \
    static size_t size_##name(const spr_pw_q8_weights *w) { return (size_t)head_of(w, height).end; }                  \
    static void pack_##name(const spr_pw_q8_weights *w, void *dst) { pack(w, height, dst); }                          \
    static size_t scratch_##name(const spr_pw_q8_weights *w) {                                                        \
        const head h = head_of(w, height);                                                                            \
        return (size_t)h.groups * SPR_Q8_GROUP * h.stride;                                                            \
    }                                                                                                                 \
    const spr_pw_q8_packing spr_pack_pw_##name = {size_##name, pack_##name, scratch_##name};
PACKING(csr_q8_signed, 1)
PACKING(2x1_q8_signed, 2)
#endif
