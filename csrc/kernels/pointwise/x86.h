/* Packed weights of the AVX2 and AVX-512 pointwise kernels. Both sum over panels of input channels, such that the
 * pixels of a tile stay in L1 for all rows; between panels the sums stay in the output. */
#ifndef SPR_KERNELS_POINTWISE_X86_H
#define SPR_KERNELS_POINTWISE_X86_H

#include "kernels/kernel.h"

/* Sparse: header, bias[groups * height], ptr[panels * groups + 1], order[panels * groups + 1] if sorted, then the
   columns, {uint32 offset; float w[height]}, of every panel, group and channel that holds a weight. A group is `height`
   rows, 1 or 2; an odd last row is there twice, so that the kernel computes and stores it twice instead of having a
   special case. offset is in bytes from the panel's first plane. order: the first rows of a panel's groups in the order
   in which their columns lie there, and one more to be fetched ahead. */
typedef struct spr_x86_sparse {
    const float *bias;
    const uint32_t *ptr, *order; /* order: NULL where groups are not sorted */
    const char *columns;
    uint32_t groups, panels, panel; /* panel: channels of each but the last, which may have fewer */
    uint32_t ahead; /* of the next panel, that each group of rows prefetches; set by the kernel */
} spr_x86_sparse;

typedef struct spr_x86_header {
    uint32_t panels, panel, sorted;
} spr_x86_header;

SPR_INLINE spr_x86_sparse spr_x86_sparse_of(const void *packed, uint32_t n, uint32_t height) {
    const spr_x86_header *header = packed;
    spr_x86_sparse s = {.groups = (n + height - 1) / height, .panels = header->panels, .panel = header->panel};
    const size_t parts = (size_t)s.panels * s.groups;
    s.bias = (const float *)(header + 1);
    s.ptr = (const uint32_t *)(s.bias + (size_t)s.groups * height);
    if (header->sorted) s.order = s.ptr + parts + 1;
    s.columns = (const char *)(s.ptr + (parts + 1) * (header->sorted ? 2 : 1));
    return s;
}

extern const spr_pw_packing spr_pack_pw_csr_avx2, spr_pack_pw_csr_avx512, spr_pack_pw_2x1_avx2, spr_pack_pw_2x1_avx512;

/* Vectors of pixels to the widest tiles of sparse kernels. */
#define SPR_AVX2_CSR_TILE 10
#define SPR_AVX2_2X1_TILE 6
#define SPR_AVX512_SPARSE_TILE 7

/* Dense: bias[groups * height], then for every panel and group w[channels of the panel][height]. Rows that fill the
   last group up repeat row n - 1, for the same reason. */
#define SPR_AVX2_DENSE_ROWS 4
#define SPR_AVX512_DENSE_ROWS 8
#define SPR_X86_DENSE_PANEL 128

extern const spr_pw_packing spr_pack_pw_dense_avx2, spr_pack_pw_dense_avx512;

/* Whether input and output are too much for L2, so that kernels had better prefetch what the next tile takes from
   beyond it. The planes of a tile are short and far apart, which hardware prefetchers do not see through. */
SPR_INLINE int spr_x86_is_far(const spr_pw_args *a) {
    return (a->k * a->x_stride + a->n * a->y_stride) * sizeof(float) > 2u << 20;
}

/* Prefetches `count` floats from p on into L2. */
SPR_INLINE void spr_x86_prefetch(const float *p, uint32_t count) {
    for (uint32_t i = 0; i < count; i += SPR_LINE / sizeof(float)) __builtin_prefetch(p + i, 0, 2);
}

/* Prefetches planes [k, end) of the input that there are, `count` pixels from px on. */
SPR_INLINE void spr_x86_prefetch_planes(const spr_pw_args *a, uint32_t k, uint32_t end, uint32_t px, uint32_t count) {
    for (; k < end && k < a->k; k++) spr_x86_prefetch(a->x + k * a->x_stride + px, count);
}

#endif
