/* Packing for the quantized pointwise kernels; the format is in pack.h. */
#include "kernels/pointwise_q8/pack.h"

#include <string.h>

/* At the start of the packed weights: where the arrays begin, in bytes. */
typedef struct head {
    uint64_t bias, scale, ptr, offset, w, end;
    uint32_t groups;
} head;

/* Rows rounded up to groups. */
static uint32_t rows_of(const spr_pw_q8_weights *w) { return (uint32_t)spr_round_up(w->n, SPR_Q8_GROUP); }

static int32_t load4(const int8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The four weights of a row, all 0 for rows beyond the last. */
static int32_t weights_at(const spr_pw_q8_weights *w, uint32_t row, uint32_t group) {
    return row < w->n ? load4(w->w + ((size_t)row * w->groups + group) * SPR_Q8_GROUP) : 0;
}

static int is_stored(const spr_pw_q8_weights *w, uint32_t height, uint32_t row, uint32_t group) {
    int32_t any = 0;
    for (uint32_t r = 0; r < height; r++) any |= weights_at(w, row + r, group);
    return any != 0;
}

static size_t count_blocks(const spr_pw_q8_weights *w, uint32_t height) {
    size_t count = 0;
    for (uint32_t row = 0; row < rows_of(w); row += height)
        for (uint32_t g = 0; g < w->groups; g++) count += (size_t)is_stored(w, height, row, g);
    return count;
}

/* height 0: dense. */
static head head_of(const spr_pw_q8_weights *w, uint32_t height) {
    const size_t rows = rows_of(w), blocks = height ? count_blocks(w, height) : w->groups;
    head h = {.groups = w->groups};
    h.bias = spr_round_up(sizeof h, SPR_LINE);
    h.scale = h.bias + spr_round_up(rows * sizeof(int32_t), SPR_LINE);
    h.ptr = h.scale + spr_round_up(rows * sizeof(float), SPR_LINE);
    h.offset = h.ptr + (height ? spr_round_up((rows / height + 1) * sizeof(uint32_t), SPR_LINE) : 0);
    h.w = h.offset + spr_round_up(blocks * sizeof(uint32_t), SPR_LINE);
    h.end = h.w + (height ? blocks * height : rows * w->groups) * SPR_Q8_GROUP;
    return h;
}

static void pack_rows(const spr_pw_q8_weights *w, const head *h, char *dst) {
    int32_t *bias = (int32_t *)(dst + h->bias);
    float *scale = (float *)(dst + h->scale);
    memcpy(dst, h, sizeof *h);
    for (uint32_t row = 0; row < rows_of(w); row++) {
        bias[row] = row < w->n ? w->bias[row] : 0;
        scale[row] = row < w->n ? w->scale[row] : 0;
    }
}

static size_t dense_size(const spr_pw_q8_weights *w) { return (size_t)head_of(w, 0).end; }

static void dense_pack(const spr_pw_q8_weights *w, void *dst) {
    const head h = head_of(w, 0);
    pack_rows(w, &h, dst);
    memcpy((char *)dst + h.offset, w->offset, w->groups * sizeof *w->offset);
    int32_t *out = (int32_t *)((char *)dst + h.w);
    for (uint32_t row = 0; row < rows_of(w); row += SPR_Q8_GROUP)
        for (uint32_t g = 0; g < w->groups; g++)
            for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) *out++ = weights_at(w, row + r, g);
}

static void sparse_pack(const spr_pw_q8_weights *w, uint32_t height, void *dst) {
    const head h = head_of(w, height);
    pack_rows(w, &h, dst);
    uint32_t *ptr = (uint32_t *)((char *)dst + h.ptr), *offset = (uint32_t *)((char *)dst + h.offset), count = 0;
    int32_t *out = (int32_t *)((char *)dst + h.w);
    for (uint32_t row = 0; row < rows_of(w); row += height) {
        *ptr++ = count;
        for (uint32_t g = 0; g < w->groups; g++) {
            if (!is_stored(w, height, row, g)) continue;
            offset[count++] = w->offset[g];
            for (uint32_t r = 0; r < height; r++) *out++ = weights_at(w, row + r, g);
        }
    }
    *ptr = count;
}

static size_t size_1(const spr_pw_q8_weights *w) { return (size_t)head_of(w, 1).end; }
static size_t size_2(const spr_pw_q8_weights *w) { return (size_t)head_of(w, 2).end; }
static void pack_1(const spr_pw_q8_weights *w, void *dst) { sparse_pack(w, 1, dst); }
static void pack_2(const spr_pw_q8_weights *w, void *dst) { sparse_pack(w, 2, dst); }

spr_pw_q8_packed spr_pw_q8_packed_of(const void *packed) {
    const char *p = packed;
    head h;
    memcpy(&h, p, sizeof h);
    return (spr_pw_q8_packed){
        .bias = (const int32_t *)(p + h.bias), .scale = (const float *)(p + h.scale), .offset = (const uint32_t *)(p + h.offset),
        .w = (const int8_t *)(p + h.w), .ptr = (const uint32_t *)(p + h.ptr), .groups = h.groups,
    };
}

const spr_pw_q8_packing spr_pack_pw_dense_q8 = {dense_size, dense_pack, NULL};
const spr_pw_q8_packing spr_pack_pw_1x4_q8 = {size_1, pack_1, NULL};
const spr_pw_q8_packing spr_pack_pw_2x4_q8 = {size_2, pack_2, NULL};
