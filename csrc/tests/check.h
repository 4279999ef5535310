/* What the parts of spr-check share: random numbers, guarded memory, calls that are watched, the tally. */
#ifndef SPR_TESTS_CHECK_H
#define SPR_TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernel.h"

/* Rounding error of one f32 operation, relative. */
#define CHECK_EPS 0x1p-24

/* Vectors of 32-bit ARM take denormal numbers for 0, and give 0 for them. */
#define CHECK_FLUSHED (SPR_ARM32 ? 0x1p-126 : 0)

/* ---- random numbers: a case's data follow from the seed, the class and the case's number alone ---- */

typedef struct check_rng {
    uint64_t state;
} check_rng;

check_rng check_rng_of(const char *class_name, uint32_t index);
uint64_t check_random(check_rng *r);
uint32_t check_below(check_rng *r, uint32_t n);            /* 0 ... n - 1 */
int check_chance(check_rng *r, uint32_t n);                /* true once in n */
float check_uniform(check_rng *r, float lo, float hi);
void check_fill(check_rng *r, float *p, size_t n);         /* uniform in [-1, 1] */
/* A random part [*from, *to) of [0, n) that starts and ends at multiples of `step` or ends at n. */
void check_part(check_rng *r, uint32_t n, uint32_t step, uint32_t *from, uint32_t *to);
#define CHECK_PICK(r, array) ((array)[check_below(r, SPR_COUNTOF(array))])

/* ---- guarded memory ---- */

/* One buffer of each slot exists at a time. An inaccessible page follows (CHECK_END) or precedes (CHECK_START) it; on
   the other side lies a pattern, which check_intact() looks at. */
typedef enum check_slot {
    CHECK_X,
    CHECK_Y,
    CHECK_Z,
    CHECK_PACKED,
    CHECK_SLOPE,
    CHECK_SCRATCH,
    CHECK_DENSE,
    CHECK_ROW_PTR,
    CHECK_COL,
    CHECK_VAL,
    CHECK_BIAS,
    CHECK_SLOTS
} check_slot;
typedef enum check_place { CHECK_END, CHECK_START } check_place;

void *check_buffer(check_slot slot, size_t bytes, size_t align, check_place place);
/* Complains about every slot whose surroundings were written to, and mends them. */
void check_intact(void);

/* Fills with a NaN that no kernel computes, and tells whether it is still there. */
void check_blank(float *p, size_t n);
int check_is_blank(const float *p);
/* Whether a padding lane may hold this: finite and no denormal. */
int check_ordinary(float v);
/* Bit for bit. */
int check_same(const float *a, const float *b, size_t n);
/* Whether two results are: bit for bit, but any NaN that was computed for any other. */
int check_same_result(float a, float b);

/* Allocates or ends the program. */
void *check_alloc(size_t count, size_t size);

/* ---- running kernels ---- */

extern uint32_t check_features;
extern int check_quick; /* fewer cases */

/* Cases of a part: `full`, or a quarter of it with --quick. */
uint32_t check_cases(uint32_t full);

/* Whether kernel i can run here and was asked for. */
int check_wanted(size_t i);

/* Runs one case of kernel i: body(context) calls the kernel through check_call() and complains through check_fail(). A
   fault is a failure too. The case passes if nothing was said. */
void check_case(size_t i, const char *description, void (*body)(size_t i, void *context), void *context);
void check_fail(const char *format, ...) SPR_PRINTF(1, 2);
int check_failing(void); /* whether this case has failed */

/* Calls fn(arg) and checks that it leaves alone the registers that are the caller's. */
void check_call(void (*fn)(const void *), const void *arg);

/* Counts outputs compared with the reference and those of them which depend on any input: too few of those, and
   the sweep tests nothing. */
void check_count_outputs(uint64_t compared, uint64_t busy);

/* ---- activations in double ---- */

double check_function(const spr_act *act, double x, uint32_t row);
/* Bound of the error in f(x) that comes from an error `dx` in x and from computing f itself in f32. */
double check_function_bound(const spr_act *act, double x, uint32_t row, double dx);
/* A function with sensible parameters; slope is left for the caller to set. */
spr_act check_random_act(check_rng *r);
/* Whether v is what `expected` asks for: within `bound`, or equal if not finite (NaN for NaN). */
int check_close(float v, double expected, double bound);

/* ---- the parts ---- */

void check_pointwise_and_fc(void);
void check_convolution(void);
void check_pooling(void);
void check_elementwise(void);
void check_quantized_pointwise(void);
void check_quantized(void);

#endif
