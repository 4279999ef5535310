/* Packing for the vector FC kernels; formats in pack.h. */
#include "kernels/fc/pack.h"

#include <string.h>

static size_t slices_of(uint32_t n, uint32_t rows) { return spr_round_up(n, rows) / rows; }

static void pack_bias(const spr_pw_weights *w, size_t count, float *dst) {
    for (size_t i = 0; i < count; i++) dst[i] = w->bias && i < w->n ? w->bias[i] : 0.0f;
}

/* ---- dense ---- */

static size_t dense_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return slices_of(w->n, SPR_FC_SLICE) * SPR_FC_SLICE * ((size_t)w->k + 1) * sizeof(float);
}

static void dense_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    const size_t rows = slices_of(w->n, SPR_FC_SLICE) * SPR_FC_SLICE;
    float *out = (float *)dst + rows;
    (void)x_stride;
    pack_bias(w, rows, dst);
    for (size_t row = 0; row < rows; row += SPR_FC_SLICE, out += (size_t)w->k * SPR_FC_SLICE)
        for (size_t r = 0; r < SPR_FC_SLICE; r++) {
            const float *from = row + r < w->n ? w->dense + (row + r) * w->k : NULL;
            for (size_t k = 0; k < w->k; k++) out[k * SPR_FC_SLICE + r] = from ? from[k] : 0.0f;
        }
}

const spr_pw_packing spr_pack_fc_dense = {dense_size, dense_pack};

/* ---- CSR ---- */

static uint32_t row_length(const spr_pw_weights *w, size_t row) {
    return row < w->n ? w->row_ptr[row + 1] - w->row_ptr[row] : 0;
}

/* Nonzeros that all four rows of a slice have. */
static uint32_t common_length(const spr_pw_weights *w, size_t slice) {
    uint32_t least = UINT32_MAX;
    for (size_t r = slice * SPR_FC_QUAD; r < (slice + 1) * SPR_FC_QUAD; r++)
        if (row_length(w, r) < least) least = row_length(w, r);
    return least;
}

static size_t csr_size(const spr_pw_weights *w, size_t x_stride) {
    const size_t slices = slices_of(w->n, SPR_FC_QUAD);
    (void)x_stride;
    return (2 * SPR_FC_QUAD * slices + 1 + slices + 1) * sizeof(uint32_t) +
           w->row_ptr[w->n] * sizeof(spr_fc_column);
}

static void csr_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    const size_t slices = slices_of(w->n, SPR_FC_QUAD);
    uint32_t *part = (uint32_t *)dst + SPR_FC_QUAD * slices, *common = part + SPR_FC_QUAD * slices + 1;
    (void)x_stride;
    pack_bias(w, SPR_FC_QUAD * slices, dst);
    part[0] = common[0] = 0;
    for (size_t s = 0; s < slices; s++) {
        const uint32_t length = common_length(w, s);
        common[s + 1] = common[s] + length;
        for (size_t r = s * SPR_FC_QUAD; r < (s + 1) * SPR_FC_QUAD; r++)
            part[r + 1] = part[r] + row_length(w, r) - length;
    }
    spr_fc_step *step = (spr_fc_step *)(common + slices + 1);
    spr_fc_column *rest = (spr_fc_column *)(step + common[slices]);
    for (size_t row = 0; row < w->n; row++) {
        const size_t s = row / SPR_FC_QUAD, lane = row % SPR_FC_QUAD;
        uint32_t i = w->row_ptr[row];
        for (uint32_t j = common[s]; j < common[s + 1]; j++, i++) {
            step[j].col[lane] = w->col[i];
            step[j].w[lane] = w->val[i];
        }
        for (; i < w->row_ptr[row + 1]; i++) *rest++ = (spr_fc_column){w->col[i], w->val[i]};
    }
}

const spr_pw_packing spr_pack_fc_csr = {csr_size, csr_pack};

/* ---- CSR, 16 rows ---- */

/* Index behind a slice that begins at `begin`. */
static size_t slice_end(const spr_pw_weights *w, size_t slice, size_t begin) {
    for (size_t r = slice * SPR_FC_SLICE; r < (slice + 1) * SPR_FC_SLICE; r++) begin += row_length(w, r);
    return spr_round_up(begin, SPR_FC_SLICE);
}

static size_t lanes_size(const spr_pw_weights *w, size_t x_stride) {
    const size_t slices = slices_of(w->n, SPR_FC_SLICE);
    size_t count = 0;
    (void)x_stride;
    for (size_t s = 0; s < slices; s++) count = slice_end(w, s, count);
    return (3 * SPR_FC_SLICE * slices + spr_round_up(slices + 1, SPR_FC_SLICE)) * sizeof(uint32_t) +
           count * (sizeof(float) + (w->k <= SPR_FC_NARROW_K ? sizeof(uint16_t) : sizeof(uint32_t)));
}

static void lanes_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    const size_t slices = slices_of(w->n, SPR_FC_SLICE), rows = slices * SPR_FC_SLICE;
    float *bias = dst;
    uint32_t *lane = (uint32_t *)dst + rows, *length = lane + rows, *begin = length + rows;
    float *const val = (float *)(begin + spr_round_up(slices + 1, SPR_FC_SLICE));
    (void)x_stride;
    begin[0] = 0;
    for (size_t s = 0; s < slices; s++) begin[s + 1] = (uint32_t)slice_end(w, s, begin[s]);
    memset(val, 0, begin[slices] * sizeof *val);
    uint32_t *const wide = (uint32_t *)(val + begin[slices]);
    uint16_t *const narrow = (uint16_t *)wide;
    for (size_t s = 0; s < slices; s++) {
        const size_t first = s * SPR_FC_SLICE;
        size_t row[SPR_FC_SLICE]; /* of each lane: longest first, by insertion */
        for (size_t r = 0; r < SPR_FC_SLICE; r++) {
            size_t l = r;
            for (; l > 0 && row_length(w, row[l - 1]) < row_length(w, first + r); l--) row[l] = row[l - 1];
            row[l] = first + r;
        }
        for (size_t l = 0; l < SPR_FC_SLICE; l++) {
            lane[row[l]] = (uint32_t)l;
            length[first + l] = row_length(w, row[l]);
            bias[first + l] = w->bias && row[l] < w->n ? w->bias[row[l]] : 0.0f;
        }
        size_t at = begin[s];
        for (uint32_t j = 0; j < length[first]; j++)
            for (size_t l = 0; l < SPR_FC_SLICE && j < length[first + l]; l++, at++) {
                const uint32_t i = w->row_ptr[row[l]] + j;
                val[at] = w->val[i];
                if (w->k <= SPR_FC_NARROW_K)
                    narrow[at] = (uint16_t)w->col[i];
                else
                    wide[at] = w->col[i];
            }
    }
}

const spr_pw_packing spr_pack_fc_csr_lanes = {lanes_size, lanes_pack};
