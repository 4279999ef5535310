/* Results as a table for people, or as CSV or JSON for programs. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/bench/bench.h"

/* ---- table */

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "0-3+6" */
static const char *cpus_text(uint64_t cpus, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < BENCH_CPUS && used < size; i++) {
        if (!(cpus >> i & 1)) continue;
        const int first = i;
        while (i + 1 < BENCH_CPUS && cpus >> (i + 1) & 1) i++;
        used += (size_t)snprintf(text + used, size - used, i > first ? "%s%d-%d" : "%s%d", used ? "+" : "", first, i);
    }
    return text;
}

static void print_device(const bench_device *d) {
    char text[256];
    printf("device: %s%s%s, %ld MB, features: %s\n", d->model, d->model[0] ? ", " : "", d->system, d->memory_mb,
           d->features);
    for (int i = 0; i < d->cluster_count; i++) {
        const bench_cluster *c = &d->clusters[i];
        printf("  CPU %s: %s", cpus_text(c->cpus, text, sizeof text), c->core[0] ? c->core : "unknown core");
        if (c->capacity) printf(", capacity %ld", c->capacity);
        if (c->max_mhz) printf(", up to %ld MHz", c->max_mhz);
        printf("\n");
    }
}

static void print_layers(const bench_result *r) {
    double total = 0;
    for (int i = 0; i < r->layer_count; i++) total += r->layers[i].ms;
    printf("\n%s, sparse %s, threads %d, cores %s: median times of the layers\n", file_name(r->model),
           bench_sparse_name(r->sparse), r->threads, r->cores);
    printf("%10s %6s  %-18s %-28s %s\n", "ms", "share", "op", "kernel", "layer");
    for (int i = 0; i < r->layer_count; i++) {
        const bench_layer *l = &r->layers[i];
        const double share = total > 0 ? l->ms / total : 0.0;
        printf("%10.4f %5.1f%%  %-18s %-28s %s\n", l->ms, 100 * share, l->info.op, l->info.kernel, l->info.name);
    }
    printf("%10.4f together\n", total);
}

static void print_table(const bench_options *o, const bench_device *device, const bench_result *results, int count) {
    int width = 5;
    for (int i = 0; i < count; i++) width = (int)fmax(width, (double)strlen(file_name(results[i].model)));
    print_device(device);
    if (!count) return;
    printf("\n%-*s  %-6s %7s %-8s %10s %9s %10s %8s%s  %s\n", width, "model", "sparse", "threads", "cores", "median ms",
           "+-", "best ms", "x first", o->verify ? " difference" : "", "MHz, Celsius");
    for (int i = 0; i < count; i++) {
        const bench_result *r = &results[i];
        printf("%-*s  %-6s %7d %-8s %10.3f %9.3f %10.3f %8.2f", width, file_name(r->model),
               bench_sparse_name(r->sparse), r->threads, r->cores, r->median, (r->q3 - r->q1) / 2, r->min,
               results[0].median / r->median);
        if (o->verify) printf(" %10.1e", r->difference);
        if (r->mhz_high) printf("  %ld-%ld", r->mhz_low, r->mhz_high);
        else printf("  -");
        if (isfinite(r->celsius_before)) printf(", %.0f-%.0f\n", r->celsius_before, r->celsius_after);
        else printf(", -\n");
    }
    printf("\nmedians of %d rounds after %d unmeasured, the combinations for one choice of cores in turns\n"
           "+-: half the distance of the quartiles; x first: median of the first row / this one's\n",
           o->repeat, o->warmup);
    if (o->verify) printf("difference: from the outputs of the plain C kernels, as a share of the largest output\n");
    for (int i = 0; i < count; i++)
        if (results[i].layers) print_layers(&results[i]);
}

/* ---- CSV */

static void csv_text(const char *text) {
    putchar('"');
    for (; *text; text++) printf(*text == '"' ? "\"\"" : "%c", *text);
    putchar('"');
}

static void print_csv(const bench_options *o, const bench_result *results, int count) {
    printf("model,threads,sparse,cores,median_ms,q1_ms,q3_ms,min_ms,repeat,difference\n");
    for (int i = 0; i < count; i++) {
        const bench_result *r = &results[i];
        csv_text(r->model);
        printf(",%d,%s,%s,%.4f,%.4f,%.4f,%.4f,%d,", r->threads, bench_sparse_name(r->sparse), r->cores, r->median,
               r->q1, r->q3, r->min, o->repeat);
        if (o->verify) printf("%.3g", r->difference);
        printf("\n");
    }
}

/* ---- JSON: `before` is what stands before the next field: how its object begins, then a comma */

static void json_key(const char **before, const char *key) {
    printf("%s\"%s\": ", *before, key);
    *before = ", ";
}

static void json_text(const char **before, const char *key, const char *text) {
    json_key(before, key);
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') printf("\\%c", *p);
        else if (*p < ' ') printf("\\u%04x", *p);
        else putchar(*p);
    }
    putchar('"');
}

static void json_cpus(const char **before, uint64_t cpus) {
    const char *comma = "";
    json_key(before, "cpus");
    putchar('[');
    for (int i = 0; i < BENCH_CPUS; i++) {
        if (!(cpus >> i & 1)) continue;
        printf("%s%d", comma, i);
        comma = ", ";
    }
    putchar(']');
}

/* null where a value is not a number or, for those that are known to be positive, not known. */
static void json_real(const char **before, const char *key, double value) {
    json_key(before, key);
    if (isfinite(value)) printf("%.9g", value);
    else printf("null");
}
static void json_known(const char **before, const char *key, long value) {
    json_real(before, key, value > 0 ? (double)value : (double)NAN);
}

static void json_device(const bench_device *d) {
    const char *before = "{";
    json_text(&before, "model", d->model);
    json_text(&before, "system", d->system);
    json_text(&before, "features", d->features);
    json_real(&before, "bits", 8.0 * sizeof(void *));
    json_real(&before, "memory_mb", (double)d->memory_mb);
    before = ",\n  ";
    json_key(&before, "clusters");
    printf("[");
    for (int i = 0; i < d->cluster_count; i++) {
        const bench_cluster *c = &d->clusters[i];
        before = i ? ",\n   {" : "\n   {";
        json_cpus(&before, c->cpus);
        json_text(&before, "core", c->core);
        json_known(&before, "capacity", c->capacity);
        json_known(&before, "max_mhz", c->max_mhz);
        printf("}");
    }
    printf("]}");
}

static void json_layers(const bench_result *r) {
    printf("[");
    for (int i = 0; i < r->layer_count; i++) {
        const bench_layer *l = &r->layers[i];
        const char *before = i ? ",\n    {" : "\n    {";
        json_text(&before, "name", l->info.name);
        json_text(&before, "op", l->info.op);
        json_text(&before, "kernel", l->info.kernel);
        json_text(&before, "reason", l->info.reason);
        json_key(&before, "shape");
        printf("[");
        for (int k = 0; k < l->info.output.rank; k++) printf("%s%" PRId64, k ? ", " : "", l->info.output.dim[k]);
        printf("]");
        json_real(&before, "macs", l->info.macs);
        json_real(&before, "sparsity", l->info.sparsity >= 0 ? l->info.sparsity : (double)NAN);
        json_real(&before, "ms", l->ms);
        printf("}");
    }
    printf("]");
}

static void json_result(const bench_options *o, const bench_result *r, const char *before) {
    json_text(&before, "model", r->model);
    json_real(&before, "threads", r->threads);
    json_text(&before, "sparse", bench_sparse_name(r->sparse));
    json_text(&before, "cores", r->cores);
    json_cpus(&before, r->cpus);
    before = ",\n   ";
    json_real(&before, "median_ms", r->median);
    json_real(&before, "q1_ms", r->q1);
    json_real(&before, "q3_ms", r->q3);
    json_real(&before, "min_ms", r->min);
    json_known(&before, "mhz_low", r->mhz_low);
    json_known(&before, "mhz_high", r->mhz_high);
    json_real(&before, "celsius_before", r->celsius_before);
    json_real(&before, "celsius_after", r->celsius_after);
    if (o->verify) json_real(&before, "difference", r->difference);
    before = ",\n   ";
    json_key(&before, "memory");
    printf("{\"activations\": %zu, \"weights\": %zu, \"scratch\": %zu}", r->memory.activations, r->memory.weights,
           r->memory.scratch);
    if (r->layers) {
        before = ",\n   ";
        json_key(&before, "layers");
        json_layers(r);
    }
    printf("}");
}

static void print_json(const bench_options *o, const bench_device *device, const bench_result *results, int count) {
    const char *before = "{";
    json_text(&before, "program", "spr-bench");
    json_text(&before, "version", spr_version());
    json_real(&before, "repeat", o->repeat);
    json_real(&before, "warmup", o->warmup);
    before = ",\n ";
    json_key(&before, "device");
    json_device(device);
    before = ",\n ";
    json_key(&before, "results");
    printf("[");
    for (int i = 0; i < count; i++) json_result(o, &results[i], i ? ",\n  {" : "\n  {");
    printf("]}\n");
}

void bench_print(const bench_options *o, const bench_device *device, const bench_result *results, int count) {
    if (o->format == BENCH_JSON) print_json(o, device, results, count);
    else if (o->format == BENCH_CSV) print_csv(o, results, count);
    else print_table(o, device, results, count);
}
