#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#endif
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t whole_pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

void *spr_pages_map(size_t bytes) {
    if (bytes > PTRDIFF_MAX - 2 * SPR_HUGE_PAGE) return NULL;
    const size_t size = whole_pages(bytes), mapped = size + SPR_HUGE_PAGE;
    char *begin = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) return NULL;
    const size_t before = -(uintptr_t)begin & (SPR_HUGE_PAGE - 1);
    if (before) munmap(begin, before);
    munmap(begin + before + size, mapped - before - size);
    begin += before;
#ifdef MADV_HUGEPAGE
    madvise(begin, size / SPR_HUGE_PAGE * SPR_HUGE_PAGE, MADV_HUGEPAGE); /* advice: all is well where it is not taken */
#endif
    return begin;
}

void spr_pages_unmap(void *pages, size_t bytes) { munmap(pages, whole_pages(bytes)); }
