/* The library's memory: from the caller's allocator or the system's. Nothing else calls malloc, but for the writer of
 * model files, which conversion uses. */
#ifndef SPR_BASE_ALLOC_H
#define SPR_BASE_ALLOC_H

#include "spr/spr.h"

/* `allocator` NULL: the system's. All return NULL when out of memory; any result, or NULL, goes back to spr_release
   with the allocator it came from. */
void *spr_alloc(const spr_allocator *allocator, size_t size);
/* Aligned to SPR_LINE. */
void *spr_alloc_lines(const spr_allocator *allocator, size_t size);
/* A zeroed array; NULL also when count * size overflows. From the system large ones cost nothing until they are
   touched. */
void *spr_alloc_zeroed(const spr_allocator *allocator, size_t count, size_t size);
char *spr_alloc_string(const spr_allocator *allocator, const char *text);
void spr_release(const spr_allocator *allocator, void *memory);

#endif
