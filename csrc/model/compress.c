#include "model/compress.h"

#include <string.h>

#include "model/format.h"
#include "model/gaps.h"

/* A matrix as the encodings see it: groups of `rows` rows (1 or 2) share a line of bits. */
typedef struct layout {
    uint64_t n, k, groups;
    uint64_t bits;         /* groups * k */
    uint64_t bitmap_bytes; /* rounded up to a multiple of 4 */
    uint32_t rows, size;   /* rows per group but perhaps the last; bytes per element */
} layout;

const char *spr_encoding_name(int stored_encoding) {
    switch (stored_encoding) {
    case SPR_ENC_DENSE: return "dense";
    case SPR_ENC_BITMAP: return "bitmap";
    case SPR_ENC_BITMAP_2X1: return "bitmap 2x1";
    case SPR_FILE_GAPS + SPR_ENC_BITMAP: return "gaps";
    case SPR_FILE_GAPS + SPR_ENC_BITMAP_2X1: return "gaps 2x1";
    }
    return NULL;
}

void spr_matrix_size(const spr_desc *desc, uint64_t *n, uint64_t *k) {
    *n = desc->rank >= 2 ? (uint64_t)desc->dim[0] : 1;
    *k = 1;
    for (int i = desc->rank >= 2; i < desc->rank; i++) *k *= (uint64_t)desc->dim[i];
}

static layout layout_of(int encoding, const spr_desc *desc) {
    layout m;
    spr_matrix_size(desc, &m.n, &m.k);
    m.rows = encoding == SPR_ENC_BITMAP_2X1 ? 2 : 1;
    m.size = (uint32_t)spr_dtype_size(desc->dtype);
    m.groups = (m.n + m.rows - 1) / m.rows;
    m.bits = m.groups * m.k;
    m.bitmap_bytes = (m.bits + 31) / 32 * 4;
    return m;
}

static uint32_t rows_of_group(const layout *m, uint64_t group) {
    return group + 1 == m->groups && m->n % m->rows ? 1 : m->rows;
}

/* Bit patterns of an element that mean zero: 0, and for floating point the sign alone. */
static uint32_t zero_mask(spr_dtype dtype) {
    return dtype == SPR_FLOAT32 ? 0x7fffffff : dtype == SPR_FLOAT16 ? 0x7fff : 0xffffffff;
}

/* Fixed sizes, which compilers turn into plain moves. */
static uint32_t load(const unsigned char *p, uint32_t size) {
    uint32_t v;
    uint16_t h;
    if (size == 1) return *p;
    if (size == 2) return memcpy(&h, p, 2), h;
    return memcpy(&v, p, 4), v;
}

static void store(unsigned char *p, uint32_t v, uint32_t size) {
    uint16_t h = (uint16_t)v;
    if (size == 1) *p = (unsigned char)v;
    else if (size == 2) memcpy(p, &h, 2);
    else memcpy(p, &v, 4);
}

/* Up to 64 bits from bit `at`; those past the bitmap are 0. */
static uint64_t load_bits(const unsigned char *bitmap, uint64_t bitmap_bytes, uint64_t at) {
    uint64_t byte = at / 8, low = 0, rest = bitmap_bytes - byte;
    uint32_t shift = at % 8;
    memcpy(&low, bitmap + byte, rest < 8 ? rest : 8);
    low >>= shift;
    if (shift && rest > 8) low |= (uint64_t)bitmap[byte + 8] << (64 - shift);
    return low;
}

/* Bits of columns [column, column + 64) of a group, those past the row 0. */
static uint64_t group_bits(const layout *m, const unsigned char *bitmap, uint64_t group, uint64_t column) {
    uint64_t bits = load_bits(bitmap, m->bitmap_bytes, group * m->k + column), left = m->k - column;
    return left < 64 ? bits & ((1ull << left) - 1) : bits;
}

static uint64_t count_bits(const unsigned char *bitmap, uint64_t begin, uint64_t end, uint64_t bitmap_bytes) {
    uint64_t count = 0;
    for (uint64_t at = begin; at < end; at += 64) {
        uint64_t bits = load_bits(bitmap, bitmap_bytes, at);
        if (end - at < 64) bits &= (1ull << (end - at)) - 1;
        count += (uint64_t)__builtin_popcountll(bits);
    }
    return count;
}

static uint64_t stored_elements(const layout *m, const unsigned char *bitmap) {
    uint64_t last = m->groups && rows_of_group(m, m->groups - 1) < m->rows ? m->bits - m->k : m->bits;
    return count_bits(bitmap, 0, last, m->bitmap_bytes) * m->rows + count_bits(bitmap, last, m->bits, m->bitmap_bytes);
}

static size_t dense_bytes(const spr_desc *desc) { return (size_t)spr_desc_count(desc) * spr_dtype_size(desc->dtype); }

/* ---- encoding --------------------------------------------------------------------------------------------------- */

/* Whether the group's element at a column is stored. */
static int is_stored(const layout *m, const unsigned char *dense, uint32_t mask, uint64_t group, uint64_t column) {
    for (uint32_t r = 0; r < rows_of_group(m, group); r++)
        if (load(dense + ((group * m->rows + r) * m->k + column) * m->size, m->size) & mask) return 1;
    return 0;
}

size_t spr_encoded_size(spr_encoding encoding, const spr_desc *desc, const void *dense) {
    if (encoding == SPR_ENC_DENSE) return dense_bytes(desc);
    layout m = layout_of(encoding, desc);
    uint32_t mask = zero_mask(desc->dtype);
    uint64_t stored = 0;
    for (uint64_t g = 0; g < m.groups; g++)
        for (uint64_t c = 0; c < m.k; c++)
            if (is_stored(&m, dense, mask, g, c)) stored += rows_of_group(&m, g);
    return (size_t)(m.bitmap_bytes + stored * m.size);
}

/* Gaps for the bitmap where they save a 32nd of the constant, and a line, as constants start at multiples of one:
   loading them takes longer, and libraries that know version 1 of the file alone refuse them. `bytes` become fewer. */
static void choose_positions(const layout *m, spr_value *value) {
    int k;
    uint64_t size = spr_gaps_size(value->bitmap, m->bits, &k), saved = m->bitmap_bytes - size;
    if (size >= m->bitmap_bytes || saved < SPR_DATA_ALIGN || saved < value->bytes / 32) return;
    value->gaps = (uint8_t)(1 + k);
    value->bytes -= (size_t)saved;
}

void spr_encode(spr_encoding encoding, const void *dense, void *dst, size_t bytes, spr_value *value) {
    value->encoding = (uint8_t)encoding;
    value->gaps = 0;
    value->bitmap = NULL;
    value->data = dst;
    value->bytes = bytes;
    if (encoding == SPR_ENC_DENSE) {
        if (bytes) memcpy(dst, dense, bytes);
        return;
    }
    layout m = layout_of(encoding, &value->desc);
    uint32_t mask = zero_mask(value->desc.dtype);
    unsigned char *bitmap = dst, *out = bitmap + m.bitmap_bytes;
    value->bitmap = bitmap;
    value->data = out;
    memset(bitmap, 0, (size_t)m.bitmap_bytes);
    for (uint64_t g = 0; g < m.groups; g++) {
        for (uint64_t c = 0; c < m.k; c++) {
            if (!is_stored(&m, dense, mask, g, c)) continue;
            uint64_t bit = g * m.k + c;
            bitmap[bit / 8] = (unsigned char)(bitmap[bit / 8] | 1u << bit % 8);
            for (uint32_t r = 0; r < rows_of_group(&m, g); r++, out += m.size) {
                uint32_t v = load((const unsigned char *)dense + ((g * m.rows + r) * m.k + c) * m.size, m.size);
                if (!(v & mask)) v = 0;
                store(out, v, m.size);
            }
        }
    }
    choose_positions(&m, value);
}

int spr_stored_encoding(const spr_value *value) { return value->encoding + (value->gaps ? SPR_FILE_GAPS : 0); }

void spr_store(const spr_value *value, unsigned char *dst) {
    size_t positions = 0;
    if (value->encoding != SPR_ENC_DENSE) {
        layout m = layout_of(value->encoding, &value->desc);
        positions = value->bytes - stored_elements(&m, value->bitmap) * m.size;
        if (value->gaps) spr_gaps_write(value->bitmap, m.bits, value->gaps - 1, dst);
        else if (positions) memcpy(dst, value->bitmap, positions);
    }
    if (value->bytes > positions) memcpy(dst + positions, value->data, value->bytes - positions);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* What a file that anyone may have written says of a constant, before it is looked at. */
static spr_status check_form(const spr_value *value, int stored_encoding, spr_error *err) {
    const spr_desc *desc = &value->desc;
    char text[SPR_DIMS_TEXT];
    spr_dims_text(text, desc->rank, desc->dim);
    if (!spr_desc_valid(desc) || desc->dtype == SPR_QUANTIZED)
        return spr_fail(err, SPR_ERROR_FORMAT, "constant '%.200s': type %d of shape %s is not possible", value->name,
                        (int)desc->dtype, text);
    if (!spr_encoding_name(stored_encoding))
        return spr_fail(err, SPR_ERROR_FORMAT, "constant '%.200s': unknown encoding %d", value->name, stored_encoding);
    if (stored_encoding != SPR_ENC_DENSE && (desc->rank < 2 || spr_dtype_size(desc->dtype) > 4))
        return spr_fail(err, SPR_ERROR_FORMAT,
                        "constant '%.200s': encoding %s takes rank 2 or more and elements of 1, 2 or 4 bytes, "
                        "not %s %s",
                        value->name, spr_encoding_name(stored_encoding), spr_dtype_name(desc->dtype), text);
    return SPR_OK;
}

/* The bitmap of a constant that begins with gaps; *positions: bytes of them. */
static spr_status read_gaps(const layout *m, spr_value *value, spr_arena *arena, size_t *positions, spr_error *err) {
    int k = spr_gaps_parameter(value->data, value->bytes, m->bits);
    unsigned char *bitmap = NULL;
    *positions = 0;
    if (k >= 0) {
        bitmap = spr_arena_alloc(arena, (size_t)m->bitmap_bytes);
        if (!bitmap) return spr_fail_memory(err, value->name, (size_t)m->bitmap_bytes);
        memset(bitmap, 0, (size_t)m->bitmap_bytes);
        *positions = spr_gaps_read(value->data, value->bytes, k, m->bits, bitmap);
    }
    if (!*positions)
        return spr_fail(err, SPR_ERROR_FORMAT, "constant '%.200s': %zu bytes are not the gaps of %llu positions",
                        value->name, value->bytes, (unsigned long long)m->bits);
    value->gaps = (uint8_t)(1 + k);
    value->bitmap = bitmap;
    return SPR_OK;
}

spr_status spr_constant_read(spr_value *value, int stored_encoding, spr_arena *arena, spr_error *err) {
    spr_status status = check_form(value, stored_encoding, err);
    if (status) return status;
    const spr_desc *desc = &value->desc;
    const char *encoding = spr_encoding_name(stored_encoding);
    char text[SPR_DIMS_TEXT];
    spr_dims_text(text, desc->rank, desc->dim);
    uint64_t wanted = dense_bytes(desc);
    int gaps = stored_encoding >= SPR_FILE_GAPS + SPR_ENC_BITMAP;
    value->encoding = (uint8_t)(stored_encoding - (gaps ? SPR_FILE_GAPS : 0));
    value->gaps = 0;
    if (value->encoding != SPR_ENC_DENSE) {
        layout m = layout_of(value->encoding, desc);
        size_t positions = (size_t)m.bitmap_bytes;
        if (gaps) {
            status = read_gaps(&m, value, arena, &positions, err);
            if (status) return status;
        } else {
            if (m.bitmap_bytes > value->bytes)
                return spr_fail(
                    err, SPR_ERROR_FORMAT,
                    "constant '%.200s': %s %s encoded as %s needs a bitmap of %llu bytes, but has %zu bytes in all",
                    value->name, spr_dtype_name(desc->dtype), text, encoding, (unsigned long long)m.bitmap_bytes,
                    value->bytes);
            value->bitmap = value->data;
            if (count_bits(value->bitmap, m.bits, m.bitmap_bytes * 8, m.bitmap_bytes))
                return spr_fail(err, SPR_ERROR_FORMAT, "constant '%.200s': bits set behind the end of the bitmap",
                                value->name);
        }
        value->data = (const unsigned char *)value->data + positions;
        wanted = positions + stored_elements(&m, value->bitmap) * m.size;
    }
    if (value->bytes != wanted)
        return spr_fail(err, SPR_ERROR_FORMAT,
                        "constant '%.200s': %s %s encoded as %s should have %llu bytes, but has %zu", value->name,
                        spr_dtype_name(desc->dtype), text, encoding, (unsigned long long)wanted, value->bytes);
    return SPR_OK;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

void spr_decode_dense(const spr_value *value, void *dst) {
    size_t bytes = dense_bytes(&value->desc);
    if (!bytes) return;
    if (value->encoding == SPR_ENC_DENSE) {
        memcpy(dst, value->data, bytes);
        return;
    }
    layout m = layout_of(value->encoding, &value->desc);
    const unsigned char *bitmap = value->bitmap, *in = value->data;
    memset(dst, 0, bytes);
    for (uint64_t g = 0; g < m.groups; g++) {
        uint32_t rows = rows_of_group(&m, g);
        for (uint64_t c = 0; c < m.k; c += 64) {
            for (uint64_t bits = group_bits(&m, bitmap, g, c); bits; bits &= bits - 1) {
                uint64_t column = c + (uint64_t)__builtin_ctzll(bits);
                for (uint32_t r = 0; r < rows; r++, in += m.size)
                    store((unsigned char *)dst + ((g * m.rows + r) * m.k + column) * m.size, load(in, m.size), m.size);
            }
        }
    }
}

spr_sparsity spr_count_sparsity(const spr_value *value) {
    layout m = layout_of(SPR_ENC_BITMAP_2X1, &value->desc), stored = layout_of(value->encoding, &value->desc);
    uint32_t mask = zero_mask(value->desc.dtype);
    spr_sparsity s = {m.n * m.k, 0, 0};
    const unsigned char *bitmap = value->bitmap, *data = value->data;
    if (value->encoding == SPR_ENC_BITMAP_2X1) {
        const unsigned char *in = data;
        for (uint64_t g = 0; g < m.groups; g++) {
            uint32_t rows = rows_of_group(&m, g);
            uint64_t blocks = count_bits(bitmap, g * m.k, (g + 1) * m.k, m.bitmap_bytes);
            for (uint64_t b = 0; b < blocks; b++) {
                uint32_t nonzeros = 0;
                for (uint32_t r = 0; r < rows; r++, in += m.size) nonzeros += (load(in, m.size) & mask) != 0;
                s.nonzeros += nonzeros;
                s.block_elements += nonzeros ? rows : 0;
            }
        }
        return s;
    }
    if (value->encoding == SPR_ENC_DENSE) {
        for (uint64_t g = 0; g < m.groups; g++) {
            uint32_t rows = rows_of_group(&m, g);
            for (uint64_t c = 0; c < m.k; c++) {
                uint32_t nonzeros = 0;
                for (uint32_t r = 0; r < rows; r++)
                    nonzeros += (load(data + ((g * 2 + r) * m.k + c) * m.size, m.size) & mask) != 0;
                s.nonzeros += nonzeros;
                s.block_elements += nonzeros ? rows : 0;
            }
        }
        return s;
    }
    /* Bitmap: a hostile file may store zeros under set bits, so that the bits alone would not do. */
    const unsigned char *even = data;
    for (uint64_t g = 0; g < m.groups; g++) {
        uint32_t rows = rows_of_group(&m, g);
        const unsigned char *odd =
            even + count_bits(bitmap, g * 2 * m.k, (g * 2 + 1) * m.k, stored.bitmap_bytes) * m.size;
        for (uint64_t c = 0; c < m.k; c += 64) {
            uint64_t top = group_bits(&stored, bitmap, g * 2, c);
            uint64_t bottom = rows == 2 ? group_bits(&stored, bitmap, g * 2 + 1, c) : 0;
            for (uint64_t bits = top | bottom; bits; bits &= bits - 1) {
                uint64_t bit = bits & -bits;
                uint32_t nonzeros = 0;
                if (top & bit) nonzeros += (load(even, m.size) & mask) != 0, even += m.size;
                if (bottom & bit) nonzeros += (load(odd, m.size) & mask) != 0, odd += m.size;
                s.nonzeros += nonzeros;
                s.block_elements += nonzeros ? rows : 0;
            }
        }
        even = odd;
    }
    return s;
}

/* Appends to a row of CSR. */
typedef struct csr_writer {
    uint32_t *col, count;
    unsigned char *val;
    uint32_t size, mask;
} csr_writer;

static void csr_add(csr_writer *w, uint64_t column, const unsigned char *element) {
    uint32_t v = load(element, w->size);
    if (!(v & w->mask)) return;
    w->col[w->count] = (uint32_t)column;
    store(w->val + (size_t)w->count * w->size, v, w->size);
    w->count++;
}

void spr_decode_csr(const spr_value *value, uint32_t *row_ptr, uint32_t *col, void *val) {
    layout m = layout_of(value->encoding, &value->desc);
    csr_writer w = {col, 0, val, m.size, zero_mask(value->desc.dtype)};
    const unsigned char *data = value->data, *bitmap = value->bitmap;
    if (value->encoding == SPR_ENC_DENSE) {
        for (uint64_t row = 0; row < m.n; row++) {
            row_ptr[row] = w.count;
            for (uint64_t c = 0; c < m.k; c++) csr_add(&w, c, data + (row * m.k + c) * m.size);
        }
    } else {
        const unsigned char *in = data; /* the group's elements */
        for (uint64_t g = 0; g < m.groups; g++) {
            uint32_t rows = rows_of_group(&m, g);
            const unsigned char *p = in;
            for (uint32_t r = 0; r < rows; r++) {
                row_ptr[g * m.rows + r] = w.count;
                p = in + r * m.size;
                for (uint64_t c = 0; c < m.k; c += 64)
                    for (uint64_t bits = group_bits(&m, bitmap, g, c); bits; bits &= bits - 1, p += rows * m.size)
                        csr_add(&w, c + (uint64_t)__builtin_ctzll(bits), p);
            }
            in = p - (rows - 1) * m.size;
        }
    }
    row_ptr[m.n] = w.count;
}
