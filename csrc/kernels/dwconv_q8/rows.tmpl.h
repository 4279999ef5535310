/* Quantized depthwise convolution by dot products over four taps of a row. Rows of the input are padded and turned into
 * lines in which four neighbouring taps of a channel lie together, [chunk of four taps][pixel][4 channels][4 taps]; the
 * lines that an output row needs are kept in a ring. Included with these defined:
 *
 *   V, PIXELS         a vector of bytes, pixels (of four channels) in it: four vectors make a block of PIXELS outputs
 *   S                 a vector of as many sums, those of a fourth of a block
 *   NAME(x)           x with the suffix of the instruction set
 *   LOAD(p), STORE(p, v), LOAD_WEIGHTS(p)   the last: 16 bytes, repeated
 *   INTERLEAVE(t, out)  from pixels of four taps to four vectors, whose sums FINISH takes
 *   DOT(sum, x, w)    sum += products of four
 *   SUMS(p)           four int32, repeated
 *   FINISH(a, sum, scale, c, y, z, n)  rounds and stores n <= PIXELS pixels, channels from c on */

/* Sizes of a call, in pixels of four bytes where not said otherwise. */
typedef struct NAME(sizes) {
    uint32_t chunks, ring; /* lines of the ring, in rows of the input */
    uint32_t outputs;      /* of a row, rounded up to whole blocks */
    uint32_t phase;        /* of the padded row: pixels, of which there are `sw` times as many */
    size_t line, padded;   /* bytes of a line of the ring, of the padded row */
} NAME(sizes);

SPR_INLINE NAME(sizes) NAME(sizes_of)(const spr_window *w) {
    NAME(sizes) s = {.chunks = (w->kw + 3) / 4, .ring = (w->kh - 1) * w->dh + 1};
    s.outputs = (uint32_t)spr_round_up(w->ow, PIXELS);
    s.phase = (uint32_t)spr_round_up(s.outputs + 4 * s.chunks * w->dw / w->sw + 1, PIXELS);
    s.line = (size_t)s.chunks * s.outputs * 16;
    s.padded = spr_round_up((size_t)s.phase * w->sw * 4, SPR_LINE);
    return s;
}

static size_t NAME(scratch)(const spr_window *w) {
    const NAME(sizes) s = NAME(sizes_of)(w);
    return s.padded + s.ring * s.line;
}

static int NAME(match)(const spr_window *w) { return w->kw <= 8; }

static size_t NAME(rows_of)(uint32_t channels) { return spr_round_up(channels, SPR_Q8_GROUP); }

/* Weights beyond int8 are the sum of two. */
static int32_t NAME(parts)(const spr_dw_q8_weights *w) {
    int32_t parts = 1;
    for (size_t i = 0; i < (size_t)w->channels * w->win.kh * w->win.kw; i++)
        if (w->w[i] > 127 || w->w[i] < -128) parts = w->w[i] == 255 || parts == 3 ? 3 : 2; /* 127 + 127 + 1 */
    return parts;
}

static size_t NAME(size)(const spr_dw_q8_weights *w) {
    const size_t taps = (size_t)NAME(parts)(w) * w->win.kh * ((w->win.kw + 3) / 4) * 4;
    return 16 + NAME(rows_of)(w->channels) * (sizeof(int32_t) + sizeof(float) + taps);
}

/* The number of parts in 16 bytes, bias and scale of the channels, then
   [group][row of the kernel][chunk][part][4 channels] [4 taps]. */
static void NAME(pack)(const spr_dw_q8_weights *w, void *dst) {
    const size_t rows = NAME(rows_of)(w->channels), chunks = (w->win.kw + 3) / 4;
    int32_t *head = dst, *bias = head + 4;
    float *scale = (float *)(bias + rows);
    int8_t *out = (int8_t *)(scale + rows);
    const int32_t parts = NAME(parts)(w);
    memset(dst, 0, NAME(size)(w));
    *head = parts;
    for (uint32_t c = 0; c < w->channels; c++) {
        bias[c] = w->bias[c];
        scale[c] = w->scale[c];
        for (uint32_t ky = 0; ky < w->win.kh; ky++)
            for (uint32_t kx = 0; kx < w->win.kw; kx++) {
                int32_t rest = w->w[(c * w->win.kh + ky) * w->win.kw + kx];
                int8_t *at =
                    out + (((c / 4 * w->win.kh + ky) * chunks + kx / 4) * (size_t)parts * 4 + c % 4) * 4 + kx % 4;
                for (int32_t part = 0; part < parts; part++, at += 16) {
                    *at = (int8_t)(rest > 127 ? 127 : rest < -128 ? -128 : rest);
                    rest -= *at;
                }
            }
    }
}

/* A row of the input with its padding, its pixels sorted by their remainder by the stride. iy may be outside. */
SPR_INLINE void NAME(pad_row)(const spr_dw_q8_args *a, const NAME(sizes) * s, const spr_q8 *x, int64_t iy,
                              uint32_t *out) {
    const spr_window *w = a->win;
    const uint32_t zero = (uint8_t)a->x_zero * 0x01010101u;
    if (iy < 0 || iy >= w->ih) {
        for (size_t i = 0; i < (size_t)s->phase * w->sw; i++) out[i] = zero;
        return;
    }
    const spr_q8 *row = x + (size_t)iy * w->iw * 4;
    for (uint32_t phase = 0; phase < w->sw; phase++, out += s->phase) {
        int64_t ix = (int64_t)phase - w->pl;
        uint32_t i = 0;
        for (; ix < 0 && i < s->phase; ix += w->sw) out[i++] = zero;
        if (w->sw == 1 && ix < w->iw) {
            const uint32_t n = (uint32_t)(w->iw - ix) < s->phase - i ? (uint32_t)(w->iw - ix) : s->phase - i;
            memcpy(out + i, row + ix * 4, (size_t)n * 4);
            ix += n;
            i += n;
        }
        for (; ix < w->iw && i < s->phase; ix += w->sw) memcpy(out + i++, row + ix * 4, 4);
        while (i < s->phase) out[i++] = zero;
    }
}

SPR_INLINE void NAME(interleave_row)(const spr_window *w, const NAME(sizes) * s, const uint32_t *padded, int8_t *line) {
    for (uint32_t chunk = 0; chunk < s->chunks; chunk++) {
        const uint32_t *tap[4];
        for (uint32_t t = 0; t < 4; t++) {
            const uint32_t at = (4 * chunk + t) * w->dw; /* taps beyond the kernel have weights of 0 */
            tap[t] = padded + (at % w->sw) * s->phase + at / w->sw;
        }
        for (uint32_t px = 0; px < s->outputs; px += PIXELS, line += PIXELS * 16) {
            const V t[4] = {LOAD(tap[0] + px), LOAD(tap[1] + px), LOAD(tap[2] + px), LOAD(tap[3] + px)};
            V out[4];
            INTERLEAVE(t, out);
            for (int i = 0; i < 4; i++) STORE(line + i * PIXELS * 4, out[i]);
        }
    }
}

/* An output row of a group; kernel rows' lines in order. */
SPR_INLINE void NAME(output_row)(const spr_dw_q8_args *a, const NAME(sizes) * s, const int parts, uint32_t g,
                                 const int8_t *ring, uint32_t top, const int32_t *bias, const float *scale,
                                 const int8_t *weights, size_t at) {
    const spr_window *w = a->win;
    for (uint32_t px = 0; px < w->ow; px += PIXELS) {
        const S start = SUMS(bias);
        S sum[4] = {start, start, start, start};
        const int8_t *taps = weights;
        for (uint32_t ky = 0; ky < w->kh; ky++) {
            const int8_t *line = ring + (top + ky * w->dh) % s->ring * s->line + (size_t)px * 16;
            for (uint32_t chunk = 0; chunk < s->chunks; chunk++, line += (size_t)s->outputs * 16)
                for (int part = 0; part < parts; part++, taps += 16) {
                    const V four = LOAD_WEIGHTS(taps);
                    DOT(sum[0], LOAD(line), four);
                    DOT(sum[1], LOAD(line + PIXELS * 4), four);
                    DOT(sum[2], LOAD(line + PIXELS * 8), four);
                    DOT(sum[3], LOAD(line + PIXELS * 12), four);
                }
        }
        const uint32_t n = w->ow - px < PIXELS ? w->ow - px : PIXELS;
        const spr_q8 *z = a->z ? a->z + (g * a->z_stride + at + px) * 4 : NULL;
        FINISH(a, sum, scale, 4 * g, a->y + (g * a->y_stride + at + px) * 4, z, n);
    }
}

SPR_INLINE void NAME(run)(const spr_dw_q8_args *a) {
    const spr_window *w = a->win;
    const NAME(sizes) s = NAME(sizes_of)(w);
    const size_t rows = NAME(rows_of)(a->channels);
    const int32_t *head = a->packed, *bias = head + 4;
    const float *scale = (const float *)(bias + rows);
    const int8_t *weights = (const int8_t *)(scale + rows);
    uint32_t *padded = a->scratch;
    int8_t *ring = (int8_t *)a->scratch + s.padded;
    for (uint32_t g = a->group0; g < a->group1; g++) {
        uint32_t next = a->oy0 * w->sh; /* first row of the padded image that is not in the ring */
        for (uint32_t oy = a->oy0; oy < a->oy1; oy++) {
            const uint32_t top = oy * w->sh;
            if (next < top) next = top;
            for (; next < top + s.ring; next++) {
                NAME(pad_row)(a, &s, a->x + g * a->x_stride * 4, (int64_t)next - w->pt, padded);
                NAME(interleave_row)(w, &s, padded, ring + next % s.ring * s.line);
            }
            const int8_t *of_group = weights + (size_t)g * w->kh * s.chunks * (size_t)*head * 16;
            if (*head == 1 && !SPR_NEON)
                NAME(output_row)(a, &s, 1, g, ring, top, bias + 4 * g, scale + 4 * g, of_group, (size_t)oy * w->ow);
            else
                NAME(output_row)(a, &s, *head, g, ring, top, bias + 4 * g, scale + 4 * g, of_group, (size_t)oy * w->ow);
        }
    }
}
