/* Large zeroed blocks straight from the kernel, on huge pages where it has them: a network's weights and activations
 * are walked in strides of many small pages, which costs misses in the TLB and, as pages lie anywhere, conflicts in
 * L2. */
#ifndef SPR_BASE_PAGES_H
#define SPR_BASE_PAGES_H

#include <stddef.h>

/* From this size on a block is worth a huge page. */
#define SPR_HUGE_PAGE ((size_t)2 << 20)

/* Zeroed memory that takes no room until it is touched; NULL when out of memory. bytes: a multiple of SPR_HUGE_PAGE. */
void *spr_pages_map(size_t bytes);
/* Gives back what spr_pages_map(bytes) returned. */
void spr_pages_unmap(void *pages, size_t bytes);

#endif
