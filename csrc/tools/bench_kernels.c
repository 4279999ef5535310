/* spr-bench-kernels: times the pointwise and FC kernels this CPU runs over layer shapes and sparsities.
 *
 *   spr-bench-kernels [--kernel GLOB] [--shape M,N,K]... [--sparsity S[,S...]] [--repeat R] [--calls N] [--act NAME]
 *                     [--cold BYTES]
 *
 *   --kernel    names to take, e.g. 'pw_csr*'; default all
 *   --shape     M pixels (FC: batch), N output channels, K input channels; repeatable; default: the 1x1 layers of
 *               MobileNetV1 (FC: its classifier); a total follows, each shape counted as often as it was given
 *   --sparsity  shares of zeros for sparse kernels, default 0.75,0.9; dense kernels run once
 *   --repeat    measurements of which the fastest counts, default 7
 *   --calls     calls per measurement; default: as many as take 5 ms. `--repeat 1 --calls 1` runs every case exactly
 *               once, which is what an instruction-level estimate of an emulated program wants
 *   --cold      before each call read that many bytes, so that the weights are in no cache that is smaller, and then
 *               the input, which in a network has just been written; one call per measurement
 *   --act       none, clip (relu, the default), hard_swish ...
 *
 * MMAC (millions of multiply-accumulates) and GFLOP/s count the stored nonzeros, effective GFLOP/s counts the zeros
 * too. Planes lie an odd multiple of 64 bytes apart, as in the executor; 2x1 and 2x4 kernels get weights that are
 * pruned in pairs of rows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* posix_memalign, clock_gettime under -std=c11 */
#endif
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/kernel.h"

typedef struct shape {
    uint32_t m, n, k;
} shape;

static const shape mobilenet_v1[] = {
    {12544, 64, 32}, {3136, 128, 64}, {3136, 128, 128}, {784, 256, 128}, {784, 256, 256}, {196, 512, 256},
    {196, 512, 512}, {196, 512, 512}, {196, 512, 512},  {196, 512, 512}, {196, 512, 512}, {49, 1024, 512},
    {49, 1024, 1024},
};
static const shape classifier[] = {{1, 1000, 1024}};

typedef struct options {
    const char *kernel;
    shape shapes[64];
    size_t shape_count;
    double sparsity[16];
    size_t sparsity_count;
    int repeat, calls;
    size_t cold;
    spr_function act;
} options;

static void die(const char *what, const char *arg) {
    fprintf(stderr, "spr-bench-kernels: %s %s\n", what, arg);
    exit(2);
}

static void *take(size_t bytes) {
    void *p = NULL;
    if (posix_memalign(&p, SPR_LINE, bytes ? bytes : 1) != 0) die("out of memory", "");
    memset(p, 0, bytes);
    return p;
}

static uint32_t rng_state = 1;
static float random_float(void) { /* in (-1, 1), never 0 */
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 17;
    rng_state ^= rng_state << 5;
    return ((float)(rng_state >> 8) + 0.5f) * 0x1p-23f - 1.0f;
}
static double random_unit(void) { return ((double)random_float() + 1.0) / 2; }

/* Dense weights [n][k]; zeros come in blocks of `block` rows. */
static float *random_weights(uint32_t n, uint32_t k, double sparsity, uint32_t block) {
    float *w = take((size_t)n * k * sizeof *w);
    for (uint32_t r = 0; r < n; r += block)
        for (uint32_t c = 0; c < k; c++) {
            if (random_unit() < sparsity) continue;
            for (uint32_t b = r; b < r + block && b < n; b++) w[(size_t)b * k + c] = random_float();
        }
    return w;
}

static size_t to_csr(const float *dense, uint32_t n, uint32_t k, uint32_t *row_ptr, uint32_t *col, float *val) {
    uint32_t nnz = 0;
    for (uint32_t r = 0; r < n; r++) {
        row_ptr[r] = nnz;
        for (uint32_t c = 0; c < k; c++) {
            if (dense[(size_t)r * k + c] == 0.0f) continue;
            col[nnz] = c;
            val[nnz++] = dense[(size_t)r * k + c];
        }
    }
    row_ptr[n] = nnz;
    return nnz;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sparse pointwise weights in turn: CPUs learn the ends of rows of a matrix that comes again and again, up to 15 % of
   the time, which in a network they cannot. */
#define MATRICES 8

/* Everything one call needs: FC and pointwise kernels differ in their argument struct only. */
typedef struct job {
    const spr_kernel *kernel;
    void *packed[MATRICES];
    int matrices, turn;
    spr_pw_args pw;
    spr_fc_args fc;
    spr_pw_q8_args pw_q8;
    spr_fc_q8_args fc_q8;
} job;

static int is_fc_q8(const spr_kernel *kernel) { return kernel->cls == SPR_K_FC_DENSE_Q8; }
static int is_fc(const spr_kernel *kernel) {
    return kernel->cls == SPR_K_FC_DENSE || kernel->cls == SPR_K_FC_CSR || is_fc_q8(kernel);
}
static int is_q8(const spr_kernel *kernel) { return spr_is_pw_q8(kernel->cls); }
static int is_dense(const spr_kernel *kernel) {
    return kernel->cls == SPR_K_FC_DENSE || kernel->cls == SPR_K_PW_DENSE || kernel->cls == SPR_K_PW_DENSE_Q8 ||
           is_fc_q8(kernel);
}
static uint32_t block_rows(const spr_kernel *kernel) {
    return kernel->cls == SPR_K_PW_2X1 || kernel->cls == SPR_K_PW_2X4_Q8 || kernel->cls == SPR_K_PW_2X1_Q8 ? 2 : 1;
}

static double time_calls(job *j, int calls) {
    double start = now();
    for (int i = 0; i < calls; i++) {
        if (is_fc_q8(j->kernel))
            j->kernel->run.fc_q8(&j->fc_q8);
        else if (is_fc(j->kernel))
            j->kernel->run.fc(&j->fc);
        else if (is_q8(j->kernel))
            j->kernel->run.pw_q8(&j->pw_q8);
        else {
            j->pw.packed = j->packed[j->turn++ % j->matrices];
            j->kernel->run.pw(&j->pw);
        }
    }
    return now() - start;
}

static void touch(const void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += SPR_LINE) (void)*((const volatile char *)memory + i);
}

static double measure_cold(job *j, const options *opt, const float *x, size_t x_bytes) {
    char *other = take(opt->cold);
    double best = INFINITY;
    for (int r = 0; r < opt->repeat; r++) {
        touch(other, opt->cold);
        touch(x, x_bytes);
        best = fmin(best, time_calls(j, 1));
    }
    free(other);
    return best;
}

/* Seconds per call. */
static double measure(job *j, const options *opt, const float *x, size_t x_bytes) {
    if (opt->cold) return measure_cold(j, opt, x, x_bytes);
    int calls = opt->calls;
    if (calls == 0) {
        double once = time_calls(j, 1);
        once = fmin(once, time_calls(j, 1));
        calls = (int)fmin(1e6, fmax(1.0, 0.005 / fmax(once, 1e-8)));
    }
    double best = INFINITY;
    for (int r = 0; r < opt->repeat; r++) best = fmin(best, time_calls(j, calls) / calls);
    return best;
}

typedef struct total {
    double seconds, flops, dense_flops;
} total;

static void print_line(const char *name, const char *what, double sparsity, total t) {
    printf("%-28s %-16s %8.3f %10.4f %12.2f %9.2f %9.2f\n", name, what, sparsity, t.flops / 2e6, t.seconds * 1e6,
           t.flops / t.seconds * 1e-9, t.dense_flops / t.seconds * 1e-9);
}

/* Random weights as the kernel reads them; returns how many are not 0. */
static size_t pack_random(const spr_kernel *kernel, shape s, double sparsity, size_t x_stride, const float *bias,
                          void **packed) {
    const uint32_t row_bound[] = {0, s.n};
    float *dense = random_weights(s.n, s.k, is_dense(kernel) ? 0.0 : sparsity, block_rows(kernel));
    uint32_t *row_ptr = take((s.n + 1) * sizeof *row_ptr), *col = take((size_t)s.n * s.k * sizeof *col);
    float *val = take((size_t)s.n * s.k * sizeof *val);
    spr_pw_weights w = {.n = s.n, .k = s.k, .bias = bias, .row_bound = row_bound, .row_groups = 1};
    size_t nnz = (size_t)s.n * s.k;
    if (is_dense(kernel)) {
        w.dense = dense;
    } else {
        nnz = to_csr(dense, s.n, s.k, row_ptr, col, val);
        w.row_ptr = row_ptr;
        w.col = col;
        w.val = val;
    }
    *packed = take(kernel->packing->size(&w, x_stride));
    kernel->packing->pack(&w, x_stride, *packed);
    free(val);
    free(col);
    free(row_ptr);
    free(dense);
    return nnz;
}

static total run_case(const spr_kernel *kernel, shape s, double sparsity, const options *opt) {
    const int fc = is_fc(kernel);
    const size_t lines = spr_round_up(s.m, SPR_PX) / SPR_PX;
    const size_t stride = fc ? 0 : (lines | 1) * SPR_PX;
    const size_t x_size = fc ? (size_t)s.m * s.k : s.k * stride, y_size = fc ? (size_t)s.m * s.n : s.n * stride;
    const int clip = opt->act == SPR_FN_CLIP;
    job j = {.kernel = kernel, .matrices = fc || is_dense(kernel) || opt->calls == 1 ? 1 : MATRICES};
    double nnz = 0;
    float *bias = take(s.n * sizeof *bias), *x = take(x_size * sizeof *x), *y = take(y_size * sizeof *y);
    rng_state = 12345;
    for (uint32_t i = 0; i < s.n; i++) bias[i] = random_float();
    for (size_t i = 0; i < x_size; i++) x[i] = random_float();
    for (int i = 0; i < j.matrices; i++)
        nnz += (double)pack_random(kernel, s, sparsity, fc ? 1 : stride, bias, &j.packed[i]) / j.matrices;
    const spr_act act = {.fn = opt->act, .a = clip ? 0.0f : 1.0f / 6, .b = clip ? INFINITY : 0.5f, .slope = bias};
    spr_unary_fn *unary = spr_kernel_best(SPR_K_UNARY, spr_cpu_features())->run.unary;
    j.pw = (spr_pw_args){.x = x, .y = y, .x_stride = stride, .y_stride = stride, .n = s.n, .k = s.k, .row1 = s.n,
                         .px1 = s.m, .act = act, .unary = unary};
    j.fc = (spr_fc_args){.x = x, .y = y, .x_stride = s.k, .y_stride = s.n, .packed = j.packed[0], .m = s.m, .n = s.n,
                         .k = s.k, .row1 = s.n, .act = act, .unary = unary};
    total t = {measure(&j, opt, x, x_size * sizeof *x), 2.0 * s.m * nnz, 2.0 * s.m * s.n * (double)s.k};
    for (int i = 0; i < j.matrices; i++) free(j.packed[i]);
    free(x);
    free(y);
    free(bias);
    return t;
}

/* Weights pruned as those of floats are, one by one or in pairs of rows; dense ones are mostly small, as trained ones
   are, which some packings gain by. */
static total run_case_q8(const spr_kernel *kernel, shape s, double sparsity, const options *opt) {
    const size_t stride = ((spr_round_up(s.m, SPR_PX) / SPR_PX) | 1) * SPR_PX;
    const uint32_t groups = (s.k + 3) / 4;
    rng_state = 12345;
    float *dense = random_weights(s.n, s.k, is_dense(kernel) ? 0.0 : sparsity, block_rows(kernel)),
          *scale = take(s.n * 4);
    int8_t *w = take((size_t)s.n * groups * 4);
    int32_t *bias = take(s.n * 4);
    uint32_t *offset = take(groups * 4);
    size_t nnz = 0;
    for (uint32_t g = 0; g < groups; g++) offset[g] = g * (uint32_t)stride;
    for (uint32_t r = 0; r < s.n; r++) {
        scale[r] = 0.001f;
        for (uint32_t k = 0; k < s.k; k++) {
            float v = dense[(size_t)r * s.k + k];
            if (is_dense(kernel)) v = (v + random_float() + random_float()) / 3;
            nnz += v != 0;
            w[(size_t)r * groups * 4 + k] = v == 0 ? 0 : (int8_t)(v * 126 + (v > 0 ? 1 : -1));
        }
    }
    const spr_pw_q8_weights weights = {.n = s.n, .groups = groups, .w = w, .offset = offset, .bias = bias,
                                       .scale = scale};
    void *packed = take(kernel->packing_q8->size(&weights));
    kernel->packing_q8->pack(&weights, packed);
    void *scratch = take(kernel->packing_q8->scratch ? kernel->packing_q8->scratch(&weights) : 0);
    const size_t x_size = groups * stride * 4;
    spr_q8 *x = take(x_size), *y = take((s.n + 3) / 4 * stride * 4);
    for (size_t i = 0; i < x_size; i++) x[i] = (spr_q8)((rng_state = rng_state * 1664525 + 1013904223) >> 24);
    const spr_q8_finish finish = {.y_inv = 1, .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX};
    job j = {.kernel = kernel, .pw_q8 = {.x = x, .y = y, .y_stride = stride, .packed = packed, .n = s.n,
                                               .row1 = s.n,
                                               .px1 = s.m, .finish = &finish,
                                               .scratch = scratch}};
    total t = {measure(&j, opt, (const float *)(const void *)x, x_size), 2.0 * s.m * (double)nnz,
               2.0 * s.m * s.n * (double)s.k};
    free(x);
    free(y);
    free(packed);
    free(scratch);
    free(offset);
    free(bias);
    free(w);
    free(scale);
    free(dense);
    return t;
}

static total run_case_fc_q8(const spr_kernel *kernel, shape s, double sparsity, const options *opt) {
    (void)sparsity; /* dense only */
    const size_t x_stride = spr_round_up(s.k, 4), x_size = s.m * x_stride;
    int8_t *w = take((size_t)s.n * s.k);
    int32_t *bias = take(s.n * 4);
    float *scale = take(s.n * 4);
    spr_q8 *x = take(x_size), *y = take((size_t)s.m * s.n);
    rng_state = 12345;
    for (size_t i = 0; i < (size_t)s.n * s.k; i++) w[i] = (int8_t)(random_float() * 127);
    for (size_t i = 0; i < x_size; i++) x[i] = (spr_q8)((rng_state = rng_state * 1664525 + 1013904223) >> 24);
    for (uint32_t r = 0; r < s.n; r++) scale[r] = 0.001f;
    const spr_fc_q8_weights weights = {.n = s.n, .k = s.k, .w = w, .bias = bias, .scale = scale};
    void *packed = take(kernel->fc_q8->size(&weights));
    kernel->fc_q8->pack(&weights, packed);
    const spr_q8_finish finish = {.y_inv = 1, .lo = SPR_Q8_MIN, .hi = SPR_Q8_MAX};
    job j = {.kernel = kernel, .fc_q8 = {.x = x, .y = y, .x_stride = x_stride, .y_stride = s.n, .packed = packed,
                                               .m = s.m,
                                               .n = s.n, .row1 = s.n, .finish = &finish}};
    const double flops = 2.0 * s.m * s.n * (double)s.k;
    total t = {measure(&j, opt, (const float *)(const void *)x, x_size), flops, flops};
    free(packed);
    free(y);
    free(x);
    free(scale);
    free(bias);
    free(w);
    return t;
}

static void run_kernel(const spr_kernel *kernel, const options *opt) {
    const shape *shapes = opt->shapes;
    size_t shape_count = opt->shape_count;
    if (shape_count == 0) {
        shapes = is_fc(kernel) ? classifier : mobilenet_v1;
        shape_count = is_fc(kernel) ? SPR_COUNTOF(classifier) : SPR_COUNTOF(mobilenet_v1);
    }
    for (size_t i = 0; i < (is_dense(kernel) ? 1 : opt->sparsity_count); i++) {
        const double sparsity = is_dense(kernel) ? 0.0 : opt->sparsity[i];
        total sum = {0, 0, 0}, t = {0, 0, 0};
        for (size_t j = 0; j < shape_count; j++) {
            if (j == 0 || memcmp(&shapes[j], &shapes[j - 1], sizeof *shapes) != 0) {
                char what[48];
                snprintf(what, sizeof what, "%u,%u,%u", shapes[j].m, shapes[j].n, shapes[j].k);
                t = (is_q8(kernel)      ? run_case_q8
                     : is_fc_q8(kernel) ? run_case_fc_q8
                                        : run_case)(kernel, shapes[j], sparsity, opt);
                print_line(kernel->name, what, sparsity, t);
            }
            sum.seconds += t.seconds;
            sum.flops += t.flops;
            sum.dense_flops += t.dense_flops;
        }
        if (shape_count > 1) print_line(kernel->name, "total", sparsity, sum);
        fflush(stdout);
    }
}

static double number(const char *text, char **end, double lo, double hi, const char *what) {
    double v = strtod(text, end);
    if (*end == text || !(v >= lo && v <= hi)) die(what, text);
    return v;
}

static void parse_option(options *opt, const char *name, const char *value) {
    char *end = NULL;
    if (strcmp(name, "--kernel") == 0) {
        opt->kernel = value;
    } else if (strcmp(name, "--shape") == 0) {
        uint32_t v[3];
        const char *p = value;
        for (int i = 0; i < 3; i++) {
            v[i] = (uint32_t)number(p, &end, 1, 1 << 24, "bad --shape");
            if (*end != (i < 2 ? ',' : '\0')) die("bad --shape", value);
            p = end + 1;
        }
        if (opt->shape_count == SPR_COUNTOF(opt->shapes)) die("too many shapes:", value);
        opt->shapes[opt->shape_count++] = (shape){v[0], v[1], v[2]};
    } else if (strcmp(name, "--sparsity") == 0) {
        opt->sparsity_count = 0;
        for (const char *p = value;; p = end + 1) {
            if (opt->sparsity_count == SPR_COUNTOF(opt->sparsity)) die("too many sparsities:", value);
            opt->sparsity[opt->sparsity_count++] = number(p, &end, 0, 1, "bad --sparsity");
            if (*end == '\0') break;
            if (*end != ',') die("bad --sparsity", value);
        }
    } else if (strcmp(name, "--repeat") == 0) {
        opt->repeat = (int)number(value, &end, 1, 1e6, "bad --repeat");
    } else if (strcmp(name, "--cold") == 0) {
        opt->cold = (size_t)number(value, &end, 0, 1 << 30, "bad --cold");
    } else if (strcmp(name, "--calls") == 0) {
        opt->calls = (int)number(value, &end, 1, 1e6, "bad --calls");
    } else if (strcmp(name, "--act") == 0) {
        unsigned fn = 0;
        while (fn < SPR_FN_COUNT && strcmp(spr_function_name((spr_function)fn), value) != 0) fn++;
        if (fn == SPR_FN_COUNT) die("unknown function", value);
        opt->act = (spr_function)fn;
    } else {
        die("unknown option", name);
    }
}

int main(int argc, char **argv) {
    options opt = {.kernel = "*", .sparsity = {0.75, 0.9}, .sparsity_count = 2, .repeat = 7, .act = SPR_FN_CLIP};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) die("no value for", argv[i]);
        parse_option(&opt, argv[i], argv[i + 1]);
    }
    int found = 0;
    printf("%-28s %-16s %8s %10s %12s %9s %9s\n", "kernel", "M,N,K", "sparsity", "MMAC", "us", "GFLOP/s", "effective");
    for (size_t i = 0; i < spr_kernel_count; i++) {
        const spr_kernel *kernel = &spr_kernels[i];
        if ((kernel->cls > SPR_K_FC_CSR && !is_q8(kernel) && !is_fc_q8(kernel)) ||
            !spr_kernel_runs(kernel, spr_cpu_features()))
            continue;
        if (fnmatch(opt.kernel, kernel->name, 0) != 0) continue;
        run_kernel(kernel, &opt);
        found = 1;
    }
    if (!found) die("no kernel of this CPU matches", opt.kernel);
    return 0;
}
