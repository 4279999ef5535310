/* Sessions in many threads at once, for ThreadSanitizer and to compare what comes out.
 *
 *   test_threads [model.spr]...      the small network of small.h, and these */
#include <pthread.h>

#include "small.h"

enum { THREADS = 8, RUNS = 4 };

typedef struct worker {
    pthread_t thread;
    const spr_model *model;
    int index, runs;
    uint32_t crc[RUNS];
    spr_error err;
} worker;

/* Makes, runs, resizes and frees sessions; every other one has two threads of its own. */
static void *live(void *arg) {
    worker *w = arg;
    for (int run = 0; run < RUNS; run++) {
        spr_session_options options;
        spr_session *session;
        uint32_t crc = 0;
        spr_session_options_init(&options);
        options.threads = 1 + (w->index + run) % 2;
        options.profile = run % 2;
        if (spr_session_create(w->model, &options, &session, &w->err)) return NULL;
        spr_status status = SPR_OK;
        for (int64_t size = 24; size <= 32 && !status; size += 8) {
            status = small_feed(w->model, session, size, &w->err);
            if (!status) status = spr_session_run(session, &w->err);
            if (!status) status = small_outputs(w->model, session, &crc, &w->err);
            w->crc[run] = w->crc[run] * 31 + crc;
        }
        spr_session_free(session);
        if (status) return NULL;
        w->runs++;
    }
    return NULL;
}

static void test(const spr_model *model) {
    worker workers[THREADS];
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < THREADS; i++) {
        workers[i].model = model;
        workers[i].index = i;
        if (!CHECK(!pthread_create(&workers[i].thread, NULL, live, &workers[i]))) return;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        test_error = workers[i].err;
        CHECK(workers[i].runs == RUNS);
        for (int run = 0; run < RUNS; run++) CHECK(workers[i].crc[run] == workers[0].crc[0]);
    }
}

int main(int argc, char **argv) {
    size_t size;
    void *data = small_model(&size);
    spr_model *model;
    if (CHECK(!spr_model_open_memory(data, size, NULL, &model, &test_error))) test(model);
    spr_model_close(model);
    for (int i = 1; i < argc; i++) {
        if (CHECK(!spr_model_open(argv[i], NULL, &model, &test_error))) test(model);
        spr_model_close(model);
    }
    free(data);
    return test_result();
}
