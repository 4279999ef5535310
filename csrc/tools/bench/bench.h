/* Parts of spr-bench; main.c says what it does. Nothing here begins with spr_: tools/armcycles tells the library from
 * the program by that. */
#ifndef SPR_TOOLS_BENCH_H
#define SPR_TOOLS_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "spr/spr.h"

#define BENCH_LIST 16     /* values of a comma list, shapes, models */
#define BENCH_CPUS 64     /* bits of a mask of CPUs */
#define BENCH_CLUSTERS 16

/* Prints "spr-bench: ..." to stderr and ends the program with status 2. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);
/* calloc that never returns NULL; count may be 0. */
void *bench_alloc(size_t count, size_t size);

/* ---- options.c */

typedef enum bench_format { BENCH_TABLE, BENCH_CSV, BENCH_JSON } bench_format;

typedef struct bench_options {
    const char *models[BENCH_LIST];
    int model_count;
    int threads[BENCH_LIST], thread_count;
    spr_sparse sparse[BENCH_LIST];
    int sparse_count;
    const char *cores[BENCH_LIST]; /* "any", "big" ...; parts of the command line, which is cut at commas */
    int cores_count;
    const char *shapes[BENCH_LIST]; /* NAME=1x3x224x224 */
    int shape_count;
    int free_size; /* of free dimensions but the first, 0: not given */
    int repeat, warmup, profile, autotune, verify, device_only;
    const char *isa, *sys;
    bench_format format;
} bench_options;

bench_options bench_parse(int argc, char **argv);
const char *bench_sparse_name(spr_sparse sparse);

/* ---- device.c */

/* CPUs of one kind and speed. */
typedef struct bench_cluster {
    uint64_t cpus;
    long capacity; /* of the scheduler, 1024 for the fastest core of the device; 0: not told */
    long max_mhz;  /* 0: not told */
    char core[64]; /* "Cortex-A55", on x86 the name of the CPU; "" where not told */
} bench_cluster;

typedef struct bench_device {
    const char *sys; /* where sysfs lies */
    char model[128]; /* of the board or phone, "" where not told */
    char system[160]; /* kernel, its version and architecture */
    char features[256];
    long memory_mb;
    uint64_t usable; /* CPUs that this process may run on */
    bench_cluster clusters[BENCH_CLUSTERS]; /* the fastest first */
    int cluster_count;
} bench_device;

void bench_device_read(bench_device *device, const char *sys);
/* The CPUs that "big" (all but the slowest kind), "little" (the slowest), "prime" (the fastest) or "0-3+6" name; 0 for
   "any". Ends the program where the text is none of these or names a CPU that cannot be used. */
uint64_t bench_cores(const bench_device *device, const char *text);
/* Lets the calling thread run on these CPUs only; 0: on all it could at first. */
void bench_pin(const bench_device *device, uint64_t cpus);
/* Highest clock at the moment of these CPUs (0: all) in MHz, 0 where it cannot be read. */
long bench_mhz(const bench_device *device, uint64_t cpus);
/* Highest of the temperatures of zones that are named after CPU or SoC, else of all, in Celsius; NAN where none can be
   read. */
double bench_celsius(const bench_device *device);

/* ---- tensors.c */

/* Gives the session the shapes of the options; free dimensions that are left: 1 if the first, else
   options->free_size. */
void bench_set_shapes(const spr_model *model, spr_session *session, const bench_options *options);
/* Random values of a fixed seed: floats in [-1, 1), 8 bit integers of their whole range, booleans; other integers are
   1. */
void bench_fill_inputs(const spr_model *model, spr_session *session);
/* Largest difference of the outputs of two sessions after a run, as a share of the largest value of `expected`;
   INFINITY where shapes or places of NaNs differ. */
double bench_difference(const spr_model *model, const spr_session *got, const spr_session *expected);

/* ---- print.c */

typedef struct bench_layer {
    spr_layer_info info; /* names live as long as the model and the session */
    double ms;           /* median */
} bench_layer;

typedef struct bench_result {
    const char *model, *cores;
    int threads;
    spr_sparse sparse;
    uint64_t cpus; /* 0: any */
    double median, q1, q3, min; /* ms */
    double celsius_before, celsius_after; /* NAN: cannot be read */
    long mhz_low, mhz_high;               /* 0: cannot be read */
    double difference;                    /* see bench_difference; negative: not compared */
    spr_memory_info memory;
    spr_session *profiled; /* holds the layers' names */
    bench_layer *layers;
    int layer_count;
} bench_result;

void bench_print(const bench_options *options, const bench_device *device, const bench_result *results, int count);

#endif
