#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/pages.h"

struct spr_arena_block {
    struct spr_arena_block *next;
    char *begin, *end; /* what is still free */
    size_t mapped;     /* bytes of pages that the block is made of, 0 if it comes from the allocator */
};

#define FIRST_BLOCK 4096
#define LARGEST_BLOCK (8 * SPR_HUGE_PAGE)

static char *align_up(char *p, size_t alignment) { return p + (-(uintptr_t)p & (alignment - 1)); }

/* A block with at least this much room, zeroed; large ones as pages, unless the caller has an allocator. */
static struct spr_arena_block *new_block(const spr_allocator *allocator, size_t room) {
    const size_t bytes = sizeof(struct spr_arena_block) + room;
    const size_t mapped =
        allocator || bytes < SPR_HUGE_PAGE / 2 ? 0 : (bytes + SPR_HUGE_PAGE - 1) / SPR_HUGE_PAGE * SPR_HUGE_PAGE;
    struct spr_arena_block *block = mapped ? spr_pages_map(mapped) : spr_alloc_zeroed(allocator, 1, bytes);
    if (block) {
        block->begin = (char *)(block + 1);
        block->end = (char *)block + (mapped ? mapped : bytes);
        block->mapped = mapped;
    }
    return block;
}

void *spr_arena_alloc(spr_arena *arena, size_t size) {
    size_t alignment = size >= SPR_LINE ? SPR_LINE : 16;
    if (size > PTRDIFF_MAX - 2 * SPR_LINE - sizeof(struct spr_arena_block)) return NULL;
    if (!size) size = 1; /* so that distinct blocks have distinct addresses */
    struct spr_arena_block *block = arena->blocks;
    char *p = block ? align_up(block->begin, alignment) : NULL;
    if (!p || p > block->end || (size_t)(block->end - p) < size) {
        size_t room = arena->bytes < FIRST_BLOCK ? FIRST_BLOCK : arena->bytes;
        if (room > LARGEST_BLOCK) room = LARGEST_BLOCK;
        size_t left = block ? (size_t)(block->end - block->begin) : 0;
        struct spr_arena_block *next = new_block(arena->allocator, size + alignment > room ? size + alignment : room);
        if (!next) return NULL;
        if (left > (size_t)(next->end - next->begin) - size) { /* behind the head, which has more to give */
            next->next = block->next;
            block->next = next;
        } else {
            next->next = block;
            arena->blocks = next;
        }
        block = next;
        p = align_up(block->begin, alignment);
    }
    block->begin = p + size;
    arena->bytes += size;
    return p;
}

void *spr_arena_array(spr_arena *arena, size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : spr_arena_alloc(arena, bytes);
}

char *spr_arena_string(spr_arena *arena, const char *text, size_t length) {
    char *copy = length < PTRDIFF_MAX ? spr_arena_alloc(arena, length + 1) : NULL;
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

void spr_arena_free(spr_arena *arena) {
    for (struct spr_arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        if (block->mapped)
            spr_pages_unmap(block, block->mapped);
        else
            spr_release(arena->allocator, block);
    }
    arena->blocks = NULL;
    arena->bytes = 0;
}
