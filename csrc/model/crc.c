/* CRC-32 of a file, eight bytes at a time. The tables take microseconds to make, so they are made for each file:
   nothing global, nothing to initialize. */
#include <string.h>

#include "model/format.h"
#include "model/model.h"

static void make_tables(uint32_t table[8][256]) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
        table[0][i] = c;
    }
    for (int t = 1; t < 8; t++)
        for (uint32_t i = 0; i < 256; i++) table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
}

static uint32_t update(const uint32_t table[8][256], uint32_t crc, const unsigned char *p, size_t size) {
    for (; size >= 8; p += 8, size -= 8) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + 4, 4);
        low ^= crc;
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
              table[3][high & 255] ^ table[2][high >> 8 & 255] ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; size; p++, size--) crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    return crc;
}

uint32_t spr_crc(const void *data, size_t size) {
    uint32_t table[8][256];
    make_tables(table);
    return ~update(table, 0xffffffffu, data, size);
}

uint32_t spr_file_crc(const void *data, size_t size) {
    uint32_t table[8][256];
    make_tables(table);
    uint32_t crc = update(table, 0xffffffffu, data, SPR_AT_CRC);
    return ~update(table, crc, (const unsigned char *)data + SPR_HEADER_SIZE, size - SPR_HEADER_SIZE);
}
