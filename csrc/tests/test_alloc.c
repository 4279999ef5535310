/* Memory: every allocation made to fail in turn, threads that cannot be started; nothing may leak, crash or be left
   half done.
 *
 *   test_alloc [model.spr]...      the small network of small.h, and these
 *
 * Linked with --wrap=pthread_create. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "small.h"

typedef struct heap {
    long calls, fail_at; /* the call that fails, counted from 0; -1: none */
    long blocks;         /* not given back */
    size_t bytes;        /* in all that were handed out */
} heap;

static void *allocate(void *context, size_t size, size_t alignment) {
    heap *h = context;
    void *memory = NULL;
    CHECK(size > 0 && alignment >= 16 && alignment <= 64 && (alignment & (alignment - 1)) == 0);
    if (h->calls++ == h->fail_at || posix_memalign(&memory, alignment, size)) return NULL;
    memset(memory, 0xa5, size); /* nothing may count on zeros */
    h->blocks++;
    h->bytes += size;
    return memory;
}

static void release(void *context, void *memory) {
    heap *h = context;
    CHECK(memory != NULL);
    h->blocks--;
    free(memory);
}

static int threads_left = -1; /* that may still be started; -1: any number */
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg) {
    if (threads_left == 0) return EAGAIN;
    if (threads_left > 0) threads_left--;
    return __real_pthread_create(thread, attr, main, arg);
}

typedef struct model_file {
    const char *path; /* NULL: in memory */
    const void *data;
    size_t size;
} model_file;

/* Open, create, feed, run, resize, run; *crc tells what came out of both runs. */
static spr_status whole_life(const model_file *file, heap *h, int threads, int autotune, uint32_t *crc,
                             spr_error *err) {
    spr_allocator allocator = {h, allocate, release};
    spr_model_options options;
    spr_session_options session_options;
    spr_model *model = NULL;
    spr_session *session = NULL;
    uint32_t part = 0;
    spr_model_options_init(&options);
    spr_session_options_init(&session_options);
    options.allocator = &allocator;
    session_options.threads = threads;
    session_options.autotune = autotune;
    session_options.profile = 1;
    spr_status status = file->path ? spr_model_open(file->path, &options, &model, err)
                                   : spr_model_open_memory(file->data, file->size, &options, &model, err);
    CHECK(!status == !!model);
    memset(&allocator, 0, sizeof allocator); /* it was copied */
    if (!status) {
        status = spr_session_create(model, &session_options, &session, err);
        CHECK(!status == !!session);
    }
    *crc = 0;
    for (int run = 0; run < 2 && !status; run++) {
        status = small_feed(model, session, run ? 32 : 24, err);
        if (!status) status = spr_session_run(session, err);
        if (!status) status = small_outputs(model, session, &part, err);
        *crc = *crc * 31 + part;
    }
    spr_session_free(session);
    spr_model_close(model);
    return status;
}

static void fail_each(const model_file *file, int threads, int autotune, const char *what) {
    heap all = {.fail_at = -1};
    uint32_t expected, crc;
    if (!CHECK(!whole_life(file, &all, threads, autotune, &expected, &test_error))) return;
    CHECK(all.blocks == 0);
    long failures = 0;
    for (long n = 0;; n++) {
        heap h = {.fail_at = n};
        spr_error err = {0};
        spr_status status = whole_life(file, &h, threads, autotune, &crc, &err);
        CHECK(h.blocks == 0);
        if (status) {
            failures++;
            if (!CHECK(status == SPR_ERROR_MEMORY && err.status == status && strstr(err.message, "memory")))
                printf("allocation %ld: %s\n", n, err.message);
        } else {
            CHECK(crc == expected); /* memory that can be done without, as that of autotune's file */
        }
        if (h.calls <= n) break;
    }
    CHECK(failures > 0);
    printf("%s, %d threads%s: %ld allocations, %ld of which are an error when they fail, %zu bytes\n", what, threads,
           autotune ? ", autotune" : "", all.calls, failures, all.bytes);
}

/* A session that lost an allocation while it was resized goes on with what it had, or runs when asked again. */
static void test_goes_on(const model_file *file) {
    heap h = {.fail_at = -1};
    spr_allocator allocator = {&h, allocate, release};
    spr_model_options options;
    spr_model *model;
    spr_session *session;
    uint32_t expected, crc;
    spr_model_options_init(&options);
    options.allocator = &allocator;
    if (!CHECK(!spr_model_open_memory(file->data, file->size, &options, &model, &test_error))) return;
    if (CHECK(!spr_session_create(model, NULL, &session, &test_error))) {
        CHECK(!small_feed(model, session, 32, &test_error) && !spr_session_run(session, &test_error));
        CHECK(!small_outputs(model, session, &expected, &test_error));
        int64_t other[] = {1, 3, 40, 40};
        for (long n = 0; n < 20; n++) {
            h.calls = 0;
            h.fail_at = n;
            spr_status status = spr_session_set_input_shape(session, 0, 4, other, &test_error);
            if (!status) status = spr_session_prepare(session, &test_error);
            CHECK(status == SPR_ERROR_MEMORY);
            h.fail_at = -1;
            CHECK(!small_feed(model, session, 32, &test_error) && !spr_session_run(session, &test_error));
            CHECK(!small_outputs(model, session, &crc, &test_error) && crc == expected);
        }
        spr_session_free(session);
    }
    spr_model_close(model);
    CHECK(h.blocks == 0);
}

static void test_threads(const model_file *file) {
    uint32_t crc;
    for (int may = 0; may < 4; may++) {
        heap h = {.fail_at = -1};
        threads_left = may;
        spr_status status = whole_life(file, &h, 4, 0, &crc, &test_error);
        CHECK(status == (may < 3 ? SPR_ERROR_MEMORY : SPR_OK) && h.blocks == 0);
        if (status) CHECK(strstr(test_error.message, "cannot start thread") != NULL);
    }
    threads_left = -1;
}

static void test_bad_options(const model_file *file) {
    spr_allocator lacking = {NULL, allocate, NULL};
    spr_logger silent = {NULL, NULL, SPR_LOG_DEBUG};
    spr_model_options options;
    spr_model *model;
    spr_model_options_init(&options);
    options.allocator = &lacking;
    CHECK_FAILS(spr_model_open_memory(file->data, file->size, &options, &model, &test_error), SPR_ERROR_ARGUMENT,
                "allocator");
    options.allocator = NULL;
    options.logger = &silent;
    CHECK_FAILS(spr_model_open_memory(file->data, file->size, &options, &model, &test_error), SPR_ERROR_ARGUMENT,
                "logger");
    CHECK(!model);
}

/* With autotune, over a file, that is kept or not beside it. */
static void test_autotune(const model_file *file) {
    char folder[] = P_tmpdir "/spr-test-XXXXXX", path[64], tune[80];
    if (!CHECK(mkdtemp(folder) != NULL)) return;
    snprintf(path, sizeof path, "%s/m.spr", folder);
    snprintf(tune, sizeof tune, "%s.tune", path);
    CHECK(!spr_file_save(path, file->data, file->size, &test_error));
    model_file copy = {.path = path};
    heap h = {.fail_at = -1};
    uint32_t crc;
    CHECK(!whole_life(&copy, &h, 1, 1, &crc, &test_error) && h.blocks == 0); /* measures, then all find it */
    CHECK(access(tune, R_OK) == 0);
    fail_each(&copy, 1, 1, "from a file");
    unlink(tune);
    unlink(path);
    rmdir(folder);
}

int main(int argc, char **argv) {
    model_file small = {0};
    void *data = small_model(&small.size);
    small.data = data;
    fail_each(&small, 1, 0, "small network");
    fail_each(&small, 2, 0, "small network");
    test_goes_on(&small);
    test_threads(&small);
    test_bad_options(&small);
    test_autotune(&small);
    for (int i = 1; i < argc; i++) fail_each(&(model_file){.path = argv[i]}, 1, 0, argv[i]);
    free(data);
    return test_result();
}
