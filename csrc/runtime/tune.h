/* Autotuning: measuring kernels on this device instead of estimating them, and remembering beside the model what was
   found. */
#ifndef SPR_RUNTIME_TUNE_H
#define SPR_RUNTIME_TUNE_H

#include "base/tailor.h"
#include "runtime/exec.h"

/* Whether this build has it; by one that has not, sessions that ask for it are refused. */
#define SPR_TUNES SPR_KEPT(autotune, 1, 0)
/* The tuner of an spr_plan_ctx or spr_plan_options. */
#define SPR_TUNE_OF(ctx) (SPR_TUNES ? (ctx)->tune : NULL)

#define SPR_TUNE_NAME 64    /* bytes of a kernel's name, '\0' included */
#define SPR_TUNE_FIGURES 96 /* bytes of what was measured, as text */

/* What was found for a node: the fastest kernel, and the figures behind that. */
typedef struct spr_tuned {
    int node;
    char kernel[SPR_TUNE_NAME], figures[SPR_TUNE_FIGURES];
} spr_tuned;

/* `model_path`: absolute path of the model's file, beside which `<model_path>.tune` is kept; NULL: nothing is read or
   written. The pool and the allocator must outlive the tuner. `model_bytes`: its size, for how much comes between two
   uses of a layer's weights. */
spr_status spr_tune_create(const char *model_path, size_t model_bytes, spr_pool *pool, const spr_allocator *allocator,
                           spr_tune **tune, spr_error *err);
void spr_tune_free(spr_tune *tune);

/* Starts planning under `key`, one line that says what else the choice depends on: CPU, model, shapes, threads ...
   Takes over what the file has under it, as far as that can be read. */
spr_status spr_tune_begin(spr_tune *tune, const char *key, spr_error *err);
/* Writes what was added since, beside what the file has under other keys of the same model. Failing to
   write is no error; the note tells. */
void spr_tune_end(spr_tune *tune);

/* The record of a node, or NULL. */
const spr_tuned *spr_tune_find(const spr_tune *tune, int node);
/* Remembers a measurement; where memory is short it does not. */
void spr_tune_add(spr_tune *tune, int node, const char *kernel, const char *figures);

/* What came of it, for people: how many layers were measured or known, and where that is kept or why not. */
const char *spr_tune_note(const spr_tune *tune);

/* One way of computing a layer. */
typedef struct spr_trial {
    void (*run)(const spr_run_ctx *ctx, void *arg);
    void *arg;
    double ns; /* out: fastest run */
} spr_trial;

/* Runs the trials in turns, with caches as a network leaves them: as much read as it has weights since these were used,
   `input` (bytes of it) just written. `threads` is
   the session's number or 1. */
void spr_tune_measure(spr_tune *tune, int threads, const void *input, size_t bytes, spr_trial *trials, int count,
                      char *scratch, size_t scratch_stride);

#endif
