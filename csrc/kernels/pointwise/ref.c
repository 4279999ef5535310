/* Pointwise convolution in plain C: dense, CSR and 2x1 blocks. One vector of SPR_PX pixels at a time, then all weights
   of a row. */
#include <string.h>

#include "kernels/pointwise/pack_ref.h"
#include "kernels/unary/act.h"

/* ---- packing ---- */

static void pack_bias(const spr_pw_weights *w, float *dst) {
    if (w->bias)
        memcpy(dst, w->bias, w->n * sizeof(float));
    else
        memset(dst, 0, w->n * sizeof(float));
}

static size_t dense_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return ((size_t)w->n * w->k + w->n) * sizeof(float);
}

static void dense_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    (void)x_stride;
    pack_bias(w, dst);
    memcpy((float *)dst + w->n, w->dense, (size_t)w->n * w->k * sizeof(float));
}

const spr_pw_packing spr_pack_pw_dense_ref = {dense_size, dense_pack};

static size_t csr_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return (2 * (size_t)w->n + 1 + 2 * (size_t)w->row_ptr[w->n]) * sizeof(float);
}

static void csr_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    const uint32_t n = w->n, count = w->row_ptr[n];
    uint32_t *ptr = (uint32_t *)dst + n;
    (void)x_stride;
    pack_bias(w, dst);
    memcpy(ptr, w->row_ptr, (n + 1) * sizeof *ptr);
    if (count == 0) return; /* col and val may be NULL */
    memcpy(ptr + n + 1, w->col, count * sizeof *ptr);
    memcpy(ptr + n + 1 + count, w->val, count * sizeof *ptr);
}

const spr_pw_packing spr_pack_pw_csr_ref = {csr_size, csr_pack};

/* Walks the union of the patterns of rows 2 * group and 2 * group + 1 (if there is one); returns the number of columns
   and stores them and their two values where col and val are given. */
static uint32_t pair_rows(const spr_pw_weights *w, uint32_t group, uint32_t *col, float *val) {
    const uint32_t first = 2 * group, last = first + 1 < w->n ? first + 1 : first;
    uint32_t i = w->row_ptr[first], i1 = w->row_ptr[first + 1];
    uint32_t j = last > first ? w->row_ptr[last] : i1, j1 = last > first ? w->row_ptr[last + 1] : i1;
    uint32_t count = 0;
    while (i < i1 || j < j1) {
        uint32_t ci = i < i1 ? w->col[i] : UINT32_MAX, cj = j < j1 ? w->col[j] : UINT32_MAX;
        if (col) {
            col[count] = ci < cj ? ci : cj;
            val[2 * count] = ci <= cj ? w->val[i] : 0;
            val[2 * count + 1] = cj <= ci ? w->val[j] : 0;
        }
        i += ci <= cj;
        j += cj <= ci;
        count++;
    }
    return count;
}

static uint32_t pair_count(const spr_pw_weights *w) {
    uint32_t count = 0;
    for (uint32_t g = 0; g < (w->n + 1) / 2; g++) count += pair_rows(w, g, NULL, NULL);
    return count;
}

static size_t pair_size(const spr_pw_weights *w, size_t x_stride) {
    (void)x_stride;
    return ((size_t)w->n + (w->n + 1) / 2 + 1 + 3 * (size_t)pair_count(w)) * sizeof(float);
}

static void pair_pack(const spr_pw_weights *w, size_t x_stride, void *dst) {
    const uint32_t groups = (w->n + 1) / 2;
    uint32_t *ptr = (uint32_t *)dst + w->n, *col = ptr + groups + 1;
    float *val = (float *)(col + pair_count(w));
    (void)x_stride;
    pack_bias(w, dst);
    ptr[0] = 0;
    for (uint32_t g = 0; g < groups; g++) ptr[g + 1] = ptr[g] + pair_rows(w, g, col + ptr[g], val + 2 * (size_t)ptr[g]);
}

const spr_pw_packing spr_pack_pw_2x1_ref = {pair_size, pair_pack};

/* ---- kernels ---- */

SPR_INLINE void start(float *acc, float bias) {
    for (int i = 0; i < SPR_PX; i++) acc[i] = bias;
}

SPR_INLINE void accumulate(float *restrict acc, float w, const float *restrict x) {
    for (int i = 0; i < SPR_PX; i++) acc[i] = spr_fma(w, x[i], acc[i]);
}

/* Residual, activation and store of one vector of one row. */
static void finish(const spr_pw_args *a, float *acc, uint32_t row, uint32_t px) {
    float *y = a->y + row * a->y_stride + px;
    if (a->z) {
        const float *z = a->z + row * a->z_stride + px;
        for (int i = 0; i < SPR_PX; i++) acc[i] += z[i];
    }
    if (a->act.fn != SPR_FN_NONE)
        for (int i = 0; i < SPR_PX; i++) acc[i] = spr_act_scalar(acc[i], &a->act, row);
    memcpy(y, acc, SPR_PX * sizeof(float));
    if (!SPR_ACT_IN_REGISTERS(a->act.fn)) a->unary(y, y, SPR_PX, &a->act);
}

void spr_pw_dense_f32_ref(const spr_pw_args *a) {
    const spr_dense_ref p = spr_dense_ref_of(a->packed, a->n);
    for (uint32_t px = a->px0; px < a->px1; px += SPR_PX)
        for (uint32_t row = a->row0; row < a->row1; row++) {
            const float *w = p.w + (size_t)row * a->k;
            float acc[SPR_PX];
            start(acc, p.bias[row]);
            for (uint32_t k = 0; k < a->k; k++) accumulate(acc, w[k], a->x + k * a->x_stride + px);
            finish(a, acc, row, px);
        }
}

void spr_pw_csr_f32_ref(const spr_pw_args *a) {
    const spr_csr_ref p = spr_csr_ref_of(a->packed, a->n, 1);
    for (uint32_t px = a->px0; px < a->px1; px += SPR_PX)
        for (uint32_t row = a->row0; row < a->row1; row++) {
            float acc[SPR_PX];
            start(acc, p.bias[row]);
            for (uint32_t i = p.ptr[row]; i < p.ptr[row + 1]; i++)
                accumulate(acc, p.val[i], a->x + p.col[i] * a->x_stride + px);
            finish(a, acc, row, px);
        }
}

void spr_pw_2x1_f32_ref(const spr_pw_args *a) {
    const spr_csr_ref p = spr_csr_ref_of(a->packed, a->n, 2);
    for (uint32_t px = a->px0; px < a->px1; px += SPR_PX)
        for (uint32_t row = a->row0; row < a->row1; row += 2) {
            const int both = row + 1 < a->n;
            float acc0[SPR_PX], acc1[SPR_PX];
            start(acc0, p.bias[row]);
            start(acc1, both ? p.bias[row + 1] : 0);
            for (size_t i = p.ptr[row / 2]; i < p.ptr[row / 2 + 1]; i++) {
                const float *x = a->x + p.col[i] * a->x_stride + px;
                accumulate(acc0, p.val[2 * i], x);
                accumulate(acc1, p.val[2 * i + 1], x);
            }
            finish(a, acc0, row, px);
            if (both) finish(a, acc1, row + 1, px);
        }
}
