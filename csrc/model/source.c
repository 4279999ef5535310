#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"

/* Maps [offset, offset + length) of a file; length > 0 lies within it. */
static spr_status map(int fd, int64_t offset, size_t length, const char *what, spr_source *source, spr_error *err) {
    size_t before = (size_t)(offset % sysconf(_SC_PAGESIZE)); /* mappings start at pages */
    if (length > SIZE_MAX - before || (off_t)offset != offset)
        return spr_fail(err, SPR_ERROR_IO, "cannot map %s: too large for this system", what);
    void *p = mmap(NULL, length + before, PROT_READ, MAP_PRIVATE, fd, (off_t)(offset - (int64_t)before));
    if (p == MAP_FAILED) return spr_fail(err, SPR_ERROR_IO, "cannot map %s: %s", what, strerror(errno));
    source->map = p;
    source->map_size = length + before;
    source->data = (const char *)p + before;
    source->size = length;
    return SPR_OK;
}

static spr_status check_file(int fd, const char *what, int64_t *size, spr_error *err) {
    struct stat info;
    if (fstat(fd, &info)) return spr_fail(err, SPR_ERROR_IO, "cannot read %s: %s", what, strerror(errno));
    if (S_ISDIR(info.st_mode)) return spr_fail(err, SPR_ERROR_IO, "cannot read %s: %s", what, strerror(EISDIR));
    if (!S_ISREG(info.st_mode))
        return spr_fail(err, SPR_ERROR_IO, "cannot map %s: it is not a regular file; read it and open it from memory",
                        what);
    *size = info.st_size;
    return SPR_OK;
}

spr_status spr_source_open(const char *path, spr_source *source, spr_error *err) {
    char what[600];
    size_t length = strlen(path);
    /* the end of a long path tells more than its beginning */
    snprintf(what, sizeof what, length < 500 ? "'%s'" : "'...%s'", length < 500 ? path : path + length - 500);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return spr_fail(err, SPR_ERROR_IO, "cannot open %s: %s", what, strerror(errno));
    int64_t size = 0;
    spr_status status = check_file(fd, what, &size, err);
    if (!status && size == 0) status = spr_fail(err, SPR_ERROR_FORMAT, "%s is not a model: it is empty", what);
    if (!status && (uint64_t)size > SIZE_MAX)
        status = spr_fail(err, SPR_ERROR_IO, "%s is too large for this system", what);
    if (!status) status = map(fd, 0, (size_t)size, what, source, err);
    close(fd);
    return status;
}

spr_status spr_source_open_fd(int fd, int64_t offset, size_t length, spr_source *source, spr_error *err) {
    const char *what = "the file descriptor";
    int64_t size = 0;
    spr_status status = check_file(fd, what, &size, err);
    if (status) return status;
    /* Reading a mapping behind the end of its file would kill the process. */
    if (offset < 0 || offset > size || length > (uint64_t)(size - offset))
        return spr_fail(err, SPR_ERROR_ARGUMENT,
                        "%zu bytes from offset %lld do not lie within the file, which has %lld", length,
                        (long long)offset, (long long)size);
    if (length == 0) return spr_fail(err, SPR_ERROR_FORMAT, "0 bytes are not a model");
    status = map(fd, offset, length, what, source, err);
    if (status || offset % 4 == 0) return status;
    source->copy = spr_alloc(source->allocator, length);
    if (source->copy) source->data = memcpy(source->copy, source->data, length);
    munmap(source->map, source->map_size);
    source->map = NULL;
    return source->copy ? SPR_OK : spr_fail_memory(err, "a model", length);
}

void spr_source_close(spr_source *source) {
    if (source->map) munmap(source->map, source->map_size);
    spr_release(source->allocator, source->copy);
    memset(source, 0, sizeof(*source));
}
