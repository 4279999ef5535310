/* Estimates of what kernels cost, from which the plan chooses between dense, CSR and 2x1. */
#ifndef SPR_RUNTIME_COST_H
#define SPR_RUNTIME_COST_H

#include "kernels/kernel.h"

/* A matrix of weights and what it is multiplied with. */
typedef struct spr_work {
    double rows, channels;     /* of the whole matrix */
    double nonzeros, elements; /* elements: those in 2x1 blocks that are not all zero; of a quantized matrix only the
                                  first, and it counts zeros in the kernel's blocks too */
    size_t pixels;             /* of an image, or rows of a batch */
    size_t part;               /* pixels that are computed at a time, <= pixels */
    size_t images;
} spr_work;

/* Cycles of a kernel of class PW_*, PW_*_Q8 or FC_*, one thread. */
double spr_estimate(const spr_kernel *kernel, uint32_t features, const spr_work *work);

#endif
