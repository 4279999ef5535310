/* Quantized pointwise kernels over single weights, NEON: the tiles. Included with ADD_QUAD1 and ADD_QUAD2 defined:
 *
 *   ADD_QUAD(h, v, sum, lines, quad)    adds a quad to the sums of h rows and v times 8 pixels, int32x4_t sum[h][2 v]
 *   ADD_HALVES(h, v, sum, lines, quad)  the same for quads of which only halves are bounded; not defined: there are
 *                                       none
 *   KERNEL(x)                           x with the suffix of the instruction set
 *   ends, ends_of(a, finish, narrow)    what the ends of rows need of a call
 *   first_sum(ends, bias)               what a sum begins with
 *   end_rows(h, v, a, ends, sum0, sum1, scale, first, at, px, line)   finishes v vectors of sums of h rows from
 *                                       first + at on; outputs may wait in `line` for the other rows of a group of
 *                                       channels, which `first` begins
 *   end_four(h, v, a, ends, first, px, line)   after the rows of a group: stores what waits */

/* Lines of all channels over 8 `eights` pixels. */
static void to_lines(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, uint32_t px, uint32_t eights) {
    int8_t *line = a->scratch;
    const size_t stride = p->stride;
    for (uint32_t g = 0; g < p->groups; g++, line += stride * SPR_Q8_GROUP) {
        const spr_q8 *x = a->x + ((size_t)p->offset[g] + px) * SPR_Q8_GROUP;
        uint32_t i = 0;
        for (; i + 1 < eights; i += 2) {
            const int8x16x4_t c = vld4q_s8(x + i * 32);
            SPR_UNROLL for (size_t j = 0; j < 4; j++) vst1q_s8(line + j * stride + i * 8, c.val[j]);
        }
        if (i < eights) {
            const int8x8x4_t c = vld4_s8(x + i * 32);
            SPR_UNROLL for (size_t j = 0; j < 4; j++) vst1_s8(line + j * stride + i * 8, c.val[j]);
        }
    }
}

#ifdef ADD_HALVES
#define HALVES(h)                                                                                                 \
    for (const char *end = quads + (size_t)p->ptr[row / (h)*2 + 2] * size; quad != end; quad += size)             \
        ADD_HALVES(h, v, sum, lines, (const void *)quad);
#else
#define HALVES(h)
#endif

/* All rows of the call, h at once, times v times 8 pixels from px on, which begin at `lines`. */
SPR_INLINE void planar_tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_planar *p,
                            const ends *call, uint32_t px, const int8_t *lines) {
    const size_t size = h == 1 ? sizeof(spr_q8_quad1) : sizeof(spr_q8_quad2);
    const ends own = *call, *const e = &own; /* nothing stored can change it */
    const char *const quads = p->quads, *quad = quads + (size_t)p->ptr[a->row0 / (uint32_t)h * 2] * size;
    for (uint32_t first = a->row0; first < a->row1; first += SPR_Q8_GROUP) {
        int8_t line[SPR_Q8_GROUP][LINE_PIXELS];
        for (uint32_t row = first; row < first + SPR_Q8_GROUP; row += (uint32_t)h) {
            int32x4_t sum[2][16];
            SPR_UNROLL for (int r = 0; r < h; r++)
                SPR_UNROLL for (int j = 0; j < 2 * v; j++) sum[r][j] = first_sum(e, p->bias[row + (uint32_t)r]);
            for (const char *end = quads + (size_t)p->ptr[row / (uint32_t)h * 2 + 1] * size; quad != end; quad += size)
                ADD_QUAD(h, v, sum, lines, (const void *)quad);
            HALVES((uint32_t)h)
            end_rows(h, 2 * v, a, e, sum[0], sum[1], p->scale + row, first, row - first, px, line);
        }
        end_four(h, 2 * v, a, e, first, px, line);
    }
}

typedef void tile_fn(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const ends *e, uint32_t px,
                     const int8_t *lines);
#define TILE(h, v)                                                                                                  \
    static void planar_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const ends *e, uint32_t px,    \
                                 const int8_t *lines) {                                                             \
        planar_tile(h, v, a, p, e, px, lines);                                                                      \
    }
TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(1, 4) TILE(1, 5) TILE(1, 6) TILE(1, 7) TILE(1, 8)
TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(2, 4)

/* Parts as even as can be: first of what goes to lines at once, then of those tiles of at most 8 `most` pixels. */
SPR_INLINE void run_tiles(const spr_pw_q8_args *a, tile_fn *const *tiles, uint32_t most) {
    const spr_pw_q8_planar p = spr_pw_q8_planar_of(a->packed);
    const finish f = finish_of(a);
    const ends e = ends_of(a, &f, p.narrow);
    const uint32_t at_once = p.stride / 8;
    uint32_t eights = (a->px1 - a->px0 + 7) / 8, px = a->px0;
    for (uint32_t left = (eights + at_once - 1) / at_once; left > 0; left--) {
        uint32_t part = (eights + left - 1) / left;
        const int8_t *lines = a->scratch;
        eights -= part;
        to_lines(a, &p, px, part);
        for (uint32_t parts = (part + most - 1) / most; parts > 0; parts--) {
            const uint32_t v = (part + parts - 1) / parts;
            tiles[v - 1](a, &p, &e, px, lines);
            part -= v;
            px += v * 8;
            lines += v * 8;
        }
    }
}

void KERNEL(spr_pw_csr_q8)(const spr_pw_q8_args *a) {
    static tile_fn *const tiles[] = {planar_1x1, planar_1x2, planar_1x3, planar_1x4,
                                     planar_1x5, planar_1x6, planar_1x7, planar_1x8};
    run_tiles(a, tiles, 8);
}

void KERNEL(spr_pw_2x1_q8)(const spr_pw_q8_args *a) {
    static tile_fn *const tiles[] = {planar_2x1, planar_2x2, planar_2x3, planar_2x4};
    run_tiles(a, tiles, 4);
}
