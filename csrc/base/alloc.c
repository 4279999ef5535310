#define _GNU_SOURCE /* posix_memalign */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

enum { LEAST_ALIGNMENT = 16 };

static void *custom(const spr_allocator *allocator, size_t size, size_t alignment) {
    return allocator->allocate(allocator->context, size ? size : 1, alignment);
}

void *spr_alloc(const spr_allocator *allocator, size_t size) {
    return allocator ? custom(allocator, size, LEAST_ALIGNMENT) : malloc(size ? size : 1);
}

void *spr_alloc_lines(const spr_allocator *allocator, size_t size) {
    void *memory = NULL;
    if (allocator) return custom(allocator, size, SPR_LINE);
    return posix_memalign(&memory, SPR_LINE, size ? size : 1) ? NULL : memory;
}

void *spr_alloc_zeroed(const spr_allocator *allocator, size_t count, size_t size) {
    size_t bytes;
    if (!allocator) return calloc(count ? count : 1, size ? size : 1);
    void *memory = __builtin_mul_overflow(count, size, &bytes) ? NULL : custom(allocator, bytes, LEAST_ALIGNMENT);
    return memory ? memset(memory, 0, bytes) : NULL;
}

char *spr_alloc_string(const spr_allocator *allocator, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = spr_alloc(allocator, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void spr_release(const spr_allocator *allocator, void *memory) {
    if (!memory) return;
    if (allocator)
        allocator->release(allocator->context, memory);
    else
        free(memory);
}
