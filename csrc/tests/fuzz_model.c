/* libFuzzer target: whatever bytes a model file has, opening, planning, running and resizing it end with a result or an
 * error. The header is repaired first, as nearly every change would be found by the checksum. `make fuzz` builds and
 * runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/format.h"
#include "spr/spr.h"

#define MOST_MEMORY ((size_t)8 << 20) /* at a time; more is refused */
#define MOST_MACS 4e6                 /* of a run; larger networks are planned only */
enum { META_ROOM = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

typedef union block {
    size_t size;
    char room[64];
} block;

static void *allocate(void *context, size_t size, size_t alignment) {
    size_t *used = context;
    void *memory;
    (void)alignment;
    if (size > MOST_MEMORY || *used + size > MOST_MEMORY || posix_memalign(&memory, 64, size + sizeof(block)))
        return NULL;
    ((block *)memory)->size = size;
    *used += size;
    return (block *)memory + 1;
}

static void release(void *context, void *memory) {
    block *b = (block *)memory - 1;
    *(size_t *)context -= b->size;
    free(b);
}

static void put64(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static uint64_t get64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void repair(uint8_t *data, size_t size) {
    const uint32_t version = SPR_FORMAT_VERSION;
    memset(data, 0, SPR_AT_META_SIZE);
    memset(data + SPR_AT_ZERO, 0, SPR_HEADER_SIZE - SPR_AT_ZERO);
    memcpy(data, SPR_MAGIC, 8);
    memcpy(data + SPR_AT_VERSION, &version, sizeof version);
    put64(data + SPR_AT_FILE_SIZE, size);
    uint32_t crc = spr_file_crc(data, size);
    memcpy(data + SPR_AT_CRC, &crc, sizeof crc);
}

/* Half of the time changes the metadata alone, and moves the constants as it grows and shrinks. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    uint64_t meta = size > SPR_HEADER_SIZE ? get64(data + SPR_AT_META_SIZE) : 0;
    uint64_t from = size > SPR_HEADER_SIZE ? get64(data + SPR_AT_DATA_OFFSET) : 0;
    if (seed % 2 || !meta || meta > META_ROOM / 2 || meta > size - SPR_HEADER_SIZE || from > size ||
        from < SPR_HEADER_SIZE + meta)
        return LLVMFuzzerMutate(data, size, max_size);
    static uint8_t changed[META_ROOM];
    memcpy(changed, data + SPR_HEADER_SIZE, meta);
    size_t now = LLVMFuzzerMutate(changed, meta, META_ROOM), rest = size - from;
    size_t to = (SPR_HEADER_SIZE + now + SPR_DATA_ALIGN - 1) / SPR_DATA_ALIGN * SPR_DATA_ALIGN;
    if (to + rest > max_size) return LLVMFuzzerMutate(data, size, max_size);
    memmove(data + to, data + from, rest);
    memcpy(data + SPR_HEADER_SIZE, changed, now);
    memset(data + SPR_HEADER_SIZE + now, 0, to - SPR_HEADER_SIZE - now);
    put64(data + SPR_AT_META_SIZE, now);
    put64(data + SPR_AT_DATA_OFFSET, to);
    return to + rest;
}

static void check(int good, const char *what, const spr_error *err) {
    if (good) return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static void use(const spr_model *model, const spr_session_options *options, int64_t free_size) {
    spr_error err = {.status = SPR_OK};
    spr_session *session;
    if (spr_session_create(model, options, &session, &err)) {
        check(err.status != SPR_OK && err.message[0], "an error without a message", &err);
        return;
    }
    spr_status status = SPR_OK;
    for (int round = 0; round < 2 && !status; round++) {
        for (int i = 0; i < spr_model_input_count(model) && !status; i++) {
            spr_tensor_info info;
            spr_model_input(model, i, &info);
            for (int k = 0; k < info.rank; k++)
                if (info.dim[k] < 0) info.dim[k] = free_size + round;
            status = spr_session_set_input_shape(session, i, info.rank, info.dim, &err);
        }
        if (!status) status = spr_session_prepare(session, &err);
        double macs = 0;
        for (int i = 0; i < spr_session_layer_count(session); i++) {
            spr_layer_info layer = {.struct_size = sizeof layer};
            spr_session_layer(session, i, &layer);
            macs += layer.macs;
        }
        if (macs > MOST_MACS) break;
        if (!status) status = spr_session_run(session, &err);
        for (int i = 0; i < spr_model_output_count(model) && !status; i++) {
            spr_tensor_info info;
            check(!spr_session_output(session, i, &info) && info.rank >= 0, "an output without a shape", &err);
            size_t bytes = spr_tensor_bytes(&info);
            void *copy = malloc(bytes + 1);
            status = spr_session_get_output(session, i, copy, bytes, &err);
            check(!status, "an output that cannot be read", &err);
            free(copy);
        }
        spr_session_explain(session, NULL, 0);
    }
    spr_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const isas[] = {NULL, "ref", "avx2", NULL};
    if (size < SPR_HEADER_SIZE) return 0;
    size_t used = 0;
    spr_allocator allocator = {&used, allocate, release};
    spr_model_options model_options;
    spr_session_options options;
    spr_model *model;
    spr_error err;
    spr_model_options_init(&model_options);
    spr_session_options_init(&options);
    model_options.allocator = &allocator;
    uint8_t choice = data[SPR_AT_CRC]; /* a byte that is repaired anyway */
    options.isa = isas[choice & 3];
    options.sparse = (spr_sparse)(choice >> 2 & 3);
    options.profile = choice >> 4 & 1;
    uint8_t *copy = malloc(size); /* of just this size, so that reads past the end are found */
    memcpy(copy, data, size);
    repair(copy, size);
    if (!spr_model_open_memory(copy, size, &model_options, &model, &err)) {
        use(model, &options, 1 + (choice >> 5));
        spr_model_close(model);
    }
    check(used == 0, "memory was not given back", &err);
    free(copy);
    return 0;
}
