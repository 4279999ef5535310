/* What spr.h promises about its structs, messages and texts. */
#include "small.h"

#include "base/versions.h"

typedef struct notes {
    int count[3];
    char text[16384];
} notes;

static void note(void *context, spr_log_level level, const char *message) {
    notes *n = context;
    n->count[level]++;
    CHECK(!strchr(message, '\n') && strlen(n->text) + strlen(message) + 2 < sizeof n->text);
    strcat(strcat(n->text, message), "\n");
}

static spr_model *open_logged(const void *data, size_t size, notes *n, spr_log_level level) {
    spr_logger logger = {n, note, level};
    spr_model_options options;
    spr_model *model = NULL;
    spr_model_options_init(&options);
    options.logger = &logger;
    CHECK(!spr_model_open_memory(data, size, &options, &model, &test_error));
    return model;
}

static void test_log(const void *data, size_t size) {
    for (int level = SPR_LOG_DEBUG; level <= SPR_LOG_WARNING; level++) {
        notes n = {0};
        spr_model *model = open_logged(data, size, &n, (spr_log_level)level);
        spr_session *session = NULL;
        CHECK(!spr_session_create(model, NULL, &session, &test_error) && !small_feed(model, session, 24, &test_error));
        CHECK((n.count[SPR_LOG_DEBUG] == spr_session_layer_count(session)) == (level == SPR_LOG_DEBUG));
        CHECK(n.count[SPR_LOG_INFO] == (level <= SPR_LOG_INFO ? 2 : 0));
        CHECK(!!strstr(n.text, "layer 'depthwise' (Conv): dwconv") == (level == SPR_LOG_DEBUG));
        CHECK(!!strstr(n.text, "planned: ") == (level <= SPR_LOG_INFO));
        spr_session_free(session);
        spr_model_close(model);
    }
}

/* Programs with another version of the header. */
static void test_versions(const spr_model *model) {
    struct {
        spr_session_options known;
        int64_t more[2];
    } newer = {0};
    spr_session *session = NULL;
    spr_session_options_init(&newer.known);
    newer.known.struct_size = sizeof newer;
    CHECK(!spr_session_create(model, &newer.known, &session, &test_error));
    spr_session_free(session);
    newer.more[1] = 1;
    CHECK_FAILS(spr_session_create(model, &newer.known, &session, &test_error), SPR_ERROR_UNSUPPORTED, "does not have");
    CHECK(!session);

    spr_session_options older;
    spr_session_options_init(&older);
    older.autotune = 77; /* behind what an older program has: not read */
    older.struct_size = SPR_SIZE_UP_TO(spr_session_options, profile);
    CHECK(!spr_session_create(model, &older, &session, &test_error) && !*spr_session_tune_note(session));
    for (size_t size = 0; size < SPR_SIZE_UP_TO(spr_session_options, profile); size++) {
        spr_session *none = session;
        older.struct_size = size;
        CHECK_FAILS(spr_session_create(model, &older, &none, &test_error), SPR_ERROR_ARGUMENT,
                    "spr_session_options_init");
        CHECK(!none);
    }
    spr_model_options options = {.struct_size = 1};
    spr_model *other = NULL;
    CHECK_FAILS(spr_model_open("x", &options, &other, &test_error), SPR_ERROR_ARGUMENT, "spr_model_options_init");

    CHECK(!small_feed(model, session, 24, &test_error));
    spr_layer_info layer = {.struct_size = sizeof layer - 1};
    spr_memory_info memory = {.struct_size = 0};
    spr_kernel_info kernel = {.struct_size = 8};
    CHECK(spr_session_layer(session, 0, &layer) == SPR_ERROR_ARGUMENT && !layer.name);
    CHECK(spr_session_memory(session, &memory) == SPR_ERROR_ARGUMENT && !memory.activations);
    CHECK(spr_kernel_list(0, &kernel) == SPR_ERROR_ARGUMENT && !kernel.name);
    struct {
        spr_layer_info known;
        char more[16];
    } longer = {.known.struct_size = sizeof longer, .more = "untouched"};
    CHECK(!spr_session_layer(session, 0, &longer.known) && !strcmp(longer.known.op, "Conv"));
    CHECK(!strcmp(longer.more, "untouched") && longer.known.struct_size == sizeof longer);
    spr_session_free(session);
}

static void test_explain(const spr_model *model) {
    spr_session *session = NULL;
    char text[16384], part[100];
    uint32_t crc;
    CHECK(!spr_session_create(model, NULL, &session, &test_error));
    CHECK(spr_session_explain(session, text, sizeof text) == 0 && !*text && spr_session_layer_count(session) == 0);
    CHECK(!small_feed(model, session, 24, &test_error) && !spr_session_run(session, &test_error));
    size_t length = spr_session_explain(session, NULL, 0);
    CHECK(length > 500 && length < sizeof text && spr_session_explain(session, text, sizeof text) == length);
    CHECK(strlen(text) == length && text[length - 1] == '\n');
    CHECK(strstr(text, "sparse window") && strstr(text, "2x16x12x12") && strstr(text, "memory: weights") &&
          strstr(text, "cpu: "));
    CHECK(!strstr(text, "time of all layers"));
    memset(part, 'x', sizeof part);
    CHECK(spr_session_explain(session, part, 60) == length && !strncmp(part, text, 59) && part[59] == '\0' &&
          part[60] == 'x');

    spr_session_set_profile(session, 1);
    CHECK(!spr_session_run(session, &test_error) && spr_session_explain(session, text, sizeof text) > length);
    CHECK(strstr(text, "time of all layers") && strstr(text, "share"));
    spr_session_set_profile(session, 0);
    CHECK(spr_session_explain(session, text, sizeof text) == length);
    CHECK(!small_outputs(model, session, &crc, &test_error));
    spr_session_free(session);
}

/* What spr_layer_info says of the weights, and which layers have some. */
static void test_shares(const spr_model *model) {
    spr_session *session = NULL;
    CHECK(!spr_session_create(model, NULL, &session, &test_error) && !small_feed(model, session, 24, &test_error));
    int count = spr_session_layer_count(session), weighted = 0, dense = 0;
    for (int i = 0; i < count; i++) {
        spr_layer_info layer = {.struct_size = sizeof layer};
        CHECK(!spr_session_layer(session, i, &layer));
        if (layer.weight_bytes) {
            CHECK(layer.sparsity >= 0 && layer.sparsity <= 1 && layer.fill_2x1 >= 0.5 && layer.fill_2x1 <= 1);
            CHECK(layer.sparsity > 0.1 || layer.fill_2x1 > 0.9); /* stored dense, a few zeros by chance */
            weighted++;
            dense += layer.sparsity < 0.1;
        } else {
            CHECK(layer.sparsity == -1 && layer.fill_2x1 == -1);
        }
    }
    CHECK(dense > 0 && dense < weighted && weighted < count);
    spr_session_free(session);
}

static void test_bytes(void) {
    spr_tensor_info info = {.dtype = SPR_FLOAT16, .rank = 3, .dim = {2, 3, 5}};
    CHECK(spr_tensor_bytes(&info) == 60);
    info.dim[1] = -1;
    CHECK(spr_tensor_bytes(&info) == 0);
    info.rank = 0;
    CHECK(spr_tensor_bytes(&info) == 2);
    info.rank = -1;
    CHECK(spr_tensor_bytes(&info) == 0);
}

/* A lent input gives what a copied one does, is not written to, and is forgotten when the run is over. Its planes may
   be such as need no copy (16 pixels wide) or others. */
static void test_lending(const spr_model *model, int64_t side) {
    spr_session *session = NULL;
    spr_error err = {0};
    uint32_t expected, crc;
    CHECK(!spr_session_create(model, NULL, &session, &test_error));
    CHECK(!spr_session_set_input_shape(session, 0, 4, (int64_t[]){2, 3, side, side}, &test_error));
    size_t count = (size_t)(2 * 3 * side * side), bytes = count * sizeof(float), odd = 3;
    float *memory = malloc(bytes), *same = malloc(bytes);
    char *other = calloc(bytes + odd, 1);
    uint64_t state = 0;
    for (size_t i = 0; i < count; i++) same[i] = memory[i] = (float)(test_random(&state) % 1000) - 500;
    CHECK(!spr_session_set_input(session, 0, memory, bytes, &test_error) && !spr_session_run(session, &test_error));
    CHECK(!small_outputs(model, session, &expected, &test_error));

    CHECK(!spr_session_lend_input(session, 0, other, bytes, &test_error) && !spr_session_run(session, &test_error));
    CHECK(!small_outputs(model, session, &crc, &test_error) && crc != expected);
    CHECK(!spr_session_lend_input(session, 0, memory, bytes, &test_error) && !spr_session_run(session, &test_error));
    CHECK(!small_outputs(model, session, &crc, &test_error) && crc == expected);
    CHECK(memcmp(memory, same, bytes) == 0);
    CHECK(spr_session_lend_input(session, 0, memory, bytes - 1, &err) == SPR_ERROR_ARGUMENT && *err.message);
    CHECK(spr_session_lend_input(session, 1, memory, bytes, NULL) == SPR_ERROR_ARGUMENT);
    memcpy(other + odd, memory, bytes); /* at any address */
    CHECK(!spr_session_lend_input(session, 0, other + odd, bytes, &test_error));
    CHECK(!spr_session_run(session, &test_error) && !small_outputs(model, session, &crc, &test_error));
    CHECK(crc == expected);
    memset(other, 0, bytes); /* what is set later counts */
    CHECK(!spr_session_lend_input(session, 0, other, bytes, &test_error));
    CHECK(!spr_session_set_input(session, 0, memory, bytes, &test_error));
    free(other);
    CHECK(!spr_session_run(session, &test_error) && !small_outputs(model, session, &crc, &test_error));
    CHECK(crc == expected);
    CHECK(!spr_session_lend_input(session, 0, memory, bytes, &test_error) && !spr_session_run(session, &test_error));
    free(memory);
    CHECK(!spr_session_run(session, &test_error)); /* must not read what was lent */
    spr_session_free(session);
    free(same);
}

int main(void) {
    size_t size;
    void *data = small_model(&size);
    spr_model *model = NULL;
    CHECK(!spr_model_open_memory(data, size, NULL, &model, &test_error));
    test_log(data, size);
    test_versions(model);
    test_explain(model);
    test_bytes();
    test_shares(model);
    test_lending(model, 16);
    test_lending(model, 15);
    spr_model_close(model);
    free(data);
    return test_result();
}
