/* spr-check: runs every kernel of kernels.inc that this CPU can run against a reference in double precision, on memory
 * surrounded by guard pages. A kernel is tested by being in the list; nothing is to be added here for it.
 *
 *   spr-check [--list] [--kernel GLOB] [--needs FEATURES] [--quick] [--seed N]
 *
 * --needs avx512: only kernels that need this feature (or these, separated by commas).
 * SPR_ISA=... (see base/cpu.h) takes features away, so that one machine can test several levels. Ends with one line for
 * each kernel and a line "N passed, N failed"; the exit status is 1 if anything failed. */
#include "check.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint32_t check_features;
int check_quick;

static const char *glob = "*";
static uint32_t needs; /* features without which a kernel is not wanted */
static uint64_t seed = 1;

/* ---- random numbers ---- */

uint64_t check_random(check_rng *r) { /* splitmix64 */
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

check_rng check_rng_of(const char *class_name, uint32_t index) {
    check_rng r = {seed};
    for (; *class_name; class_name++) r.state = check_random(&r) ^ (unsigned char)*class_name;
    r.state = check_random(&r) ^ index;
    return r;
}

uint32_t check_below(check_rng *r, uint32_t n) { return (uint32_t)((check_random(r) >> 32) * n >> 32); }
int check_chance(check_rng *r, uint32_t n) { return check_below(r, n) == 0; }

float check_uniform(check_rng *r, float lo, float hi) {
    return lo + (hi - lo) * ((float)(check_random(r) >> 40) * 0x1p-24f);
}

void check_fill(check_rng *r, float *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = check_uniform(r, -1, 1);
}

void check_part(check_rng *r, uint32_t n, uint32_t step, uint32_t *from, uint32_t *to) {
    const uint32_t steps = (n + step - 1) / step, first = check_below(r, steps);
    *from = first * step;
    *to = (first + 1 + check_below(r, steps - first)) * step;
    if (*to > n) *to = n;
}

/* ---- guarded memory ---- */

/* AddressSanitizer sees reads too, of compiled code: what lies around buffers is poisoned while kernels run. */
#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, bytes) ((void)(p), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(p, bytes) ((void)(p), (void)(bytes))
#endif

enum { SLOT_BYTES = 16 << 20, GUARD = 1 << 16 /* the largest page */, MARGIN = 512, PATTERN = 0xa5 };

static const char *const slot_names[CHECK_SLOTS] = {"x",     "y",       "z",   "packed", "slope", "scratch",
                                                    "dense", "row_ptr", "col", "val",    "bias"};
static struct slot {
    unsigned char *memory;
    unsigned char *before, *after; /* the pattern: MARGIN bytes on the open side, what alignment leaves on the other */
    size_t before_bytes, after_bytes;
} slots[CHECK_SLOTS];

void *check_buffer(check_slot slot, size_t bytes, size_t align, check_place place) {
    struct slot *s = &slots[slot];
    if (!s->memory) {
        unsigned char *p = mmap(NULL, SLOT_BYTES + 2 * GUARD, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED || mprotect(p, GUARD, PROT_NONE) || mprotect(p + GUARD + SLOT_BYTES, GUARD, PROT_NONE)) {
            perror("spr-check: mmap");
            exit(2);
        }
        s->memory = p + GUARD;
    }
    if (bytes + align + MARGIN > SLOT_BYTES) {
        fprintf(stderr, "spr-check: a buffer of %zu bytes is too large for slot %s\n", bytes, slot_names[slot]);
        exit(2);
    }
    unsigned char *start = s->memory, *end = s->memory + SLOT_BYTES;
    unsigned char *p = place == CHECK_START ? start : start + (SLOT_BYTES - bytes) / align * align;
    ASAN_UNPOISON_MEMORY_REGION(s->before, s->before_bytes); /* of the buffer that was here */
    ASAN_UNPOISON_MEMORY_REGION(s->after, s->after_bytes);
    s->before_bytes = place == CHECK_START ? 0 : MARGIN;
    s->after_bytes = place == CHECK_START ? MARGIN : (size_t)(end - (p + bytes));
    s->before = p - s->before_bytes;
    s->after = p + bytes;
    memset(s->before, PATTERN, s->before_bytes);
    memset(s->after, PATTERN, s->after_bytes);
    ASAN_POISON_MEMORY_REGION(s->before, s->before_bytes);
    ASAN_POISON_MEMORY_REGION(s->after, s->after_bytes);
    return p;
}

/* Whether the pattern was whole; afterwards it is. */
static int mend(unsigned char *p, size_t bytes) {
    size_t i = 0;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    while (i < bytes && p[i] == PATTERN) i++;
    if (i < bytes) memset(p + i, PATTERN, bytes - i);
    ASAN_POISON_MEMORY_REGION(p, bytes);
    return i == bytes;
}

void check_intact(void) {
    for (int i = 0; i < CHECK_SLOTS; i++) {
        if (!mend(slots[i].before, slots[i].before_bytes)) check_fail("it wrote before the buffer %s", slot_names[i]);
        if (!mend(slots[i].after, slots[i].after_bytes)) check_fail("it wrote beyond the buffer %s", slot_names[i]);
    }
}

static const uint32_t blank = 0x7fe5a5a5u;

void check_blank(float *p, size_t n) {
    for (size_t i = 0; i < n; i++) memcpy(p + i, &blank, sizeof blank);
}

int check_is_blank(const float *p) { return memcmp(p, &blank, sizeof blank) == 0; }
int check_ordinary(float v) { return v == 0 || isnormal(v); }
int check_same(const float *a, const float *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

void *check_alloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size);
    if (!p) {
        fprintf(stderr, "spr-check: out of memory\n");
        exit(2);
    }
    return p;
}

int check_same_result(float a, float b) {
    return check_same(&a, &b, 1) || (isnan(a) && isnan(b) && !check_is_blank(&a) && !check_is_blank(&b));
}

/* ---- running kernels ---- */

static struct tally {
    uint32_t passed, failed;
    uint64_t compared, busy;
} *tallies;

static size_t current;
static const char *current_description;
static int current_failed;
static sigjmp_buf fault;

uint32_t check_cases(uint32_t full) { return check_quick ? full / 4 : full; }

int check_wanted(size_t i) {
    const spr_kernel *kernel = &spr_kernels[i];
    return spr_kernel_runs(kernel, check_features) && (kernel->isa & needs) == needs &&
           fnmatch(glob, kernel->name, 0) == 0;
}

void check_fail(const char *format, ...) {
    enum { SHOWN = 5 }; /* failures of a kernel told in full */
    if (current_failed++) return;
    if (tallies[current].failed == SHOWN) printf("FAIL %s: more, not shown\n", spr_kernels[current].name);
    if (tallies[current].failed >= SHOWN) return;
    va_list args;
    printf("FAIL %s [%s]: ", spr_kernels[current].name, current_description);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

int check_failing(void) { return current_failed; }

static void on_fault(int signal) { siglongjmp(fault, signal); }

void check_case(size_t i, const char *description, void (*body)(size_t i, void *context), void *context) {
    current = i;
    current_description = description;
    current_failed = 0;
    int signal = sigsetjmp(fault, 1);
    if (signal == 0)
        body(i, context);
    else
        check_fail("%s: it reached for memory that is not its own", strsignal(signal));
    check_intact();
    if (current_failed)
        tallies[i].failed++;
    else
        tallies[i].passed++;
}

void check_count_outputs(uint64_t compared, uint64_t busy) {
    tallies[current].compared += compared;
    tallies[current].busy += busy;
}

void check_call(void (*fn)(const void *), const void *arg) {
#if SPR_AARCH64
    /* d8 ... d15 belong to the caller; compiled code restores them, assembly has to be checked. */
    static const double before[8] = {1.5, -2.5, 3.5, -4.5, 5.5, -6.5, 7.5, -8.5};
    double after[8];
    register const void *x0 __asm__("x0") = arg;
    __asm__ volatile(
        "ldp d8, d9, [%[before]]\n\t"
        "ldp d10, d11, [%[before], #16]\n\t"
        "ldp d12, d13, [%[before], #32]\n\t"
        "ldp d14, d15, [%[before], #48]\n\t"
        "blr %[fn]\n\t"
        "stp d8, d9, [%[after]]\n\t"
        "stp d10, d11, [%[after], #16]\n\t"
        "stp d12, d13, [%[after], #32]\n\t"
        "stp d14, d15, [%[after], #48]\n\t"
        : "+r"(x0)
        : [before] "r"(before), [after] "r"(after), [fn] "r"(fn)
        : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
          "x18", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
          "v30", "v31", "cc", "memory");
    for (int i = 0; i < 8; i++)
        if (after[i] != before[i]) check_fail("it did not restore register d%d", 8 + i);
#else
    fn(arg);
#endif
}

/* ---- activations in double ---- */

static double clip(double x, double lo, double hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

double check_function(const spr_act *act, double x, uint32_t row) {
    const double a = act->a, b = act->b;
    switch (act->fn) {
    case SPR_FN_NONE: return x;
    case SPR_FN_CLIP: return clip(x, a, b);
    case SPR_FN_HARD_SWISH: return x * clip(a * x + b, 0, 1);
    case SPR_FN_HARD_SIGMOID: return clip(a * x + b, 0, 1);
    case SPR_FN_LEAKY_RELU: return x < 0 ? a * x : x;
    case SPR_FN_PRELU: return x < 0 ? act->slope[row] * x : x;
    case SPR_FN_SIGMOID: return 1 / (1 + exp(-x));
    case SPR_FN_SILU: return x / (1 + exp(-x));
    case SPR_FN_TANH: return tanh(x);
    case SPR_FN_ELU: return x < 0 ? a * expm1(x) : x;
    case SPR_FN_GELU: return 0.5 * x * erfc(-x * sqrt(0.5));
    case SPR_FN_SOFTPLUS: return x > 700 ? x : log1p(exp(x));
    case SPR_FN_MISH: return x * tanh(x > 700 ? x : log1p(exp(x)));
    case SPR_FN_EXP: return exp(x);
    case SPR_FN_LOG: return log(x);
    case SPR_FN_SQRT: return sqrt(x);
    case SPR_FN_RECIPROCAL: return 1 / x;
    case SPR_FN_ABS: return fabs(x);
    case SPR_FN_NEG: return -x;
    case SPR_FN_FLOOR: return floor(x);
    case SPR_FN_CEIL: return ceil(x);
    case SPR_FN_ROUND: return rint(x);
    case SPR_FN_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case SPR_FN_ERF: return erf(x);
    case SPR_FN_SIN: return sin(x);
    case SPR_FN_COS: return cos(x);
    case SPR_FN_TAN: return tan(x);
    case SPR_FN_ASIN: return asin(x);
    case SPR_FN_ACOS: return acos(x);
    case SPR_FN_ATAN: return atan(x);
    case SPR_FN_SINH: return sinh(x);
    case SPR_FN_COSH: return cosh(x);
    case SPR_FN_ASINH: return asinh(x);
    case SPR_FN_ACOSH: return acosh(x);
    case SPR_FN_ATANH: return atanh(x);
    case SPR_FN_COUNT: break;
    }
    return NAN;
}

double check_function_bound(const spr_act *act, double x, uint32_t row, double dx) {
    const double a = fabs(act->a), b = fabs(act->b), y = fabs(check_function(act, x, row));
    /* What act.tmpl.h promises where functions are approximated; for those of one or two operations, their rounding. */
    const double approximated = 6 * CHECK_EPS * y + 1e-35, linear = 2 * CHECK_EPS * (a * fabs(x) + b);
    const double rounded = CHECK_EPS * y + 0x1p-149; /* the second part: where results are denormal */
    if (!isfinite(x)) return 4 * CHECK_EPS * y;
    switch (act->fn) {
    case SPR_FN_NONE:
    case SPR_FN_CLIP:
    case SPR_FN_ABS:
    case SPR_FN_NEG: return dx;
    case SPR_FN_HARD_SWISH: { /* where it is curved, |f'| = |2 a x + b| for a x + b in [0, 1] */
        const double steepest = fmax(1, fmax(b, fabs(2 - act->b)));
        return steepest * dx + fabs(x) * linear + rounded;
    }
    case SPR_FN_HARD_SIGMOID: return a * dx + linear;
    case SPR_FN_LEAKY_RELU: return fmax(1, a) * dx + rounded;
    case SPR_FN_PRELU: return fmax(1, fabs(act->slope[row])) * dx + rounded;
    case SPR_FN_SIGMOID: return 0.25 * dx + approximated;
    case SPR_FN_TANH:
    case SPR_FN_SOFTPLUS: return dx + approximated;
    case SPR_FN_SILU:
    case SPR_FN_MISH: return 1.1 * dx + approximated;
    case SPR_FN_ELU: return fmax(1, a) * dx + approximated;
    case SPR_FN_GELU: return 1.13 * dx + 6 * CHECK_EPS * fabs(x) + 1e-35;
    case SPR_FN_ERF: return 1.13 * dx + approximated;
    case SPR_FN_EXP: return y * expm1(dx) + 4 * CHECK_EPS * y + 0x1p-148;
    case SPR_FN_LOG: return 4 * CHECK_EPS * y; /* this and what follows: as elementwise operators only, dx = 0 */
    case SPR_FN_SQRT:
    case SPR_FN_RECIPROCAL: return 2 * rounded;
    default: return act->fn > SPR_FN_ERF ? 4 * CHECK_EPS * fabs(y) + 0x1p-148 : 0; /* libm's */
    }
}

spr_act check_random_act(check_rng *r) {
    static const spr_act acts[] = {
        {SPR_FN_NONE, 0, 0, NULL},
        {SPR_FN_CLIP, 0, INFINITY, NULL},
        {SPR_FN_CLIP, 0, 6, NULL},
        {SPR_FN_CLIP, -0.25f, 0.5f, NULL},
        {SPR_FN_HARD_SWISH, 1.0f / 6, 0.5f, NULL},
        {SPR_FN_HARD_SIGMOID, 0.2f, 0.5f, NULL},
        {SPR_FN_LEAKY_RELU, 0.1f, 0, NULL},
        {SPR_FN_PRELU, 0, 0, NULL},
        {SPR_FN_SIGMOID, 0, 0, NULL},
        {SPR_FN_SILU, 0, 0, NULL},
        {SPR_FN_TANH, 0, 0, NULL},
        {SPR_FN_ELU, 0.7f, 0, NULL},
        {SPR_FN_GELU, 0, 0, NULL},
        {SPR_FN_SOFTPLUS, 0, 0, NULL},
        {SPR_FN_MISH, 0, 0, NULL},
    };
    return CHECK_PICK(r, acts);
}

int check_close(float v, double expected, double bound) {
    if (isnan(expected)) return isnan(v);
    if (isinf(expected) || isinf((float)expected)) return v == (float)expected;
    return fabs(v - expected) <= bound + CHECK_FLUSHED;
}

/* ---- the program ---- */

static void print_isa(uint32_t mask) {
    if (mask == 0) printf(" ref");
    for (uint32_t bit = 1; bit; bit <<= 1)
        if (mask & bit) printf(" %s", spr_isa_name(bit));
}

static void list(void) {
    for (size_t i = 0; i < spr_kernel_count; i++) {
        printf("%-32s %-9s %-8s", spr_kernels[i].name, spr_kernel_class_name(spr_kernels[i].cls),
               spr_kernel_runs(&spr_kernels[i], check_features) ? "runs" : "cannot");
        print_isa(spr_kernels[i].isa);
        printf("\n");
    }
}

/* Prints the result of each kernel; returns the number of failures. */
static uint32_t report(void) {
    uint32_t passed = 0, failed = 0, ran = 0;
    for (size_t i = 0; i < spr_kernel_count; i++) {
        struct tally *t = &tallies[i];
        if (!check_wanted(i)) continue;
        ran++;
        if (t->passed + t->failed == 0) {
            printf("FAIL %s: no case is for it\n", spr_kernels[i].name);
            t->failed++;
        } else if (2 * t->busy < t->compared) {
            printf("FAIL %s: only %llu of %llu outputs depend on an input\n", spr_kernels[i].name,
                   (unsigned long long)t->busy, (unsigned long long)t->compared);
            t->failed++;
        }
        printf("%-32s %5u passed %5u failed %12llu outputs\n", spr_kernels[i].name, t->passed, t->failed,
               (unsigned long long)t->compared);
        passed += t->passed;
        failed += t->failed;
    }
    for (size_t i = 0; i < spr_kernel_count; i++) {
        if (spr_kernel_runs(&spr_kernels[i], check_features)) continue;
        printf("%-32s not run: needs", spr_kernels[i].name);
        print_isa(spr_kernels[i].isa);
        printf("\n");
    }
    if (ran == 0) {
        printf("FAIL: no kernel is named like %s%s\n", glob, needs ? " and needs these features" : "");
        failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed;
}

int main(int argc, char **argv) {
    int only_list = 0;
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--list") == 0) {
            only_list = 1;
        } else if (strcmp(argv[i], "--quick") == 0) {
            check_quick = 1;
        } else if (strcmp(argv[i], "--kernel") == 0 && i + 1 < argc) {
            glob = argv[++i];
        } else if (strcmp(argv[i], "--needs") == 0 && i + 1 < argc && spr_isa_parse(argv[i + 1], &needs)) {
            i++;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc &&
                   (errno = 0, seed = strtoull(argv[i + 1], &end, 0), *argv[i + 1] && !*end && !errno)) {
            i++;
        } else {
            fprintf(stderr, "usage: spr-check [--list] [--kernel GLOB] [--needs FEATURES] [--quick] [--seed N]\n");
            return 2;
        }
    }
    check_features = spr_cpu_features();
    if (check_features & SPR_ISA_NEON) check_features |= SPR_ISA_INORDER; /* made for those cores, but right on all */
    if (only_list) {
        list();
        return 0;
    }
    tallies = check_alloc(spr_kernel_count, sizeof *tallies);
    struct sigaction action = {.sa_handler = on_fault};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);

    printf("spr-check: seed %llu, features", (unsigned long long)seed);
    print_isa(check_features);
    printf("\n");
    fflush(stdout);
    check_pointwise_and_fc();
    check_convolution();
    check_pooling();
    check_elementwise();
    check_quantized_pointwise();
    check_quantized();
    uint32_t failed = report();
    free(tallies);
    return failed != 0;
}
