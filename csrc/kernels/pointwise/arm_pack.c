/* Packing for the sparse NEON kernels; see neon_sparse.h. */
#include <string.h>

#include "kernels/pointwise/neon_sparse.h"
#include "kernels/pointwise/order.h"

#if SPR_NEON

/* Fewest and most channels of a panel, and between them as many as give a row that many records on average: where one
   row ends and the next begins costs time. With few records per channel, panels larger than L1 pay for that.
   wide: most where planes have four lines, all of which may be in one tile; 0: as many as elsewhere. sorted: whether
   rows come in the order of their number of records. */
typedef struct panel_range {
    uint32_t least, most, records, wide, sorted;
} panel_range;

#define FOUR_LINES (5 * SPR_PX) /* the stride of such planes */

/* Sections follow each other in the order of their members, aligned to SPR_LINE: bytes from the header. */
typedef struct header {
    uint32_t kp, panels;
    uint64_t bias, ptr, order, records, last_ptr, last_records; /* order: 0: not sorted */
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

/* Walks the columns [k0, k1) of a row, or the union of those of a pair, and writes their records if they are given: the
   offset of each and, behind it, the values of the next one. Returns their number. */
static uint32_t walk(const spr_pw_weights *w, uint32_t pairs, uint32_t row, uint64_t k0, uint64_t k1, size_t x_stride,
                     uint32_t *record) {
    uint32_t i = lower_bound(w, row, k0), i1 = lower_bound(w, row, k1), count = 0;
    uint32_t j = lower_bound(w, row + pairs, k0), j1 = lower_bound(w, row + pairs, k1);
    if (!record && !pairs) return i1 - i;
    for (; i < i1 || j < j1; count++) {
        const uint32_t ci = i < i1 ? w->col[i] : UINT32_MAX, cj = j < j1 ? w->col[j] : UINT32_MAX;
        if (record) {
            const float values[] = {ci <= cj ? w->val[i] : 0.0f, cj <= ci ? w->val[j] : 0.0f};
            *record = (uint32_t)(((ci < cj ? ci : cj) - k0) * x_stride * sizeof(float));
            record += 2 + pairs;
            memcpy(record + 1, values, (1 + pairs) * sizeof(float));
        }
        i += ci <= cj;
        j += cj <= ci;
    }
    return count;
}

static size_t records_bytes(size_t records, uint32_t pairs) {
    return (records + 2) * (2 + pairs) * sizeof(uint32_t) + SPR_NEON_AHEAD;
}

static header layout(const spr_pw_weights *w, size_t x_stride, uint32_t pairs, panel_range range, size_t *end) {
    const uint32_t rows = w->n >> pairs;
    size_t records = 0;
    for (uint32_t i = 0; i < rows; i++) records += walk(w, pairs, i << pairs, 0, w->k, x_stride, NULL);
    header h = {.kp = panel_channels(w->k, records, rows, x_stride, range)};
    h.panels = (w->k + h.kp - 1) / h.kp;
    *end = spr_round_up(sizeof h, SPR_LINE);
    h.bias = section(end, (size_t)w->n * 4 * sizeof(float));
    h.ptr = section(end, ((size_t)rows * h.panels + 1) * sizeof(uint32_t));
    if (range.sorted) h.order = section(end, (size_t)rows * h.panels * sizeof(uint32_t));
    h.records = section(end, records_bytes(records, pairs));
    if (w->n & pairs) {
        h.last_ptr = section(end, ((size_t)h.panels + 1) * sizeof(uint32_t));
        h.last_records = section(end, records_bytes(w->row_ptr[w->n] - w->row_ptr[w->n - 1], 0));
    }
    return h;
}

/* `rows` rows or pairs from row0 on; `ptr` gets rows * panels + 1 entries, `order`, if any, as many but for the last. */
static void pack_rows(const spr_pw_weights *w, uint32_t pairs, uint32_t row0, uint32_t rows, size_t x_stride,
                      const header *h, uint32_t *ptr, uint32_t *order, uint32_t *record) {
    uint32_t count = 0;
    memset(record, 0, (2 + pairs) * sizeof *record);
    for (uint32_t p = 0; p < h->panels; p++) {
        const uint64_t k0 = (uint64_t)p * h->kp, k1 = k0 + h->kp;
        if (order) {
            for (uint32_t i = 0; i < rows; i++) ptr[i] = walk(w, pairs, i << pairs, k0, k1, 0, NULL);
            spr_pw_order(w, 1 + pairs, rows, ptr, order);
        }
        for (uint32_t i = 0; i < rows; i++) {
            const uint32_t found = walk(w, pairs, order ? *order++ : row0 + (i << pairs), k0, k1, x_stride, record);
            *ptr++ = count;
            count += found;
            record += (size_t)found * (2 + pairs);
        }
    }
    *ptr = count;
    *record = 0;
    memset(record + 2 + pairs, 0, (2 + pairs) * sizeof *record);
}

static void pack(const spr_pw_weights *w, size_t x_stride, uint32_t pairs, panel_range range, void *dst) {
    size_t end;
    const header h = layout(w, x_stride, pairs, range, &end);
    char *const base = dst;
    uint32_t *const order = h.order ? (uint32_t *)(base + h.order) : NULL;
    float *bias = (float *)(base + h.bias);
    memcpy(dst, &h, sizeof h);
    pack_rows(w, pairs, 0, w->n >> pairs, x_stride, &h, (uint32_t *)(base + h.ptr), order,
              (uint32_t *)(base + h.records));
    if (w->n & pairs)
        pack_rows(w, 0, w->n - 1, 1, x_stride, &h, (uint32_t *)(base + h.last_ptr), NULL,
                  (uint32_t *)(base + h.last_records));
    for (uint32_t i = 0; i < w->n; i++) {
        const uint32_t row = order && i < w->n >> pairs << pairs ? order[i >> pairs] + (i & pairs) : i;
        for (int k = 0; k < 4; k++) *bias++ = w->bias ? w->bias[row] : 0.0f;
    }
}

spr_neon_sparse spr_neon_view(const void *packed, int last) {
    const header *h = packed;
    const char *base = packed;
    return (spr_neon_sparse){.bias = (const float *)(base + h->bias),
                             .records = base + (last ? h->last_records : h->records),
                             .ptr = (const uint32_t *)(base + (last ? h->last_ptr : h->ptr)),
                             .order = h->order ? (const uint32_t *)(base + h->order) : NULL,
                             .kp = h->kp,
                             .panels = h->panels};
}

#define PACKING(name, pairs, ...)                                                   \
    static size_t size_##name(const spr_pw_weights *w, size_t x_stride) {          \
        size_t end;                                                                \
        layout(w, x_stride, pairs, (panel_range){__VA_ARGS__}, &end);              \
        return end;                                                                \
    }                                                                              \
    static void pack_##name(const spr_pw_weights *w, size_t x_stride, void *dst) { \
        pack(w, x_stride, pairs, (panel_range){__VA_ARGS__}, dst);                 \
    }                                                                              \
    const spr_pw_packing spr_pack_pw_##name = {size_##name, pack_##name};

#if SPR_AARCH64
PACKING(csr_neon, 0, 128, 512, 96, 0, 1)
PACKING(2x1_neon, 1, 128, 512, 96, 0, 1)
PACKING(csr_neon_inorder, 0, 128, 128, 28, 80, 0)
PACKING(2x1_neon_inorder, 1, 128, 256, 28, 0, 0)
PACKING(csr_neon_inorder_dotprod, 0, 128, 128, 28, 96, 0)
PACKING(2x1_neon_inorder_dotprod, 1, 128, 352, 36, 0, 0)
#else
PACKING(csr_neon32, 0, 128, 256, 28, 0, 0)
PACKING(2x1_neon32, 1, 128, 256, 28, 0, 0)
#endif

#endif
