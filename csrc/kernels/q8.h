/* The part of the kernel contract that is about quantized tensors; docs/quantization.md derives the arithmetic.
 *
 * Numbers. A quantized number q stands for scale * (q - zero), one scale and zero for a tensor. In graphs and files it
 * is an int8. In memory it is a spr_q8, SPR_Q8_SHIFT more, zeros likewise: dot products of x86 want unsigned bytes on
 * one side, those of ARM signed ones. Kernels and what calls them know only spr_q8 and zeros of that kind.
 *
 * Groups. Four channels lie together: an image [N, C, H, W] is planar with ceil(C / 4) planes of pixels of 4 bytes,
 * channel 4 g + i in byte i of the pixels of plane g. Planes of such pixels follow the rules for planes of floats in
 * kernel.h, strides counted in pixels: at least round_up(H*W, SPR_PX) but for H*W == 1, starts at multiples of 64
 * bytes. Padding lanes, and channels beyond C in the last group, may hold any bytes and may be read and written with
 * the rest.
 *
 * Arithmetic. Sums are exact in int32. All kernels do the same float operations afterwards (fused multiply-add only
 * within activations, and where it gives the same bits: q8_x86.h), so that they agree bit for bit where no activation
 * is involved. */
#ifndef SPR_KERNELS_Q8_H
#define SPR_KERNELS_Q8_H

#if SPR_X86_64
typedef uint8_t spr_q8;
#define SPR_Q8_SHIFT 128
#else
typedef int8_t spr_q8;
#define SPR_Q8_SHIFT 0
#endif
#define SPR_Q8_MIN (SPR_Q8_SHIFT - 128)
#define SPR_Q8_MAX (SPR_Q8_SHIFT + 127)

/* Channels to a group. */
#define SPR_Q8_GROUP 4

/* From the sum of a row to its output: v = sum * scale[row] + (z - z_zero) * z_scale, v = act(v), and then float32 v
 * itself or clamp(round(v * y_inv), lo - y_zero, hi - y_zero) + y_zero, rounded half to even. Without an activation v
 * is in quanta of y already, y_inv is not applied; a clip is expressed by lo and hi. */
typedef struct spr_q8_finish {
    spr_act act; /* SPR_ACT_IN_REGISTERS; with int8 outputs not CLIP */
    float y_inv;
    int32_t y_zero, lo, hi;
    float z_scale;
    int32_t z_zero;
    int to_float;
} spr_q8_finish;

/* ---- pointwise: any sum over groups of channels that lie at fixed distances -------------------------------------- */

/* Row r is sum over g < groups, i < 4 of w[r][g][i] * x[offset[g] + pixel][i], plus bias[r]. 1x1 convolutions have a
   group per plane of the input, KxK ones over padded rows a group per plane and tap. */
typedef struct spr_pw_q8_weights {
    uint32_t n, groups;     /* both >= 1 */
    const int8_t *w;        /* [n][groups][4] */
    const uint32_t *offset; /* [groups] pixels */
    const int32_t *bias;    /* [n], with what the zero of x contributes */
    const float *scale;     /* [n] */
} spr_pw_q8_weights;

typedef struct spr_pw_q8_packing {
    size_t (*size)(const spr_pw_q8_weights *w);
    void (*pack)(const spr_pw_q8_weights *w, void *dst);
    size_t (*scratch)(const spr_pw_q8_weights *w); /* bytes; NULL: none */
} spr_pw_q8_packing;

typedef struct spr_pw_q8_args {
    const spr_q8 *x;
    void *y;                   /* spr_q8 in groups, or planes of floats */
    const spr_q8 *z;           /* residual or NULL; may be y itself */
    size_t y_stride, z_stride; /* pixels between groups, or floats between planes */
    const void *packed;
    uint32_t n;
    uint32_t row0, row1; /* multiples of SPR_Q8_GROUP, row1 also n */
    uint32_t px0, px1;   /* multiples of SPR_PX, px1 also the last pixel of the plane */
    const spr_q8_finish *finish;
    void *scratch; /* scratch() bytes, aligned to SPR_LINE, one per thread */
} spr_pw_q8_args;
typedef void spr_pw_q8_fn(const spr_pw_q8_args *args);

/* ---- fully connected: images of one pixel ------------------------------------------------------------------------ */

/* Row r of an image is sum over k of (w[r][k] - w_zero) * x[k], plus bias[r]; it fits int32. */
typedef struct spr_fc_q8_weights {
    uint32_t n, k;       /* both >= 1 */
    const int8_t *w;     /* [n][k] */
    int32_t w_zero;      /* an int8 */
    const int32_t *bias; /* [n], with what the zero of x contributes */
    const float *scale;  /* [n] */
} spr_fc_q8_weights;

typedef struct spr_fc_q8_packing {
    size_t (*size)(const spr_fc_q8_weights *w);
    void (*pack)(const spr_fc_q8_weights *w, void *dst);
} spr_fc_q8_packing;

/* Images lie *_stride elements apart, their channels side by side, aligned to 4 bytes. Those of x are read up to whole
   groups. */
typedef struct spr_fc_q8_args {
    const spr_q8 *x;
    void *y;         /* spr_q8 or floats */
    const spr_q8 *z; /* residual or NULL; may be y itself */
    size_t x_stride, y_stride, z_stride;
    const void *packed;
    uint32_t m, n;
    uint32_t row0, row1; /* row0 a multiple of the kernel's row_step, row1 too or n; no others are written */
    const spr_q8_finish *finish;
} spr_fc_q8_args;
typedef void spr_fc_q8_fn(const spr_fc_q8_args *args);

/* ---- depthwise convolution --------------------------------------------------------------------------------------- */

/* One filter per channel, group == ic == oc. Taps outside the input count as the zero of x. */
typedef struct spr_dw_q8_weights {
    uint32_t channels;
    spr_window win;
    const int16_t *w;    /* [channels][kh][kw], in [-255, 255]: int8 less a zero */
    const int32_t *bias; /* [channels], with what the zero of x contributes */
    const float *scale;  /* [channels] */
} spr_dw_q8_weights;

typedef struct spr_dw_q8_args {
    const spr_q8 *x;
    spr_q8 *y;
    const spr_q8 *z;
    size_t x_stride, y_stride, z_stride; /* pixels between groups */
    const void *packed;
    uint32_t channels;
    const spr_window *win;
    spr_q8 x_zero;
    uint32_t group0, group1; /* groups of channels */
    uint32_t oy0, oy1;       /* rows of the image */
    const spr_q8_finish *finish;
    void *scratch; /* scratch() bytes, aligned to SPR_LINE, one per thread */
} spr_dw_q8_args;
typedef void spr_dw_q8_fn(const spr_dw_q8_args *args);

typedef struct spr_dw_q8_traits {
    int (*match)(const spr_window *win);
    size_t (*size)(const spr_dw_q8_weights *w);
    void (*pack)(const spr_dw_q8_weights *w, void *dst);
    size_t (*scratch)(const spr_window *win); /* bytes */
} spr_dw_q8_traits;

/* ---- pooling ----------------------------------------------------------------------------------------------------- */

/* y = clamp(round(v * scale), lo - y_zero, hi - y_zero) + y_zero, v the maximum or the mean of q - x_zero, whose sum is
   exact. No window is without taps. */
typedef struct spr_pool_q8_args {
    const spr_q8 *x;
    spr_q8 *y;
    size_t x_stride, y_stride; /* pixels between groups */
    spr_pool_kind kind;
    spr_window win;
    uint32_t group0, group1;
    float scale; /* of x by that of y */
    int32_t x_zero, y_zero, lo, hi;
} spr_pool_q8_args;
typedef void spr_pool_q8_fn(const spr_pool_q8_args *args);

/* ---- elementwise, n pixels of a group of channels; any alignment, y may be an input ------------------------------ */

/* y = clamp(round(v), lo, hi) in float32, in onnxruntime's order of operations, by which its results are bit for bit
     the same: ADD, SUB: v = fma(a, a_scale, fma(b, b_scale, shift)), shift = y_zero - fma(a_scale, a_zero,
     b_scale * b_zero), b_scale
               negated for SUB;
     MUL:      v = ((a - a_zero) * (b - b_zero)) * a_scale + y_zero, without fma; b_scale is not used.
   Scales lead to quanta of y. A step of 0 takes one pixel for all. */
typedef struct spr_binary_q8 {
    spr_binary f;
    float a_scale, b_scale;
    int32_t a_zero, b_zero, y_zero, lo, hi;
} spr_binary_q8;
typedef void spr_binary_q8_fn(const spr_binary_q8 *f, const spr_q8 *a, int a_step, const spr_q8 *b, int b_step,
                              spr_q8 *y, size_t n);

/* y = table[x], x as an unsigned byte. */
typedef void spr_table_q8_fn(const spr_q8 *x, spr_q8 *y, size_t n, const spr_q8 *table);

/* y = clamp(round(x / scale) + zero), from four planes of floats (NULL: 0); and y = (x - zero) * scale, to planes
   (NULL: none). NaN becomes the smallest number. */
typedef void spr_quantize_q8_fn(const float *const x[4], spr_q8 *y, size_t n, float scale, int32_t zero);
typedef void spr_dequantize_q8_fn(const spr_q8 *x, float *const y[4], size_t n, float scale, int32_t zero);

#endif
