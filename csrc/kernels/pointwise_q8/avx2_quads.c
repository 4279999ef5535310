/* Quantized pointwise convolution over single weights with AVX2, exact. A tile of the input is turned into lines of
   signed bytes once for all rows; the four lines of a quad, interleaved, then go to VPMADDUBSW and VPMADDWD. */
#include "base/compiler.h"

#if SPR_X86_64
#include <immintrin.h>
#include <string.h>

#include "kernels/pointwise_q8/quads_x86.h"
#include "kernels/q8_x86.h"
#include "kernels/unary/act_avx2.h"

SPR_TARGET_PUSH("avx2,fma")

#include "kernels/pointwise_q8/x86_avx2.h"

/* `eights` times 8 pixels from px on; bytes beyond, up to a multiple of 32, may be any. The pixels 8 j + i and
   8 j + 4 + i, i < 4, become bytes 4 j + i and 16 + 4 j + i: interleaving lines for dot() brings them into order. */
static SPR_NOINLINE void to_lines(const spr_pw_q8_args *a, const spr_pw_q8_signed *p, uint32_t px, uint32_t eights) {
    const __m256i channels = _mm256_broadcastsi128_si256(
                      _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
                  sign = _mm256_set1_epi8(-128);
    const size_t stride = p->stride;
    uint8_t *line = a->scratch;
    for (uint32_t g = 0; g < p->groups; g++, line += stride * SPR_Q8_GROUP) {
        const spr_q8 *x = a->x + ((size_t)p->offset[g] + px) * SPR_Q8_GROUP;
        for (uint32_t i = 0; i < eights; i += 4) {
            __m256i t[4], u[4];
            SPR_UNROLL for (uint32_t j = 0; j < 4; j++) {
                const uint32_t from = i + j < eights ? i + j : i;
                t[j] = _mm256_loadu_si256((const void *)(x + from * LANES * SPR_Q8_GROUP));
                t[j] = _mm256_xor_si256(_mm256_shuffle_epi8(t[j], channels), sign);
            }
            u[0] = _mm256_unpacklo_epi32(t[0], t[1]);
            u[1] = _mm256_unpackhi_epi32(t[0], t[1]);
            u[2] = _mm256_unpacklo_epi32(t[2], t[3]);
            u[3] = _mm256_unpackhi_epi32(t[2], t[3]);
            __m256i *const to = (__m256i *)(void *)(line + i * LANES);
            _mm256_store_si256(to, _mm256_unpacklo_epi64(u[0], u[2]));
            _mm256_store_si256(to + stride / 32, _mm256_unpackhi_epi64(u[0], u[2]));
            _mm256_store_si256(to + stride / 32 * 2, _mm256_unpacklo_epi64(u[1], u[3]));
            _mm256_store_si256(to + stride / 32 * 3, _mm256_unpackhi_epi64(u[1], u[3]));
        }
    }
}

SPR_INLINE __m256i repeat4(const void *p) { return _mm256_castps_si256(_mm256_broadcast_ss(p)); }

/* In assembly, as gcc 12 would multiply for all sums first and spill them. */
SPR_INLINE __m256i dot(__m256i sum, __m256i x, __m256i w, __m256i sign) {
    __m256i product;
    __asm__("vpmaddubsw %2, %3, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(product)
            : "x"(x), "x"(w), "x"(sign));
    return sum;
}

/* Adds a quad to v vectors of sums of h rows. */
SPR_INLINE void add_quad(const int h, const int v, __m256i (*sum)[8], const uint8_t *lines, const uint32_t *at,
                         const uint8_t (*w)[4], const int16_t (*sign)[2]) {
    SPR_UNROLL for (int j = 0; j < v; j += 4) {
        const uint8_t *const from = lines + j * LANES;
        const __m256i a = *(const __m256i *)(const void *)(from + at[0]),
                      b = *(const __m256i *)(const void *)(from + at[1]),
                      c = *(const __m256i *)(const void *)(from + at[2]),
                      d = *(const __m256i *)(const void *)(from + at[3]);
        const __m256i ab = _mm256_unpacklo_epi8(a, b), ab2 = _mm256_unpackhi_epi8(a, b),
                      cd = _mm256_unpacklo_epi8(c, d), cd2 = _mm256_unpackhi_epi8(c, d);
        const __m256i x[4] = {_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd),
                              _mm256_unpacklo_epi16(ab2, cd2), _mm256_unpackhi_epi16(ab2, cd2)};
        SPR_UNROLL for (int r = 0; r < h; r++) {
            const __m256i four = repeat4(w[r]), signs = repeat4(sign[r]);
            SPR_UNROLL for (int i = 0; i < 4; i++)
                if (j + i < v) sum[r][j + i] = dot(sum[r][j + i], x[i], four, signs);
        }
    }
}

/* All rows of the call, h at a time, over v times 8 pixels from px on, which begin at `lines`. */
SPR_INLINE void tile(const int h, const int v, const spr_pw_q8_args *a, const spr_pw_q8_signed *p,
                     const finish_avx2 *f, const uint8_t *lines, uint32_t px) {
    const spr_q8_signed1 *one = (const spr_q8_signed1 *)p->quads + p->ptr[a->row0 / (uint32_t)h];
    const spr_q8_signed2 *two = (const spr_q8_signed2 *)p->quads + p->ptr[a->row0 / (uint32_t)h];
    const uint32_t *end = p->ptr + a->row0 / (uint32_t)h + 1;
    for (uint32_t first = a->row0; first < a->row1; first += SPR_Q8_GROUP) {
        __m256i sums[8][SPR_Q8_GROUP];
        for (uint32_t row = first; row < first + SPR_Q8_GROUP; row += (uint32_t)h, end++) {
            __m256i sum[2][8];
            SPR_UNROLL for (int r = 0; r < h; r++)
                SPR_UNROLL for (int i = 0; i < v; i++)
                    sum[r][i] = _mm256_set1_epi32((int)((uint32_t)p->bias[row + (uint32_t)r] + (uint32_t)f->start));
            if (h == 1)
                for (const spr_q8_signed1 *e = (const spr_q8_signed1 *)p->quads + *end; one != e; one++)
                    add_quad(1, v, sum, lines, one->at, one->w, one->sign);
            else
                for (const spr_q8_signed2 *e = (const spr_q8_signed2 *)p->quads + *end; two != e; two++)
                    add_quad(2, v, sum, lines, two->at, two->w, two->sign);
            SPR_UNROLL for (int r = 0; r < h; r++)
                SPR_UNROLL for (int i = 0; i < v; i++) sums[i][row - first + (uint32_t)r] = sum[r][i];
        }
        finish_rows_avx2(a, f, (uint32_t)v, sums[0], SPR_Q8_GROUP, p->scale, p->shift, first, px);
    }
}

typedef void tile_fn(const spr_pw_q8_args *a, const spr_pw_q8_signed *p, const finish_avx2 *f, const uint8_t *lines,
                     uint32_t px);
#define TILE(h, v)                                                                                                    \
    static void tile_##h##x##v(const spr_pw_q8_args *a, const spr_pw_q8_signed *p, const finish_avx2 *f,              \
                               const uint8_t *lines, uint32_t px) {                                                   \
        tile(h, v, a, p, f, lines, px);                                                                               \
    }
TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(1, 4) TILE(1, 5) TILE(1, 6) TILE(1, 7) TILE(1, 8)
TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(2, 4)

/* Lines are filled with as many pixels as they have room for; tiles[v] computes v times 8 of them. */
static SPR_NOINLINE void run(const spr_pw_q8_args *a, tile_fn *const *tiles, uint32_t most) {
    const spr_pw_q8_signed p = spr_pw_q8_signed_of(a->packed);
    const finish_avx2 f = finish_of_avx2(a, p.starts);
    const uint32_t room = p.stride / LANES;
    uint32_t left = (a->px1 - a->px0 + LANES - 1) / LANES, px = a->px0;
    while (left > 0) {
        const uint32_t filled = left < room ? left : room;
        const uint8_t *lines = a->scratch;
        to_lines(a, &p, px, filled);
        left -= filled;
        for (uint32_t rest = filled, v; rest > 0; rest -= v, px += v * LANES, lines += v * LANES) {
            v = rest < most ? rest : most;
            tiles[v](a, &p, &f, lines, px);
        }
    }
}

void spr_pw_csr_q8_avx2(const spr_pw_q8_args *a) {
    static tile_fn *const tiles[] = {NULL,     tile_1x1, tile_1x2, tile_1x3, tile_1x4,
                                     tile_1x5, tile_1x6, tile_1x7, tile_1x8};
    run(a, tiles, 8);
}

void spr_pw_2x1_q8_avx2(const spr_pw_q8_args *a) {
    static tile_fn *const tiles[] = {NULL, tile_2x1, tile_2x2, tile_2x3, tile_2x4};
    run(a, tiles, 4);
}

SPR_TARGET_POP
#endif
