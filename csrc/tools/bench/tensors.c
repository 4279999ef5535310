/* Inputs that spr-bench makes up, and outputs that it compares. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/bench.h"

static size_t count_of(const spr_tensor_info *info) {
    size_t count = 1;
    for (int k = 0; k < info->rank; k++) count *= (size_t)info->dim[k];
    return count;
}

static int parse_shape(const char *text, int64_t dim[SPR_MAX_RANK]) {
    int rank = 0;
    for (char *end;; text = end + 1) {
        long long d = strtoll(text, &end, 10);
        if (end == text || d < 0 || rank == SPR_MAX_RANK) return -1;
        dim[rank++] = d;
        if (!*end) return rank;
        if (*end != 'x') return -1;
    }
}

void bench_set_shapes(const spr_model *model, spr_session *session, const bench_options *o) {
    spr_error err;
    for (int i = 0; i < o->shape_count; i++) {
        int64_t dim[SPR_MAX_RANK];
        char name[256];
        const char *equals = strrchr(o->shapes[i], '='); /* names may hold one */
        const size_t length = equals ? (size_t)(equals - o->shapes[i]) : sizeof name;
        int rank = equals ? parse_shape(equals + 1, dim) : -1;
        if (rank < 0 || length >= sizeof name)
            bench_die("--input-shape takes NAME=1x3x224x224, not '%s'", o->shapes[i]);
        memcpy(name, o->shapes[i], length);
        name[length] = '\0';
        int index = spr_model_find_input(model, name);
        if (index < 0) bench_die("--input-shape: the model has no input '%s'", name);
        if (spr_session_set_input_shape(session, index, rank, dim, &err)) bench_die("%s", err.message);
    }
    for (int i = 0; i < spr_model_input_count(model); i++) {
        spr_tensor_info info;
        int open = 0;
        spr_session_input(session, i, &info);
        for (int k = 0; k < info.rank; k++) {
            if (info.dim[k] >= 0) continue;
            if (k > 0 && !o->free_size)
                bench_die("dimension %d of input '%s' is free: give --free N, or --input-shape %s=...", k, info.name,
                          info.name);
            info.dim[k] = k > 0 ? o->free_size : 1;
            open = 1;
        }
        if (open && spr_session_set_input_shape(session, i, info.rank, info.dim, &err)) bench_die("%s", err.message);
    }
}

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* 16 bits of a half precision number in [-1, 1), of exponents down to 2^-7. */
static uint16_t random_half(uint32_t *state) {
    const uint32_t bits = next_random(state);
    return (uint16_t)((bits & 0x83ff) | (8 + (bits >> 16) % 7) << 10);
}

static void fill(spr_dtype dtype, void *data, size_t count, uint32_t *state) {
    unsigned char *byte = data;
    for (size_t n = 0; n < count; n++) {
        switch (dtype) {
        case SPR_FLOAT32: ((float *)data)[n] = (float)next_random(state) / 8388608.0f - 1.0f; break;
        case SPR_FLOAT64: ((double *)data)[n] = next_random(state) / 8388608.0 - 1.0; break;
        case SPR_FLOAT16: ((uint16_t *)data)[n] = random_half(state); break;
        case SPR_UINT8:
        case SPR_INT8: byte[n] = (unsigned char)(next_random(state) >> 16); break;
        case SPR_BOOL: byte[n] = (unsigned char)(next_random(state) >> 23); break;
        case SPR_INT16:
        case SPR_UINT16: ((uint16_t *)data)[n] = 1; break;
        case SPR_INT32:
        case SPR_UINT32: ((uint32_t *)data)[n] = 1; break;
        case SPR_INT64:
        case SPR_UINT64: ((uint64_t *)data)[n] = 1; break;
        case SPR_QUANTIZED: break; /* never an input */
        }
    }
}

void bench_fill_inputs(const spr_model *model, spr_session *session) {
    spr_error err;
    uint32_t state = 12345;
    for (int i = 0; i < spr_model_input_count(model); i++) {
        spr_tensor_info info;
        spr_session_input(session, i, &info);
        const size_t count = count_of(&info), size = spr_dtype_size(info.dtype);
        void *data = bench_alloc(count, size);
        fill(info.dtype, data, count, &state);
        if (spr_session_set_input(session, i, data, count * size, &err)) bench_die("%s", err.message);
        free(data);
    }
}

static double half_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    if (exponent == 31) value = mantissa ? NAN : INFINITY;
    return bits >> 15 ? -value : value;
}

static double value_at(spr_dtype dtype, const void *data, size_t n) {
    switch (dtype) {
    case SPR_FLOAT32: return (double)((const float *)data)[n];
    case SPR_FLOAT64: return ((const double *)data)[n];
    case SPR_FLOAT16: return half_value(((const uint16_t *)data)[n]);
    case SPR_UINT8:
    case SPR_BOOL: return ((const uint8_t *)data)[n];
    case SPR_INT8: return ((const int8_t *)data)[n];
    case SPR_UINT16: return ((const uint16_t *)data)[n];
    case SPR_INT16: return ((const int16_t *)data)[n];
    case SPR_UINT32: return ((const uint32_t *)data)[n];
    case SPR_INT32: return ((const int32_t *)data)[n];
    case SPR_UINT64: return (double)((const uint64_t *)data)[n];
    case SPR_INT64: return (double)((const int64_t *)data)[n];
    case SPR_QUANTIZED: break; /* never an output */
    }
    return 0;
}

static void *output_of(const spr_session *session, int index, const spr_tensor_info *info) {
    spr_error err;
    const size_t count = count_of(info), size = spr_dtype_size(info->dtype);
    void *data = bench_alloc(count, size);
    if (spr_session_get_output(session, index, data, count * size, &err)) bench_die("%s", err.message);
    return data;
}

double bench_difference(const spr_model *model, const spr_session *got, const spr_session *expected) {
    double worst = 0;
    for (int i = 0; i < spr_model_output_count(model); i++) {
        spr_tensor_info a, b;
        spr_session_output(got, i, &a);
        spr_session_output(expected, i, &b);
        if (a.rank != b.rank || memcmp(a.dim, b.dim, (size_t)a.rank * sizeof *a.dim) != 0) return INFINITY;
        void *x = output_of(got, i, &a), *y = output_of(expected, i, &b);
        double difference = 0, largest = 0;
        for (size_t n = 0; n < count_of(&a); n++) {
            const double u = value_at(a.dtype, x, n), v = value_at(b.dtype, y, n);
            if (isfinite(v)) largest = fmax(largest, fabs(v));
            if (isnan(u) != isnan(v)) difference = INFINITY;
            else if (u != v && !isnan(u)) difference = fmax(difference, fabs(u - v));
        }
        if (difference > 0) worst = fmax(worst, largest > 0 ? difference / largest : INFINITY);
        free(x);
        free(y);
    }
    return worst;
}
