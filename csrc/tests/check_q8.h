/* What the sweeps of quantized kernels share. */
#ifndef SPR_TESTS_CHECK_Q8_H
#define SPR_TESTS_CHECK_Q8_H

#include "check.h"

void check_fill_bytes(check_rng *r, void *p, size_t n);
int32_t check_q8_zero(check_rng *r);

/* Whether `got` is v rounded and clamped; where v is so near the middle of two quanta that both will do, either is
   right. */
int check_q8_agrees(int got, double v, int32_t zero, int32_t lo, int32_t hi);

/* A window with at least one output, and a line about it. */
void check_q8_window(check_rng *r, spr_window *w);
int check_q8_describe(char *text, size_t size, const spr_window *w);

/* An image in groups of four channels and a copy of it, which is the caller's to free. */
typedef struct check_q8_image {
    uint32_t groups;
    size_t pixels, stride, bytes;
    spr_q8 *data, *copy;
} check_q8_image;

check_q8_image check_q8_make_image(check_rng *r, check_slot slot, uint32_t groups, size_t pixels, check_place place);
/* Complains if y was changed outside of the groups and pixels given; padding lanes and spare channels are the
   kernel's. */
void check_q8_outside(const check_q8_image *y, uint32_t group0, uint32_t group1, size_t px0, size_t px1);

void check_q8_fully_connected(void);
void check_q8_depthwise(void);
void check_q8_pooling(void);
void check_q8_elementwise(void);

#endif
