/* Packing for the quantized pointwise kernels; the format is in pack.h. */
#include "kernels/pointwise_q8/pack.h"

#include <math.h>
#include <string.h>

#include "kernels/q8_x86.h"

/* At the start of the packed weights: where the arrays begin, in bytes. */
typedef struct head {
    uint64_t bias, scale, shift, ptr, offset, w, end;
    uint32_t groups, starts, narrow;
} head;

/* What is stored, and how. */
typedef struct form {
    uint32_t height; /* rows of a sparse block, 0: dense */
    int even;        /* blocks of some rows are made an even number by one of zeros */
} form;

/* Rows rounded up to groups. */
static uint32_t rows_of(const spr_pw_q8_weights *w) { return (uint32_t)spr_round_up(w->n, SPR_Q8_GROUP); }

/* The four weights of a row, all 0 for rows beyond the last. */
static const int8_t *weights_at(const spr_pw_q8_weights *w, uint32_t row, uint32_t group) {
    static const int8_t none[SPR_Q8_GROUP];
    return row < w->n ? w->w + ((size_t)row * w->groups + group) * SPR_Q8_GROUP : none;
}

/* Appends four weights. */
static char *put(const int8_t *four, char *out) {
    memcpy(out, four, SPR_Q8_GROUP);
    return out + SPR_Q8_GROUP;
}

static int is_stored(const spr_pw_q8_weights *w, uint32_t height, uint32_t row, uint32_t group) {
    int any = 0;
    for (uint32_t r = 0; r < height; r++)
        for (int i = 0; i < SPR_Q8_GROUP; i++) any |= weights_at(w, row + r, group)[i];
    return any != 0;
}

static size_t count_blocks(const spr_pw_q8_weights *w, const form *f) {
    size_t count = 0;
    for (uint32_t row = 0; row < rows_of(w); row += f->height) {
        for (uint32_t g = 0; g < w->groups; g++) count += (size_t)is_stored(w, f->height, row, g);
        if (f->even) count += count % 2;
    }
    return count;
}

static head head_of(const spr_pw_q8_weights *w, const form *f) {
    const size_t rows = rows_of(w), blocks = f->height ? count_blocks(w, f) : w->groups;
    head h = {.groups = w->groups};
    h.bias = spr_round_up(sizeof h, SPR_LINE);
    h.scale = h.bias + spr_round_up(rows * sizeof(int32_t), SPR_LINE);
    h.shift = h.scale + spr_round_up(rows * sizeof(float), SPR_LINE);
    h.ptr = h.shift + (SPR_X86_64 ? spr_round_up(rows * sizeof(float), SPR_LINE) : 0);
    h.offset = h.ptr + (f->height ? spr_round_up((rows / f->height + 1) * sizeof(uint32_t), SPR_LINE) : 0);
    h.w = h.offset + spr_round_up(blocks * sizeof(uint32_t), SPR_LINE);
    h.end = h.w + (f->height ? blocks * f->height : rows * w->groups) * SPR_Q8_GROUP;
    return h;
}

uint32_t spr_pw_q8_rows_start(const spr_pw_q8_weights *w) {
    for (uint32_t row = 0; row < w->n; row++) {
        const int8_t *of_row = w->w + (size_t)row * w->groups * SPR_Q8_GROUP;
        int64_t positive = 0;
        for (size_t i = 0; i < (size_t)w->groups * SPR_Q8_GROUP; i++) positive += of_row[i] > 0 ? of_row[i] : 0;
        if (!spr_q8_row_starts(w->bias[row] + 255 * positive, w->scale[row])) return 0;
    }
    return 1;
}

static void pack_rows(const spr_pw_q8_weights *w, head h, char *dst) {
    int32_t *bias = (int32_t *)(dst + h.bias);
    float *scale = (float *)(dst + h.scale), *shift = (float *)(dst + h.shift);
    if (SPR_X86_64) h.starts = spr_pw_q8_rows_start(w);
    if (SPR_AARCH64) h.narrow = spr_pw_q8_narrow(w);
    memcpy(dst, &h, sizeof h);
    for (uint32_t row = 0; row < rows_of(w); row++) {
        bias[row] = row < w->n ? w->bias[row] : 0;
        scale[row] = row < w->n ? w->scale[row] : 0;
        if (SPR_X86_64) shift[row] = -SPR_Q8_START_VALUE * scale[row];
    }
}

uint32_t spr_pw_q8_narrow(const spr_pw_q8_weights *w) {
    uint32_t narrow = SPR_Q8_NARROW_SUMS | SPR_Q8_NARROW_VALUES;
    const int32_t least = SPR_Q8_MIN, most = SPR_Q8_MAX; /* of x */
    for (uint32_t row = 0; row < w->n; row++) {
        const int8_t *const v = w->w + (size_t)row * w->groups * SPR_Q8_GROUP;
        int64_t low = w->bias[row], high = low;
        for (size_t i = 0; i < (size_t)w->groups * SPR_Q8_GROUP; i++) {
            low += v[i] * (v[i] < 0 ? most : least);
            high += v[i] * (v[i] < 0 ? least : most);
        }
        const int64_t size = high > -low ? high : -low;
        if (size >= 1 << 22) narrow &= ~(uint32_t)SPR_Q8_NARROW_SUMS;
        if (!((double)size * fabs((double)w->scale[row]) < 32000)) narrow &= ~(uint32_t)SPR_Q8_NARROW_VALUES;
    }
    return narrow;
}

static size_t size(const spr_pw_q8_weights *w, form f) { return (size_t)head_of(w, &f).end; }

static void dense_pack(const spr_pw_q8_weights *w, form f, void *dst) {
    const head h = head_of(w, &f);
    pack_rows(w, h, dst);
    memcpy((char *)dst + h.offset, w->offset, w->groups * sizeof *w->offset);
    char *out = (char *)dst + h.w;
    for (uint32_t row = 0; row < rows_of(w); row += SPR_Q8_GROUP)
        for (uint32_t g = 0; g < w->groups; g++)
            for (uint32_t r = 0; r < SPR_Q8_GROUP; r++) out = put(weights_at(w, row + r, g), out);
}

static void sparse_pack(const spr_pw_q8_weights *w, form f, void *dst) {
    const head h = head_of(w, &f);
    pack_rows(w, h, dst);
    uint32_t *ptr = (uint32_t *)((char *)dst + h.ptr), *offset = (uint32_t *)((char *)dst + h.offset), count = 0;
    char *out = (char *)dst + h.w;
    for (uint32_t row = 0; row < rows_of(w); row += f.height) {
        *ptr++ = count;
        for (uint32_t g = 0; g < w->groups; g++) {
            if (!is_stored(w, f.height, row, g)) continue;
            offset[count++] = w->offset[g];
            for (uint32_t r = 0; r < f.height; r++) out = put(weights_at(w, row + r, g), out);
        }
        if (f.even && count % 2) {
            offset[count] = offset[count - 1];
            count++;
            for (uint32_t r = 0; r < f.height; r++) out = put(weights_at(w, w->n, 0), out);
        }
    }
    *ptr = count;
}

spr_pw_q8_packed spr_pw_q8_packed_of(const void *packed) {
    const char *p = packed;
    head h;
    memcpy(&h, p, sizeof h);
    return (spr_pw_q8_packed){
        .bias = (const int32_t *)(p + h.bias),
        .scale = (const float *)(p + h.scale),
        .shift = (const float *)(p + h.shift),
        .offset = (const uint32_t *)(p + h.offset),
        .w = (const int8_t *)(p + h.w),
        .ptr = (const uint32_t *)(p + h.ptr),
        .groups = h.groups,
        .starts = h.starts,
        .narrow = h.narrow,
    };
}

/* ---- dense, in pairs of groups without weights of -128: those are -127 and, in a copy of the group at the end, -1 */

static int has_least(const spr_pw_q8_weights *w, uint32_t group) {
    for (uint32_t row = 0; row < w->n; row++)
        for (uint32_t i = 0; i < SPR_Q8_GROUP; i++)
            if (w->w[((size_t)row * w->groups + group) * SPR_Q8_GROUP + i] == -128) return 1;
    return 0;
}

static head paired_head(const spr_pw_q8_weights *w) {
    spr_pw_q8_weights more = *w;
    for (uint32_t g = 0; g < w->groups; g++) more.groups += (uint32_t)has_least(w, g);
    more.groups += more.groups % 2;
    return head_of(&more, &(form){0});
}

static size_t paired_size(const spr_pw_q8_weights *w) { return (size_t)paired_head(w).end; }

static void paired_pack(const spr_pw_q8_weights *w, void *dst) {
    const head h = paired_head(w);
    pack_rows(w, h, dst);
    uint32_t *offset = (uint32_t *)((char *)dst + h.offset), last = w->groups;
    int8_t *const out = (int8_t *)dst + h.w;
    memset(out, 0, h.end - h.w);
    for (uint32_t g = 0; g < w->groups; g++) {
        const uint32_t copy = has_least(w, g) ? last++ : g;
        offset[g] = offset[copy] = w->offset[g];
        for (uint32_t row = 0; row < w->n; row++)
            for (uint32_t i = 0; i < SPR_Q8_GROUP; i++) {
                const int8_t v = w->w[((size_t)row * w->groups + g) * SPR_Q8_GROUP + i];
                int8_t *const at = out + (size_t)(row / 4) * h.groups * 16 + row % 4 * 4 + i;
                at[(size_t)g * 16] = v == -128 ? -127 : v;
                if (copy != g) at[(size_t)copy * 16] = v == -128 ? -1 : 0;
            }
    }
    if (last < h.groups) offset[last] = w->offset[0];
}

const spr_pw_q8_packing spr_pack_pw_dense_q8_paired = {paired_size, paired_pack, NULL};

/* ---- dense, in pairs of groups for SMMLA */

static head eights_head(const spr_pw_q8_weights *w) {
    spr_pw_q8_weights even = *w;
    even.groups += even.groups % 2;
    return head_of(&even, &(form){0});
}

static size_t eights_size(const spr_pw_q8_weights *w) { return (size_t)eights_head(w).end; }

static size_t eights_scratch(const spr_pw_q8_weights *w) {
    const uint32_t groups = w->groups + w->groups % 2;
    return (size_t)spr_pw_q8_eights_pixels(groups) * groups * SPR_Q8_GROUP;
}

static void eights_pack(const spr_pw_q8_weights *w, void *dst) {
    const head h = eights_head(w);
    pack_rows(w, h, dst);
    uint32_t *offset = (uint32_t *)((char *)dst + h.offset);
    for (uint32_t g = 0; g < h.groups; g++) offset[g] = w->offset[g < w->groups ? g : 0];
    char *out = (char *)dst + h.w;
    for (uint32_t row = 0; row < rows_of(w); row += SPR_Q8_GROUP)
        for (uint32_t first = 0; first < h.groups; first += 2)
            for (uint32_t r = 0; r < SPR_Q8_GROUP; r++)
                for (uint32_t g = first; g < first + 2; g++, out += SPR_Q8_GROUP)
                    memcpy(out, weights_at(w, g < w->groups ? row + r : w->n, g), SPR_Q8_GROUP);
}

const spr_pw_q8_packing spr_pack_pw_dense_q8_eights = {eights_size, eights_pack, eights_scratch};

#if SPR_X86_64
/* ---- dense, in halves */

/* What a group's weights have too much, as four weights; returns whether that is anything. */
static int beyond_halves(const int8_t *w, int8_t *more) {
    int any = 0;
    for (int i = 0; i < SPR_Q8_GROUP; i += 2) {
        const int sum = w[i] + w[i + 1];
        more[i] = (int8_t)(sum > 128 ? sum - 128 : sum < -128 ? sum + 128 : 0);
        more[i + 1] = 0;
        any |= more[i];
    }
    return any != 0;
}

/* Groups that are needed besides for a quad of rows. */
static uint32_t count_more(const spr_pw_q8_weights *w, uint32_t row) {
    uint32_t most = 0;
    for (uint32_t r = row; r < row + SPR_Q8_GROUP; r++) {
        int8_t more[SPR_Q8_GROUP];
        uint32_t count = 0;
        for (uint32_t g = 0; g < w->groups; g++) count += (uint32_t)beyond_halves(weights_at(w, r, g), more);
        if (count > most) most = count;
    }
    return most;
}

static head halves_head(const spr_pw_q8_weights *w) {
    const size_t rows = rows_of(w);
    size_t more = 0;
    head h = head_of(w, &(form){0});
    for (uint32_t row = 0; row < rows; row += SPR_Q8_GROUP) more += count_more(w, row);
    h.offset = h.ptr + spr_round_up((rows / SPR_Q8_GROUP + 1) * sizeof(uint32_t), SPR_LINE);
    h.w = h.offset + spr_round_up((w->groups + more * SPR_Q8_GROUP) * sizeof(uint32_t), SPR_LINE);
    h.end = h.w + (rows * w->groups + more * SPR_Q8_GROUP) * SPR_Q8_GROUP;
    return h;
}

static size_t halves_size(const spr_pw_q8_weights *w) { return (size_t)halves_head(w).end; }

static void halves_pack(const spr_pw_q8_weights *w, void *dst) {
    const head h = halves_head(w);
    const uint32_t rows = rows_of(w);
    pack_rows(w, h, dst);
    uint32_t *ptr = (uint32_t *)((char *)dst + h.ptr), *offset = (uint32_t *)((char *)dst + h.offset), count = 0;
    int8_t *out = (int8_t *)dst + h.w, *const beyond = out + (size_t)rows * w->groups * SPR_Q8_GROUP;
    memcpy(offset, w->offset, w->groups * sizeof *offset);
    offset += w->groups;
    for (uint32_t row = 0; row < rows; row += SPR_Q8_GROUP) {
        const uint32_t more = count_more(w, row);
        uint32_t used[SPR_Q8_GROUP] = {count, count, count, count};
        *ptr++ = count;
        memset(beyond + (size_t)count * 16, 0, (size_t)more * 16);
        for (uint32_t i = 0; i < more * SPR_Q8_GROUP; i++) offset[(size_t)count * SPR_Q8_GROUP + i] = w->offset[0];
        for (uint32_t g = 0; g < w->groups; g++)
            for (uint32_t r = 0; r < SPR_Q8_GROUP; r++, out += SPR_Q8_GROUP) {
                const int8_t *const four = weights_at(w, row + r, g);
                int8_t much[SPR_Q8_GROUP];
                if (beyond_halves(four, much)) {
                    const size_t at = (size_t)used[r]++ * SPR_Q8_GROUP + r;
                    offset[at] = w->offset[g];
                    memcpy(beyond + at * SPR_Q8_GROUP, much, sizeof much);
                }
                for (int i = 0; i < SPR_Q8_GROUP; i++) out[i] = (int8_t)(four[i] - much[i]);
            }
        count += more;
    }
    *ptr = count;
}

const spr_pw_q8_packing spr_pack_pw_dense_q8_halves = {halves_size, halves_pack, NULL};
#endif

#define PACKING(name, pack, ...)                                                                             \
    static size_t size_##name(const spr_pw_q8_weights *w) { return size(w, (form){__VA_ARGS__}); }            \
    static void pack_##name(const spr_pw_q8_weights *w, void *dst) { pack(w, (form){__VA_ARGS__}, dst); }     \
    const spr_pw_q8_packing spr_pack_pw_##name = {size_##name, pack_##name, NULL};
PACKING(dense_q8, dense_pack, 0, 0)
PACKING(1x4_q8, sparse_pack, 1, 0)
PACKING(2x4_q8, sparse_pack, 2, 0)
PACKING(1x4_q8_even, sparse_pack, 1, 1)
PACKING(2x4_q8_even, sparse_pack, 2, 1)
