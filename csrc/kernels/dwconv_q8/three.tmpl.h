/* Quantized depthwise convolution 3x3, stride 1 or 2 both ways, with NEON. Pixels of the input are read where they lie,
 * those outside replaced in the register; stride 1 computes two rows of eight pixels at a time, stride 2 one row of
 * four. Included with these defined:
 *
 *   NAME(x)        x with the suffix of the instruction set
 *   TAP            the type of a packed weight
 *   GROUP_BYTES(s), PARTS(w), MOST_PARTS   bytes of a group's weights for each part, and how many parts there are, at
 *                  most: a weight is their sum
 *   pack_tap(out, s, c, ky, kx, v)   puts a weight of channel c of a group; the rest is 0
 *   STRIP_ROWS(w)  rows of the output after which the next columns follow: the more, the less often weights are loaded;
 *                  but A53s fetch lines of memory ahead along rows only
 *   INSIDE(s)      whether it pays to have the code again for columns all of whose input lies inside the rows
 *   TAPS, load_taps(s, weights)   the weights of a part in registers
 *   add_rows(s, t, inside, row, at, masks, taps, sum)   adds the products of a part to the sums, int32x4_t sum[2][8];
 *                  row[4] are the rows of the input */

/* How to load four pixels of which some are outside of the row: bytes to move to where all are inside, and where each
   byte is then. */
typedef struct row_mask {
    ptrdiff_t move;
    uint8x16_t index;
} row_mask;

/* A group of channels. */
typedef struct three {
    const spr_dw_q8_args *a;
    finish_consts finish;
    const int8_t *x; /* its image */
    ptrdiff_t row_bytes;
    uint32_t g;
    int32_t parts;
    const int32_t *bias;
    const float *scale;
    const int8_t *weights;
    int8x16_t zero; /* of x */
} three;

/* Pixels first ... first + 3 of a row of n. */
SPR_INLINE row_mask mask_of(int64_t first, int64_t n) {
    static const uint8_t bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const int64_t move = first < 0 ? -first : first + 4 > n ? n - 4 - first : 0;
    const int64_t near = move > 4 ? 4 : move < -4 ? -4 : move;
    return (row_mask){move * SPR_Q8_GROUP, vsubq_u8(vld1q_u8(bytes), vdupq_n_u8((uint8_t)(near * SPR_Q8_GROUP)))};
}

/* Quad q of the pixels from `at` on: four, or two or one where no more are needed. */
SPR_INLINE int8x16_t load_quad(const uint32_t s, const three *t, const int8_t *row, const int inside, int64_t at,
                               const row_mask *masks, const uint32_t q) {
    const int8_t *const p = (const int8_t *)((uintptr_t)row + (uintptr_t)(at + 4 * q) * SPR_Q8_GROUP);
    if (!inside)
        return vqtbx1q_s8(t->zero, vld1q_s8((const int8_t *)((uintptr_t)p + (uintptr_t)masks[q].move)), masks[q].index);
    if (q < 2) return vld1q_s8(p);
    if (s == 1) return vcombine_s8(vld1_s8(p), vdup_n_s8(0));
    return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)p));
}

SPR_INLINE TAPS load_taps(const uint32_t s, const int8_t *weights);
SPR_INLINE void add_rows(const uint32_t s, const three *t, const int inside, const int8_t *const *row, int64_t at,
                         const row_mask *masks, const TAPS *taps, int32x4_t (*sum)[8]);

/* Columns px ... of the output, rows oy to end. */
SPR_INLINE void strip(const uint32_t s, const int inside, const three *t, uint32_t px, uint32_t oy, uint32_t end) {
    const spr_dw_q8_args *a = t->a;
    const spr_window *w = a->win;
    const uint32_t outputs = s == 1 ? 8 : 4, rows = s == 1 ? 2 : 1;
    const int64_t at = (int64_t)px * s - w->pl;
    const int32x4_t bias = vld1q_s32(t->bias);
    const float32x4_t scale = vld1q_f32(t->scale);
    const finish_consts f = t->finish;
    row_mask masks[3];
    if (!inside)
        SPR_UNROLL for (uint32_t q = 0; q < 3; q++) masks[q] = mask_of(at + 4 * q, w->iw);
    TAPS taps = load_taps(s, t->weights);
    for (; oy < end; oy += rows) {
        const int8_t *row[4];
        int32x4_t sum[2][8];
        SPR_UNROLL for (uint32_t i = 0; i < 4; i++) {
            const int64_t iy = (int64_t)oy * s + i - w->pt;
            row[i] = iy < 0 || iy >= w->ih ? a->scratch : t->x + iy * t->row_bytes;
        }
        SPR_UNROLL for (uint32_t r = 0; r < rows; r++)
            SPR_UNROLL for (uint32_t p = 0; p < outputs; p++) sum[r][p] = bias;
        if (MOST_PARTS == 1) {
            add_rows(s, t, inside, row, at, masks, &taps, sum);
        } else { /* the first part's weights in registers would take the code twice */
            for (int32_t part = 0; part < t->parts; part++) {
                taps = load_taps(s, t->weights + part * GROUP_BYTES(s));
                add_rows(s, t, inside, row, at, masks, &taps, sum);
            }
        }
        SPR_UNROLL for (uint32_t r = 0; r < rows; r++)
            if (oy + r < end)
                finish(s == 1 ? 2 : 1, a, &f, sum[r], scale, t->g, (size_t)(oy + r) * w->ow + px, w->ow - px);
    }
}

SPR_INLINE void strips(const uint32_t s, const three *t) {
    const spr_window *w = t->a->win;
    const uint32_t outputs = s == 1 ? 8 : 4, reach = s == 1 ? 10 : 9, rows = STRIP_ROWS(w);
    for (uint32_t oy = t->a->oy0; oy < t->a->oy1; oy += rows) {
        const uint32_t end = t->a->oy1 - oy < rows ? t->a->oy1 : oy + rows;
        for (uint32_t px = 0; px < w->ow; px += outputs) {
            /* some again rather than a part; not in place */
            if (w->ow - px < outputs && px > 0 && !t->a->z) px = w->ow - outputs;
            const int64_t at = (int64_t)px * s - w->pl;
            if (INSIDE(s) && at >= 0 && at + reach <= w->iw)
                strip(s, 1, t, px, oy, end);
            else
                strip(s, 0, t, px, oy, end);
        }
    }
}
static void strips_1(const three *t) { strips(1, t); }
static void strips_2(const three *t) { strips(2, t); }

static int match(const spr_window *w) {
    return w->kh == 3 && w->kw == 3 && w->dh == 1 && w->dw == 1 && w->sh == w->sw && w->sh <= 2 && w->iw >= 4;
}

static size_t scratch(const spr_window *w) { return spr_round_up((size_t)w->iw * SPR_Q8_GROUP, SPR_LINE); }

/* The number of parts in 16 bytes, bias and scale of the channels rounded up to groups, then [group][part] weights. */
static SPR_COLD size_t size(const spr_dw_q8_weights *w) {
    const size_t channels = spr_round_up(w->channels, SPR_Q8_GROUP);
    return 16 + channels * (sizeof(int32_t) + sizeof(float)) +
           channels / SPR_Q8_GROUP * (size_t)PARTS(w) * GROUP_BYTES(w->win.sh);
}

static SPR_COLD void pack(const spr_dw_q8_weights *w, void *dst) {
    const size_t channels = spr_round_up(w->channels, SPR_Q8_GROUP);
    int32_t *head = dst, *bias = head + 4;
    float *scale = (float *)(bias + channels);
    int8_t *out = (int8_t *)(scale + channels);
    memset(dst, 0, size(w));
    *head = PARTS(w);
    for (uint32_t c = 0; c < w->channels; c++) {
        bias[c] = w->bias[c];
        scale[c] = w->scale[c];
        for (uint32_t i = 0; i < 9; i++) {
            int32_t rest = w->w[c * 9 + i];
            for (int32_t part = 0; part < *head; part++) {
                const int32_t now = *head == 1 ? rest : rest > 127 ? 127 : rest < -128 ? -128 : rest;
                TAP *to =
                    (TAP *)(void *)(out + (c / SPR_Q8_GROUP * (size_t)*head + (size_t)part) * GROUP_BYTES(w->win.sh));
                pack_tap(to, w->win.sh, c % SPR_Q8_GROUP, i / 3, i % 3, (TAP)now);
                rest -= now;
            }
        }
    }
}

void NAME(spr_dwconv_3x3_q8)(const spr_dw_q8_args *a) {
    const spr_window *w = a->win;
    const size_t channels = spr_round_up(a->channels, SPR_Q8_GROUP);
    const int32_t *head = a->packed, *bias = head + 4;
    const float *scale = (const float *)(bias + channels);
    const int8_t *weights = (const int8_t *)(scale + channels);
    three t = {.a = a, .finish = finish_of(a), .row_bytes = (ptrdiff_t)w->iw * SPR_Q8_GROUP, .parts = *head,
               .zero = vdupq_n_s8(a->x_zero)};
    memset(a->scratch, (uint8_t)a->x_zero, (size_t)w->iw * SPR_Q8_GROUP); /* a row outside */
    for (t.g = a->group0; t.g < a->group1; t.g++) {
        t.x = a->x + t.g * a->x_stride * SPR_Q8_GROUP;
        t.bias = bias + 4 * t.g;
        t.scale = scale + 4 * t.g;
        t.weights = weights + (size_t)t.g * (size_t)*head * GROUP_BYTES(w->sh);
        (w->sh == 1 ? strips_1 : strips_2)(&t);
    }
}

const spr_dw_q8_traits NAME(spr_dwconv_3x3_traits_q8) = {match, size, pack, scratch};
