/* Filling in spr_error. */
#ifndef SPR_BASE_ERROR_H
#define SPR_BASE_ERROR_H

#include "base/compiler.h"
#include "spr/spr.h"

/* Writes status and message where err is not NULL, and returns the status: `return spr_fail(err, ...)`. */
spr_status spr_fail(spr_error *err, spr_status status, const char *format, ...) SPR_PRINTF(3, 4);
/* Whether `length` bytes are well-formed UTF-8. */
int spr_is_utf8(const char *text, size_t length);
/* Names in messages come from files: what is not text, or was cut in the middle of a character, becomes '?'. */
void spr_utf8_clean(char *text);
/* SPR_ERROR_MEMORY naming what was being allocated. */
spr_status spr_fail_memory(spr_error *err, const char *what, size_t bytes);

/* "[1, 3, 224, 224]" into text; returns text. Enough room: SPR_DIMS_TEXT. */
#define SPR_DIMS_TEXT 192
const char *spr_dims_text(char *text, int rank, const int64_t *dim);

#endif
