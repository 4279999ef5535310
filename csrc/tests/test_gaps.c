/* Positions of nonzeros as gaps: against a writer and a reader that go bit by bit, and what a file may hold instead. */
#include <stdlib.h>

#include "model/compress.h"
#include "model/gaps.h"
#include "model/model.h"
#include "tests/test.h"

static spr_error *err = &test_error;

enum { MOST_BITS = 6000, MOST_BYTES = 8192 };

static int bit(const unsigned char *p, uint64_t i) { return p[i / 8] >> i % 8 & 1; }
static void put_bit(unsigned char *p, uint64_t i, int value) { p[i / 8] = (unsigned char)(p[i / 8] | value << i % 8); }

/* Bytes written to zeroed memory. */
static size_t naive_write(const unsigned char *bitmap, uint64_t bits, int k, unsigned char *dst) {
    uint64_t at = 32, gap = 0;
    dst[0] = (unsigned char)k;
    for (uint64_t i = 0; i <= bits; i++) {
        if (i < bits && !bit(bitmap, i)) {
            gap++;
        } else if (i < bits || gap) {
            at += gap >> k;
            put_bit(dst, at++, 1);
            for (int b = 0; b < k; b++) put_bit(dst, at++, gap >> b & 1);
            gap = 0;
        }
    }
    return (size_t)((at + 31) / 32 * 4);
}

/* Bytes read, 0 if there is an error in them. */
static size_t naive_read(const unsigned char *src, size_t bytes, uint64_t bits, unsigned char *bitmap) {
    uint64_t at = 32, next = 0, end = (uint64_t)bytes * 8;
    uint32_t k;
    if (bytes < 4) return 0;
    memcpy(&k, src, 4);
    if (k > SPR_GAPS_MAX) return 0;
    while (next < bits) {
        uint64_t gap = 0;
        while (at < end && !bit(src, at)) gap += 1u << k, at++;
        at++;
        for (uint32_t b = 0; b < k; b++, at++) gap += at < end ? (uint64_t)bit(src, at) << b : 0;
        if (at > end || gap > bits - next) return 0;
        next += gap;
        if (next < bits) put_bit(bitmap, next, 1);
        next++;
    }
    for (; at % 32; at++)
        if (at >= end || bit(src, at)) return 0;
    return (size_t)(at / 8);
}

/* Reads in memory of exactly these bytes; nothing may differ from the naive reader. Whether they were taken. */
static int same_reading(const unsigned char *src, size_t bytes, uint64_t bits) {
    size_t room = (size_t)(bits + 31) / 32 * 4;
    unsigned char *copy = malloc(bytes + 1), *got = calloc(room + 1, 1), *wanted = calloc(room + 1, 1);
    unsigned char *exact = copy + 1; /* unaligned too */
    memcpy(exact, src, bytes);
    int k = spr_gaps_parameter(exact, bytes, bits);
    size_t used = k < 0 ? 0 : spr_gaps_read(exact, bytes, k, bits, got);
    size_t expected = naive_read(src, bytes, bits, wanted);
    CHECK(used == expected && (!used || !memcmp(got, wanted, room)));
    free(copy);
    free(got);
    free(wanted);
    return used > 0;
}

static void test_codes(uint64_t bits, int zeros_of_1000, uint64_t seed) {
    static unsigned char bitmap[MOST_BITS / 8 + 8], codes[MOST_BYTES], naive[MOST_BYTES];
    size_t best = SIZE_MAX;
    int k = -1;
    memset(bitmap, 0, sizeof bitmap);
    for (uint64_t i = 0; i < bits; i++)
        if ((int)(test_random(&seed) % 1000) >= zeros_of_1000) put_bit(bitmap, i, 1);
    for (int i = 0; i <= SPR_GAPS_MAX; i++) {
        memset(codes, 0, sizeof codes);
        memset(naive, 0, sizeof naive);
        size_t bytes = naive_write(bitmap, bits, i, naive);
        if (bytes < best) best = bytes;
        spr_gaps_write(bitmap, bits, i, codes);
        CHECK(!memcmp(codes, naive, sizeof codes));
        CHECK(same_reading(codes, bytes, bits) && same_reading(codes, bytes + 5, bits));
        for (size_t n = 0; n < bytes; n += 1 + bytes / 16) CHECK(!same_reading(codes, n, bits));
        CHECK(!same_reading(codes, bytes - 1, bits));
        if (bits > 1) same_reading(codes, bytes, bits - 1);
        CHECK(!same_reading(codes, bytes, bits + 1 + ((uint64_t)bytes * 8 << i))); /* even if all were zeros */
        for (int change = 0; change < 8; change++) {
            memcpy(naive, codes, bytes);
            size_t at = test_random(&seed) % 2 ? (size_t)test_random(&seed) % bytes : bytes - 1 - change % 4 % bytes;
            naive[at] = (unsigned char)(change % 2 ? test_random(&seed) : naive[at] ^ 1u << test_random(&seed) % 8);
            same_reading(naive, bytes, bits);
        }
    }
    CHECK(spr_gaps_size(bitmap, bits, &k) == best && k >= 0 && k <= SPR_GAPS_MAX);
    memset(naive, 0, sizeof naive);
    CHECK(naive_write(bitmap, bits, k, naive) == best);
}

/* Entropies of 3 shares of zeros, in bits per position; ours are to be within 2 % and the 4 bytes of the parameter. */
static void test_sizes(void) {
    static const struct { int zeros; double entropy; } shares[] = {{750, 0.8113}, {850, 0.6098}, {900, 0.4690}};
    enum { BITS = 1 << 20 };
    unsigned char *bitmap = calloc(BITS / 8, 1);
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        uint64_t seed = s;
        int k;
        memset(bitmap, 0, BITS / 8);
        for (uint64_t i = 0; i < BITS; i++)
            if ((int)(test_random(&seed) % 1000) >= shares[s].zeros) put_bit(bitmap, i, 1);
        CHECK((double)spr_gaps_size(bitmap, BITS, &k) * 8 < 1.02 * shares[s].entropy * BITS + 32);
    }
    free(bitmap);
}

/* Bytes of a constant in a file of its own, and how it is stored; what is read back must be the same. */
static size_t written(spr_dtype dtype, spr_encoding encoding, int zeros, int version) {
    enum { N = 65, K = 130 };
    static unsigned char dense[N * K * 4], back[N * K * 4];
    spr_desc d = {dtype, 2, {N, K}};
    size_t size = spr_dtype_size(dtype), bytes = 0;
    uint64_t seed = (uint64_t)zeros;
    memset(dense, 0, sizeof dense);
    for (size_t i = 0; i < N * K; i++) {
        uint64_t pair = encoding == SPR_ENC_BITMAP_2X1 ? i / K / 2 * K + i % K : i;
        uint64_t hash = (pair + 1) * 0x9e3779b97f4a7c15ull;
        if ((int)(hash >> 40) % 100 < zeros) continue;
        dense[i * size + size - 1] = (unsigned char)(1 + test_random(&seed) % 100);
    }
    spr_graph *g = spr_graph_new(NULL), *read = NULL;
    void *file = NULL;
    size_t file_size;
    int w = spr_graph_add_const(g, "w", &d, encoding, dense, N * K * size, err);
    if (CHECK(w == 0 && !spr_graph_add_output(g, w, err) && !spr_graph_write(g, &file, &file_size, err)) &&
        CHECK(!spr_graph_read(file, file_size, NULL, &read, err))) {
        const spr_value *v = &read->values[0];
        bytes = v->bytes;
        CHECK(((unsigned char *)file)[8] == version && (v->gaps > 0) == (version == 2) && v->encoding == encoding);
        CHECK(bytes == g->values[0].bytes && v->gaps == g->values[0].gaps);
        spr_decode_dense(v, back);
        CHECK(!memcmp(dense, back, N * K * size));
        spr_graph_free(read);
    }
    free(file);
    spr_graph_free(g);
    return bytes;
}

/* Gaps only where they win by something: else a library that knows version 1 alone could not read the file. */
static void test_choice(void) {
    written(SPR_INT8, SPR_ENC_BITMAP, 50, 1);
    written(SPR_INT8, SPR_ENC_BITMAP_2X1, 50, 1);
    written(SPR_FLOAT32, SPR_ENC_BITMAP, 75, 1);
    written(SPR_FLOAT32, SPR_ENC_BITMAP, 90, 2);
    CHECK(written(SPR_INT8, SPR_ENC_BITMAP, 75, 2) < 0.358 * 65 * 130);
    CHECK(written(SPR_INT8, SPR_ENC_BITMAP_2X1, 75, 2) < 0.31 * 65 * 130);
    CHECK(written(SPR_INT8, SPR_ENC_BITMAP, 90, 2) < 0.165 * 65 * 130);
    written(SPR_FLOAT16, SPR_ENC_BITMAP_2X1, 90, 2);
    written(SPR_INT8, SPR_ENC_BITMAP, 100, 2);
}

static spr_status read_constant(spr_desc d, int encoding, const void *data, size_t bytes, spr_value *value) {
    spr_graph *g = spr_graph_new(NULL);
    *value = (spr_value){.name = "w", .desc = d, .is_const = 1, .data = data, .bytes = bytes};
    spr_status status = spr_constant_read(value, encoding, &g->arena, err);
    spr_graph_free(g);
    return status;
}

/* Few bytes that ask for much, and constants that cannot have gaps. */
static void test_malice(void) {
    static unsigned char codes[64];
    spr_desc huge = {SPR_INT8, 2, {1 << 18, 1 << 19}}, small = {SPR_INT8, 2, {4, 4}}, vector = {SPR_INT8, 1, {16}};
    spr_desc wide = {SPR_FLOAT64, 2, {4, 4}}, impossible = {SPR_INT8, 2, {INT32_MAX, INT32_MAX}};
    spr_value v;
    codes[0] = SPR_GAPS_MAX;
    CHECK_FAILS(read_constant(huge, 3, codes, 64, &v), SPR_ERROR_FORMAT, "64 bytes are not the gaps of 137438953472");
    codes[0] = SPR_GAPS_MAX + 1;
    CHECK_FAILS(read_constant(small, 3, codes, 64, &v), SPR_ERROR_FORMAT, "constant 'w': 64 bytes are not the gaps");
    codes[0] = 0;
    CHECK_FAILS(read_constant(small, 3, codes, 64, &v), SPR_ERROR_FORMAT, "not the gaps of 16");
    CHECK_FAILS(read_constant(small, 3, codes, 0, &v), SPR_ERROR_FORMAT, "0 bytes are not the gaps of 16");
    CHECK_FAILS(read_constant(vector, 3, codes, 64, &v), SPR_ERROR_FORMAT, "encoding gaps takes rank 2 or more");
    CHECK_FAILS(read_constant(wide, 4, codes, 64, &v), SPR_ERROR_FORMAT, "encoding gaps 2x1 takes rank 2 or more");
    CHECK_FAILS(read_constant(impossible, 3, codes, 64, &v), SPR_ERROR_FORMAT, "not possible");
    CHECK_FAILS(read_constant(small, 5, codes, 64, &v), SPR_ERROR_FORMAT, "unknown encoding 5");
    memset(codes, 0, sizeof codes);
    codes[4] = codes[5] = 0xff; /* sixteen ones: sixteen elements, or in pairs eight and what is not zero behind them */
    CHECK(!read_constant(small, 3, codes, 4 + 4 + 16, &v));
    CHECK_FAILS(read_constant(small, 3, codes, 4 + 4 + 17, &v), SPR_ERROR_FORMAT, "should have 24 bytes, but has 25");
    CHECK_FAILS(read_constant(small, 3, codes, 4 + 4 + 15, &v), SPR_ERROR_FORMAT, "should have 24 bytes, but has 23");
    CHECK_FAILS(read_constant(small, 4, codes, 4 + 4 + 16, &v), SPR_ERROR_FORMAT, "not the gaps of 8");
    codes[5] = 0;
    CHECK(!read_constant(small, 4, codes, 4 + 4 + 16, &v));
}

/* The example of docs/format.md. */
static void test_example(void) {
    static const unsigned char stored[] = {0, 0, 0, 0, 0xe2, 0x11, 0, 0, 5, 6, 7, 8, 9};
    static const int8_t dense[] = {0, 5, 0, 0, 0, 6, 7, 8, 9, 0, 0, 0};
    spr_desc d = {SPR_INT8, 2, {3, 4}};
    spr_graph *g = spr_graph_new(NULL);
    spr_value v = {.name = "w", .desc = d, .is_const = 1, .data = stored, .bytes = sizeof stored};
    int8_t got[12];
    unsigned char again[sizeof stored] = {0};
    if (CHECK(!spr_constant_read(&v, 3, &g->arena, err))) {
        spr_decode_dense(&v, got);
        spr_store(&v, again);
        CHECK(!memcmp(got, dense, sizeof dense) && !memcmp(again, stored, sizeof stored));
    }
    spr_graph_free(g);
}

int main(void) {
    static const uint64_t sizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 500, 1024, MOST_BITS};
    static const int zeros[] = {0, 100, 500, 750, 900, 970, 995, 1000};
    uint64_t seed = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof zeros / sizeof *zeros; j++)
            for (int round = 0; round < 4; round++) test_codes(sizes[i], zeros[j], seed++);
    test_sizes();
    test_example();
    test_choice();
    test_malice();
    return test_result();
}
