/* Fork-joins: every task runs once, and what it wrote is there afterwards; also for ThreadSanitizer. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "test.h"
#include "threads/pool.h"

enum { THREADS = 4, TASKS = 64, RUNS = 4000 };

typedef struct counts {
    int runs[TASKS];             /* by task */
    int tasks[THREADS];          /* by thread */
    pthread_t identity[THREADS]; /* of those that ran a task */
} counts;

static void count(void *arg, int task, int thread) {
    counts *c = arg;
    c->runs[task]++;
    c->tasks[thread]++;
    c->identity[thread] = pthread_self();
}

/* Runs that follow each other at once, so that workers are still looking for tasks of the one before. */
static void test_every_task_runs_once(spr_pool *pool) {
    static counts c;
    int expected[TASKS] = {0}, sum = 0, ran = 0, wrong = 0;
    uint64_t random = 1;
    for (int run = 0; run < RUNS; run++) {
        int tasks = (int)(test_random(&random) % (TASKS + 1));
        spr_pool_run(pool, tasks, count, &c);
        for (int i = 0; i < tasks; i++) expected[i]++;
        for (int i = 0; i < TASKS; i++) wrong += c.runs[i] != expected[i];
        sum += tasks;
    }
    for (int i = 0; i < THREADS; i++) ran += c.tasks[i];
    CHECK(wrong == 0);
    CHECK(ran == sum);
}

/* ---- a worker that is away --------------------------------------------------------------------------------------- */

static sem_t arrived;
static atomic_int away, may_return;

/* Keeps a thread for ten seconds at most: a fork-join that waits for it would find it back. */
static void stay_away(int signal) {
    (void)signal;
    const struct timespec moment = {0, 10000000};
    atomic_store(&away, 1);
    sem_post(&arrived);
    for (int i = 0; i < 1000 && !atomic_load(&may_return); i++) nanosleep(&moment, NULL);
    atomic_store(&away, 0);
}

static void test_nobody_waits_for_a_worker_without_tasks(void) {
    const struct timespec moment = {0, 100000000};
    struct sigaction action = {.sa_handler = stay_away};
    static counts before, during, after;
    spr_pool *pool;
    if (!CHECK(!spr_pool_create(2, 0, NULL, &pool, &test_error))) return;
    for (int run = 0; run < 1000000 && !before.tasks[1]; run++) spr_pool_run(pool, TASKS, count, &before);
    CHECK(before.tasks[1] > 0);
    CHECK(!sem_init(&arrived, 0, 0) && !sigaction(SIGUSR1, &action, NULL));
    nanosleep(&moment, NULL); /* until it sleeps: it must not be kept where it holds a mutex */
    if (before.tasks[1] && CHECK(!pthread_kill(before.identity[1], SIGUSR1))) {
        while (sem_wait(&arrived)) {}
        for (int run = 0; run < 100; run++) spr_pool_run(pool, TASKS, count, &during);
        CHECK(atomic_load(&away));
        CHECK(during.tasks[0] == 100 * TASKS && during.tasks[1] == 0);
        for (int i = 0; i < TASKS; i++) CHECK(during.runs[i] == 100);
        atomic_store(&may_return, 1);
        for (int run = 0; run < RUNS; run++) spr_pool_run(pool, TASKS, count, &after);
        for (int i = 0; i < TASKS; i++) CHECK(after.runs[i] == RUNS);
        CHECK(after.tasks[0] + after.tasks[1] == RUNS * TASKS);
    }
    spr_pool_free(pool);
}

int main(void) {
    spr_pool *pool;
    if (CHECK(!spr_pool_create(THREADS, 0, NULL, &pool, &test_error))) test_every_task_runs_once(pool);
    spr_pool_free(pool);
    test_nobody_waits_for_a_worker_without_tasks();
    return test_result();
}
