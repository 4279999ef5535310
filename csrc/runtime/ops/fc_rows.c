/* Fully connected layers on a batch of rows: by FC kernels row by row, or as an image whose pixels are the rows, by the
   pointwise kernels. Turning the rows into planes and back takes a cycle or two an element, and makes sparse weights
   pay: a vector then holds a channel of 16 rows, so that a nonzero is one multiply-add for all of them. */
#include <string.h>

#include "runtime/ops/ops.h"
#include "runtime/ops/pointwise.h"

/* An odd number of lines, as spr_strides_planes has it. */
size_t spr_turned_stride(size_t rows) { return ((rows + SPR_PX - 1) / SPR_PX | 1) * SPR_PX; }

size_t spr_pointwise_workspace(const spr_pointwise *pw) { return pw->turned * ((size_t)pw->k + pw->n) * sizeof(float); }

typedef struct fc_job {
    const spr_pointwise *pw;
    const spr_fc_rows *rows;
    size_t channel, image;         /* FC kernels run on one channel at a time */
    const spr_fc_side *side;       /* what is turned from or into planes */
    float *planes;
    uint32_t width; /* channels of the side */
} fc_job;

static float *channel_at(const spr_fc_side *side, size_t channel, size_t image) {
    return side->data ? side->data + channel * side->channel + image * side->image : NULL;
}

static void fc_task(void *arg, int task, int thread) {
    (void)thread;
    const fc_job *job = arg;
    const spr_pointwise *pw = job->pw;
    const spr_fc_rows *rows = job->rows;
    spr_fc_args args = {
        .x = channel_at(&rows->x, job->channel, job->image),
        .y = channel_at(&rows->y, job->channel, job->image),
        .z = channel_at(&rows->z, job->channel, job->image),
        .x_stride = rows->x.row,
        .y_stride = rows->y.row,
        .z_stride = rows->z.row,
        .packed = pw->packed,
        .m = rows->rows,
        .n = pw->n,
        .k = pw->k,
        .row0 = pw->row_bound[task],
        .row1 = pw->row_bound[task + 1],
        .act = pw->act,
        .unary = pw->unary,
    };
    pw->kernel->run.fc(&args);
}

/* ---- rows as planes ---------------------------------------------------------------------------------------------- */

enum { STRIP = 8, BLOCK = 64 }; /* rows that are read side by side; channels until the next rows of a line have their
                                   turn */

static float *row_at(const fc_job *job, const spr_fc_side *side, size_t row) {
    const spr_fc_rows *rows = job->rows;
    size_t channel = row / rows->rows;
    return channel_at(side, channel % rows->channels, channel / rows->channels) + row % rows->rows * side->row;
}

/* Pointers to the rows of a strip, of which those that are missing repeat the first; how many there are. */
static uint32_t strip(const fc_job *job, uint32_t first, float **row) {
    const uint32_t left = first < job->pw->pixels ? job->pw->pixels - first : 0;
    for (uint32_t i = 0; i < STRIP; i++) row[i] = row_at(job, job->side, i < left ? first + i : left ? first : 0);
    return left < STRIP ? left : STRIP;
}

/* The lines [begin, end) of all planes from rows, with zeros where there are no more rows, or back into them. */
SPR_INLINE void turn_lines(const int back, const fc_job *job, int64_t begin, int64_t end) {
    const size_t stride = job->pw->turned;
    for (uint32_t line = (uint32_t)begin * SPR_PX; line < (uint32_t)end * SPR_PX; line += SPR_PX)
        for (uint32_t from = 0; from < job->width; from += BLOCK)
            for (uint32_t px = line; px < line + SPR_PX; px += STRIP) {
                float *row[STRIP];
                const uint32_t rows = strip(job, px, row), to = job->width - from > BLOCK ? from + BLOCK : job->width;
                for (uint32_t c = from; c < to; c++) {
                    float *plane = job->planes + c * stride + px;
                    if (rows == STRIP)
                        for (int r = 0; r < STRIP; r++) *(back ? row[r] + c : plane + r) = back ? plane[r] : row[r][c];
                    else if (back)
                        for (uint32_t r = 0; r < rows; r++) row[r][c] = plane[r];
                    else
                        for (uint32_t r = 0; r < STRIP; r++) plane[r] = r < rows ? row[r][c] : 0;
                }
            }
}

static void into_planes(void *arg, int64_t begin, int64_t end) { turn_lines(0, arg, begin, end); }
static void into_rows(void *arg, int64_t begin, int64_t end) { turn_lines(1, arg, begin, end); }

static void turn(const spr_run_ctx *ctx, fc_job *job, const spr_fc_side *side, uint32_t width, float *planes,
                 spr_range_fn *direction) {
    const int64_t lines = (job->pw->pixels + SPR_PX - 1) / SPR_PX;
    job->side = side;
    job->width = width;
    job->planes = planes;
    spr_parallel_range(ctx, lines, (int64_t)width * job->pw->pixels, direction, job);
}

static void run_turned(const spr_run_ctx *ctx, fc_job *job, float *x) {
    const spr_pointwise *pw = job->pw;
    const spr_fc_rows *rows = job->rows;
    const int64_t stride = (int64_t)pw->turned;
    float *y = x + pw->turned * pw->k;
    spr_view from = {.desc = {.dtype = SPR_FLOAT32, .rank = 4, .dim = {1, pw->k, 1, pw->pixels}},
                     .stride = {stride * pw->k, stride, pw->pixels, 1}, .data = x};
    spr_view to = {.desc = {.dtype = SPR_FLOAT32, .rank = 4, .dim = {1, pw->n, 1, pw->pixels}},
                   .stride = {stride * pw->n, stride, pw->pixels, 1}, .data = y};
    turn(ctx, job, &rows->x, pw->k, x, into_planes);
    if (rows->z.data) turn(ctx, job, &rows->z, pw->n, y, into_planes);
    spr_pointwise_run(ctx, pw, &from, &to, rows->z.data ? &to : NULL);
    turn(ctx, job, &rows->y, pw->n, y, into_rows);
}

void spr_pointwise_run_fc(const spr_run_ctx *ctx, const spr_pointwise *pw, const spr_fc_rows *rows, void *workspace) {
    fc_job job = {.pw = pw, .rows = rows};
    if (pw->turned) {
        run_turned(ctx, &job, workspace);
        return;
    }
    for (job.image = 0; job.image < rows->images; job.image++)
        for (job.channel = 0; job.channel < rows->channels; job.channel++)
            spr_pool_run(ctx->pool, (int)pw->row_groups, fc_task, &job);
}
