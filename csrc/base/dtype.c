#include "spr/spr.h"

size_t spr_dtype_size(spr_dtype dtype) {
    switch (dtype) {
    case SPR_UINT8:
    case SPR_INT8:
    case SPR_QUANTIZED:
    case SPR_BOOL: return 1;
    case SPR_UINT16:
    case SPR_INT16:
    case SPR_FLOAT16: return 2;
    case SPR_FLOAT32:
    case SPR_INT32:
    case SPR_UINT32: return 4;
    case SPR_INT64:
    case SPR_UINT64:
    case SPR_FLOAT64: return 8;
    }
    return 0;
}

const char *spr_dtype_name(spr_dtype dtype) {
    switch (dtype) {
    case SPR_FLOAT32: return "float32";
    case SPR_UINT8: return "uint8";
    case SPR_INT8: return "int8";
    case SPR_UINT16: return "uint16";
    case SPR_INT16: return "int16";
    case SPR_INT32: return "int32";
    case SPR_INT64: return "int64";
    case SPR_BOOL: return "bool";
    case SPR_FLOAT16: return "float16";
    case SPR_FLOAT64: return "float64";
    case SPR_UINT32: return "uint32";
    case SPR_UINT64: return "uint64";
    case SPR_QUANTIZED: return "quantized";
    }
    return "unknown";
}

size_t spr_tensor_bytes(const spr_tensor_info *info) {
    size_t bytes = info->rank < 0 ? 0 : spr_dtype_size(info->dtype);
    for (int i = 0; i < info->rank; i++) bytes *= info->dim[i] < 0 ? 0 : (size_t)info->dim[i];
    return bytes;
}
