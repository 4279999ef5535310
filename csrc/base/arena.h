/* A bump allocator whose blocks are freed together: one place to free, nothing to leak on an error path. */
#ifndef SPR_BASE_ARENA_H
#define SPR_BASE_ARENA_H

#include "base/alloc.h"

typedef struct spr_arena {
    struct spr_arena_block *blocks;
    size_t bytes; /* handed out so far */
    const spr_allocator *allocator; /* NULL: the system's */
} spr_arena;

/* Zeroed memory aligned to SPR_LINE for size >= SPR_LINE, else to 16; NULL when out of memory. An arena starts as {0},
   or with an allocator. */
void *spr_arena_alloc(spr_arena *arena, size_t size);
/* Zeroed array; NULL also when count * size overflows. */
void *spr_arena_array(spr_arena *arena, size_t count, size_t size);
/* Copy of a string of `length` bytes, '\0' added. */
char *spr_arena_string(spr_arena *arena, const char *text, size_t length);
/* Leaves it empty, with its allocator. */
void spr_arena_free(spr_arena *arena);

#endif
