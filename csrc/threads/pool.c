/* Workers spin for a short while between two fork-joins, as a network is a chain of many short ones, and sleep after.
 * Tasks are dealt out in even shares, the first ones to thread 0: operators number theirs from the top of the image
 * down, so that a thread mostly reads what it wrote itself, and finds it in its cores' caches. Who is done with its own
 * share takes from the others', and a fork-join ends with its last task: it does not wait for a worker that has none,
 * as where something else has that worker's CPU, it may be away for milliseconds. */
#define _GNU_SOURCE
#include "threads/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

/* Turns of the waiting loop before a thread sleeps: some tens of microseconds. */
#define SPINS 4000

typedef struct spr_worker {
    spr_pool *pool;
    pthread_t thread;
    int index;
} spr_worker;

/* The tasks that a thread begins with: [next, end), `end` in the upper half. A worker that is late may find a later
   fork-join's tasks here, so that both come from one load, and `fn` and `arg` are read when it has one: while a task is
   not done, they stay. */
typedef struct share {
    SPR_ALIGNED(SPR_LINE) atomic_uint_least64_t tasks;
} share;

struct spr_pool {
    const spr_allocator *allocator;
    int threads;
    uint64_t cpu_mask;
    spr_worker *workers; /* [threads - 1] */
    share *shares;       /* [threads] */
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;

    /* the fork-join at hand; written before the shares */
    spr_task_fn *fn;
    void *arg;

    SPR_ALIGNED(SPR_LINE) atomic_uint epoch;
    atomic_int stop;
    atomic_int sleeping;    /* workers that wait, or are about to, on `wake` */
    SPR_ALIGNED(SPR_LINE) atomic_int left; /* tasks that are not done */
    atomic_int joiner_sleeps;
};

SPR_INLINE void pause_cpu(void) {
#if SPR_X86_64
    __builtin_ia32_pause();
#elif SPR_AARCH64 || SPR_ARM32
    __asm__ volatile("yield");
#endif
}

/* Its own share first, then what others have left. */
static void take_tasks(spr_pool *pool, int thread) {
    for (int i = 0; i < pool->threads; i++) {
        share *from = &pool->shares[(thread + i) % pool->threads];
        for (;;) {
            uint64_t tasks = atomic_fetch_add_explicit(&from->tasks, 1, memory_order_acquire);
            if ((uint32_t)tasks >= tasks >> 32) break;
            pool->fn(pool->arg, (int)(uint32_t)tasks, thread);
            if (atomic_fetch_sub(&pool->left, 1) > 1 || !atomic_load(&pool->joiner_sleeps)) continue;
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

static void pin(uint64_t mask) {
#if defined(__linux__)
    if (!mask) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < 64; i++)
        if (mask >> i & 1) CPU_SET(i, &set);
    sched_setaffinity(0, sizeof set, &set); /* a mask without usable CPUs leaves the thread where it was */
#else
    (void)mask;
#endif
}

static void *worker_main(void *arg) {
    spr_worker *worker = arg;
    spr_pool *pool = worker->pool;
    unsigned seen = 0;
    pin(pool->cpu_mask);
    for (;;) {
        unsigned epoch;
        int spins = SPINS;
        while ((epoch = atomic_load_explicit(&pool->epoch, memory_order_acquire)) == seen && spins-- > 0) pause_cpu();
        if (epoch == seen) {
            pthread_mutex_lock(&pool->mutex);
            atomic_fetch_add(&pool->sleeping, 1);
            while ((epoch = atomic_load(&pool->epoch)) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
            atomic_fetch_sub(&pool->sleeping, 1);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen = epoch;
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed)) return NULL;
        take_tasks(pool, worker->index);
    }
}

/* Raises the epoch and wakes whoever sleeps. Sequential consistency orders this against worker_main: either the worker
   sees the new epoch before it waits, or we see that it sleeps. */
static void release_workers(spr_pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->sleeping) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

void spr_pool_run(spr_pool *pool, int tasks, spr_task_fn *fn, void *arg) {
    if (tasks <= 1 || pool->threads == 1) {
        for (int task = 0; task < tasks; task++) fn(arg, task, 0);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->left, tasks, memory_order_relaxed);
    for (int i = 0; i < pool->threads; i++) {
        uint64_t begin = (uint64_t)tasks * (uint64_t)i / (uint64_t)pool->threads;
        uint64_t end = (uint64_t)tasks * (uint64_t)(i + 1) / (uint64_t)pool->threads;
        atomic_store_explicit(&pool->shares[i].tasks, end << 32 | begin, memory_order_release);
    }
    release_workers(pool);
    take_tasks(pool, 0);
    int spins = SPINS;
    while (atomic_load_explicit(&pool->left, memory_order_acquire) > 0 && spins-- > 0) pause_cpu();
    if (atomic_load(&pool->left) > 0) {
        pthread_mutex_lock(&pool->mutex);
        atomic_store(&pool->joiner_sleeps, 1);
        while (atomic_load(&pool->left) > 0) pthread_cond_wait(&pool->done, &pool->mutex);
        atomic_store(&pool->joiner_sleeps, 0);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void stop_workers(spr_pool *pool, int started) {
    atomic_store(&pool->stop, 1);
    release_workers(pool);
    for (int i = 0; i < started; i++) pthread_join(pool->workers[i].thread, NULL);
}

/* The memory of a pool that has no threads. */
static void destroy(spr_pool *pool) {
    if (!pool) return;
    spr_release(pool->allocator, pool->workers);
    spr_release(pool->allocator, pool->shares);
    spr_release(pool->allocator, pool);
}

void spr_pool_free(spr_pool *pool) {
    if (!pool) return;
    stop_workers(pool, pool->threads - 1);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    destroy(pool);
}

spr_status spr_pool_create(int threads, uint64_t cpu_mask, const spr_allocator *allocator, spr_pool **out,
                           spr_error *err) {
    *out = NULL;
    if (threads < 1 || threads > 256)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "threads is %d, it must be from 1 to 256", threads);
    spr_pool *pool = spr_alloc_lines(allocator, sizeof *pool);
    if (pool) *pool = (spr_pool){.allocator = allocator, .threads = threads, .cpu_mask = cpu_mask};
    if (pool) pool->shares = spr_alloc_lines(allocator, (size_t)threads * sizeof(share));
    if (pool) pool->workers = spr_alloc_zeroed(allocator, (size_t)threads, sizeof *pool->workers);
    if (!pool || !pool->shares || !pool->workers) {
        destroy(pool);
        return spr_fail_memory(err, "the thread pool",
                               sizeof *pool + (size_t)threads * (sizeof(share) + sizeof(spr_worker)));
    }
    memset(pool->shares, 0, (size_t)threads * sizeof(share));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int i = 0; i < threads - 1; i++) {
        pool->workers[i] = (spr_worker){.pool = pool, .index = i + 1};
        int code = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
        if (code) {
            pool->threads = i + 1;
            spr_pool_free(pool);
            return spr_fail(err, SPR_ERROR_MEMORY, "cannot start thread %d of %d: %s", i + 2, threads, strerror(code));
        }
    }
    *out = pool;
    return SPR_OK;
}

int spr_pool_threads(const spr_pool *pool) { return pool->threads; }
