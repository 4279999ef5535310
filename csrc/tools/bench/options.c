/* The command line of spr-bench. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/bench.h"

static const char usage[] =
    "usage: spr-bench MODEL.spr... [options]     times models; every combination of the comma lists\n"
    "       spr-bench --device [--format json]   tells what device this is\n"
    "  --threads 1,2           threads that compute (1)\n"
    "  --sparse auto,never     kernels: model (as converted), auto, always, never (model)\n"
    "  --cores big,little      pin to: any, big, little, prime, or CPUs as 0-3+6 (any)\n"
    "  --repeat N --warmup N   measured and unmeasured rounds (20, 3)\n"
    "  --input-shape NAME=1x3x224x224   may be given several times\n"
    "  --free N                size of free dimensions without --input-shape; the first is 1\n"
    "  --profile               also the times of the layers, in runs of their own\n"
    "  --verify                compare outputs with those of the plain C kernels\n"
    "  --autotune              choose kernels by measuring\n"
    "  --isa LIST              CPU features that kernels may use\n"
    "  --format table|csv|json (table)\n"
    "  --sys DIR               where sysfs is mounted (/sys)";

static const char *const sparse_names[] = {"model", "auto", "always", "never"};
static const char *const format_names[] = {"table", "csv", "json"};

void bench_die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("spr-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

void *bench_alloc(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) bench_die("out of memory");
    return memory;
}

const char *bench_sparse_name(spr_sparse sparse) { return sparse_names[sparse]; }

static int parse_number(const char *text, int low, const char *what) {
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < low || n > 1000000)
        bench_die("%s takes a number from %d, not '%s'", what, low, text);
    return (int)n;
}

static int parse_word(const char *text, const char *const *names, int count, const char *what) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0) return i;
    bench_die("%s does not take '%s'", what, text);
}

static void parse_list(bench_options *o, const char *what, char *text) {
    int *count = what[2] == 't' ? &o->thread_count : what[2] == 's' ? &o->sparse_count : &o->cores_count;
    for (char *save, *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (*count == BENCH_LIST) bench_die("%s takes up to %d values", what, BENCH_LIST);
        if (what[2] == 't') o->threads[*count] = parse_number(word, 1, what);
        else if (what[2] == 's') o->sparse[*count] = (spr_sparse)parse_word(word, sparse_names, 4, what);
        else o->cores[*count] = word;
        ++*count;
    }
}

static void add(const char **list, int *count, const char *text, const char *what) {
    if (*count == BENCH_LIST) bench_die("up to %d %s can be given", BENCH_LIST, what);
    list[(*count)++] = text;
}

bench_options bench_parse(int argc, char **argv) {
    bench_options o = {.repeat = 20, .warmup = 3, .sys = "/sys"};
    for (int i = 1; i < argc; i++) {
        char *arg = argv[i], *value = argv[i + 1]; /* argv ends with NULL */
        if (strcmp(arg, "--help") == 0) {
            puts(usage);
            exit(0);
        }
        if (strcmp(arg, "--profile") == 0) { o.profile = 1; continue; }
        if (strcmp(arg, "--verify") == 0) { o.verify = 1; continue; }
        if (strcmp(arg, "--autotune") == 0) { o.autotune = 1; continue; }
        if (strcmp(arg, "--device") == 0) { o.device_only = 1; continue; }
        if (arg[0] != '-') { add(o.models, &o.model_count, arg, "models"); continue; }
        if (!value) bench_die("%s needs a value, or is no option\n%s", arg, usage);
        i++;
        if (strcmp(arg, "--threads") == 0 || strcmp(arg, "--sparse") == 0 || strcmp(arg, "--cores") == 0)
            parse_list(&o, arg, value);
        else if (strcmp(arg, "--repeat") == 0) o.repeat = parse_number(value, 1, arg);
        else if (strcmp(arg, "--warmup") == 0) o.warmup = parse_number(value, 0, arg);
        else if (strcmp(arg, "--free") == 0) o.free_size = parse_number(value, 1, arg);
        else if (strcmp(arg, "--isa") == 0) o.isa = value;
        else if (strcmp(arg, "--sys") == 0) o.sys = value;
        else if (strcmp(arg, "--format") == 0) o.format = (bench_format)parse_word(value, format_names, 3, arg);
        else if (strcmp(arg, "--input-shape") == 0) add(o.shapes, &o.shape_count, value, "shapes");
        else bench_die("there is no option %s\n%s", arg, usage);
    }
    if (!o.model_count && !o.device_only) bench_die("no model given\n%s", usage);
    if (!o.thread_count) o.threads[o.thread_count++] = 1;
    if (!o.sparse_count) o.sparse[o.sparse_count++] = SPR_SPARSE_MODEL;
    if (!o.cores_count) o.cores[o.cores_count++] = "any";
    return o;
}
