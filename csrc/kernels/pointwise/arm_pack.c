/* Packing for the sparse NEON kernels; see neon_sparse.h. */
#include <string.h>

#include "kernels/pointwise/neon_sparse.h"

#if SPR_NEON

/* Fewest and most channels of a panel, and between them as many as give a row that many records on average: where one
   row ends and the next begins costs time. With few records per channel, panels larger than L1 pay for that.
   wide: most where planes have four lines, all of which may be in one tile; 0: as many as elsewhere. */
typedef struct panel_range {
    uint32_t least, most, records, wide;
} panel_range;

#define FOUR_LINES (5 * SPR_PX) /* the stride of such planes */

/* Sections follow each other in the order of their members, aligned to SPR_LINE. */
typedef struct header {
    uint32_t n, kp, panels, pairs; /* pairs: rows of blocks, 0 for CSR */
    uint64_t bias, ptr, records, last_ptr, last_records; /* bytes from the header */
} header;

/* Channels per panel for `records` in `rows` of weights: panels of like size, as large as told or as 32-bit offsets
   reach. */
static uint32_t panel_channels(uint32_t k, size_t records, uint32_t rows, size_t x_stride, panel_range range) {
    const double wanted = (double)range.records * rows * k / (double)(records + 1);
    const uint64_t reach = UINT32_MAX / sizeof(float) / x_stride;
    uint32_t most = wanted < range.least ? range.least : wanted > range.most ? range.most : (uint32_t)wanted;
    if (range.wide && x_stride == FOUR_LINES && range.wide < most) most = range.wide;
    if (reach < most) most = reach < 1 ? 1 : (uint32_t)reach;
    const uint32_t panels = k / most + (k % most != 0);
    return k / panels + (k % panels != 0);
}

/* Places a section of `bytes` at the end. */
static uint64_t section(size_t *end, size_t bytes) {
    const size_t at = *end;
    *end = at + spr_round_up(bytes, SPR_LINE);
    return at;
}

static header csr_layout(const spr_pw_weights *w, size_t x_stride, panel_range range, size_t *end) {
    header h = {.n = w->n, .kp = panel_channels(w->k, w->row_ptr[w->n], w->n, x_stride, range)};
    h.panels = (w->k + h.kp - 1) / h.kp;
    *end = spr_round_up(sizeof h, SPR_LINE);
    h.bias = section(end, (size_t)w->n * 4 * sizeof(float));
    h.ptr = section(end, ((size_t)w->n * h.panels + 1) * sizeof(uint32_t));
    h.records = section(end, ((size_t)w->row_ptr[w->n] + 2) * sizeof(spr_neon_record) + SPR_NEON_AHEAD);
    return h;
}

static void pack_bias(const spr_pw_weights *w, float *dst) {
    for (uint32_t r = 0; r < w->n; r++)
        for (int i = 0; i < 4; i++) dst[(size_t)r * 4 + i] = w->bias ? w->bias[r] : 0.0f;
}

/* First position of row r whose column is at least `column`. */
static uint32_t lower_bound(const spr_pw_weights *w, uint32_t r, uint64_t column) {
    uint32_t lo = w->row_ptr[r], hi = w->row_ptr[r + 1];
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (w->col[mid] < column)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t byte_offset(uint32_t column, uint32_t base, size_t x_stride) {
    return (uint32_t)((column - base) * x_stride * sizeof(float));
}

/* Rows [row0, row1) as CSR; `ptr` gets (row1 - row0) * panels + 1 entries. */
static void pack_rows(const spr_pw_weights *w, uint32_t row0, uint32_t row1, size_t x_stride, uint32_t kp,
                      uint32_t panels, uint32_t *ptr, spr_neon_record *records) {
    uint32_t count = 0;
    records[0].value = 0.0f;
    for (uint32_t p = 0; p < panels; p++)
        for (uint32_t r = row0; r < row1; r++) {
            *ptr++ = count;
            const uint32_t end = lower_bound(w, r, (uint64_t)(p + 1) * kp);
            for (uint32_t i = lower_bound(w, r, (uint64_t)p * kp); i < end; i++) {
                records[count].offset = byte_offset(w->col[i], p * kp, x_stride);
                records[++count].value = w->val[i];
            }
        }
    *ptr = count;
    records[count].offset = 0;
    records[count + 1] = (spr_neon_record){0, 0.0f};
}

static void csr_pack(const spr_pw_weights *w, size_t x_stride, panel_range range, void *dst) {
    size_t end;
    const header h = csr_layout(w, x_stride, range, &end);
    memcpy(dst, &h, sizeof h);
    pack_bias(w, (float *)((char *)dst + h.bias));
    pack_rows(w, 0, w->n, x_stride, h.kp, h.panels, (uint32_t *)((char *)dst + h.ptr),
              (spr_neon_record *)((char *)dst + h.records));
}

spr_neon_csr spr_neon_csr_view(const void *packed) {
    const header *h = packed;
    const char *base = packed;
    return (spr_neon_csr){.bias = (const float *)(base + h->bias),
                          .records = (const spr_neon_record *)(base + h->records),
                          .ptr = (const uint32_t *)(base + h->ptr),
                          .kp = h->kp,
                          .panels = h->panels};
}

/* Walks the union of the patterns of rows 2 * pair and 2 * pair + 1 from column k0 to k1; stores it if records are
   given. */
static uint32_t walk_pair(const spr_pw_weights *w, uint32_t pair, uint64_t k0, uint64_t k1, size_t x_stride,
                          spr_neon_pair_record *records) {
    uint32_t i = lower_bound(w, 2 * pair, k0), i1 = lower_bound(w, 2 * pair, k1);
    uint32_t j = lower_bound(w, 2 * pair + 1, k0), j1 = lower_bound(w, 2 * pair + 1, k1), count = 0;
    for (; i < i1 || j < j1; count++) {
        const uint32_t ci = i < i1 ? w->col[i] : UINT32_MAX, cj = j < j1 ? w->col[j] : UINT32_MAX;
        if (records) {
            records[count].offset = byte_offset(ci < cj ? ci : cj, (uint32_t)k0, x_stride);
            records[count + 1].value[0] = ci <= cj ? w->val[i] : 0.0f;
            records[count + 1].value[1] = cj <= ci ? w->val[j] : 0.0f;
        }
        i += ci <= cj;
        j += cj <= ci;
    }
    return count;
}

static header block_layout(const spr_pw_weights *w, size_t x_stride, panel_range range, size_t *end) {
    header h = {.n = w->n, .pairs = w->n / 2};
    size_t blocks = 1;
    for (uint32_t pair = 0; pair < h.pairs; pair++) blocks += walk_pair(w, pair, 0, w->k, x_stride, NULL);
    h.kp = panel_channels(w->k, blocks, h.pairs, x_stride, range);
    h.panels = (w->k + h.kp - 1) / h.kp;
    *end = spr_round_up(sizeof h, SPR_LINE);
    h.bias = section(end, (size_t)w->n * 4 * sizeof(float));
    h.ptr = section(end, ((size_t)h.pairs * h.panels + 1) * sizeof(uint32_t));
    h.records = section(end, (blocks + 1) * sizeof(spr_neon_pair_record) + SPR_NEON_AHEAD);
    if (w->n % 2) {
        h.last_ptr = section(end, ((size_t)h.panels + 1) * sizeof(uint32_t));
        const size_t records = (size_t)w->row_ptr[w->n] - w->row_ptr[w->n - 1] + 2;
        h.last_records = section(end, records * sizeof(spr_neon_record) + SPR_NEON_AHEAD);
    }
    return h;
}

static void block_pack(const spr_pw_weights *w, size_t x_stride, panel_range range, void *dst) {
    size_t end;
    const header h = block_layout(w, x_stride, range, &end);
    memcpy(dst, &h, sizeof h);
    pack_bias(w, (float *)((char *)dst + h.bias));
    uint32_t *ptr = (uint32_t *)((char *)dst + h.ptr), count = 0;
    spr_neon_pair_record *records = (spr_neon_pair_record *)((char *)dst + h.records);
    records[0].value[0] = records[0].value[1] = 0.0f;
    for (uint32_t p = 0; p < h.panels; p++)
        for (uint32_t pair = 0; pair < h.pairs; pair++) {
            *ptr++ = count;
            count += walk_pair(w, pair, (uint64_t)p * h.kp, (uint64_t)(p + 1) * h.kp, x_stride,
                               records + count);
        }
    *ptr = count;
    records[count].offset = 0;
    records[count + 1] = (spr_neon_pair_record){0, {0.0f, 0.0f}};
    if (w->n % 2)
        pack_rows(w, w->n - 1, w->n, x_stride, h.kp, h.panels, (uint32_t *)((char *)dst + h.last_ptr),
                  (spr_neon_record *)((char *)dst + h.last_records));
}

spr_neon_2x1 spr_neon_2x1_view(const void *packed) {
    const header *h = packed;
    const char *base = packed;
    spr_neon_2x1 v = {.bias = (const float *)(base + h->bias),
                      .records = (const spr_neon_pair_record *)(base + h->records),
                      .ptr = (const uint32_t *)(base + h->ptr),
                      .kp = h->kp,
                      .panels = h->panels};
    v.last = (spr_neon_csr){.bias = v.bias,
                            .records = (const spr_neon_record *)(base + h->last_records),
                            .ptr = (const uint32_t *)(base + h->last_ptr),
                            .kp = h->kp,
                            .panels = h->panels};
    return v;
}

#define PACKING(name, layout, pack_fn, ...)                                        \
    static size_t size_##name(const spr_pw_weights *w, size_t x_stride) {          \
        size_t end;                                                                \
        layout(w, x_stride, (panel_range){__VA_ARGS__}, &end);            \
        return end;                                                                \
    }                                                                              \
    static void pack_##name(const spr_pw_weights *w, size_t x_stride, void *dst) { \
        pack_fn(w, x_stride, (panel_range){__VA_ARGS__}, dst);            \
    }                                                                              \
    const spr_pw_packing spr_pack_pw_##name = {size_##name, pack_##name};

#if SPR_AARCH64
PACKING(csr_neon, csr_layout, csr_pack, 128, 512, 96, 0)
PACKING(2x1_neon, block_layout, block_pack, 128, 512, 96, 0)
PACKING(csr_neon_inorder, csr_layout, csr_pack, 128, 128, 28, 80)
PACKING(2x1_neon_inorder, block_layout, block_pack, 128, 256, 28, 0)
PACKING(csr_neon_inorder_dotprod, csr_layout, csr_pack, 128, 128, 28, 96)
PACKING(2x1_neon_inorder_dotprod, block_layout, block_pack, 128, 352, 36, 0)
#else
PACKING(csr_neon32, csr_layout, csr_pack, 128, 256, 28, 0)
PACKING(2x1_neon32, block_layout, block_pack, 128, 256, 28, 0)
#endif

#endif
