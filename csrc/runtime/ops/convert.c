/* Operators between element types: Cast, QuantizeLinear, DequantizeLinear; and Shape, ConstantOfShape and Range. */
#include <math.h>
#include <string.h>

#include "kernels/q8_scalar.h"
#include "runtime/ops/ops.h"

/* ---- half precision ---------------------------------------------------------------------------------------------- */

static double half_to_double(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double value = exponent == 31 ? (mantissa ? NAN : INFINITY)
                   : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                  : ldexp(mantissa, -24);
    return h >> 15 ? -value : value;
}

/* Rounds to nearest, ties to even. */
static uint16_t double_to_half(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double x = fabs(value);
    int exponent;
    if (isnan(value)) return 0x7e00;
    if (x >= 65520) return sign | 0x7c00;
    frexp(x, &exponent);
    if (x == 0 || exponent < -13) exponent = -13; /* zero and subnormal: fixed quantum */
    double quanta = nearbyint(ldexp(x, 11 - exponent));
    if (exponent == -13) return sign | (uint16_t)quanta; /* 1024 quanta make the smallest normal number: same bits */
    return sign | (uint16_t)(((exponent + 13) << 10) + (int)quanta);
}

/* ---- Cast -------------------------------------------------------------------------------------------------------- */

/* A number of any type on its way from one to another: exact for integers and for floating point alike. */
typedef struct number {
    int is_float;
    double f;
    uint64_t i; /* two's complement */
} number;

static number load(const void *data, spr_dtype dtype, int64_t i) {
    switch (dtype) {
    case SPR_FLOAT32: return (number){1, ((const float *)data)[i], 0};
    case SPR_FLOAT64: return (number){1, ((const double *)data)[i], 0};
    case SPR_FLOAT16: return (number){1, half_to_double(((const uint16_t *)data)[i]), 0};
    default: return (number){0, 0, (uint64_t)spr_load_int(data, dtype, i)};
    }
}

/* Towards zero; what does not fit becomes the nearest that does, NaN becomes 0. */
static uint64_t to_integer(double x, int is_unsigned) {
    if (isnan(x)) return 0;
    if (is_unsigned && x >= 0) return x >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)x;
    if (x >= 9223372036854775808.0) return INT64_MAX;
    if (x <= -9223372036854775808.0) return (uint64_t)INT64_MIN;
    return (uint64_t)(int64_t)x;
}

static void store(void *data, spr_dtype dtype, int64_t i, number v, int from_unsigned) {
    double f = v.is_float ? v.f : from_unsigned ? (double)v.i : (double)(int64_t)v.i;
    uint64_t n = v.is_float ? to_integer(v.f, dtype == SPR_UINT64) : v.i;
    switch (dtype) {
    case SPR_FLOAT32:
        ((float *)data)[i] = v.is_float ? (float)v.f : from_unsigned ? (float)v.i : (float)(int64_t)v.i;
        break;
    case SPR_FLOAT64: ((double *)data)[i] = f; break;
    case SPR_FLOAT16: ((uint16_t *)data)[i] = double_to_half(f); break;
    case SPR_BOOL: ((uint8_t *)data)[i] = v.is_float ? v.f != 0 : v.i != 0; break;
    default: spr_store_int(data, dtype, i, (int64_t)n);
    }
}

static void cast_range(void *arg, int64_t begin, int64_t end) {
    const spr_step *step = arg;
    const spr_view *x = &step->in[0], *y = &step->out[0];
    spr_dtype from = x->desc.dtype, to = y->desc.dtype;
    int64_t inner = y->desc.rank == 4 ? y->desc.dim[2] * y->desc.dim[3] : spr_desc_count(&y->desc);
    int64_t channels = y->desc.rank == 4 ? y->desc.dim[1] : 1;
    for (int64_t r = begin; r < end; r++) {
        int64_t at = 0, put = 0;
        if (y->desc.rank == 4) {
            at = r / channels * x->stride[0] + r % channels * x->stride[1];
            put = r / channels * y->stride[0] + r % channels * y->stride[1];
        }
        if (from == SPR_UINT8 && to == SPR_FLOAT32) { /* pictures */
            const uint8_t *src = (const uint8_t *)x->data + at;
            float *dst = (float *)y->data + put;
            for (int64_t i = 0; i < inner; i++) dst[i] = src[i];
            continue;
        }
        for (int64_t i = 0; i < inner; i++)
            store(y->data, to, put + i, load(x->data, from, at + i), from == SPR_UINT64);
    }
}

static void cast_run(const spr_run_ctx *ctx, const spr_step *step) {
    const spr_desc *y = &step->out[0].desc;
    int64_t elements = spr_desc_count(y);
    if (elements)
        spr_parallel_range(ctx, y->rank == 4 ? y->dim[0] * y->dim[1] : 1, elements, cast_range,
                           (void *)(uintptr_t)step);
    spr_view_zero_padding(&step->out[0]);
}

/* ---- QuantizeLinear, DequantizeLinear ---------------------------------------------------------------------------- */

typedef struct quant_state {
    int axis; /* -1: one scale for all */
    int64_t low, high;
} quant_state;

static SPR_COLD spr_status quant_plan(spr_plan_ctx *ctx, spr_step *step, int64_t axis, spr_dtype quantized) {
    static const struct { spr_dtype dtype; int64_t low, high; } ranges[] = {
        {SPR_UINT8, 0, 255},         {SPR_INT8, -128, 127},
        {SPR_UINT16, 0, 65535},      {SPR_INT16, -32768, 32767},
        {SPR_INT32, INT32_MIN, INT32_MAX},
    };
    quant_state *state = spr_plan_alloc(ctx, sizeof *state, "a layer");
    if (!state) return SPR_ERROR_MEMORY;
    step->state = state;
    state->axis = spr_desc_count(&step->in[1].desc) == 1 ? -1 : spr_normalize_axis(axis, step->in[0].desc.rank);
    for (size_t i = 0; i < SPR_COUNTOF(ranges); i++)
        if (ranges[i].dtype == quantized) {
            state->low = ranges[i].low;
            state->high = ranges[i].high;
            return SPR_OK;
        }
    return spr_fail(ctx->err, SPR_ERROR_UNSUPPORTED,
                    "node '%s': quantized type %s, supported are 8 and 16 bit types and int32", step->node->name,
                    spr_dtype_name(quantized));
}

static SPR_COLD spr_status quantize_plan(spr_plan_ctx *ctx, spr_step *step) {
    return quant_plan(ctx, step, SPR_ATTR_OF(step, QuantizeLinear, axis)->i, step->out[0].desc.dtype);
}

static SPR_COLD spr_status dequantize_plan(spr_plan_ctx *ctx, spr_step *step) {
    return quant_plan(ctx, step, SPR_ATTR_OF(step, DequantizeLinear, axis)->i, step->in[0].desc.dtype);
}

static int64_t zero_of(const spr_step *step, int64_t s) {
    return spr_step_has(step, 2) ? (int64_t)load(step->in[2].data, step->in[2].desc.dtype, s).i : 0;
}

/* A row: n elements from `at` of the input and `put` of the output on, whose scales begin with number s. */
typedef struct quant_row {
    int64_t at, put, s, n;
    int64_t x_step, y_step, s_step; /* from one element to the next */
} quant_row;

/* n bytes one behind the other, as a loop that compilers make vectors of. */
static void quantize_bytes(const float *x, float scale, int32_t zero, const quant_state *state, uint8_t *restrict y,
                           int64_t n) {
    const float least = (float)(state->low - zero), most = (float)(state->high - zero);
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v > least ? v : least; /* NaN: low */
        y[i] = (uint8_t)(spr_round_small(v < most ? v : most) + zero);
    }
}

static void quantize_row(const spr_step *step, const quant_row *row) {
    const quant_state *state = step->state;
    const float *x = (const float *)step->in[0].data + row->at, *scale = step->in[1].data;
    const spr_view *y = &step->out[0];
    if (spr_dtype_size(y->desc.dtype) == 1 && row->x_step == 1 && row->y_step == 1 && !row->s_step) {
        quantize_bytes(x, scale[row->s], (int32_t)zero_of(step, row->s), state, (uint8_t *)y->data + row->put, row->n);
        return;
    }
    for (int64_t i = 0; i < row->n; i++) {
        int64_t s = row->s + i * row->s_step;
        double q = (double)nearbyintf(x[i * row->x_step] / scale[s]) + (double)zero_of(step, s);
        /* NaN: low */
        q = !(q > (double)state->low) ? (double)state->low : q > (double)state->high ? (double)state->high : q;
        store(step->out[0].data, step->out[0].desc.dtype, row->put + i * row->y_step,
              (number){0, 0, (uint64_t)(int64_t)q}, 0);
    }
}

/* n bytes one behind the other; whole loops of one type, so that compilers make vectors of them. */
static void dequantize_bytes(const void *x, spr_dtype dtype, int32_t zero, float scale, float *restrict y, int64_t n) {
    const int8_t *s = x;
    const uint8_t *u = x;
    if (dtype == SPR_INT8)
        for (int64_t i = 0; i < n; i++) y[i] = (float)(s[i] - zero) * scale;
    else
        for (int64_t i = 0; i < n; i++) y[i] = (float)(u[i] - zero) * scale;
}

static void dequantize_row(const spr_step *step, const quant_row *row) {
    const spr_view *x = &step->in[0];
    const float *scale = step->in[1].data;
    float *y = (float *)step->out[0].data + row->put;
    if (spr_dtype_size(x->desc.dtype) == 1 && row->x_step == 1 && row->y_step == 1 && !row->s_step) {
        dequantize_bytes((const char *)x->data + row->at, x->desc.dtype, (int32_t)zero_of(step, row->s),
                         scale[row->s], y, row->n);
        return;
    }
    for (int64_t i = 0; i < row->n; i++) {
        int64_t s = row->s + i * row->s_step, q = (int64_t)load(x->data, x->desc.dtype, row->at + i * row->x_step).i;
        y[i * row->y_step] = (float)(q - zero_of(step, s)) * scale[s];
    }
}

/* Both directions, row by row. */
static void quant_run(const spr_run_ctx *ctx, const spr_step *step) {
    (void)ctx;
    const int axis = ((const quant_state *)step->state)->axis, quantize = step->node->op == SPR_OP_QuantizeLinear;
    const spr_view *x = &step->in[0], *y = &step->out[0];
    const int last = y->desc.rank - 1;
    quant_row row = {.n = 1};
    if (last >= 0)
        row = (quant_row){.n = y->desc.dim[last], .x_step = x->stride[last], .y_step = y->stride[last],
                          .s_step = axis == last};
    int64_t index[SPR_MAX_RANK] = {0}, rows = row.n ? spr_desc_count(&y->desc) / row.n : 0;
    for (int64_t n = 0; n < rows; n++) {
        row.s = axis < 0 || axis == last ? 0 : index[axis];
        if (quantize) quantize_row(step, &row);
        else dequantize_row(step, &row);
        for (int i = last - 1; i >= 0; i--) {
            row.at += x->stride[i];
            row.put += y->stride[i];
            if (++index[i] < y->desc.dim[i]) break;
            row.at -= x->stride[i] * y->desc.dim[i];
            row.put -= y->stride[i] * y->desc.dim[i];
            index[i] = 0;
        }
    }
    spr_view_zero_padding(y);
}

/* ---- Shape, ConstantOfShape -------------------------------------------------------------------------------------- */

static void shape_run(const spr_run_ctx *ctx, const spr_step *step) {
    (void)ctx;
    const spr_desc *x = &step->in[0].desc;
    int64_t start = SPR_ATTR_OF(step, Shape, start)->i, count = step->out[0].desc.dim[0];
    if (start < 0) start = start + x->rank < 0 ? 0 : start + x->rank;
    for (int64_t i = 0; i < count; i++) ((int64_t *)step->out[0].data)[i] = x->dim[start + i];
}

static void constant_of_shape_run(const spr_run_ctx *ctx, const spr_step *step) {
    static const uint64_t zero;
    const spr_view *y = &step->out[0];
    spr_view one = {.desc = y->desc, .data = spr_step_has(step, 1) ? step->in[1].data : (void *)(uintptr_t)&zero};
    spr_view_copy(ctx, &one, y);
}

/* start + i * delta, as numpy and onnxruntime compute it in the type itself. */
static void range_run(const spr_run_ctx *ctx, const spr_step *step) {
    (void)ctx;
    const void *start = step->in[0].data, *delta = step->in[2].data;
    void *y = step->out[0].data;
    spr_dtype dtype = step->out[0].desc.dtype;
    int64_t count = step->out[0].desc.dim[0];
    for (int64_t i = 0; i < count; i++) {
        if (dtype == SPR_FLOAT32)
            ((float *)y)[i] = *(const float *)start + (float)i * *(const float *)delta;
        else if (dtype == SPR_FLOAT64)
            ((double *)y)[i] = *(const double *)start + (double)i * *(const double *)delta;
        else
            spr_store_int(y, dtype, i, (int64_t)((uint64_t)spr_load_int(start, dtype, 0) +
                                                 (uint64_t)i * (uint64_t)spr_load_int(delta, dtype, 0)));
    }
}

spr_exec spr_exec_Range(void) { return (spr_exec){.run = range_run}; }
spr_exec spr_exec_Cast(void) { return (spr_exec){.run = cast_run}; }
spr_exec spr_exec_QuantizeLinear(void) { return (spr_exec){.plan = quantize_plan, .run = quant_run}; }
spr_exec spr_exec_DequantizeLinear(void) { return (spr_exec){.plan = dequantize_plan, .run = quant_run}; }
spr_exec spr_exec_Shape(void) { return (spr_exec){.run = shape_run}; }
spr_exec spr_exec_ConstantOfShape(void) { return (spr_exec){.run = constant_of_shape_run}; }
