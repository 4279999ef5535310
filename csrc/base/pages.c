#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#endif
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

void *spr_pages_map(size_t bytes) {
    if (bytes > PTRDIFF_MAX - SPR_HUGE_PAGE) return NULL;
    const size_t mapped = bytes + SPR_HUGE_PAGE;
    char *begin = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) return NULL;
    const size_t before = -(uintptr_t)begin & (SPR_HUGE_PAGE - 1);
    if (before) munmap(begin, before);
    begin += before;
    munmap(begin + bytes, mapped - before - bytes);
#ifdef MADV_HUGEPAGE
    madvise(begin, bytes, MADV_HUGEPAGE); /* advice: all is well where it is not taken */
#endif
    return begin;
}

void spr_pages_unmap(void *pages, size_t bytes) { munmap(pages, bytes); }
