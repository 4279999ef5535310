/* THE kernel contract: one argument struct and one function type per class of kernel. Kernels know nothing of models,
 * files, threads or allocation: they compute the range they are asked for, on memory they are given.
 *
 * Planes. An image tensor [N, C, H, W] is planar: a channel is a plane of H*W contiguous floats, and planes of one
 * image lie `stride` floats apart (the batch is looped over by the caller). If H*W > 1, stride >= round_up(H*W,
 * SPR_PX): the lanes between H*W and round_up(H*W, SPR_PX) are *padding lanes*. They belong to the plane and
 *   - may be read by every kernel: they hold ordinary numbers,
 *   - may be written by the kernel that writes the plane, which leaves ordinary numbers in them: a pixelwise kernel
 *     computes them from the padding lanes of its inputs, every other kernel writes zeros.
 * So whole vectors of up to SPR_PX pixels need no tail. Planes start at multiples of 64 bytes (SPR_LINE), except where
 * a class says otherwise. If H*W == 1 there are no padding lanes (a vector over channels): such layers are SPR_K_FC.
 *
 * Ranges. Rows are output channels. Callers split work into row ranges [row0, row1), row0 a multiple of the kernel's
 * row_step (row1 too, unless it is the last row), and pixel ranges [px0, px1), px0 a multiple of SPR_PX (px1 too,
 * unless it is the plane's H*W). Every output element must be computed by the same sequence of operations whatever the
 * ranges are: results are equal bit for bit for any number of threads.
 *
 * Arithmetic. f32 kernels accumulate by fused multiply-add in ascending order of the input channel (k) starting from
 * the bias, or from 0 with the bias added; NaN and Inf propagate as IEEE says (relu(NaN) is NaN).
 *
 * A kernel must not read or write anything else: the sweep (csrc/tests/check.c) puts guard pages around every
 * buffer. */
#ifndef SPR_KERNELS_KERNEL_H
#define SPR_KERNELS_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/cpu.h"

/* Pixels to which planes are padded: 16 floats, one cache line, one AVX-512 vector. */
#define SPR_PX 16

/* ---- functions of one variable: activations and operators alike ---------------------------------------------- */

/* X-macro of all unary f32 functions: id, name, formula. a and b are spr_act.a and .b. */
#define SPR_VECTOR_FUNCTIONS(F)                                                           \
    F(NONE, "none", "x")                                                                  \
    F(CLIP, "clip", "min(max(x, a), b); relu is clip(0, inf), relu6 clip(0, 6)")          \
    F(HARD_SWISH, "hard_swish", "x * min(max(a * x + b, 0), 1)")                          \
    F(HARD_SIGMOID, "hard_sigmoid", "min(max(a * x + b, 0), 1)")                          \
    F(LEAKY_RELU, "leaky_relu", "x < 0 ? a * x : x")                                      \
    F(PRELU, "prelu", "x < 0 ? slope[channel] * x : x")                                   \
    F(SIGMOID, "sigmoid", "1 / (1 + exp(-x))")                                            \
    F(SILU, "silu", "x / (1 + exp(-x))")                                                  \
    F(TANH, "tanh", "tanh(x)")                                                            \
    F(ELU, "elu", "x < 0 ? a * (exp(x) - 1) : x")                                         \
    F(GELU, "gelu", "0.5 * x * (1 + erf(x / sqrt(2)))")                                   \
    F(SOFTPLUS, "softplus", "log(1 + exp(x))")                                            \
    F(MISH, "mish", "x * tanh(log(1 + exp(x)))")                                          \
    F(EXP, "exp", "exp(x)")                                                               \
    F(LOG, "log", "log(x)")                                                               \
    F(SQRT, "sqrt", "sqrt(x)")                                                            \
    F(RECIPROCAL, "reciprocal", "1 / x")                                                  \
    F(ABS, "abs", "|x|")                                                                  \
    F(NEG, "neg", "-x")                                                                   \
    F(FLOOR, "floor", "floor(x)")                                                         \
    F(CEIL, "ceil", "ceil(x)")                                                            \
    F(ROUND, "round", "nearest, ties to even")                                            \
    F(SIGN, "sign", "-1, 0 or 1")                                                         \
    F(ERF, "erf", "erf(x)")
/* Left to libm by all kernels, as LOG is. */
#define SPR_LIBM_FUNCTIONS(F) \
    F(SIN, "sin", "sin(x)") F(COS, "cos", "cos(x)") F(TAN, "tan", "tan(x)") \
    F(ASIN, "asin", "asin(x)") F(ACOS, "acos", "acos(x)") F(ATAN, "atan", "atan(x)") \
    F(SINH, "sinh", "sinh(x)") F(COSH, "cosh", "cosh(x)") F(ASINH, "asinh", "asinh(x)") \
    F(ACOSH, "acosh", "acosh(x)") F(ATANH, "atanh", "atanh(x)")
#define SPR_FUNCTIONS(F) SPR_VECTOR_FUNCTIONS(F) SPR_LIBM_FUNCTIONS(F)

typedef enum spr_function {
#define F(id, name, formula) SPR_FN_##id,
    SPR_FUNCTIONS(F)
#undef F
    SPR_FN_COUNT
} spr_function;

/* An activation: the function, its parameters, and for PRELU one slope per output channel (row). */
typedef struct spr_act {
    spr_function fn;
    float a, b;
    const float *slope;
} spr_act;

/* y[i] = fn(x[i]) for i < n; x == y allowed. PRELU reads slope[0]. Any alignment; writes exactly n floats. */
typedef void spr_unary_fn(const float *x, float *y, size_t n, const spr_act *act);
spr_unary_fn spr_unary_f32_ref; /* vector kernels leave LOG and SPR_LIBM_FUNCTIONS to it */

/* Kernels apply NONE, CLIP, HARD_SWISH, HARD_SIGMOID, LEAKY_RELU and PRELU in registers; for any other function they
   store the plain result and call this, the best unary kernel of the CPU, on what they stored while it is still in
   L1. */
#define SPR_ACT_IN_REGISTERS(fn) ((fn) <= SPR_FN_PRELU)

/* ---- functions of two variables ------------------------------------------------------------------------------- */

#define SPR_BINARIES(F)                                \
    F(ADD, "add", "a + b")                             \
    F(SUB, "sub", "a - b")                             \
    F(MUL, "mul", "a * b")                             \
    F(DIV, "div", "a / b")                             \
    F(MIN, "min", "min(a, b), NaN if either is")       \
    F(MAX, "max", "max(a, b), NaN if either is")       \
    F(POW, "pow", "pow(a, b)")                         \
    F(MOD, "mod", "a - b * floor(a / b)")              \
    F(FMOD, "fmod", "a - b * trunc(a / b)")

typedef enum spr_binary {
#define F(id, name, formula) SPR_BIN_##id,
    SPR_BINARIES(F)
#undef F
    SPR_BIN_COUNT
} spr_binary;

/* y[i] = f(a[i * a_step], b[i * b_step]) for i < n, steps 0 (one value for all) or 1. y may be a or b. Any
   alignment. */
typedef void spr_binary_fn(spr_binary f, const float *a, int a_step, const float *b, int b_step, float *y, size_t n);
spr_binary_fn spr_binary_f32_ref; /* vector kernels leave POW and what follows to it */

/* ---- pointwise (1x1) convolution: Y[n, px] = act(W[n, k] X[k, px] + bias[n] + Z[n, px]) ------------------------ */

/* Weights as the file holds them, before any kernel's packing. Exactly one of `dense` and `row_ptr` is set. */
typedef struct spr_pw_weights {
    uint32_t n, k;           /* output and input channels, both >= 1 */
    const float *dense;      /* [n][k] */
    const uint32_t *row_ptr; /* [n + 1], CSR; columns ascend within a row */
    const uint32_t *col;     /* [row_ptr[n]] */
    const float *val;        /* [row_ptr[n]] */
    const float *bias;       /* [n] or NULL */
    const uint32_t *row_bound; /* [row_groups + 1], for sparse packings: calls for some rows ask for whole groups */
    uint32_t row_groups;       /* [row_bound[i], row_bound[i + 1]), within which packings may choose their order */
} spr_pw_weights;

typedef struct spr_pw_args {
    const float *x; /* plane 0 of the input image */
    float *y;
    const float *z; /* residual, added before the activation, or NULL; may be y itself */
    size_t x_stride, y_stride, z_stride; /* floats between planes; x_stride is the one pack() was given */
    const void *packed;                  /* as written by the kernel's packing; holds the bias too */
    uint32_t n, k;
    uint32_t row0, row1;
    uint32_t px0, px1;
    int shared; /* other cores have written parts of x, so that it may pay to fetch them early */
    spr_act act;
    spr_unary_fn *unary; /* the CPU's best: for all functions outside SPR_ACT_IN_REGISTERS, or more */
} spr_pw_args;
typedef void spr_pw_fn(const spr_pw_args *args);

/* Packing for one or several kernels: the order in which they read their weights. Destinations are aligned to SPR_LINE.
   Sparse packings receive CSR, dense ones `dense`. 2x1 packings pair rows (0,1), (2,3) ... by the union of their
   patterns; the last odd row stands alone. x_stride allows columns to be stored as ready-made offsets. */
typedef struct spr_pw_packing {
    size_t (*size)(const spr_pw_weights *w, size_t x_stride);
    void (*pack)(const spr_pw_weights *w, size_t x_stride, void *dst);
} spr_pw_packing;

/* ---- fully connected: Y[m, n] = act(X[m, k] W[n, k]^T + bias[n] + Z[m, n]) -------------------------------------- */

/* x, y and z rows are contiguous, `*_stride` floats apart, aligned to 4 bytes only; exactly the rows' elements may be
   touched. Weights come as spr_pw_weights and are packed with x_stride = 1. */
typedef struct spr_fc_args {
    const float *x;
    float *y;
    const float *z;
    size_t x_stride, y_stride, z_stride;
    const void *packed;
    uint32_t m, n, k;
    uint32_t row0, row1; /* range of n */
    spr_act act;
    spr_unary_fn *unary;
} spr_fc_args;
typedef void spr_fc_fn(const spr_fc_args *args);

/* ---- convolution, depthwise convolution, pooling ----------------------------------------------------------------- */

/* Geometry of a window over an image; dimensions in pixels. Taps outside the input count as 0 (convolution) or are left
   out (pooling: AVG_INCLUDE_PAD counts those within the padding as 0; the maximum of no tap is -Inf, the average 0). oh
   and ow are given by the caller and need not cover the input. */
typedef struct spr_window {
    uint32_t ih, iw, oh, ow;
    uint32_t kh, kw, sh, sw, dh, dw; /* kernel, stride, dilation */
    int32_t pt, pl;                  /* padding at the top and the left; pb, pr at the other ends */
    int32_t pb, pr;
} spr_window;

/* Grouped convolution: ic and oc count channels of all groups; W[oc][ic / group][kh][kw]. Depthwise kernels are the
   class SPR_K_DWCONV, with group == ic, oc = ic * multiplier; all others SPR_K_CONV, whose x is aligned to 4 bytes only.
   Each call computes output rows (image rows) [oy0, oy1) of the channels [row0, row1), which lie within one group for
   SPR_K_CONV. */
typedef struct spr_conv_shape {
    uint32_t ic, oc, group;
    spr_window win;
} spr_conv_shape;

typedef struct spr_conv_args {
    const float *x;
    float *y;
    const float *z;
    size_t x_stride, y_stride, z_stride;
    const void *packed;
    const spr_conv_shape *shape;
    uint32_t row0, row1; /* output channels */
    uint32_t oy0, oy1;   /* output image rows; the padding lanes are zeroed by the call whose oy1 == oh */
    spr_act act;
    spr_unary_fn *unary;
    void *scratch; /* scratch() bytes, aligned to SPR_LINE, contents undefined, one per thread */
} spr_conv_args;
typedef void spr_conv_fn(const spr_conv_args *args);

/* What belongs to a convolution kernel besides its function. */
typedef struct spr_conv_traits {
    int (*match)(const spr_conv_shape *s);      /* whether the kernel can do this shape */
    size_t (*size)(const spr_conv_shape *s);    /* bytes of packed weights */
    void (*pack)(const spr_conv_shape *s, const float *w, const float *bias, void *dst); /* bias may be NULL */
    size_t (*scratch)(const spr_conv_shape *s); /* bytes */
} spr_conv_traits;

typedef enum spr_pool_kind { SPR_POOL_MAX, SPR_POOL_AVG, SPR_POOL_AVG_INCLUDE_PAD } spr_pool_kind;
typedef struct spr_pool_args {
    const float *x;
    float *y;
    size_t x_stride, y_stride; /* y_stride may be 1 when oh * ow == 1: then there are no padding lanes */
    spr_pool_kind kind;
    spr_window win;
    uint32_t c0, c1; /* channels */
} spr_pool_args;
typedef void spr_pool_fn(const spr_pool_args *args);

#include "kernels/q8.h"

/* ---- the table --------------------------------------------------------------------------------------------------- */

typedef enum spr_kernel_class {
    SPR_K_PW_DENSE,
    SPR_K_PW_CSR,
    SPR_K_PW_2X1,
    SPR_K_FC_DENSE,
    SPR_K_FC_CSR,
    SPR_K_CONV,
    SPR_K_DWCONV,
    SPR_K_POOL,
    SPR_K_UNARY,
    SPR_K_BINARY,
    SPR_K_PW_DENSE_Q8,
    SPR_K_PW_1X4_Q8, /* blocks of one row and four channels that lie together, stored if any weight is not 0 */
    SPR_K_PW_2X4_Q8, /* of two rows */
    SPR_K_PW_CSR_Q8, /* single weights */
    SPR_K_PW_2X1_Q8, /* blocks of two rows and one channel */
    SPR_K_FC_DENSE_Q8,
    SPR_K_DWCONV_Q8,
    SPR_K_POOL_Q8,
    SPR_K_BINARY_Q8,
    SPR_K_TABLE_Q8,
    SPR_K_QUANTIZE_Q8,
    SPR_K_DEQUANTIZE_Q8,
    SPR_K_COUNT
} spr_kernel_class;

/* Whether kernels of a class take spr_pw_q8_args. */
SPR_INLINE int spr_is_pw_q8(spr_kernel_class cls) { return cls >= SPR_K_PW_DENSE_Q8 && cls <= SPR_K_PW_2X1_Q8; }

/* What a pointwise or FC kernel costs, in cycles of the core it is made for: the coefficients of spr_estimate
   (runtime/cost.c), fitted to measurements by `python -m benchmarks.costs`. Only ratios between kernels matter. */
typedef struct spr_cost {
    float per_mac;         /* stored weight (zeros inside blocks too) and pixel */
    float per_weight;      /* stored weight and tile */
    float per_row;         /* output row, tile and panel */
    float per_far;         /* byte of the input that comes from beyond L2 */
    float per_fetch;       /* stored weight, for bringing it into the cache once a run */
    uint16_t tile, vector; /* pixels computed at a time; to whose multiple they are rounded up */
    uint16_t panel;        /* input channels after which every row is visited again, 0: never */
} spr_cost;

typedef struct spr_kernel {
    char name[36]; /* class_dtype_isa[_variant], e.g. "pw_csr_f32_neon" */
    uint8_t cls;      /* spr_kernel_class */
    uint8_t row_step; /* row ranges start at multiples of it */
    uint16_t isa;     /* SPR_ISA_* bits it needs */
    union {
        spr_pw_fn *pw;
        spr_fc_fn *fc;
        spr_conv_fn *conv; /* SPR_K_CONV, SPR_K_DWCONV */
        spr_pool_fn *pool;
        spr_unary_fn *unary;
        spr_binary_fn *binary;
        spr_pw_q8_fn *pw_q8;
        spr_fc_q8_fn *fc_q8;
        spr_dw_q8_fn *dw_q8;
        spr_pool_q8_fn *pool_q8;
        spr_binary_q8_fn *binary_q8;
        spr_table_q8_fn *table_q8;
        spr_quantize_q8_fn *quantize_q8;
        spr_dequantize_q8_fn *dequantize_q8;
    } run; /* NULL where the kernel is of another architecture */
    union {
        const spr_pw_packing *packing;       /* pw, fc */
        const spr_conv_traits *conv;         /* conv, dwconv */
        const spr_pw_q8_packing *packing_q8; /* pw of q8 */
        const spr_fc_q8_packing *fc_q8;
        const spr_dw_q8_traits *dw_q8;       /* dwconv of q8 */
    };
    spr_cost cost;                 /* pw, fc */
} spr_kernel;

/* All kernels, in the order of kernels.inc: within a class the best comes first and plain C last. */
extern const spr_kernel spr_kernels[];
extern const size_t spr_kernel_count;

/* Whether this build has the kernel and a CPU with `features` can run it. */
int spr_kernel_runs(const spr_kernel *kernel, uint32_t features);

/* First kernel of a class that runs with `features`; never NULL, as every class has a plain C kernel. */
const spr_kernel *spr_kernel_best(spr_kernel_class cls, uint32_t features);

/* First convolution kernel of `cls` that runs and matches the shape. */
const spr_kernel *spr_kernel_best_conv(spr_kernel_class cls, const spr_conv_shape *shape, uint32_t features);

/* Kernel by name or NULL. */
const spr_kernel *spr_kernel_find(const char *name);

/* First quantized depthwise kernel that runs and matches the window. */
const spr_kernel *spr_kernel_best_dw_q8(const spr_window *win, uint32_t features);

/* "pw_csr", "conv" ... */
const char *spr_kernel_class_name(spr_kernel_class cls);
const char *spr_function_name(spr_function fn);
const char *spr_binary_name(spr_binary fn);

SPR_INLINE size_t spr_round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

/* Floats a plane of `hw` pixels takes including its padding lanes. */
SPR_INLINE size_t spr_plane_lanes(size_t hw) { return hw == 1 ? 1 : spr_round_up(hw, SPR_PX); }

#endif
