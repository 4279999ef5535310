/* What a chain of convolutions consists of, and how its rows are divided: into bands, one a task, and these into
   stripes. */
#ifndef SPR_RUNTIME_CHAIN_STRIPES_H
#define SPR_RUNTIME_CHAIN_STRIPES_H

#include "runtime/ops/conv.h"
#include "runtime/ops/ops.h"

#define SPR_CHAIN_MEMBERS 5

typedef struct spr_member {
    spr_step step; /* planned like any other Conv, but on buffers instead of tensors */
    spr_conv_way way;
    spr_conv_shape shape;
    size_t buffer, stride; /* output of all but the last: floats from the thread's scratch, floats between planes */
} spr_member;

typedef struct spr_chain {
    int count;
    spr_member members[SPR_CHAIN_MEMBERS];
    int residual;  /* the last member has one: input 1 of the spr_chain */
    uint32_t rows; /* output rows per stripe; a band is the stripes that one task computes */
    uint32_t bands, unit; /* bands begin at multiples of `unit` rows */
    size_t kernel_scratch; /* bytes from the thread's scratch */
    uint64_t *ns;          /* [threads][SPR_CHAIN_MEMBERS] of the last profiled run */
    int threads;
} spr_chain;

typedef struct spr_rows {
    uint32_t lo, hi;
} spr_rows;

/* Rows of its input that a member needs for rows of its output. */
spr_rows spr_chain_needed(const spr_member *m, spr_rows out);
/* Output rows of a band. */
spr_rows spr_chain_band(const spr_chain *c, uint32_t band);
/* What falls to the threads. */
spr_loads spr_chain_loads(const spr_chain *c, int threads, size_t images);
/* Chooses bands and stripes and lays out the buffers; 0 if the chain is not worth it: the tensors between its members
   fit into the cache as they are, or there would be too few rows for the threads. */
int spr_chain_stripes(spr_chain *c, const spr_plan_ctx *ctx, size_t images);

#endif
