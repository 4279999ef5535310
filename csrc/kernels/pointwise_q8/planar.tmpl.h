/* Quantized pointwise kernels over single weights, NEON: the tiles. Included with these defined:
 *
 *   ADD_QUAD(h, v, sum, lines, quad)   adds a quad to the sums of h rows and v times 8 pixels, int32x4_t sum[h][2 v]
 *   ADD_HALVES(h, v, sum, lines, quad) the same for quads of which only halves are bounded; not defined: there are none
 *   EARLY(h)                         of how many times 8 pixels tiles are in which sums_of_quads() of quads_neon64.h
 *                                    makes the sums on cores that issue in order; not defined: there are none
 *   KERNEL(x)                        x with the suffix of the instruction set
 *   ends, ends_of(a, narrow)         what the ends of rows need of a call
 *   first_sum(fast, ends, bias)      what a sum begins with
 *   end_rows(h, v, fast, a, ends, sum0, sum1, scale, first, at, px, line)   finishes v vectors of sums of h rows from
 *                                    first + at on; outputs may wait in `line` for the other rows of a group of
 *                                    channels, which `first` begins; fast: at the cost of more code
 *   end_four(h, v, fast, a, ends, first, px, line)   after the rows of a group: stores what waits */

/* Tiles that most pixels are in: those of narrow ones end by calls. */
#define FAST(h, v) (SPR_ARM32 || (v) == 4 || (v) >= ((h) == 1 ? 7 : 3))

#ifdef ADD_HALVES
#define HALVES(h)                                                                                                 \
    for (const char *end = quads + (size_t)p->ptr[row / (h)*2 + 2] * size; quad != end; quad += size)             \
        ADD_HALVES(h, v, sum, lines, (const void *)quad);
#else
#define HALVES(h)
#endif
#ifndef EARLY
#define EARLY(h) 0
#define sums_of_quads(...)
#endif

/* Whether a row has tiles of 56 pixels: beside EARLY ones of 64 they are not worth their size. */
#define SEVEN (!SPR_ARM32 && EARLY(1) == 0)

/* All rows of the call, h at once, times v times 8 pixels from px on, which begin at `lines`. */
SPR_INLINE void planar_tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_planar *p,
                            const ends *call, uint32_t px, const int8_t *lines, uint32_t early) {
    const size_t size = h == 1 ? sizeof(spr_q8_quad1) : sizeof(spr_q8_quad2);
    const int fast = FAST(h, v);
    const ends own = *call, *const e = &own; /* nothing stored can change it */
    const char *const quads = p->quads, *quad = quads + (size_t)p->ptr[a->row0 / (uint32_t)h * 2] * size;
    for (uint32_t first = a->row0; first < a->row1; first += SPR_Q8_GROUP) {
        int8_t line[SPR_Q8_GROUP][LINE_PIXELS];
        for (uint32_t row = first; row < first + SPR_Q8_GROUP; row += (uint32_t)h) {
            int32x4_t sum[2][16];
            if (v == EARLY(h) && early) {
                sums_of_quads(h, sum[0], sum[1], p->bias + row, lines, quads, p->ptr + row / (uint32_t)h * 2);
            } else {
                SPR_UNROLL for (int r = 0; r < h; r++)
                    SPR_UNROLL for (int j = 0; j < 2 * v; j++)
                        sum[r][j] = first_sum(fast, e, p->bias[row + (uint32_t)r]);
                const char *const end = quads + (size_t)p->ptr[row / (uint32_t)h * 2 + 1] * size;
                for (; quad != end; quad += size) ADD_QUAD(h, v, sum, lines, (const void *)quad);
                HALVES((uint32_t)h)
            }
            end_rows(h, 2 * v, fast, a, e, sum[0], sum[1], p->scale + row, first, row - first, px, line);
        }
        end_four(h, 2 * v, fast, a, e, first, px, line);
    }
}

typedef void tile_fn(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const ends *e, uint32_t px,
                     const int8_t *lines, uint32_t early);
#define TILE(h, v)                                                                                                  \
    static void planar_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_planar *p, const ends *e, uint32_t px,    \
                                 const int8_t *lines, uint32_t early) {                                             \
        planar_tile(h, v, a, p, e, px, lines, early);                                                               \
    }
TILE(1, 2) TILE(1, 3) TILE(1, 4)
TILE(2, 2) TILE(2, 3) TILE(2, 4)
#if !SPR_ARM32
TILE(1, 8)
#endif
#if SEVEN
TILE(1, 7)
#endif

/* How many times eight pixels the next tile takes, with `left` to go: parts as even as can be, for which there is a
   tile, none of which leaves 1. Up to one too many are computed, as planes are padded: where one is all there is, where
   tiles are EARLY, as those take that much less, and where there is no SEVEN. */
SPR_INLINE uint32_t tile_of(uint32_t left, uint32_t most, uint32_t early) {
    if (left > most - 2 && (most == early || (most == 8 && !SEVEN))) return most;
    const uint32_t parts = (left + most - 1) / most, v = (left + parts - 1) / parts;
    if (v == 1) return 2;
    return v < 5 || v > 6 ? v : left < 7 ? left - 2 : 7;
}

/* Lines are filled with as many tiles as they have room for. */
static SPR_NOINLINE void run_tiles(const spr_pw_q8_args *a, tile_fn *const *tiles, uint32_t most, uint32_t early) {
    const spr_pw_q8_planar p = spr_pw_q8_planar_of(a->packed);
    const ends e = ends_of(a, p.narrow);
    const uint32_t room = p.stride / 8;
    if (most > room) most = room;
    for (uint32_t left = (a->px1 - a->px0 + 7) / 8, px = a->px0; left > 0;) {
        const int8_t *lines = a->scratch;
        uint32_t v, filled = 0;
        for (uint32_t n = room / most; n > 0 && filled < left; n--) filled += tile_of(left - filled, most, early);
        spr_q8_to_lines_neon(a, &p, px, filled);
        for (; filled > 0; filled -= v, px += v * 8, lines += v * 8) {
            v = tile_of(left, most, early);
            tiles[v](a, &p, &e, px, lines, early);
            left -= v < left ? v : left;
        }
    }
}

static void csr(const spr_pw_q8_args *a, uint32_t early) {
#if SPR_ARM32
    static tile_fn *const tiles[] = {[2] = planar_1x2, [3] = planar_1x3, [4] = planar_1x4};
    run_tiles(a, tiles, 4, early);
#else
    static tile_fn *const tiles[] = {[2] = planar_1x2, [3] = planar_1x3, [4] = planar_1x4, [8] = planar_1x8,
#if SEVEN
                                     [7] = planar_1x7,
#endif
    };
    run_tiles(a, tiles, 8, early);
#endif
}

static void pairs(const spr_pw_q8_args *a, uint32_t early) {
    static tile_fn *const tiles[] = {[2] = planar_2x2, [3] = planar_2x3, [4] = planar_2x4};
    run_tiles(a, tiles, 4, early);
}

void KERNEL(spr_pw_csr_q8)(const spr_pw_q8_args *a) { csr(a, 0); }
void KERNEL(spr_pw_2x1_q8)(const spr_pw_q8_args *a) { pairs(a, 0); }
