/* Packing of single weights in quads; the format is in planar.h. */
#include "kernels/pointwise_q8/planar.h"

#include <stdlib.h>
#include <string.h>

/* Pixels of a line: WIDE, so that lines of memory are read four at a time, which prefetchers notice; NARROW where the
   lines of so many channels would not fit into L1. Two rows take half of the pixels at a time, of which the other half
   is in the way. 32-bit ARM has half of the registers for sums. */
enum { WIDE = SPR_ARM32 ? 32 : 64, NARROW = WIDE / 2, WIDE_CHANNELS = 512 };

typedef struct head {
    uint64_t bias, scale, offset, line, ptr, quads, end;
    uint32_t groups, stride, narrow;
} head;

/* What a packing is: rows of a quad, and whether the sum of its weights is bounded. */
typedef struct form {
    uint32_t height;
    int bounded;
} form;

static uint32_t rows_of(const spr_pw_q8_weights *w) { return (uint32_t)spr_round_up(w->n, SPR_Q8_GROUP); }

static int weight(const spr_pw_q8_weights *w, uint32_t row, uint32_t channel) {
    return row < w->n ? w->w[(size_t)row * w->groups * SPR_Q8_GROUP + channel] : 0;
}

/* The larger magnitude of a channel's weights in the rows of a quad; 0: it is not stored. */
static int magnitude(const spr_pw_q8_weights *w, form f, uint32_t row, uint32_t channel) {
    int most = 0;
    for (uint32_t r = row; r < row + f.height; r++) {
        const int m = abs(weight(w, r, channel));
        if (m > most) most = m;
    }
    return most;
}

static int is_used(const spr_pw_q8_weights *w, uint32_t group) {
    for (uint32_t row = 0; row < w->n; row++)
        for (uint32_t i = 0; i < SPR_Q8_GROUP; i++)
            if (weight(w, row, group * SPR_Q8_GROUP + i)) return 1;
    return 0;
}

/* ---- which magnitudes go together ---- */

/* Magnitudes of a row's weights, or the larger ones of two rows: how many there are of each. */
typedef struct bag {
    uint32_t count[129], all;
    int least; /* none is smaller */
} bag;

static void fill(bag *b, const spr_pw_q8_weights *w, form f, uint32_t row) {
    memset(b, 0, sizeof *b);
    for (uint32_t c = 0; c < w->groups * SPR_Q8_GROUP; c++) {
        const int m = magnitude(w, f, row, c);
        b->count[m] += m != 0;
        b->all += m != 0;
    }
    b->least = 1;
}

/* Takes the largest that leaves room for as many of the smallest as there are other places; 0 where none fits. */
static int take(bag *b, int room, int places) {
    if (!b->all) return 0;
    while (!b->count[b->least]) b->least++;
    const int others = (int)b->all - 1 < places - 1 ? (int)b->all - 1 : places - 1;
    int most = room - others * b->least;
    if (most < b->least) most = room;
    if (most > 128) most = 128;
    while (most >= b->least && !b->count[most]) most--;
    if (most < b->least) return 0;
    b->count[most]--;
    b->all--;
    return most;
}

/* Fills places together, 0 where nothing fits; returns whether all are taken. */
static int take_some(bag *b, int *m, int places) {
    int room = SPR_Q8_BOUND, full = 1;
    for (int i = 0; i < places; i++) {
        m[i] = take(b, room, places - i);
        room -= m[i];
        full &= m[i] != 0;
    }
    return full;
}

/* Leaves as many of the smallest as would fill quads evenly; the others go to `rest`. */
static void set_aside(bag *b, bag *rest) {
    uint32_t sum = 0, count = 0;
    *rest = *b;
    memset(b->count, 0, sizeof b->count);
    for (int m = 1; m <= 128; m++)
        for (; rest->count[m] && 4 * (sum + (uint32_t)m) <= SPR_Q8_BOUND * (count + 1); rest->count[m]--) {
            b->count[m]++;
            sum += (uint32_t)m;
            count++;
        }
    b->all = count;
    rest->all -= count;
}

/* The magnitudes of the next quad: first of whole ones from b, then of halves from `rest`. Returns 0 after the last. */
static int next_quad(bag *b, bag *rest, int m[4], uint32_t *whole) {
    while (b->all) {
        if (take_some(b, m, 4)) {
            ++*whole;
            return 1;
        }
        for (int i = 0; i < 4; i++) {
            rest->count[m[i]]++;
            rest->all += m[i] != 0;
        }
    }
    if (!rest->all) return 0;
    take_some(rest, m, 2);
    take_some(rest, m + 2, 2);
    return 1;
}

static uint32_t count_quads(const spr_pw_q8_weights *w, form f, uint32_t row) {
    bag b, rest;
    int m[4];
    uint32_t quads = 0, whole = 0;
    fill(&b, w, f, row);
    if (!f.bounded) return (b.all + 3) / 4;
    for (set_aside(&b, &rest); next_quad(&b, &rest, m, &whole);) quads++;
    return quads;
}

/* ---- packing ---- */

static head head_of(const spr_pw_q8_weights *w, form f) {
    const size_t rows = rows_of(w);
    size_t quads = 0;
    head h = {.groups = 0};
    for (uint32_t g = 0; g < w->groups; g++) h.groups += (uint32_t)is_used(w, g);
    for (uint32_t row = 0; row < rows; row += f.height) quads += count_quads(w, f, row);
    h.stride = h.groups * SPR_Q8_GROUP * f.height <= WIDE_CHANNELS ? WIDE : NARROW;
    h.bias = spr_round_up(sizeof h, SPR_LINE);
    h.scale = h.bias + spr_round_up(rows * sizeof(int32_t), SPR_LINE);
    h.offset = h.scale + spr_round_up(rows * sizeof(float), SPR_LINE);
    h.line = h.offset + spr_round_up(w->groups * sizeof(uint32_t), SPR_LINE);
    h.ptr = h.line + spr_round_up(w->groups * sizeof(uint32_t), SPR_LINE);
    h.quads = h.ptr + spr_round_up((rows / f.height * 2 + 1) * sizeof(uint32_t), SPR_LINE);
    h.end = h.quads + (quads + 1) * (f.height == 1 ? sizeof(spr_q8_quad1) : sizeof(spr_q8_quad2));
    return h;
}

/* Quads of a row while they are filled, as words of 32 bits. A place that waits for a weight holds the number of the
   next one that waits for the same magnitude; numbers begin with 1, first[] has the first ones. */
typedef struct places {
    uint32_t *quad;
    uint32_t words; /* of a quad */
    uint32_t first[129];
} places;

static uint32_t *place_at(const places *p, uint32_t number) {
    return p->quad + (size_t)((number - 1) / 4) * p->words + (number - 1) % 4;
}

/* Makes places for all weights of a row; returns the number of quads, *whole that of whole ones. */
static uint32_t make_places(places *p, const spr_pw_q8_weights *w, form f, uint32_t row, uint32_t *whole) {
    bag b, rest;
    int m[4];
    uint32_t quads = 0;
    fill(&b, w, f, row);
    set_aside(&b, &rest);
    memset(p->first, 0, sizeof p->first);
    for (*whole = 0; next_quad(&b, &rest, m, whole); quads++)
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t number = quads * 4 + i + 1;
            *place_at(p, number) = p->first[m[i]];
            p->first[m[i]] = number;
        }
    return quads;
}

/* Packs the quads of a row, or of two; returns the number of quads, *whole that of whole ones. */
static uint32_t pack_quads(const spr_pw_q8_weights *w, form f, uint32_t row, const uint32_t *line, uint32_t stride,
                           uint32_t *quad, uint32_t *whole) {
    places p = {.quad = quad, .words = 4 + f.height};
    const uint32_t quads = f.bounded ? make_places(&p, w, f, row, whole) : (*whole = count_quads(w, f, row));
    uint32_t stored = 0;
    for (uint32_t q = 0; q < quads; q++) memset(quad + (size_t)q * p.words + 4, 0, f.height * sizeof *quad);
    for (uint32_t c = 0; c < w->groups * SPR_Q8_GROUP; c++) {
        const int m = magnitude(w, f, row, c);
        if (!m) continue;
        uint32_t number = ++stored;
        if (f.bounded) {
            number = p.first[m];
            p.first[m] = *place_at(&p, number);
        }
        uint32_t *at = place_at(&p, number);
        int8_t *out = (int8_t *)(quad + (size_t)((number - 1) / 4) * p.words + 4);
        *at = (line[c / SPR_Q8_GROUP] + c % SPR_Q8_GROUP) * stride;
        for (uint32_t r = 0; r < f.height; r++) out[r * 4 + (number - 1) % 4] = (int8_t)weight(w, row + r, c);
    }
    /* places without a weight */
    for (uint32_t number = f.bounded ? p.first[0] : 0, next; number; number = next) {
        next = *place_at(&p, number);
        *place_at(&p, number) = 0;
    }
    for (uint32_t number = stored + 1; !f.bounded && number <= quads * 4; number++) *place_at(&p, number) = 0;
    return quads;
}

static void pack(const spr_pw_q8_weights *w, form f, void *dst) {
    head h = head_of(w, f);
    char *const to = dst;
    int32_t *bias = (int32_t *)(to + h.bias);
    float *scale = (float *)(to + h.scale);
    uint32_t *offset = (uint32_t *)(to + h.offset), *line = (uint32_t *)(to + h.line), *ptr = (uint32_t *)(to + h.ptr);
    uint32_t *quad = (uint32_t *)(to + h.quads), count = 0, used = 0;
    h.narrow = spr_pw_q8_narrow(w);
    memcpy(dst, &h, sizeof h);
    for (uint32_t row = 0; row < rows_of(w); row++) {
        bias[row] = row < w->n ? w->bias[row] : 0;
        scale[row] = row < w->n ? w->scale[row] : 0;
    }
    for (uint32_t g = 0; g < w->groups; g++) {
        line[g] = used * SPR_Q8_GROUP;
        if (is_used(w, g)) offset[used++] = w->offset[g];
    }
    for (uint32_t row = 0; row < rows_of(w); row += f.height) {
        uint32_t whole, quads = pack_quads(w, f, row, line, h.stride, quad + (size_t)count * (4 + f.height), &whole);
        *ptr++ = count;
        *ptr++ = count + whole;
        count += quads;
    }
    *ptr = count;
    const size_t words = 4 + f.height;
    memset(quad + count * words, 0, words * sizeof *quad);
}

spr_pw_q8_planar spr_pw_q8_planar_of(const void *packed) {
    const char *p = packed;
    head h;
    memcpy(&h, p, sizeof h);
    return (spr_pw_q8_planar){
        .bias = (const int32_t *)(p + h.bias),
        .scale = (const float *)(p + h.scale),
        .offset = (const uint32_t *)(p + h.offset),
        .ptr = (const uint32_t *)(p + h.ptr),
        .quads = p + h.quads,
        .groups = h.groups,
        .stride = h.stride,
        .narrow = h.narrow,
    };
}

#define PACKING(name, rows, bound)                                                                                  \
    static size_t size_##name(const spr_pw_q8_weights *w) { return (size_t)head_of(w, (form){rows, bound}).end; }   \
    static void pack_##name(const spr_pw_q8_weights *w, void *dst) { pack(w, (form){rows, bound}, dst); }           \
    static size_t scratch_##name(const spr_pw_q8_weights *w) {                                                      \
        const head h = head_of(w, (form){rows, bound});                                                             \
        return (size_t)h.groups * SPR_Q8_GROUP * h.stride;                                                          \
    }                                                                                                               \
    const spr_pw_q8_packing spr_pack_pw_##name = {size_##name, pack_##name, scratch_##name};
PACKING(csr_q8, 1, 0)
PACKING(2x1_q8, 2, 0)
PACKING(csr_q8_bounded, 1, 1)
PACKING(2x1_q8_bounded, 2, 1)
