/* Text written bit by bit into a buffer that may be too small, as snprintf does it once. */
#ifndef SPR_BASE_TEXT_H
#define SPR_BASE_TEXT_H

#include <stddef.h>

#include "base/compiler.h"

typedef struct spr_text {
    char *data; /* may be NULL where size is 0 */
    size_t size;
    size_t length; /* what has been added, whether it had room or not */
} spr_text;

/* Afterwards data holds as much as fits, '\0' terminated if size > 0. */
void spr_text_add(spr_text *text, const char *format, ...) SPR_PRINTF(2, 3);

#endif
