/* Quantized dense pointwise convolution with AMX: 16 rows times 16 pixels of sums in a tile, to which an instruction
 * adds the products of up to 16 groups of channels. Pixels of a group lie in memory as a row of its second operand
 * wants them. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/pointwise_q8/pack.h"
#include "kernels/q8_x86.h"
#include "kernels/unary/act_avx512.h"

enum { SIDE = 16, LINE = SPR_LINE };

/* At the start of the packed weights; arrays begin at these bytes. Groups are taken `depth` at a time, the last ones
   together with some before, whose weights are 0 then. */
typedef struct head {
    uint64_t bias;        /* int32 [rows rounded up to SIDE], 0 beyond the last, as are: */
    uint64_t scale, shift;
    uint64_t offset;      /* uint32 [steps][depth], pixels */
    uint64_t stride;      /* uint32 [steps]: bytes between a step's groups, 0: not the same */
    uint64_t w;           /* [rows / SIDE][steps][SIDE][LINE], the first 4 * depth bytes of a line are used */
    uint64_t end;
    uint32_t blocks, steps, depth, starts; /* the last as in spr_pw_q8_packed */
} head;

static head head_of(const spr_pw_q8_weights *w) {
    head h = {.blocks = (w->n + SIDE - 1) / SIDE, .steps = (w->groups + SIDE - 1) / SIDE};
    h.depth = (w->groups + h.steps - 1) / h.steps;
    const size_t rows = (size_t)h.blocks * SIDE;
    h.bias = spr_round_up(sizeof h, LINE);
    h.scale = h.bias + rows * sizeof(int32_t);
    h.shift = h.scale + rows * sizeof(float);
    h.offset = h.shift + rows * sizeof(float);
    h.stride = h.offset + spr_round_up((size_t)h.steps * h.depth * sizeof(uint32_t), LINE);
    h.w = h.stride + spr_round_up(h.steps * sizeof(uint32_t), LINE);
    h.end = h.w + (size_t)h.blocks * h.steps * SIDE * LINE;
    return h;
}

static size_t size(const spr_pw_q8_weights *w) { return (size_t)head_of(w).end; }

/* Where sums start: [rows rounded up to SIDE][SIDE], each repeated for the pixels of a tile. */
static size_t scratch(const spr_pw_q8_weights *w) { return spr_round_up(w->n, SIDE) * LINE; }

/* First group of a step. */
static uint32_t group_of(const spr_pw_q8_weights *w, const head *h, uint32_t step) {
    return step * h->depth + h->depth <= w->groups ? step * h->depth : w->groups - h->depth;
}

static void pack(const spr_pw_q8_weights *w, void *dst) {
    head h = head_of(w);
    h.starts = spr_pw_q8_rows_start(w);
    char *p = dst;
    uint32_t *offset = (uint32_t *)(p + h.offset), *stride = (uint32_t *)(p + h.stride);
    memset(p, 0, (size_t)h.end);
    memcpy(p, &h, sizeof h);
    memcpy(p + h.bias, w->bias, w->n * sizeof *w->bias);
    memcpy(p + h.scale, w->scale, w->n * sizeof *w->scale);
    for (uint32_t row = 0; row < w->n; row++) ((float *)(p + h.shift))[row] = -SPR_Q8_START_VALUE * w->scale[row];
    for (uint32_t step = 0, done = 0; step < h.steps; step++) {
        const uint32_t first = group_of(w, &h, step), *of = w->offset + first;
        int even = h.depth == 1 || of[1] > of[0];
        for (uint32_t i = 0; i < h.depth; i++) {
            offset[step * h.depth + i] = of[i];
            even = even && of[i] - of[0] == i * (h.depth > 1 ? of[1] - of[0] : 0);
        }
        stride[step] = !even ? 0 : h.depth == 1 ? LINE : (of[1] - of[0]) * SPR_Q8_GROUP;
        for (uint32_t row = 0; row < w->n; row++) {
            char *line = p + h.w + (((size_t)(row / SIDE) * h.steps + step) * SIDE + row % SIDE) * LINE;
            for (uint32_t i = done - first; i < h.depth; i++) /* groups of the step before stay 0 */
                memcpy(line + i * 4, w->w + ((size_t)row * w->groups + first + i) * 4, 4);
        }
        done = first + h.depth;
    }
}

const spr_pw_q8_packing spr_pack_pw_dense_q8_amx = {size, pack, scratch};

SPR_TARGET_PUSH("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8")

#include "kernels/pointwise_q8/x86_avx512.h"

/* gcc 12's intrinsics do not tell that they read all of what p points to: to be called when it has been written. */
SPR_INLINE void written(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* Tiles: 0 ... 3 sums [row block][pixels], 4 and 5 weights, 6 and 7 pixels. */
static void configure(uint32_t depth) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth * 4 : LINE);
        tiles.rows[i] = (uint8_t)(i < 6 ? SIDE : depth);
    }
    written(&tiles);
    _tile_loadconfig(&tiles);
}

typedef struct call {
    const spr_pw_q8_args *a;
    finish_avx512 finish;
    head h;
    const char *start; /* of sums */
    const float *scale, *shift;
    const uint32_t *offset, *stride;
    const char *w;
} call;

/* Where the pixels of a step lie, and how far apart its groups are; copied into `copy` where that varies. */
SPR_INLINE const char *pixels_of(const call *c, uint32_t step, uint32_t px, uint32_t *stride, char (*copy)[LINE]) {
    const uint32_t *offset = c->offset + step * c->h.depth;
    const spr_q8 *x = c->a->x + (size_t)px * SPR_Q8_GROUP;
    *stride = c->stride[step];
    if (*stride) return (const char *)(x + (size_t)offset[0] * SPR_Q8_GROUP);
    for (uint32_t i = 0; i < c->h.depth; i++)
        _mm512_store_si512(copy[i], _mm512_loadu_si512(x + (size_t)offset[i] * SPR_Q8_GROUP));
    *stride = LINE;
    written(copy);
    return copy[0];
}

/* One or two blocks of rows times one or two of pixels. */
SPR_INLINE void tile(const uint32_t rows, const uint32_t columns, const call *c, uint32_t block, uint32_t px) {
    SPR_ALIGNED(64) char copy[2][SIDE][LINE];
    __m512i sum[4][SIDE];
    const size_t next = (size_t)c->h.steps * SIDE * LINE;
    const char *w = c->w + block * next, *start = c->start + (size_t)block * SIDE * LINE;
    _tile_loadd(0, start, LINE);
    if (columns > 1) _tile_loadd(1, start, LINE);
    if (rows > 1) _tile_loadd(2, start + SIDE * LINE, LINE);
    if (rows > 1 && columns > 1) _tile_loadd(3, start + SIDE * LINE, LINE);
    for (uint32_t step = 0; step < c->h.steps; step++, w += SIDE * LINE) {
        uint32_t stride_0, stride_1;
        const char *x_0 = pixels_of(c, step, px, &stride_0, copy[0]);
        _tile_loadd(4, w, LINE);
        _tile_loadd(6, x_0, stride_0);
        _tile_dpbsud(0, 4, 6);
        if (rows > 1) {
            _tile_loadd(5, w + next, LINE);
            _tile_dpbsud(2, 5, 6);
        }
        if (columns > 1) {
            const char *x_1 = pixels_of(c, step, px + SIDE, &stride_1, copy[1]);
            _tile_loadd(7, x_1, stride_1);
            _tile_dpbsud(1, 4, 7);
            if (rows > 1) _tile_dpbsud(3, 5, 7);
        }
    }
    _tile_stored(0, sum[0], LINE);
    if (columns > 1) _tile_stored(1, sum[1], LINE);
    if (rows > 1) _tile_stored(2, sum[2], LINE);
    if (rows > 1 && columns > 1) _tile_stored(3, sum[3], LINE);
    const uint32_t row0 = block * SIDE > c->a->row0 ? block * SIDE : c->a->row0;
    const uint32_t row1 = (block + rows) * SIDE < c->a->row1 ? (block + rows) * SIDE : c->a->row1;
    for (uint32_t row = row0; row < row1; row += SPR_Q8_GROUP) {
        const uint32_t i = row - block * SIDE;
        finish_rows_avx512(c->a, &c->finish, columns, sum[i / SIDE * 2] + i % SIDE, SIDE, c->scale, c->shift, row, px);
    }
}

static void tile_1x1(const call *c, uint32_t block, uint32_t px) { tile(1, 1, c, block, px); }
static void tile_1x2(const call *c, uint32_t block, uint32_t px) { tile(1, 2, c, block, px); }
static void tile_2x1(const call *c, uint32_t block, uint32_t px) { tile(2, 1, c, block, px); }
static void tile_2x2(const call *c, uint32_t block, uint32_t px) { tile(2, 2, c, block, px); }

/* As much of 2 x 2 tiles as there is before block1 and the end of the pixels. */
static void any_tile(const call *c, uint32_t block, uint32_t block1, uint32_t px) {
    static void (*const tiles[2][2])(const call *, uint32_t, uint32_t) = {{tile_1x1, tile_1x2}, {tile_2x1, tile_2x2}};
    tiles[block + 1 < block1][px + SIDE < c->a->px1](c, block, px);
}

void spr_pw_dense_q8_amx(const spr_pw_q8_args *a) {
    const char *p = a->packed;
    call c = {.a = a, .start = a->scratch};
    memcpy(&c.h, p, sizeof c.h);
    c.finish = finish_of_avx512(a, c.h.starts);
    c.scale = (const float *)(p + c.h.scale);
    c.shift = (const float *)(p + c.h.shift);
    c.offset = (const uint32_t *)(p + c.h.offset);
    c.stride = (const uint32_t *)(p + c.h.stride);
    c.w = p + c.h.w;
    const uint32_t block0 = a->row0 / SIDE, block1 = (a->row1 + SIDE - 1) / SIDE;
    const int32_t *bias = (const int32_t *)(p + c.h.bias);
    for (uint32_t row = block0 * SIDE; row < block1 * SIDE; row++)
        _mm512_store_si512((char *)a->scratch + (size_t)row * LINE, _mm512_set1_epi32(bias[row] + c.finish.start));
    written(a->scratch);
    configure(c.h.depth);
    if (block1 - block0 < (a->px1 - a->px0) / SIDE) /* what is read again for each of the others is to be the smaller */
        for (uint32_t px = a->px0; px < a->px1; px += 2 * SIDE)
            for (uint32_t block = block0; block < block1; block += 2) any_tile(&c, block, block1, px);
    else
        for (uint32_t block = block0; block < block1; block += 2)
            for (uint32_t px = a->px0; px < a->px1; px += 2 * SIDE) any_tile(&c, block, block1, px);
    _tile_release();
}

SPR_TARGET_POP
#endif
