/* spr-bench: times a model on this machine; one static binary to copy to a board or phone.
 *
 *   spr-bench model.spr [--threads 1,2] [--sparse auto,never] [--repeat N] [--warmup N] [--isa LIST]
 *             [--input-shape NAME=1x3x224x224]... [--profile] [--csv] [--autotune]
 *
 * Inputs are random (fixed seed). Configurations are interleaved, run by run, so that a change of clock hits all alike. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spr/spr.h"

#define MAX_LIST 8

typedef struct config {
    int threads;
    spr_sparse sparse;
    spr_session *session;
    double *ms;
} config;

typedef struct options {
    const char *model, *isa;
    int threads[MAX_LIST], thread_count;
    spr_sparse sparse[MAX_LIST];
    int sparse_count;
    int repeat, warmup, profile, csv, autotune;
    const char *shapes[MAX_LIST];
    int shape_count;
} options;

static const char *const sparse_names[] = {"model", "auto", "always", "never"};

static void die(const char *message) {
    fprintf(stderr, "spr-bench: %s\n", message);
    exit(2);
}

static const char usage[] =
    "usage: spr-bench model.spr [--threads 1,2] [--sparse auto,always,never] [--repeat N] [--warmup N]\n"
    "                 [--isa LIST] [--input-shape NAME=1x3x224x224]... [--profile] [--csv]\n"
    "                 [--autotune]";

static int parse_number(const char *text, int low, const char *what) {
    char *end, message[128];
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < low || n > 1000000) {
        snprintf(message, sizeof message, "%s takes a number from %d, not '%.40s'", what, low, text);
        die(message);
    }
    return (int)n;
}

static void parse_list(options *o, char *text, int sparse) {
    for (char *save, *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (sparse) {
            int k = 0;
            while (k < 4 && strcmp(sparse_names[k], word) != 0) k++;
            if (k == 4 || o->sparse_count == MAX_LIST) die("--sparse takes a list of model, auto, always, never");
            o->sparse[o->sparse_count++] = (spr_sparse)k;
        } else {
            if (o->thread_count == MAX_LIST) die("--threads takes up to 8 numbers");
            o->threads[o->thread_count++] = parse_number(word, 1, "--threads");
        }
    }
}

static options parse(int argc, char **argv) {
    options o = {.repeat = 20, .warmup = 3};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--profile") == 0) o.profile = 1;
        else if (strcmp(arg, "--autotune") == 0) o.autotune = 1;
        else if (strcmp(arg, "--csv") == 0) o.csv = 1;
        else if (arg[0] != '-' && !o.model) o.model = arg;
        else if (i + 1 == argc) die(usage);
        else if (strcmp(arg, "--threads") == 0) parse_list(&o, argv[++i], 0);
        else if (strcmp(arg, "--sparse") == 0) parse_list(&o, argv[++i], 1);
        else if (strcmp(arg, "--repeat") == 0) o.repeat = parse_number(argv[++i], 1, arg);
        else if (strcmp(arg, "--warmup") == 0) o.warmup = parse_number(argv[++i], 0, arg);
        else if (strcmp(arg, "--isa") == 0) o.isa = argv[++i];
        else if (strcmp(arg, "--input-shape") == 0 && o.shape_count < MAX_LIST) o.shapes[o.shape_count++] = argv[++i];
        else die(usage);
    }
    if (!o.model) die(usage);
    if (!o.thread_count) o.threads[o.thread_count++] = 1;
    if (!o.sparse_count) o.sparse[o.sparse_count++] = SPR_SPARSE_MODEL;
    return o;
}

static void set_shapes(const spr_model *model, spr_session *session, const options *o) {
    spr_error err;
    for (int i = 0; i < o->shape_count; i++) {
        char name[256];
        const char *equals = strrchr(o->shapes[i], '=');
        if (!equals || (size_t)(equals - o->shapes[i]) >= sizeof name) die("--input-shape takes NAME=1x3x224x224");
        memcpy(name, o->shapes[i], (size_t)(equals - o->shapes[i]));
        name[equals - o->shapes[i]] = '\0';
        int64_t dim[SPR_MAX_RANK];
        int rank = 0, index = spr_model_find_input(model, name);
        if (index < 0) die("--input-shape names an input that the model does not have");
        for (const char *p = equals; *p && rank < SPR_MAX_RANK; p = strchr(p + 1, 'x') ? strchr(p + 1, 'x') : p + strlen(p))
            dim[rank++] = strtoll(p + 1, NULL, 10);
        if (spr_session_set_input_shape(session, index, rank, dim, &err)) die(err.message);
    }
}

/* Floats in [-1, 1), bytes in [0, 256), other integers 0. */
static void fill_inputs(const spr_model *model, spr_session *session) {
    spr_error err;
    uint32_t state = 12345;
    for (int i = 0; i < spr_model_input_count(model); i++) {
        spr_tensor_info info;
        size_t count = 1;
        spr_session_input(session, i, &info);
        for (int k = 0; k < info.rank; k++) count *= (size_t)info.dim[k];
        size_t bytes = count * spr_dtype_size(info.dtype);
        unsigned char *data = calloc(bytes + 1, 1);
        if (!data) die("out of memory");
        for (size_t n = 0; n < count; n++) {
            state = state * 1664525u + 1013904223u;
            if (info.dtype == SPR_FLOAT32) ((float *)(void *)data)[n] = (float)(state >> 8) / 8388608.0f - 1.0f;
            if (info.dtype == SPR_UINT8) data[n] = (unsigned char)(state >> 24);
        }
        if (spr_session_set_input(session, i, data, bytes, &err)) die(err.message);
        free(data);
    }
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_profile(const spr_session *session) {
    double total = 0;
    for (int i = 0; i < spr_session_layer_count(session); i++) {
        spr_layer_info info = {.struct_size = sizeof info};
        spr_session_layer(session, i, &info);
        total += (double)info.ns * 1e-6;
        printf("  %9.4f ms  %-14s %-26s %s\n", (double)info.ns * 1e-6, info.op, info.kernel, info.name);
    }
    printf("  %9.4f ms  together\n", total);
}

int main(int argc, char **argv) {
    options o = parse(argc, argv);
    spr_error err;
    spr_model *model;
    if (spr_model_open(o.model, NULL, &model, &err)) die(err.message);
    config configs[MAX_LIST * MAX_LIST];
    int count = 0;
    for (int t = 0; t < o.thread_count; t++)
        for (int s = 0; s < o.sparse_count; s++) {
            config *c = &configs[count++];
            spr_session_options options;
            spr_session_options_init(&options);
            options.threads = c->threads = o.threads[t];
            options.sparse = c->sparse = o.sparse[s];
            options.isa = o.isa;
            options.profile = o.profile;
            options.autotune = o.autotune;
            c->ms = calloc((size_t)o.repeat, sizeof *c->ms);
            if (!c->ms) die("out of memory");
            if (spr_session_create(model, &options, &c->session, &err)) die(err.message);
            set_shapes(model, c->session, &o);
            if (spr_session_prepare(c->session, &err)) die(err.message);
            fill_inputs(model, c->session);
        }
    for (int r = -o.warmup; r < o.repeat; r++)
        for (int i = 0; i < count; i++) {
            double start = now_ms();
            if (spr_session_run(configs[i].session, &err)) die(err.message);
            if (r >= 0) configs[i].ms[r] = now_ms() - start;
        }
    char cpu[256];
    spr_cpu_describe(cpu, sizeof cpu);
    if (o.csv) printf("model,threads,sparse,median_ms,q1_ms,q3_ms,min_ms,repeat\n");
    else printf("%s on %s: median of %d runs and the middle half of them\n", o.model, cpu, o.repeat);
    for (int i = 0; i < count; i++) {
        config *c = &configs[i];
        qsort(c->ms, (size_t)o.repeat, sizeof *c->ms, by_value);
        double median = c->ms[o.repeat / 2], q1 = c->ms[o.repeat / 4], q3 = c->ms[3 * o.repeat / 4];
        printf(o.csv ? "%s,%d,%s,%.4f,%.4f,%.4f,%.4f,%d\n" : "%s threads %d sparse %-6s %9.3f ms  [%.3f, %.3f]  min %.3f  (%d runs)\n",
               o.model, c->threads, sparse_names[c->sparse], median, q1, q3, c->ms[0], o.repeat);
        if (o.profile) print_profile(c->session);
        spr_session_free(c->session);
        free(c->ms);
    }
    spr_model_close(model);
    return 0;
}
