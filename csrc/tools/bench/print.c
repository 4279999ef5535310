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
    printf("%10s %6s  %-14s %-28s %s\n", "ms", "share", "op", "kernel", "layer");
    for (int i = 0; i < r->layer_count; i++) {
        const bench_layer *l = &r->layers[i];
        const double share = total > 0 ? l->ms / total : 0.0;
        printf("%10.4f %5.1f%%  %-14s %-28s %s\n", l->ms, 100 * share, l->info.op, l->info.kernel, l->info.name);
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
               bench_sparse_name(r->sparse), r->threads, r->cores, r->median, (r->q3 - r->q1) / 2, r->min, results[0].median / r->median);
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

/* ---- JSON */

static void json_text(const char *key, const char *text) {
    printf("\"%s\": \"", key);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') printf("\\%c", *p);
        else if (*p < ' ') printf("\\u%04x", *p);
        else putchar(*p);
    }
    printf("\"");
}

static void json_cpus(uint64_t cpus) {
    const char *comma = "";
    printf("\"cpus\": [");
    for (int i = 0; i < BENCH_CPUS; i++) {
        if (!(cpus >> i & 1)) continue;
        printf("%s%d", comma, i);
        comma = ", ";
    }
    printf("]");
}

/* null where a value is not a number or, for those that are known to be positive, not known. */
static void json_real(const char *key, double value) {
    if (isfinite(value)) printf("\"%s\": %.9g", key, value);
    else printf("\"%s\": null", key);
}
static void json_known(const char *key, long value) { json_real(key, value > 0 ? (double)value : (double)NAN); }

static void json_device(const bench_device *d) {
    printf("\"device\": {");
    json_text("model", d->model);
    printf(", ");
    json_text("system", d->system);
    printf(", ");
    json_text("features", d->features);
    printf(", \"bits\": %d, \"memory_mb\": %ld,\n  \"clusters\": [", (int)(8 * sizeof(void *)), d->memory_mb);
    for (int i = 0; i < d->cluster_count; i++) {
        const bench_cluster *c = &d->clusters[i];
        printf(i ? ",\n   {" : "\n   {");
        json_cpus(c->cpus);
        printf(", ");
        json_text("core", c->core);
        printf(", ");
        json_known("capacity", c->capacity);
        printf(", ");
        json_known("max_mhz", c->max_mhz);
        printf("}");
    }
    printf("]}");
}

static void json_layers(const bench_result *r) {
    printf(",\n   \"layers\": [");
    for (int i = 0; i < r->layer_count; i++) {
        const bench_layer *l = &r->layers[i];
        printf(i ? ",\n    {" : "\n    {");
        json_text("name", l->info.name);
        printf(", ");
        json_text("op", l->info.op);
        printf(", ");
        json_text("kernel", l->info.kernel);
        printf(", ");
        json_text("reason", l->info.reason);
        printf(", \"shape\": [");
        for (int k = 0; k < l->info.output.rank; k++) printf("%s%" PRId64, k ? ", " : "", l->info.output.dim[k]);
        printf("], ");
        json_real("macs", l->info.macs);
        printf(", ");
        json_real("sparsity", l->info.sparsity >= 0 ? l->info.sparsity : (double)NAN);
        printf(", ");
        json_real("ms", l->ms);
        printf("}");
    }
    printf("]");
}

static void json_result(const bench_options *o, const bench_result *r) {
    json_text("model", r->model);
    printf(", \"threads\": %d, \"sparse\": \"%s\", ", r->threads, bench_sparse_name(r->sparse));
    json_text("cores", r->cores);
    printf(", ");
    json_cpus(r->cpus);
    printf(",\n   ");
    json_real("median_ms", r->median);
    printf(", ");
    json_real("q1_ms", r->q1);
    printf(", ");
    json_real("q3_ms", r->q3);
    printf(", ");
    json_real("min_ms", r->min);
    printf(", ");
    json_known("mhz_low", r->mhz_low);
    printf(", ");
    json_known("mhz_high", r->mhz_high);
    printf(", ");
    json_real("celsius_before", r->celsius_before);
    printf(", ");
    json_real("celsius_after", r->celsius_after);
    if (o->verify) {
        printf(", ");
        json_real("difference", r->difference);
    }
    printf(",\n   \"memory\": {\"activations\": %zu, \"weights\": %zu, \"scratch\": %zu}", r->memory.activations,
           r->memory.weights, r->memory.scratch);
    if (r->layers) json_layers(r);
}

static void print_json(const bench_options *o, const bench_device *device, const bench_result *results, int count) {
    printf("{\"program\": \"spr-bench\", \"version\": \"%s\", \"repeat\": %d, \"warmup\": %d,\n ", spr_version(),
           o->repeat, o->warmup);
    json_device(device);
    printf(",\n \"results\": [");
    for (int i = 0; i < count; i++) {
        printf(i ? ",\n  {" : "\n  {");
        json_result(o, &results[i]);
        printf("}");
    }
    printf("]}\n");
}

void bench_print(const bench_options *o, const bench_device *device, const bench_result *results, int count) {
    if (o->format == BENCH_JSON) print_json(o, device, results, count);
    else if (o->format == BENCH_CSV) print_csv(o, results, count);
    else print_table(o, device, results, count);
}
