/* Tensors in memory: strides and copies. */
#include <string.h>

#include "runtime/exec.h"

/* Copies below this many bytes are not worth waking the pool for. */
#define PARALLEL_BYTES (64 * 1024)

void spr_strides_contiguous(const spr_desc *desc, int64_t *stride) {
    int64_t step = 1;
    for (int i = desc->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= desc->dim[i] > 0 ? desc->dim[i] : 1;
    }
}

void spr_strides_planes(const spr_desc *desc, int64_t *stride) {
    spr_strides_contiguous(desc, stride);
    if (desc->rank != 4) return;
    if (desc->dtype == SPR_QUANTIZED) {
        size_t pixels = (size_t)(desc->dim[2] * desc->dim[3]);
        if (pixels > 1) pixels = (spr_round_up(pixels, SPR_PX) / SPR_PX | 1) * SPR_PX;
        stride[3] = SPR_Q8_GROUP;
        stride[2] = SPR_Q8_GROUP * desc->dim[3];
        stride[1] = (int64_t)pixels;
        stride[0] = (int64_t)(pixels * spr_round_up((size_t)desc->dim[1], SPR_Q8_GROUP));
        return;
    }
    /* An odd number of lines between planes: power-of-two strides would map all channels to a few cache sets. */
    size_t hw = (size_t)(desc->dim[2] * desc->dim[3]), size = spr_dtype_size(desc->dtype);
    if (hw > 1) {
        size_t lines = spr_round_up(hw * size, SPR_LINE) / SPR_LINE;
        lines += lines % 2 == 0 && lines > 1;
        stride[1] = (int64_t)(lines * SPR_LINE / size);
    }
    stride[0] = stride[1] * (desc->dim[1] > 0 ? desc->dim[1] : 1);
}

int spr_view_is_contiguous(const spr_view *view) {
    int64_t stride[SPR_MAX_RANK];
    spr_strides_contiguous(&view->desc, stride);
    for (int i = 0; i < view->desc.rank; i++)
        if (view->desc.dim[i] > 1 && view->stride[i] != stride[i]) return 0;
    return 1;
}

void spr_view_zero_padding(const spr_view *view) {
    if (view->desc.rank != 4 || view->desc.dtype == SPR_QUANTIZED) return; /* of those, padding may hold anything */
    if (spr_view_strips(view)) return; /* ordinary numbers are enough, and these lie in other cores' caches */
    size_t hw = (size_t)(view->desc.dim[2] * view->desc.dim[3]), size = spr_dtype_size(view->desc.dtype);
    if (hw <= 1) return;
    size_t lanes = spr_round_up(hw * size, SPR_LINE) / size;
    if ((size_t)view->stride[1] < lanes) return; /* contiguous: there are none */
    for (int64_t n = 0; n < view->desc.dim[0]; n++)
        for (int64_t c = 0; c < view->desc.dim[1]; c++) {
            char *plane = (char *)view->data + (size_t)(n * view->stride[0] + c * view->stride[1]) * size;
            memset(plane + hw * size, 0, (lanes - hw) * size);
        }
}

typedef struct copy_loop {
    int64_t dim, src_stride, dst_stride;
} copy_loop;

/* A copy as nested loops over at most SPR_MAX_RANK dimensions, innermost last. */
typedef struct copy_job {
    int rank;
    copy_loop loop[SPR_MAX_RANK];
    const char *src;
    char *dst;
    size_t size;
    int64_t outer, per_task; /* iterations of all dimensions but the last, and of them per task */
} copy_job;

#define COPY_RUN(type)                                                                            \
    do {                                                                                          \
        type *d = (type *)dst;                                                                    \
        const type *s = (const type *)src;                                                        \
        for (int64_t i = 0; i < n; i++) d[i * dst_step] = s[i * src_step];                        \
    } while (0)

typedef uint32_t four __attribute__((vector_size(16)));
#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (four){__VA_ARGS__})
#endif

SPR_INLINE four load_four(const uint32_t *at) {
    four v;
    memcpy(&v, at, sizeof v);
    return v;
}

SPR_INLINE void store_four(uint32_t *at, four v) { memcpy(at, &v, sizeof v); }

static void copy_every_other(uint32_t *restrict dst, const uint32_t *restrict src, int64_t n) {
    int64_t i = 0;
    for (; i + 4 < n; i += 4) /* not the last one: nothing may lie behind it */
        store_four(dst + i, PICK(load_four(src + 2 * i), load_four(src + 2 * i + 4), 0, 2, 4, 6));
    for (; i < n; i++) dst[i] = src[2 * i];
}

/* Elements of two lines in turn. */
static void copy_zipped(uint32_t *restrict dst, const uint32_t *restrict a, const uint32_t *restrict b, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const four x = load_four(a + i), y = load_four(b + i);
        store_four(dst + 2 * i, PICK(x, y, 0, 4, 1, 5));
        store_four(dst + 2 * i + 4, PICK(x, y, 2, 6, 3, 7));
    }
    for (; i < n; i++) {
        dst[2 * i] = a[i];
        dst[2 * i + 1] = b[i];
    }
}

/* Pixels of three channels to lines of their own. */
static void copy_colours(uint32_t *restrict dst, int64_t dst_row, const uint32_t *restrict src, int64_t n) {
    uint32_t *restrict green = dst + dst_row, *restrict blue = green + dst_row;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4, src += 12) {
        const four a = load_four(src), b = load_four(src + 4), c = load_four(src + 8);
        store_four(dst + i, PICK(PICK(a, b, 0, 3, 6, 0), c, 0, 1, 2, 5));
        store_four(green + i, PICK(PICK(a, b, 1, 4, 7, 0), c, 0, 1, 2, 6));
        store_four(blue + i, PICK(PICK(a, b, 2, 5, 0, 0), c, 0, 1, 4, 7));
    }
    for (; i < n; i++, src += 3) {
        dst[i] = src[0];
        green[i] = src[1];
        blue[i] = src[2];
    }
}

static void copy_run(char *dst, int64_t dst_step, const char *src, int64_t src_step, int64_t n, size_t size) {
    if (dst_step == 1 && src_step == 1) {
        memcpy(dst, src, (size_t)n * size);
        return;
    }
    if (size == 4 && dst_step == 1 && src_step == 2) {
        copy_every_other((uint32_t *)(void *)dst, (const uint32_t *)(const void *)src, n);
        return;
    }
    switch (size) {
    case 1: COPY_RUN(uint8_t); break;
    case 2: COPY_RUN(uint16_t); break;
    case 4: COPY_RUN(uint32_t); break;
    default: /* 8 bytes, possibly aligned to 4 only */
        for (int64_t i = 0; i < n; i++) memcpy(dst + i * dst_step * 8, src + i * src_step * 8, 8);
    }
}

/* Four rows of a transposed matrix of 4 byte elements: neighbours in src lie dst_row apart in dst, and the other way
   round. Four by four, without a loop inside, which -Os would keep, and its arrays in memory. */
static void copy_turned(uint32_t *restrict dst, int64_t dst_row, const uint32_t *restrict src, int64_t src_row,
                        int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const uint32_t *from = src + i * src_row;
        const four x0 = load_four(from), x1 = load_four(from + src_row);
        const four x2 = load_four(from + 2 * src_row), x3 = load_four(from + 3 * src_row);
        const four a = PICK(x0, x2, 0, 4, 1, 5), b = PICK(x1, x3, 0, 4, 1, 5);
        const four c = PICK(x0, x2, 2, 6, 3, 7), d = PICK(x1, x3, 2, 6, 3, 7);
        store_four(dst + i, PICK(a, b, 0, 4, 1, 5));
        store_four(dst + dst_row + i, PICK(a, b, 2, 6, 3, 7));
        store_four(dst + 2 * dst_row + i, PICK(c, d, 0, 4, 1, 5));
        store_four(dst + 3 * dst_row + i, PICK(c, d, 2, 6, 3, 7));
    }
    for (; i < n; i++)
        for (int k = 0; k < 4; k++) dst[k * dst_row + i] = src[i * src_row + k];
}

static void copy_task(void *arg, int task, int thread) {
    (void)thread;
    const copy_job *job = arg;
    const int inner = job->rank - 1;
    const copy_loop line = job->loop[inner], across = inner > 0 ? job->loop[inner - 1] : (copy_loop){0, 0, 0};
    const int turned = job->size == 4 && line.dst_stride == 1 && line.src_stride != 1 && across.src_stride == 1;
    const int zipped = turned && line.dim == 2 && across.dst_stride == 2;
    int64_t first = task * job->per_task, last = first + job->per_task;
    if (last > job->outer) last = job->outer;
    int64_t index[SPR_MAX_RANK], rest = first, src = 0, dst = 0;
    for (int i = inner - 1; i >= 0; i--) {
        const copy_loop *loop = &job->loop[i];
        index[i] = rest % loop->dim;
        rest /= loop->dim;
        src += index[i] * loop->src_stride;
        dst += index[i] * loop->dst_stride;
    }
    for (int64_t n = first, rows; n < last; n += rows) {
        char *to = job->dst + dst * (int64_t)job->size;
        const char *from = job->src + src * (int64_t)job->size;
        uint32_t *to4 = (uint32_t *)(void *)to;
        const uint32_t *from4 = (const uint32_t *)(const void *)from;
        rows = turned ? across.dim - index[inner - 1] : 1;
        if (rows > last - n) rows = last - n;
        if (!zipped && !(rows == 3 && line.src_stride == 3)) rows = rows >= 4 ? 4 : 1;
        if (zipped)
            copy_zipped(to4, from4, from4 + line.src_stride, rows);
        else if (rows == 3)
            copy_colours(to4, across.dst_stride, from4, line.dim);
        else if (rows == 4)
            copy_turned(to4, across.dst_stride, from4, line.src_stride, line.dim);
        else
            copy_run(to, line.dst_stride, from, line.src_stride, line.dim, job->size);
        int64_t step = rows;
        for (int i = inner - 1; i >= 0; i--, step = 1) {
            const copy_loop *loop = &job->loop[i];
            src += step * loop->src_stride;
            dst += step * loop->dst_stride;
            if ((index[i] += step) < loop->dim) break;
            src -= loop->src_stride * loop->dim;
            dst -= loop->dst_stride * loop->dim;
            index[i] = 0;
        }
    }
}

void spr_view_copy_elements(const spr_run_ctx *ctx, const spr_view *src, const spr_view *dst) {
    copy_job job = {.src = src->data, .dst = dst->data, .size = spr_dtype_size(dst->desc.dtype)};
    int64_t count = 1;
    for (int i = 0; i < dst->desc.rank; i++) {
        const copy_loop loop = {dst->desc.dim[i], src->stride[i], dst->stride[i]};
        copy_loop *before = &job.loop[job.rank ? job.rank - 1 : 0];
        count *= loop.dim;
        if (loop.dim == 1) continue;
        /* dimensions that lie behind each other in both are one */
        if (job.rank && before->src_stride == loop.src_stride * loop.dim &&
            before->dst_stride == loop.dst_stride * loop.dim)
            *before = (copy_loop){before->dim * loop.dim, loop.src_stride, loop.dst_stride};
        else
            job.loop[job.rank++] = loop;
    }
    if (count == 0) return;
    if (job.rank == 0) job.loop[job.rank++] = (copy_loop){1, 1, 1};
    job.outer = count / job.loop[job.rank - 1].dim;
    for (int i = 0; i + 2 < job.rank; i++) { /* outer loops are as good in any order */
        const copy_loop found = job.loop[i];
        if (found.src_stride != 1) continue;
        job.loop[i] = job.loop[job.rank - 2];
        job.loop[job.rank - 2] = found;
    }
#if SPR_STRIPS
    if (ctx && ctx->lanes) { /* the outermost loop is that over the strips */
        job.per_task = job.outer / ctx->lanes;
        copy_task(&job, ctx->lane, ctx->thread);
        return;
    }
#endif
    int threads = ctx ? spr_pool_threads(ctx->pool) : 1;
    const int worth = count * (int64_t)job.size >= PARALLEL_BYTES || spr_view_strips(dst);
    int64_t tasks = threads == 1 || !worth ? 1 : 4 * threads;
    job.per_task = (job.outer + tasks - 1) / tasks;
    tasks = (job.outer + job.per_task - 1) / job.per_task;
    if (tasks == 1)
        copy_task(&job, 0, 0);
    else
        spr_pool_run(ctx->pool, (int)tasks, copy_task, &job);
}

void spr_view_copy(const spr_run_ctx *ctx, const spr_view *src, const spr_view *dst) {
    if (src->data == dst->data) return; /* placed there by the plan */
    spr_view_copy_elements(ctx, src, dst);
    spr_view_zero_padding(dst);
}
