/* A small thread pool: fork-join over numbered tasks. */
#ifndef SPR_THREADS_POOL_H
#define SPR_THREADS_POOL_H

#include <stdint.h>

#include "base/error.h"

typedef struct spr_pool spr_pool;

/* threads >= 1, the calling thread included; cpu_mask as in spr_session_options. The allocator must outlive the
   pool. */
spr_status spr_pool_create(int threads, uint64_t cpu_mask, const spr_allocator *allocator, spr_pool **pool,
                           spr_error *err);
void spr_pool_free(spr_pool *pool);
int spr_pool_threads(const spr_pool *pool);

/* Calls fn(arg, task, thread) once for each task in [0, tasks), thread in [0, threads) being the worker that runs it,
   and returns when all are done. Thread t begins with the t-th share of them, in ascending order. Not reentrant: fn
   must not call it. */
typedef void spr_task_fn(void *arg, int task, int thread);
void spr_pool_run(spr_pool *pool, int tasks, spr_task_fn *fn, void *arg);

#endif
