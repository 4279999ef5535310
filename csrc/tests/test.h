/* What the test_*.c programs share: each is a main() of its own, built with the core. */
#ifndef SPR_TESTS_TEST_H
#define SPR_TESTS_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

static int test_passed, test_failed;
static spr_error test_error; /* of the last call that was given it */

static inline int test_note(int ok, const char *file, int line, const char *what) {
    if (ok) test_passed++;
    else if (++test_failed <= 50)
        printf("%s:%d: failed: %s (last message: %s)\n", file, line, what, test_error.message);
    return ok;
}
#define CHECK(condition) test_note((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

static inline int test_note_failure(spr_status got, spr_status expected, const char *text, const char *file, int line,
                                    const char *what) {
    int ok = got == expected && test_error.status == expected && strstr(test_error.message, text);
    return test_note(ok, file, line, what);
}
/* A call with &test_error that must fail with this status and a message that contains this text. */
#define CHECK_FAILS(call, expected, text) test_note_failure(call, expected, text, __FILE__, __LINE__, #call)

static inline int test_result(void) {
    printf("%d passed, %d failed\n", test_passed, test_failed);
    return test_failed != 0;
}

/* Reproducible numbers (splitmix64). */
static inline uint64_t test_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
