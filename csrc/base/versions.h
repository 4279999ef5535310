/* Structs of spr.h that begin with struct_size: the caller's may be older, then it is shorter, or newer and longer. */
#ifndef SPR_BASE_VERSIONS_H
#define SPR_BASE_VERSIONS_H

#include <string.h>

#include "base/error.h"

/* Size of a struct whose last member is `member`: what its first version had. */
#define SPR_SIZE_UP_TO(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Options given by the caller into `options`, which has the defaults. What a newer program sets and we do not know is
   refused. */
SPR_INLINE spr_status spr_options_read(const char *what, void *options, size_t size, size_t least, const void *given,
                                       spr_error *err) {
    if (!given) return SPR_OK;
    size_t given_size;
    memcpy(&given_size, given, sizeof given_size);
    if (given_size < least || given_size > 4096)
        return spr_fail(err, SPR_ERROR_ARGUMENT, "struct_size of the %s options is %zu: call spr_%s_options_init first",
                        what, given_size, what);
    for (size_t i = size; i < given_size; i++)
        if (((const char *)given)[i])
            return spr_fail(err, SPR_ERROR_UNSUPPORTED,
                            "the %s options ask for something that version %s does not have", what, spr_version());
    memcpy(options, given, given_size < size ? given_size : size);
    return SPR_OK;
}

/* As much of `info` as the caller's struct has room for; struct_size stays. */
SPR_INLINE spr_status spr_info_write(void *to, const void *info, size_t size, size_t least) {
    size_t room;
    memcpy(&room, to, sizeof room);
    if (room < least) return SPR_ERROR_ARGUMENT;
    memcpy((char *)to + sizeof room, (const char *)info + sizeof room, (room < size ? room : size) - sizeof room);
    return SPR_OK;
}

#endif
