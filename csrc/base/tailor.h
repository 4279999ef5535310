/* Which operators and kernels a build has: all, unless SPR_TAILOR is the name of a header (in quotes) that lists those
 * to keep, as tools/tailor.py writes it. What a table does not refer to, the linker leaves out (-ffunction-sections,
 * --gc-sections). */
#ifndef SPR_BASE_TAILOR_H
#define SPR_BASE_TAILOR_H

#ifdef SPR_TAILOR
#include SPR_TAILOR /* lines `#define SPR_KEEP_<name> ~,`: op_<operator>, and the kernels' functions */
#define SPR_SECOND_(first, second, ...) second
#define SPR_SECOND(...) SPR_SECOND_(__VA_ARGS__)
#define SPR_KEPT(name, yes, no) SPR_SECOND(SPR_KEEP_##name yes, no, ~)
#else
#define SPR_KEPT(name, yes, no) yes
#endif

#endif
