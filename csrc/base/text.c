#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

void spr_text_add(spr_text *text, const char *format, ...) {
    size_t room = text->size > text->length ? text->size - text->length : 0;
    va_list args;
    va_start(args, format);
    int added = vsnprintf(room ? text->data + text->length : NULL, room, format, args);
    va_end(args);
    if (added > 0) text->length += (size_t)added;
}
