/* What the sweeps of quantized kernels share: random windows and images, and what rounding leaves open. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_q8.h"

void check_fill_bytes(check_rng *r, void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)check_random(r);
}

int32_t check_q8_zero(check_rng *r) { return SPR_Q8_MIN + (int32_t)check_below(r, 256); }

/* Rounded and clamped; *open tells whether v is so near the middle of two quanta that both will do. */
static int quantum_of(double v, int32_t zero, int32_t lo, int32_t hi, int *open) {
    const double q = nearbyint(v) + zero;
    *open = fabs(fabs(v - floor(v)) - 0.5) < 1e-4 * (1 + fabs(v));
    return (int)(q < lo ? lo : q > hi ? hi : q);
}

int check_q8_agrees(int got, double v, int32_t zero, int32_t lo, int32_t hi) {
    int open;
    const int want = quantum_of(v, zero, lo, hi, &open);
    return got == want || (open && abs(got - want) <= 1);
}

static int32_t extent(uint32_t in, uint32_t k, uint32_t stride, uint32_t dilation, int32_t pads) {
    const int32_t rest = (int32_t)in + pads - (int32_t)(dilation * (k - 1) + 1);
    return rest < 0 ? 0 : rest / (int32_t)stride + 1;
}

void check_q8_window(check_rng *r, spr_window *w) {
    static const uint8_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 10, 14, 15, 16, 17, 20, 28, 33, 40},
                         kernels[] = {1, 2, 3, 3, 3, 5, 5, 7};
    do {
        const int usual = check_chance(r, 2);
        memset(w, 0, sizeof *w);
        w->ih = CHECK_PICK(r, sizes);
        w->iw = CHECK_PICK(r, sizes);
        w->kh = CHECK_PICK(r, kernels);
        w->kw = usual ? w->kh : CHECK_PICK(r, kernels);
        w->sh = 1 + check_below(r, 2);
        w->sw = usual ? w->sh : 1 + check_below(r, 3);
        w->dh = usual ? 1 : 1 + check_below(r, 2);
        w->dw = usual ? 1 : 1 + check_below(r, 2);
        w->pt = usual ? (int32_t)w->kh / 2 : (int32_t)check_below(r, w->kh);
        w->pl = usual ? (int32_t)w->kw / 2 : (int32_t)check_below(r, w->kw);
        w->pb = usual ? w->pt : (int32_t)check_below(r, w->kh);
        w->pr = usual ? w->pl : (int32_t)check_below(r, w->kw);
        if (usual && w->sh == 2 && check_chance(r, 2)) w->pt = w->pl = 0;
        w->oh = (uint32_t)extent(w->ih, w->kh, w->sh, w->dh, w->pt + w->pb);
        w->ow = (uint32_t)extent(w->iw, w->kw, w->sw, w->dw, w->pl + w->pr);
    } while (!w->oh || !w->ow);
}

int check_q8_describe(char *text, size_t size, const spr_window *w) {
    return snprintf(text, size, "%ux%u to %ux%u, kernel %ux%u, stride %u %u, dilation %u %u, padding %d %d %d %d",
                    w->ih, w->iw, w->oh, w->ow, w->kh, w->kw, w->sh, w->sw, w->dh, w->dw, w->pt, w->pl, w->pb, w->pr);
}

check_q8_image check_q8_make_image(check_rng *r, check_slot slot, uint32_t groups, size_t pixels, check_place place) {
    check_q8_image m = {.groups = groups, .pixels = pixels};
    const size_t lanes = pixels == 1 ? 1 : spr_round_up(pixels, SPR_PX);
    m.stride = pixels == 1 ? 1 : lanes + check_below(r, 3) * SPR_PX;
    m.bytes = ((groups - 1) * m.stride + lanes) * 4;
    m.copy = check_alloc(m.bytes, 1);
    check_fill_bytes(r, m.copy, m.bytes);
    m.data = check_buffer(slot, m.bytes, pixels == 1 ? 4 : SPR_LINE, place);
    memcpy(m.data, m.copy, m.bytes);
    return m;
}

void check_q8_outside(const check_q8_image *y, uint32_t group0, uint32_t group1, size_t px0, size_t px1) {
    const size_t lanes = y->pixels == 1 ? 1 : spr_round_up(y->pixels, SPR_PX);
    for (uint32_t g = 0; g < y->groups; g++)
        for (size_t p = 0; p < y->stride && (g * y->stride + p + 1) * 4 <= y->bytes; p++) {
            const int mine = g >= group0 && g < group1 && p >= px0 && p < (px1 == y->pixels ? lanes : px1);
            const size_t at = (g * y->stride + p) * 4;
            if (mine || memcmp(y->data + at, y->copy + at, 4) == 0) continue;
            check_fail("groups %u to %u, pixels %zu to %zu: pixel %zu of group %u is outside and was changed", group0,
                       group1, px0, px1, p, g);
            return;
        }
}

void check_quantized(void) {
    check_q8_fully_connected();
    check_q8_depthwise();
    check_q8_pooling();
    check_q8_elementwise();
}
