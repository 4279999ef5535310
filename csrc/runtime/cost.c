#include "runtime/cost.h"

#include <math.h>

/* Weights a kernel multiplies by. */
static double stored_weights(const spr_kernel *kernel, const spr_work *work) {
    switch (kernel->cls) {
    case SPR_K_PW_CSR:
    case SPR_K_FC_CSR:
    case SPR_K_PW_1X4_Q8:
    case SPR_K_PW_2X4_Q8:
    case SPR_K_PW_CSR_Q8:
    case SPR_K_PW_2X1_Q8: return work->nonzeros;
    case SPR_K_PW_2X1: return work->elements;
    default: return work->rows * work->channels;
    }
}

/* Share of the input channels that any weight asks for, with patterns at random. */
static double used_channels(const spr_kernel *kernel, const spr_work *work, double stored) {
    if (kernel->cls == SPR_K_PW_DENSE || kernel->cls == SPR_K_FC_DENSE || kernel->cls == SPR_K_PW_DENSE_Q8) return 1;
    const int pairs = kernel->cls == SPR_K_PW_2X1 || kernel->cls == SPR_K_PW_2X4_Q8 || kernel->cls == SPR_K_PW_2X1_Q8;
    return 1 - exp(-stored / (pairs ? 2 : 1) / work->channels);
}

/* Bytes of L2 that a thread can count on, taken to be those of the cores that the coefficients are from. */
static double l2_bytes(uint32_t features) {
    if (features & SPR_ISA_AVX512) return 2048 << 10;
    if (features & SPR_ISA_AVX2) return 512 << 10;
    return features & SPR_ISA_INORDER ? 384 << 10 : 512 << 10;
}

/* Cycles a stored weight takes where pixels are one or two vectors: each waits for the sum of the one before, which its
   row's neighbours hide a little of. Coefficients are from wider layers. */
#define WAIT_CSR 3.5
#define WAIT_2X1 2.0

static double of_narrow(const spr_kernel *kernel, double pixels, double per_weight) {
    if (kernel->cls != SPR_K_PW_CSR && kernel->cls != SPR_K_PW_2X1) return per_weight;
    return pixels <= 2 * kernel->cost.vector ? fmax(per_weight, kernel->cls == SPR_K_PW_2X1 ? WAIT_2X1 : WAIT_CSR)
                                             : per_weight;
}

/* Rounds that rows are visited in. Where pixels are few, x86 packings put more channels into a panel (x86_pack.c). */
static double panels_of(const spr_kernel *kernel, double channels, double pixels) {
    const spr_cost *cost = &kernel->cost;
    if (!cost->panel) return 1;
    int sparse = kernel->cls == SPR_K_PW_CSR || kernel->cls == SPR_K_PW_2X1;
    int wider = sparse && kernel->isa & (SPR_ISA_AVX2 | SPR_ISA_AVX512) && pixels <= 2 * cost->vector;
    return ceil(channels / (wider ? cost->panel * cost->tile / pixels : cost->panel));
}

double spr_estimate(const spr_kernel *kernel, uint32_t features, const spr_work *work) {
    const spr_cost *cost = &kernel->cost;
    size_t part = work->part ? work->part : 1;
    double parts = (double)work->pixels / (double)part * (double)work->images;
    double tiles = (double)((part + cost->tile - 1) / cost->tile), pixels = (double)spr_round_up(part, cost->vector);
    double panels = panels_of(kernel, work->channels, pixels), stored = stored_weights(kernel, work);
    double input = (spr_is_pw_q8(kernel->cls) ? 1 : sizeof(float)) * work->channels * pixels,
           l2 = l2_bytes(features);
    double far = fmin(1, fmax(0, 2 * input / l2 - 1)) * input * used_channels(kernel, work, stored);
    return cost->per_fetch * stored +
           parts * (stored * of_narrow(kernel, pixels, cost->per_weight * tiles + cost->per_mac * pixels) +
                    cost->per_row * work->rows * tiles * panels + cost->per_far * far);
}
