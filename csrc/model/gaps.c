#include "model/gaps.h"

#include <string.h>

enum { HEADER = 4 };

static uint32_t word_at(const unsigned char *p, uint64_t index) {
    uint32_t word;
    memcpy(&word, p + index * 4, 4);
    return word;
}

uint64_t spr_gaps_size(const unsigned char *bitmap, uint64_t bits, int *k) {
    uint64_t zeros[SPR_GAPS_MAX + 1] = {0}, codes = 0, next = 0, best = UINT64_MAX;
    for (uint64_t w = 0; w < (bits + 31) / 32; w++) {
        for (uint32_t word = word_at(bitmap, w); word; word &= word - 1) {
            uint64_t at = w * 32 + (uint64_t)__builtin_ctz(word);
            for (int i = 0; i <= SPR_GAPS_MAX; i++) zeros[i] += (at - next) >> i;
            next = at + 1;
            codes++;
        }
    }
    if (next < bits) {
        for (int i = 0; i <= SPR_GAPS_MAX; i++) zeros[i] += (bits - next) >> i;
        codes++;
    }
    for (int i = 0; i <= SPR_GAPS_MAX; i++) {
        uint64_t size = HEADER + (zeros[i] + codes * (uint64_t)(1 + i) + 31) / 32 * 4;
        if (size < best) best = size, *k = i;
    }
    return best;
}

/* A code at bit `at` of zeroed memory; where it ends. */
static uint64_t put_code(unsigned char *dst, uint64_t at, uint64_t gap, int k) {
    at += gap >> k;
    uint32_t code = (1u | (uint32_t)(gap & ((1u << k) - 1)) << 1) << at % 8; /* at most 15 bits */
    dst[at / 8] = (unsigned char)(dst[at / 8] | code);
    if (code >> 8) dst[at / 8 + 1] = (unsigned char)(code >> 8);
    return at + 1 + (uint64_t)k;
}

void spr_gaps_write(const unsigned char *bitmap, uint64_t bits, int k, unsigned char *dst) {
    uint64_t next = 0, at = 0;
    uint32_t parameter = (uint32_t)k;
    memcpy(dst, &parameter, HEADER);
    dst += HEADER;
    for (uint64_t w = 0; w < (bits + 31) / 32; w++) {
        for (uint32_t word = word_at(bitmap, w); word; word &= word - 1) {
            uint64_t one = w * 32 + (uint64_t)__builtin_ctz(word);
            at = put_code(dst, at, one - next, k);
            next = one + 1;
        }
    }
    if (next < bits) put_code(dst, at, bits - next, k);
}

int spr_gaps_parameter(const unsigned char *src, size_t bytes, uint64_t bits) {
    if (bytes < HEADER || word_at(src, 0) > SPR_GAPS_MAX) return -1;
    int k = (int)word_at(src, 0);
    return bits > (uint64_t)(bytes - HEADER) * 8 << k ? -1 : k;
}

size_t spr_gaps_read(const unsigned char *src, size_t bytes, int k, uint64_t bits, unsigned char *bitmap) {
    const uint64_t low = (1u << k) - 1, end = (uint64_t)(bytes - HEADER) * 8;
    const unsigned char *codes = src + HEADER;
    uint64_t at = 0, next = 0, run = 0; /* in the codes, in the bitmap; zeros seen of the present code */
    while (next < bits) {
        if (at >= end) return 0;
        uint64_t byte = at / 8, window = 0, rest = end / 8 - byte;
        if (rest >= 8) memcpy(&window, codes + byte, 8);
        else memcpy(&window, codes + byte, rest); /* with zeros behind the end, which are no code */
        window >>= at % 8;
        uint32_t left = 64 - (uint32_t)(at % 8);
        while (next < bits) {
            uint32_t zeros = window ? (uint32_t)__builtin_ctzll(window) : left;
            if (zeros + 1 + (uint32_t)k > left) { /* goes on in the next window */
                run += zeros;
                at += zeros;
                break;
            }
            window >>= zeros;
            next += (run + zeros) << k | (window >> 1 & low);
            window >>= 1 + k;
            left -= zeros + 1 + (uint32_t)k;
            at += zeros + 1 + (uint32_t)k;
            run = 0;
            if (next < bits) bitmap[next / 8] = (unsigned char)(bitmap[next / 8] | 1u << next % 8);
            else if (next > bits) return 0;
            next++;
        }
    }
    uint64_t used = (at + 31) / 32 * 32;
    if (used > end) return 0;
    for (; at < used; at++)
        if (codes[at / 8] >> at % 8 & 1) return 0;
    return HEADER + (size_t)(used / 8);
}
