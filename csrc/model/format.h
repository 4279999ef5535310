/* The .spr file, versions 1 and 2. docs/format.md tells the same to someone writing another reader.
 *
 * All numbers are little-endian; u32, u64 and i64 are integers, f64 is IEEE double. The file is
 *
 *     header     SPR_HEADER_SIZE bytes
 *     metadata   meta_size bytes, a stream without padding
 *     padding    zeros up to a multiple of SPR_DATA_ALIGN
 *     data       the constants in the order of their values, each from a multiple of SPR_DATA_ALIGN, zeros between
 *
 * and ends where the last constant ends. The header:
 *
 *      0  8 bytes  magic: 0x89 'S' 'P' 'R' CR LF 0x1a LF
 *      8  u32      version
 *     12  u32      flags: 0
 *     16  u64      file_size
 *     24  u64      meta_size
 *     32  u64      data_offset
 *     40  20 bytes zeros
 *     60  u32      CRC-32 (polynomial 0xedb88320, as in zlib) of bytes 0 to 59 followed by bytes 64 to file_size - 1
 *
 * The metadata, `string` being u32 length and that many bytes of UTF-8 without '\0':
 *
 *     string producer                 for humans
 *     u32    sparse                   spr_sparse: 1 auto, 2 always, 3 never
 *     u32    value_count, then for each value
 *         string name                 unique, not empty
 *         u32    kind                 0: result of a node, 1: graph input, 2: constant
 *         kinds 1 and 2:
 *             u32 dtype, u32 rank, i64 dim[rank]     dtype by spr_dtype; -1: free dimension of an input
 *         kind 2:
 *             u32 encoding, u64 bytes, u64 offset    spr_encoding, with SPR_FILE_GAPS added where gaps stand for the
 *                                                    bitmap, which makes the version 2; offset in the file
 *     u32    input_count,  u32 value[input_count]    every value of kind 1 once
 *     u32    output_count, u32 value[output_count]
 *     u32    node_count, then for each node, in topological order
 *         string op, string name
 *         u32    in_count,  u32 value[in_count]      0xffffffff: optional input not given
 *         u32    out_count, u32 value[out_count]
 *         u32    attr_count, then for each attribute that differs from its default, in the order of ops.inc
 *             string name, u32 type                  0 int, 1 float, 2 ints, 3 string
 *             i64 | f64 | u32 n, i64 v[n] | string
 *
 * Operators and attributes are named, never numbered, so that ops.inc may be reordered and extended. */
#ifndef SPR_MODEL_FORMAT_H
#define SPR_MODEL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define SPR_FORMAT_VERSION 2 /* the newest; a file has the lowest that has all that is in it */
#define SPR_MAGIC "\x89SPR\r\n\x1a\n"
#define SPR_HEADER_SIZE 64
#define SPR_DATA_ALIGN 64

enum {
    SPR_AT_MAGIC = 0,
    SPR_AT_VERSION = 8,
    SPR_AT_FLAGS = 12,
    SPR_AT_FILE_SIZE = 16,
    SPR_AT_META_SIZE = 24,
    SPR_AT_DATA_OFFSET = 32,
    SPR_AT_ZERO = 40,
    SPR_AT_CRC = 60,
};

/* Added to SPR_ENC_BITMAP and SPR_ENC_BITMAP_2X1. */
enum { SPR_FILE_GAPS = 2 };

enum { SPR_KIND_RESULT = 0, SPR_KIND_INPUT = 1, SPR_KIND_CONST = 2 };

/* The type of an attribute in the file. */
enum { SPR_FILE_INT = 0, SPR_FILE_FLOAT = 1, SPR_FILE_INTS = 2, SPR_FILE_STRING = 3 };

/* Checksum of a file of size >= SPR_HEADER_SIZE. */
uint32_t spr_file_crc(const void *data, size_t size);

#endif
