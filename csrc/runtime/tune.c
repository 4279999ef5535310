/* The file is text:
 *
 *     sparse-runtime tune 1
 *     key <text>                           for each key, the latest first
 *     layer <node> <kernel> <figures>      its records
 *     end <CRC-32 of all bytes above, hexadecimal>
 */
#define _GNU_SOURCE
#include "runtime/tune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "model/model.h"

#define MAGIC "sparse-runtime tune 1\n"
#define MAX_FILE (1 << 20)
#define MAX_KEYS 32 /* of other sessions, that are kept */

struct spr_tune {
    char *path; /* of the file, NULL: none */
    const spr_allocator *allocator;
    spr_pool *pool, *serial;
    char *key;
    spr_tuned *records;
    int count, room, measured;
    char *others; /* memory that stands for the network's other layers */
    size_t others_bytes;
    char note[400];
};

enum { FEWEST_OTHERS = 1 << 19, MOST_OTHERS = 1 << 24 };

spr_status spr_tune_create(const char *model_path, size_t model_bytes, spr_pool *pool, const spr_allocator *allocator,
                           spr_tune **out, spr_error *err) {
    *out = NULL;
    spr_tune *tune = spr_alloc_zeroed(allocator, 1, sizeof *tune);
    if (!tune) return spr_fail_memory(err, "autotuning", sizeof *tune);
    tune->allocator = allocator;
    tune->pool = pool;
    tune->others_bytes = model_bytes < FEWEST_OTHERS ? FEWEST_OTHERS
                         : model_bytes > MOST_OTHERS ? MOST_OTHERS
                                                     : model_bytes;
    tune->others = spr_alloc(allocator, tune->others_bytes);
    if (tune->others) memset(tune->others, 1, tune->others_bytes); /* else all its pages might be one */
    if (model_path) {
        size_t room = strlen(model_path) + sizeof ".tune";
        tune->path = spr_alloc(allocator, room);
        if (tune->path) snprintf(tune->path, room, "%s.tune", model_path);
    }
    spr_status status = tune->others && (tune->path || !model_path)
                            ? spr_pool_create(1, 0, allocator, &tune->serial, err)
                            : spr_fail_memory(err, "autotuning", tune->others_bytes);
    if (status)
        spr_tune_free(tune);
    else
        *out = tune;
    return status;
}

void spr_tune_free(spr_tune *tune) {
    if (!tune) return;
    spr_pool_free(tune->serial);
    spr_release(tune->allocator, tune->others);
    spr_release(tune->allocator, tune->records);
    spr_release(tune->allocator, tune->key);
    spr_release(tune->allocator, tune->path);
    spr_release(tune->allocator, tune);
}

const spr_tuned *spr_tune_find(const spr_tune *tune, int node) {
    for (int i = tune->count - 1; i >= 0; i--) /* the latest counts */
        if (tune->records[i].node == node) return &tune->records[i];
    return NULL;
}

static void add_record(spr_tune *tune, const spr_tuned *record) {
    if (tune->count == tune->room) {
        int room = tune->room ? 2 * tune->room : 32;
        spr_tuned *records = spr_alloc(tune->allocator, (size_t)room * sizeof *records);
        if (!records) return;
        if (tune->count) memcpy(records, tune->records, (size_t)tune->count * sizeof *records);
        spr_release(tune->allocator, tune->records);
        tune->records = records;
        tune->room = room;
    }
    tune->records[tune->count++] = *record;
}

void spr_tune_add(spr_tune *tune, int node, const char *kernel, const char *figures) {
    spr_tuned record = {.node = node};
    snprintf(record.kernel, sizeof record.kernel, "%s", kernel);
    snprintf(record.figures, sizeof record.figures, "%s", figures);
    tune->measured++;
    add_record(tune, &record);
}

const char *spr_tune_note(const spr_tune *tune) { return tune->note; }

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* The file's text, without its last line, to be released; NULL where there is none that can be used, and why
   in *why. */
static char *read_file(const spr_tune *tune, const char **why) {
    char *text = NULL;
    size_t size = 0;
    ssize_t got = 0;
    *why = NULL;
    int fd = open(tune->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT) *why = strerror(errno);
        return NULL;
    }
    text = spr_alloc(tune->allocator, MAX_FILE + 1);
    while (text && size < MAX_FILE &&
           ((got = read(fd, text + size, MAX_FILE - size)) > 0 || (got < 0 && errno == EINTR)))
        if (got > 0) size += (size_t)got;
    if (!text || got < 0) *why = strerror(text ? errno : ENOMEM);
    close(fd);
    if (!*why) {
        text[size] = '\0';
        char *last = size ? text + size - 1 : text, *rest;
        unsigned long long crc = 0;
        while (last > text && *--last != '\n') continue;
        int whole = last > text && text[size - 1] == '\n' && strlen(text) == size &&
                    !strncmp(text, MAGIC, strlen(MAGIC)) && !strncmp(last + 1, "end ", 4);
        if (whole) crc = strtoull(last + 5, &rest, 16);
        if (whole && *rest == '\n' && crc == spr_crc(text, (size_t)(last + 1 - text))) {
            last[1] = '\0';
            return text;
        }
        *why = "it is damaged";
    }
    spr_release(tune->allocator, text);
    return NULL;
}

static const char *next_line(const char *line) { return strchr(line, '\n') + 1; }

/* The line "key ..." with this key, or NULL. */
static const char *find_key(const char *text, const char *key) {
    size_t length = strlen(key);
    for (const char *line = text; *line; line = next_line(line))
        if (!strncmp(line, "key ", 4) && !strncmp(line + 4, key, length) && line[4 + length] == '\n') return line;
    return NULL;
}

/* Takes over the records behind a line "key ...". */
static void take_records(spr_tune *tune, const char *line) {
    for (line = next_line(line); !strncmp(line, "layer ", 6); line = next_line(line)) {
        spr_tuned record;
        int from = 0;
        if (sscanf(line, "layer %d %63s %n", &record.node, record.kernel, &from) != 2 || !from) continue;
        const char *end = strchr(line, '\n');
        size_t length = end > line + from ? (size_t)(end - line - from) : 0;
        if (length >= sizeof record.figures) length = sizeof record.figures - 1;
        memcpy(record.figures, line + from, length);
        record.figures[length] = '\0';
        add_record(tune, &record);
    }
}

spr_status spr_tune_begin(spr_tune *tune, const char *key, spr_error *err) {
    spr_release(tune->allocator, tune->key);
    tune->key = spr_alloc_string(tune->allocator, key);
    tune->count = tune->measured = 0;
    tune->note[0] = '\0';
    if (!tune->key) return spr_fail_memory(err, "autotuning", strlen(key));
    if (!tune->path) return SPR_OK;
    const char *why;
    char *text = read_file(tune, &why);
    const char *line = text ? find_key(text, key) : NULL;
    if (line) take_records(tune, line);
    if (why)
        snprintf(tune->note, sizeof tune->note, "'%.200s' is not used: %s; ", tune->path, why);
    else if (text && !line)
        snprintf(tune->note, sizeof tune->note, "'%.200s' is of another CPU, version, model or set of options; ",
                 tune->path);
    spr_release(tune->allocator, text);
    return SPR_OK;
}

/* Whether two keys begin with the same word: that names the model. */
static int same_model(const char *a, const char *b) {
    size_t length = strcspn(a, " \n");
    return length == strcspn(b, " \n") && !strncmp(a, b, length);
}

/* Copies what a text has under other keys of this model. */
static void copy_others(const spr_tune *tune, const char *text, spr_text *to) {
    int keys = 0, copies = 0;
    for (const char *line = text; *line; line = next_line(line)) {
        size_t length = (size_t)(next_line(line) - line);
        if (!strncmp(line, "key ", 4)) {
            copies = length != strlen(tune->key) + 5 || strncmp(line + 4, tune->key, length - 5) != 0;
            copies = copies && same_model(line + 4, tune->key) && ++keys <= MAX_KEYS;
        }
        if (copies) spr_text_add(to, "%.*s", (int)length, line);
    }
}

static void compose(const spr_tune *tune, const char *others, spr_text *to) {
    spr_text_add(to, MAGIC "key %s\n", tune->key);
    for (int i = 0; i < tune->count; i++) {
        const spr_tuned *record = &tune->records[i];
        if (spr_tune_find(tune, record->node) == record)
            spr_text_add(to, "layer %d %s %s\n", record->node, record->kernel, record->figures);
    }
    if (others) copy_others(tune, others, to);
    size_t summed = to->length;
    spr_text_add(to, "end %08x\n", to->size ? (unsigned)spr_crc(to->data, summed) : 0u);
}

/* The new contents of the file, to be released; NULL when out of memory. */
static char *new_file(const spr_tune *tune, size_t *size) {
    const char *why;
    char *others = read_file(tune, &why);
    spr_text text = {0};
    compose(tune, others, &text);
    *size = text.length;
    text = (spr_text){.data = spr_alloc(tune->allocator, *size + 1), .size = *size + 1};
    if (text.data) compose(tune, others, &text);
    spr_release(tune->allocator, others);
    return text.data;
}

#define PLURAL(n) (&"s"[(n) == 1])

void spr_tune_end(spr_tune *tune) {
    size_t used = strlen(tune->note), room = sizeof tune->note - used;
    char *note = tune->note + used;
    if (!tune->measured) {
        if (tune->count)
            snprintf(note, room, "%d layer%s as measured before, from '%.200s'", tune->count, PLURAL(tune->count),
                     tune->path);
        else
            snprintf(note, room, "no layer has a choice");
        return;
    }
    int length = snprintf(note, room, "measured %d layer%s, ", tune->measured, PLURAL(tune->measured));
    note += length;
    room -= (size_t)length;
    if (!tune->path) {
        snprintf(note, room, "not remembered as the model is not a file of its own");
        return;
    }
    spr_error err = {0};
    size_t size = 0;
    char *data = new_file(tune, &size);
    spr_status status = data ? spr_file_save(tune->path, data, size, &err) : spr_fail_memory(&err, "the file", size);
    spr_release(tune->allocator, data);
    if (status)
        snprintf(note, room, "not remembered: %.200s", err.message);
    else
        snprintf(note, room, "remembered in '%.200s'", tune->path);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

enum { MIN_ROUNDS = 5, MAX_ROUNDS = 60 };
#define ENOUGH_NS 2e6 /* of measured time, after which no further round is needed */
#define HOPELESS 1.4  /* times the fastest: not run any more after two rounds */

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void touch(const char *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += SPR_LINE) (void)*(const volatile char *)(memory + i);
}

static void others_task(void *arg, int task, int thread) {
    const spr_tune *tune = arg;
    (void)task;
    (void)thread;
    touch(tune->others, tune->others_bytes);
}

void spr_tune_measure(spr_tune *tune, int threads, const void *input, size_t bytes, spr_trial *trials, int count,
                      char *scratch, size_t scratch_stride) {
    const spr_run_ctx ctx = {.pool = threads > 1 ? tune->pool : tune->serial, .scratch = scratch,
                             .scratch_stride = scratch_stride};
    double best = 1e30, spent = 0;
    for (int i = 0; i < count; i++) trials[i].ns = 1e30;
    for (int round = 0; round < MAX_ROUNDS && (round < MIN_ROUNDS || spent < ENOUGH_NS); round++)
        for (int i = 0; i < count; i++) {
            if (round >= 2 && trials[i].ns > HOPELESS * best) continue;
            trials[i].run(&ctx, trials[i].arg); /* as if it were the run of the network before */
            spr_pool_run(ctx.pool, threads, others_task, tune);
            touch(input, bytes);
            double start = now_ns();
            trials[i].run(&ctx, trials[i].arg);
            double ns = now_ns() - start;
            spent += ns / count;
            if (ns < trials[i].ns) trials[i].ns = ns;
            if (ns < best) best = ns;
        }
}
