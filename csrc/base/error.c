#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *spr_status_name(spr_status status) {
    switch (status) {
    case SPR_OK: return "ok";
    case SPR_ERROR_ARGUMENT: return "invalid argument";
    case SPR_ERROR_MEMORY: return "out of memory";
    case SPR_ERROR_IO: return "input/output error";
    case SPR_ERROR_FORMAT: return "invalid model file";
    case SPR_ERROR_UNSUPPORTED: return "not supported";
    case SPR_ERROR_SHAPE: return "shapes do not fit";
    }
    return "unknown status";
}

/* Length of the well-formed UTF-8 sequence at p of which at most `left` bytes are there, 0 if there is none. */
static int utf8_length(const unsigned char *p, size_t left) {
    if (p[0] < 0x80) return 1;
    int n = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if ((size_t)n > left) return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (n && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))) return 0; /* overlong, surrogates */
    if (n && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))) return 0; /* overlong, past U+10FFFF */
    return n;
}

int spr_is_utf8(const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        int n = utf8_length((const unsigned char *)text + at, length - at);
        if (!n) return 0;
        at += (size_t)n;
    }
    return 1;
}

void spr_utf8_clean(char *text) {
    unsigned char *p = (unsigned char *)text, *end = p + strlen(text);
    while (p < end) {
        int n = utf8_length(p, (size_t)(end - p));
        if (n == 0 || *p < ' ' || *p == 0x7f) *p = '?';
        p += n ? n : 1;
    }
}

spr_status spr_fail(spr_error *err, spr_status status, const char *format, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    if (length < 0) err->message[0] = '\0';
    err->status = status;
    spr_utf8_clean(err->message);
    return status;
}

spr_status spr_fail_memory(spr_error *err, const char *what, size_t bytes) {
    return spr_fail(err, SPR_ERROR_MEMORY, "out of memory: cannot allocate %zu bytes for %s", bytes, what);
}

const char *spr_dims_text(char *text, int rank, const int64_t *dim) {
    size_t used = 0;
    text[used++] = '[';
    for (int i = 0; i < rank && i < SPR_MAX_RANK; i++)
        used += (size_t)snprintf(text + used, SPR_DIMS_TEXT - used, "%s%lld", i ? ", " : "", (long long)dim[i]);
    text[used++] = ']';
    text[used] = '\0';
    return text;
}
