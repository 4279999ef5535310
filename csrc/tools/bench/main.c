/* spr-bench: times models on the machine it runs on; one static binary to copy to a board or phone.
 *
 *   spr-bench MODEL.spr... [--threads 1,2] [--sparse auto,never] [--cores big,little] [--profile] [--verify] ...
 *
 * `spr-bench --help` has all options, docs/boards.md tells how to use it. Inputs are random (fixed seed). What is timed
 * for one choice of cores takes turns, run by run, so that a change of clock hits all alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tools/bench/bench.h"

typedef struct bench_state {
    const bench_options *options;
    const bench_device *device;
    spr_model *models[BENCH_LIST];
    spr_session *plain[BENCH_LIST]; /* with --verify: run once by plain C kernels */
    bench_result *results;
    spr_session **sessions; /* of the results at hand */
    double **ms;            /* [result][round] */
    int count;
} bench_state;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static spr_session *open_session(const bench_state *s, int model, const spr_session_options *options) {
    spr_error err;
    spr_session *session;
    const char *name = s->options->models[model];
    if (spr_session_create(s->models[model], options, &session, &err)) bench_die("%s: %s", name, err.message);
    bench_set_shapes(s->models[model], session, s->options);
    if (spr_session_prepare(session, &err)) bench_die("%s: %s", name, err.message);
    bench_fill_inputs(s->models[model], session);
    return session;
}

static void run(spr_session *session) {
    spr_error err;
    if (spr_session_run(session, &err)) bench_die("%s", err.message);
}

static spr_session_options options_of(const bench_state *s, const bench_result *r) {
    spr_session_options options;
    spr_session_options_init(&options);
    options.threads = r->threads;
    options.cpu_mask = r->cpus;
    options.sparse = r->sparse;
    options.isa = s->options->isa;
    options.autotune = s->options->autotune;
    return options;
}

static void open_models(bench_state *s) {
    spr_error err;
    for (int m = 0; m < s->options->model_count; m++) {
        if (spr_model_open(s->options->models[m], NULL, &s->models[m], &err)) bench_die("%s", err.message);
        if (!s->options->verify) continue;
        spr_session_options options;
        spr_session_options_init(&options);
        options.isa = "ref";
        options.sparse = SPR_SPARSE_NEVER;
        s->plain[m] = open_session(s, m, &options);
        run(s->plain[m]);
    }
}

/* Median of every layer's time, of runs of a session of its own: timing layers takes time. */
static void profile(const bench_state *s, bench_result *r, int model) {
    spr_session_options options = options_of(s, r);
    options.profile = 1;
    r->profiled = open_session(s, model, &options);
    const int rounds = s->options->repeat;
    double *ms = NULL;
    for (int i = -s->options->warmup; i < rounds; i++) {
        run(r->profiled);
        if (i < 0) continue;
        if (!ms) {
            r->layer_count = spr_session_layer_count(r->profiled);
            ms = bench_alloc((size_t)r->layer_count * (size_t)rounds, sizeof *ms);
            r->layers = bench_alloc((size_t)r->layer_count, sizeof *r->layers);
        }
        for (int k = 0; k < r->layer_count; k++) {
            r->layers[k].info.struct_size = sizeof r->layers[k].info;
            spr_session_layer(r->profiled, k, &r->layers[k].info);
            ms[k * rounds + i] = (double)r->layers[k].info.ns * 1e-6;
        }
    }
    for (int k = 0; k < r->layer_count; k++) {
        qsort(ms + k * rounds, (size_t)rounds, sizeof *ms, by_value);
        r->layers[k].ms = ms[k * rounds + rounds / 2];
    }
    free(ms);
}

/* Times the results from `first` on, which are all for the same cores. Model m's are those with index m modulo the
   number of models. */
static void measure(bench_state *s, int first) {
    const bench_options *o = s->options;
    const int models = o->model_count;
    const uint64_t cpus = s->results[first].cpus;
    bench_pin(s->device, cpus);
    for (int i = first; i < s->count; i++) {
        spr_session_options options = options_of(s, &s->results[i]);
        s->sessions[i] = open_session(s, (i - first) % models, &options);
        s->ms[i] = bench_alloc((size_t)o->repeat, sizeof **s->ms);
    }
    const double before = bench_celsius(s->device);
    long low = 0, high = 0;
    for (int r = -o->warmup; r < o->repeat; r++) {
        for (int i = first; i < s->count; i++) {
            const double start = now_ms();
            run(s->sessions[i]);
            if (r >= 0) s->ms[i][r] = now_ms() - start;
        }
        const long mhz = bench_mhz(s->device, cpus);
        if (r >= 0 && (!low || mhz < low)) low = mhz;
        if (r >= 0 && mhz > high) high = mhz;
    }
    const double after = bench_celsius(s->device);
    for (int i = first; i < s->count; i++) {
        bench_result *r = &s->results[i];
        const int n = o->repeat, model = (i - first) % models;
        qsort(s->ms[i], (size_t)n, sizeof **s->ms, by_value);
        r->median = s->ms[i][n / 2];
        r->q1 = s->ms[i][n / 4];
        r->q3 = s->ms[i][3 * n / 4];
        r->min = s->ms[i][0];
        r->celsius_before = before;
        r->celsius_after = after;
        r->mhz_low = low;
        r->mhz_high = high;
        r->difference = o->verify ? bench_difference(s->models[model], s->sessions[i], s->plain[model]) : -1;
        r->memory.struct_size = sizeof r->memory;
        spr_session_memory(s->sessions[i], &r->memory);
        spr_session_free(s->sessions[i]);
        free(s->ms[i]);
    }
    for (int i = first; i < s->count && o->profile; i++) profile(s, &s->results[i], (i - first) % models);
}

static int bits(uint64_t mask) { return mask ? 1 + bits(mask & (mask - 1)) : 0; }

/* All results for one choice of cores; combinations with more threads than these cores are left out. */
static void add_results(bench_state *s, const char *cores, uint64_t cpus) {
    const bench_options *o = s->options;
    for (int t = 0; t < o->thread_count; t++) {
        if (cpus && o->threads[t] > bits(cpus)) {
            fprintf(stderr, "spr-bench: left out: %d threads on %d CPUs (%s)\n", o->threads[t], bits(cpus), cores);
            continue;
        }
        for (int k = 0; k < o->sparse_count; k++)
            for (int m = 0; m < o->model_count; m++)
                s->results[s->count++] = (bench_result){.model = o->models[m], .cores = cores, .cpus = cpus,
                                                        .threads = o->threads[t], .sparse = o->sparse[k]};
    }
}

int main(int argc, char **argv) {
    const bench_options o = bench_parse(argc, argv);
    bench_device device;
    bench_device_read(&device, o.sys);
    bench_state s = {.options = &o, .device = &device};
    const size_t most = (size_t)(o.model_count * o.thread_count * o.sparse_count * o.cores_count);
    s.results = bench_alloc(most, sizeof *s.results);
    s.sessions = bench_alloc(most, sizeof *s.sessions);
    s.ms = bench_alloc(most, sizeof *s.ms);
    uint64_t cpus[BENCH_LIST];
    for (int c = 0; c < o.cores_count; c++) cpus[c] = bench_cores(&device, o.cores[c]); /* errors come early */
    open_models(&s);
    for (int c = 0; c < o.cores_count && o.model_count; c++) {
        const int first = s.count;
        add_results(&s, o.cores[c], cpus[c]);
        if (s.count > first) measure(&s, first);
    }
    if (o.model_count && !s.count) bench_die("nothing is left to time");
    bench_print(&o, &device, s.results, s.count);
    for (int i = 0; i < s.count; i++) {
        free(s.results[i].layers);
        spr_session_free(s.results[i].profiled);
    }
    for (int m = 0; m < o.model_count; m++) {
        spr_session_free(s.plain[m]);
        spr_model_close(s.models[m]);
    }
    free(s.results);
    free(s.sessions);
    free(s.ms);
    return 0;
}
