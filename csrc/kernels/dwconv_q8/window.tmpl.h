/* Quantized depthwise convolution with the usual windows, K x K with stride 1 or 2 both ways, by dot products over TAPS
 * rows of the input that lie one below the other: a vector then holds, for each of some pixels, 4 channels of TAPS
 * numbers. Pixels of the input are read where they are, those outside replaced in the register. R rows of the output
 * are computed at a time, such that TAPS divides the rows of the input that they need about evenly. 3x3 windows are for
 * strips_*.h, a group at a time. Included with these defined:
 *
 *   V, PIXELS          a vector of bytes, pixels (of four channels) in it
 *   S                  a vector of as many sums, those of a fourth of the pixels
 *   MASK               which pixels of a vector to load
 *   NAME(x)            x with the suffix of the instruction set
 *   TAPS, TAP, TAP_MIN, TAP_MAX   numbers of a dot product, and the type of a weight, of which there are four times
 *                           TAPS in 16 bytes
 *   MASK_OF(lo, hi), LOAD_MASKED(p, mask, other), LOAD(p)   the pixels lo ... hi - 1 of a vector; those at p, others as
 *                           in `other`
 *   REPEAT(pixel)      a vector of the same pixel
 *   LOAD_WEIGHTS(p)    16 bytes, repeated
 *   INTERLEAVE(rows, out)   from TAPS vectors to four; out[i] has the pixels i, 4 + i, 8 + i ... each 16 bytes,
 *                           [4 channels][TAPS]
 *   ROWS_3, ROWS_5, ROWS_7   rows of the output at a time for a stride of 1; the last of 5x5 with a stride of 2 too
 *   ACROSS(k, s)       whether dot products take taps of a row of the window: k <= TAPS
 *   DOT(sum, x, w)     sum += the products of each channel
 *   SUMS(p)            four int32, repeated
 *   finish_consts, finish_of(f, saturates), finish(a, consts, sum, scale, shift, c, y, z, n, stride)   rounds and
 *                      stores n <= PIXELS pixels, channels from c on. For a stride of 1 sum[i] has the pixels i, 4 + i
 *                      ...; for 2, sum[2 h + i] those of half h: i, 2 + i ... */

enum { NAME(MOST_ROWS) = 12 };

/* Rows of the output at a time; 0: a window that is not for this kernel. */
SPR_INLINE uint32_t NAME(rows_at_a_time)(const spr_window *w) {
    if (w->dh != 1 || w->dw != 1 || w->kh != w->kw || w->sh != w->sw || w->sh > 2) return 0;
    if (w->kh != 3 && w->kh != 5 && w->kh != 7) return 0;
    return w->sh == 1 ? (w->kh == 5 ? ROWS_5 : w->kh == 7 ? ROWS_7 : ROWS_3) : w->kh == 5 ? ROWS_7 : 1;
}

static int NAME(match)(const spr_window *w) { return NAME(rows_at_a_time)(w) != 0; }

static size_t NAME(scratch)(const spr_window *w) { return spr_round_up((size_t)w->iw * SPR_Q8_GROUP, SPR_LINE); }

static size_t NAME(channels_of)(const spr_dw_q8_weights *w) { return spr_round_up(w->channels, SPR_Q8_GROUP); }

/* How many weights a weight is the sum of. */
static int32_t NAME(parts)(const spr_dw_q8_weights *w) {
    int32_t parts = 1;
    for (size_t i = 0; i < (size_t)w->channels * w->win.kh * w->win.kw; i++) {
        const int32_t v = w->w[i];
        if (v > TAP_MAX || v < TAP_MIN) parts = v > 2 * TAP_MAX || parts == 3 ? 3 : 2;
    }
    return parts;
}

SPR_INLINE uint32_t NAME(chunks)(uint32_t k, uint32_t s, uint32_t r) { return ((r - 1) * s + k + TAPS - 1) / TAPS; }

/* Bytes of the weights of a group. */
SPR_INLINE size_t NAME(group_bytes)(const spr_window *w, int32_t parts) {
    const uint32_t r = NAME(rows_at_a_time)(w);
    return (size_t)parts * NAME(chunks)(w->kh, w->sh, r) * w->kw * r * 16;
}

static size_t NAME(size)(const spr_dw_q8_weights *w) {
    const size_t channels = NAME(channels_of)(w);
    return 16 + channels * (sizeof(int32_t) + sizeof(float)) +
           channels / 4 * NAME(group_bytes)(&w->win, NAME(parts)(w));
}

/* Whether spr_q8_row_starts holds for all channels. */
static int NAME(channels_start)(const spr_dw_q8_weights *w) {
    const size_t taps = (size_t)w->win.kh * w->win.kw;
    for (uint32_t c = 0; c < w->channels; c++) {
        int64_t positive = 0;
        for (size_t i = 0; i < taps; i++) positive += w->w[c * taps + i] > 0 ? w->w[c * taps + i] : 0;
        if (!spr_q8_row_starts(w->bias[c] + 255 * positive, w->scale[c])) return 0;
    }
    return 1;
}

/* The number of parts and whether all channels start in 16 bytes, bias and scale of the channels, then
   [group][part][chunk of TAPS input rows][column of the window] [output row][4 channels][TAPS], or of windows taken
   across [group][part][row of the window][4 channels][TAPS]. */
static void NAME(pack)(const spr_dw_q8_weights *w, void *dst) {
    const uint32_t k = w->win.kh, s = w->win.sh, r = NAME(rows_at_a_time)(&w->win), chunks = NAME(chunks)(k, s, r);
    const size_t channels = NAME(channels_of)(w);
    int32_t *head = dst, *bias = head + 4;
    float *scale = (float *)(bias + channels);
    TAP *out = (TAP *)(scale + channels);
    const int32_t parts = NAME(parts)(w);
    const size_t group = NAME(group_bytes)(&w->win, parts) / sizeof(TAP);
    memset(dst, 0, NAME(size)(w));
    head[0] = parts;
    head[1] = NAME(channels_start)(w);
    for (uint32_t c = 0; c < w->channels; c++) {
        bias[c] = w->bias[c];
        scale[c] = w->scale[c];
        for (uint32_t i = 0; i < k * k * r; i++) {
            const uint32_t y = i / k % k, x = i % k, oy = i / k / k, iy = oy * s + y;
            int32_t rest = w->w[(c * k + y) * k + x];
            for (int32_t part = 0; part < parts; part++) {
                const int32_t now = rest > TAP_MAX ? TAP_MAX : rest < TAP_MIN ? TAP_MIN : rest;
                const size_t at = ((((size_t)part * chunks + iy / TAPS) * k + x) * r + oy) * 4 + c % 4;
                const size_t across = ((size_t)part * k + y) * 4 + c % 4;
                out[c / 4 * group + (ACROSS(k, s) ? across * TAPS + x : at * TAPS + iy % TAPS)] = (TAP)now;
                rest -= now;
            }
        }
    }
}

/* A step of the walk over the image: r rows of the output from oy on, of which the input rows are row[]. */
typedef struct NAME(step) {
    const spr_dw_q8_args *a;
    finish_consts finish;
    const spr_q8 *x; /* the group's first plane */
    const spr_q8 *row[NAME(MOST_ROWS)];
    uint32_t g, oy, parts;
    const int32_t *bias;
    const float *scale;
    float shift[SPR_Q8_GROUP];
    const int8_t *weights;
} NAME(step);

/* PIXELS columns of the output; inside: all that is read lies in the rows. */
SPR_INLINE void NAME(columns)(const uint32_t k, const uint32_t s, const uint32_t r, const uint32_t parts,
                              const int inside, const NAME(step) * t, uint32_t px) {
    const spr_dw_q8_args *a = t->a;
    const spr_window *w = a->win;
    const uint32_t chunks = NAME(chunks)(k, s, r), quads = (k - 1 + (s == 1 ? 3 : 2)) / 4 + 1;
    const int64_t at = (int64_t)px * s - w->pl;
    const V outside = REPEAT((uint8_t)a->x_zero * 0x01010101u);
    S sum[4][4];
    MASK mask[2][3];
    SPR_UNROLL for (uint32_t i = 0; i < r; i++)
        SPR_UNROLL for (uint32_t v = 0; v < 4; v++) sum[i][v] = SUMS(t->bias);
    SPR_UNROLL for (uint32_t b = 0; b < s; b++)
        SPR_UNROLL for (uint32_t q = 0; q < quads; q++) {
            const int64_t first = at + b * PIXELS + 4 * q;
            mask[b][q] = MASK_OF(first < 0 ? -first : 0, w->iw - first);
        }
    SPR_UNROLL for (uint32_t c = 0; c < chunks; c++) {
        V in[2][12];
        SPR_UNROLL for (uint32_t b = 0; b < s; b++)
            SPR_UNROLL for (uint32_t q = 0; q < quads; q++) {
                V rows[TAPS];
                const uintptr_t first = (uintptr_t)(at + b * PIXELS + 4 * q) * SPR_Q8_GROUP;
                SPR_UNROLL for (uint32_t i = 0; i < TAPS; i++) {
                    const void *p = (const void *)((uintptr_t)t->row[c * TAPS + i] + first);
                    if (c * TAPS + i >= (r - 1) * s + k)
                        rows[i] = rows[i - 1]; /* any, its weights are 0 */
                    else
                        rows[i] = inside ? LOAD(p) : LOAD_MASKED(p, mask[b][q], outside);
                }
                INTERLEAVE(rows, in[b] + 4 * q);
            }
        for (uint32_t part = 0; part < parts; part++)
            SPR_UNROLL for (uint32_t kx = 0; kx < k; kx++)
                SPR_UNROLL for (uint32_t i = 0; i < r; i++) {
                    /* none of the rows of this output */
                    if (c * TAPS + TAPS <= i * s || c * TAPS >= i * s + k) continue;
                    const V four = LOAD_WEIGHTS(t->weights + (((part * chunks + c) * k + kx) * r + i) * 16);
                    SPR_UNROLL for (uint32_t v = 0; v < 4; v++)
                        DOT(sum[i][v], in[s == 1 ? 0 : v / 2][s == 1 ? kx + v : kx + v % 2 * 2], four);
                }
    }
    const uint32_t n = w->ow - px < PIXELS ? w->ow - px : PIXELS;
    SPR_UNROLL for (uint32_t i = 0; i < r; i++) {
        if (t->oy + i >= a->oy1) break;
        const size_t to = (size_t)(t->oy + i) * w->ow + px;
        finish(a, &t->finish, sum[i], t->scale, t->shift, 4 * t->g, a->y + (t->g * a->y_stride + to) * 4,
               a->z ? a->z + (t->g * a->z_stride + to) * 4 : NULL, n, s);
    }
}

SPR_INLINE void NAME(rows)(const uint32_t k, const uint32_t s, const uint32_t r, const uint32_t parts,
                           const NAME(step) * t) {
    const spr_window *w = t->a->win;
    const uint32_t reach = s * PIXELS + (k - 1 + (s == 1 ? 3 : 2)) / 4 * 4; /* pixels read from the first on */
    for (uint32_t px = 0; px < w->ow; px += PIXELS) {
        const int64_t at = (int64_t)px * s - w->pl;
        if (at >= 0 && at + reach <= w->iw)
            NAME(columns)(k, s, r, parts, 1, t, px);
        else
            NAME(columns)(k, s, r, parts, 0, t, px);
    }
}

#if TAPS == 4
#define WINDOW(k, s, r)                                                                                \
    static void NAME(rows_##k##_##s)(const NAME(step) * t) { NAME(rows)(k, s, r, 1, t); }              \
    static void NAME(wide_##k##_##s)(const NAME(step) * t) { NAME(rows)(k, s, r, t->parts, t); }
#else /* 16 bits hold any weight: there is one part */
#define WINDOW(k, s, r) \
    static void NAME(rows_##k##_##s)(const NAME(step) * t) { NAME(rows)(k, s, r, 1, t); }
#endif
#if TAPS == 4
#include "kernels/dwconv_q8/strips_vnni.h"
#else
#include "kernels/dwconv_q8/strips_avx2.h"
#endif
WINDOW(5, 1, ROWS_5)
WINDOW(5, 2, ROWS_7)
WINDOW(7, 1, ROWS_7)
WINDOW(7, 2, 1)

SPR_INLINE void NAME(run)(const spr_dw_q8_args *a) {
    static void (*const fns[][3][2])(const NAME(step) *) = {
        {{NAME(rows_3_1), NAME(rows_3_2)}, {NAME(rows_5_1), NAME(rows_5_2)}, {NAME(rows_7_1), NAME(rows_7_2)}},
#if TAPS == 4
        {{NAME(wide_3_1), NAME(wide_3_2)}, {NAME(wide_5_1), NAME(wide_5_2)}, {NAME(wide_7_1), NAME(wide_7_2)}},
#endif
    };
    const spr_window *w = a->win;
    const size_t channels = spr_round_up(a->channels, SPR_Q8_GROUP);
    const int32_t *head = a->packed, *bias = head + 4;
    const float *scale = (const float *)(bias + channels);
    const int8_t *weights = (const int8_t *)(scale + channels);
    const uint32_t r = NAME(rows_at_a_time)(w), rows = NAME(chunks)(w->kh, w->sh, r) * TAPS;
    void (*const fn)(const NAME(step) *) = fns[TAPS == 4 && *head > 1][w->kh / 2 - 1][w->sh - 1];
    const int saturates = head[1] && !a->z && spr_q8_saturates(a->finish);
    int32_t start[SPR_Q8_GROUP];
    NAME(step) t = {.a = a, .finish = finish_of(a->finish, saturates), .bias = start, .parts = (uint32_t)*head};
    memset(a->scratch, (uint8_t)a->x_zero, (size_t)w->iw * SPR_Q8_GROUP); /* a row outside */
    for (t.g = a->group0; t.g < a->group1; t.g++) {
        t.x = a->x + t.g * a->x_stride * SPR_Q8_GROUP;
        t.scale = scale + 4 * t.g;
        for (uint32_t i = 0; i < SPR_Q8_GROUP; i++) {
            start[i] = bias[4 * t.g + i] + (saturates ? SPR_Q8_START : 0);
            t.shift[i] = -SPR_Q8_START_VALUE * t.scale[i];
        }
        t.weights = weights + t.g * NAME(group_bytes)(w, *head);
        if (w->kh == 3) {
            fn(&t);
            continue;
        }
        for (t.oy = a->oy0; t.oy < a->oy1; t.oy += r) {
            for (uint32_t i = 0; i < rows; i++) {
                const int64_t iy = (int64_t)t.oy * w->sh + i - w->pt;
                t.row[i] = iy < 0 || iy >= w->ih ? a->scratch : t.x + (size_t)iy * w->iw * SPR_Q8_GROUP;
            }
            fn(&t);
        }
    }
}
