/* Packing for the AVX2 and AVX-512 pointwise kernels; formats in x86.h. */
#include "base/compiler.h"

#if SPR_X86_64
#include <string.h>

#include "kernels/pointwise/order.h"
#include "kernels/pointwise/x86.h"

static uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

/* bias[count], the last one repeated where count > n. */
static void pack_bias(const spr_pw_weights *w, uint32_t count, float *dst) {
    for (uint32_t i = 0; i < count; i++) dst[i] = w->bias ? w->bias[i < w->n ? i : w->n - 1] : 0.0f;
}

/* ---- sparse ---- */

/* Lines of the widest tile, and bytes that its pixels of one panel may take, with more and with few nonzeros: where
   each pixel is loaded seldom, fewer rounds through the output are worth some misses. Measured with 32 KB of L1 (AVX2)
   and 48 KB (AVX-512). Whether columns are packed by fours.
   And up to how many lines of a plane rows are sorted by their number of columns, so that ends of loops are foretold.
   Where many tiles follow each other, CPUs learn the order as it is, and rows one after the other come faster. */
typedef struct spr_x86_form {
    size_t lines, bytes, bytes_sparse;
    int by_fours;
    size_t sorted_lines;
} spr_x86_form;

#define LINES(vectors, lanes) ((vectors) * (lanes) / SPR_PX)
static const spr_x86_form form_csr_avx2 = {LINES(SPR_AVX2_CSR_TILE, 8), 24 * 1024, 36 * 1024, 1, 16};
static const spr_x86_form form_pair_avx2 = {LINES(SPR_AVX2_2X1_TILE, 8), 24 * 1024, 36 * 1024, 0, 16};
static const spr_x86_form form_sparse_avx512 = {LINES(SPR_AVX512_SPARSE_TILE, 16), 40 * 1024, 56 * 1024, 0, 0}; /* not measured */
#undef LINES

/* Channels to a panel. Offsets within it have to fit 32 bits. */
static uint32_t panel_channels(const spr_pw_weights *w, size_t x_stride, uint32_t height, const spr_x86_form *form) {
    const double loads = (double)w->row_ptr[w->n] / height / w->n / w->k; /* of a pixel by one group */
    const size_t bytes = loads > 0.18 ? form->bytes : form->bytes_sparse;
    const size_t lines = x_stride / SPR_PX < form->lines ? x_stride / SPR_PX : form->lines;
    const size_t fit = UINT32_MAX / sizeof(float) / x_stride;
    size_t most = bytes / (SPR_LINE * (lines ? lines : 1));
    if (most > fit) most = fit ? fit : 1;
    return most < w->k ? ceil_div(w->k, ceil_div(w->k, (uint32_t)most)) : w->k;
}

/* First position of a row whose column is at least `column`. */
static uint32_t lower_bound(const spr_pw_weights *w, uint32_t row, uint32_t column) {
    uint32_t lo = w->row_ptr[row], hi = w->row_ptr[row + 1];
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (w->col[mid] < column)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Walks the columns [begin, end) of a group of rows in ascending order. Writes them to dst unless it is NULL; returns
   their number. */
static uint32_t walk(const spr_pw_weights *w, uint32_t height, uint32_t group, uint32_t begin, uint32_t end,
                     size_t x_stride, uint32_t *dst) {
    uint32_t count = 0, i[2], last[2];
    for (uint32_t r = 0; r < height; r++) {
        const uint32_t row = group * height + r < w->n ? group * height + r : w->n - 1;
        i[r] = lower_bound(w, row, begin);
        last[r] = lower_bound(w, row, end);
    }
    if (!dst && height == 1) return last[0] - i[0];
    for (;;) {
        uint32_t col = end;
        for (uint32_t r = 0; r < height; r++)
            if (i[r] < last[r] && w->col[i[r]] < col) col = w->col[i[r]];
        if (col == end) return count;
        float val[2] = {0, 0};
        for (uint32_t r = 0; r < height; r++)
            if (i[r] < last[r] && w->col[i[r]] == col) val[r] = w->val[i[r]++];
        if (dst) {
            *dst++ = (uint32_t)((col - begin) * x_stride * sizeof(float));
            for (uint32_t r = 0; r < height; r++) ((float *)dst)[r] = val[r];
            dst += height;
        }
        count++;
    }
}

/* Of `count` columns of a row: each four become their offsets, then their weights. */
static void by_fours(uint32_t *column, uint32_t count) {
    for (; count >= 4; count -= 4, column += 8) {
        uint32_t four[8];
        for (int i = 0; i < 8; i++) four[i % 2 * 4 + i / 2] = column[i];
        memcpy(column, four, sizeof four);
    }
}

static int is_sorted(size_t x_stride, const spr_x86_form *form) { return x_stride / SPR_PX <= form->sorted_lines; }

static size_t sparse_size(const spr_pw_weights *w, size_t x_stride, uint32_t height, const spr_x86_form *form) {
    const size_t groups = ceil_div(w->n, height);
    const size_t parts = groups * ceil_div(w->k, panel_channels(w, x_stride, height, form));
    size_t columns = 0;
    for (uint32_t g = 0; g < groups; g++) columns += walk(w, height, g, 0, w->k, x_stride, NULL);
    return sizeof(spr_x86_header) + (groups * height + (parts + 1) * (is_sorted(x_stride, form) ? 2 : 1) +
                                     columns * (1 + height)) * sizeof(uint32_t);
}

static void sparse_pack(const spr_pw_weights *w, size_t x_stride, void *dst, uint32_t height, const spr_x86_form *form) {
    const uint32_t panel = panel_channels(w, x_stride, height, form), groups = ceil_div(w->n, height);
    spr_x86_header *header = dst;
    *header = (spr_x86_header){ceil_div(w->k, panel), panel, (uint32_t)is_sorted(x_stride, form)};
    pack_bias(w, groups * height, (float *)(header + 1));
    uint32_t *ptr = (uint32_t *)(header + 1) + (size_t)groups * height, *order = ptr + (size_t)groups * header->panels + 1;
    uint32_t *const columns = header->sorted ? order + (size_t)groups * header->panels + 1 : order;
    size_t total = 0;
    for (uint32_t p = 0; p < header->panels; p++, ptr += groups, order += groups) {
        const uint32_t begin = p * panel, end = w->k - begin > panel ? begin + panel : w->k;
        if (header->sorted) {
            for (uint32_t g = 0; g < groups; g++) ptr[g] = walk(w, height, g, begin, end, x_stride, NULL);
            spr_pw_order(w, height, groups, ptr, order);
        }
        for (uint32_t i = 0; i < groups; i++) {
            uint32_t *to = columns + total * (1 + height);
            const uint32_t count = walk(w, height, header->sorted ? order[i] / height : i, begin, end, x_stride, to);
            if (form->by_fours) by_fours(to, count);
            ptr[i] = (uint32_t)total;
            total += count;
        }
    }
    *ptr = (uint32_t)total;
    if (header->sorted) *order = 0;
}

#define SPARSE_PACKING(packing, height, form)                                                  \
    static size_t packing##_size(const spr_pw_weights *w, size_t x_stride) {                   \
        return sparse_size(w, x_stride, height, &form);                                        \
    }                                                                                          \
    static void packing##_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {          \
        sparse_pack(w, x_stride, dst, height, &form);                                          \
    }                                                                                          \
    const spr_pw_packing packing = {packing##_size, packing##_pack};
SPARSE_PACKING(spr_pack_pw_csr_avx2, 1, form_csr_avx2)
SPARSE_PACKING(spr_pack_pw_2x1_avx2, 2, form_pair_avx2)
SPARSE_PACKING(spr_pack_pw_csr_avx512, 1, form_sparse_avx512)
SPARSE_PACKING(spr_pack_pw_2x1_avx512, 2, form_sparse_avx512)
#undef SPARSE_PACKING

/* ---- dense ---- */

static size_t dense_size(const spr_pw_weights *w, uint32_t height) {
    return (size_t)ceil_div(w->n, height) * height * ((size_t)w->k + 1) * sizeof(float);
}

static void dense_pack(const spr_pw_weights *w, void *dst, uint32_t height) {
    const uint32_t rows = ceil_div(w->n, height) * height;
    float *out = dst;
    pack_bias(w, rows, out);
    out += rows;
    for (uint32_t k0 = 0; k0 < w->k; k0 += SPR_X86_DENSE_PANEL) {
        const uint32_t k1 = w->k - k0 > SPR_X86_DENSE_PANEL ? k0 + SPR_X86_DENSE_PANEL : w->k;
        for (uint32_t row = 0; row < rows; row += height)
            for (uint32_t k = k0; k < k1; k++)
                for (uint32_t r = row; r < row + height; r++)
                    *out++ = w->dense[(size_t)(r < w->n ? r : w->n - 1) * w->k + k];
    }
}

static size_t dense_size_avx2(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return dense_size(w, SPR_AVX2_DENSE_ROWS);
}
static void dense_pack_avx2(const spr_pw_weights *w, size_t x_stride, void *dst) {
    (void)x_stride;
    dense_pack(w, dst, SPR_AVX2_DENSE_ROWS);
}
static size_t dense_size_avx512(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return dense_size(w, SPR_AVX512_DENSE_ROWS);
}
static void dense_pack_avx512(const spr_pw_weights *w, size_t x_stride, void *dst) {
    (void)x_stride;
    dense_pack(w, dst, SPR_AVX512_DENSE_ROWS);
}

const spr_pw_packing spr_pack_pw_dense_avx2 = {dense_size_avx2, dense_pack_avx2};
const spr_pw_packing spr_pack_pw_dense_avx512 = {dense_size_avx512, dense_pack_avx512};

#endif
