/* Shapes that are what is found: NonZero, NonMaxSuppression. */
#include <string.h>

#include "graph/infer.h"

int spr_is_zero(const void *data, spr_dtype dtype, int64_t i) {
    size_t size = spr_dtype_size(dtype);
    const unsigned char *bytes = (const unsigned char *)data + (size_t)i * size;
    int floats = dtype == SPR_FLOAT32 || dtype == SPR_FLOAT64 || dtype == SPR_FLOAT16;
    for (size_t k = 0; k < size; k++) /* the sign is in the last byte */
        if (floats && k + 1 == size ? bytes[k] & 0x7f : bytes[k]) return 0;
    return 1;
}

spr_status spr_infer_non_zero(spr_infer *c) {
    const spr_desc *x = &c->in[0].desc;
    int64_t count = spr_desc_count(x), found = 0;
    spr_status status = spr_infer_contents(c, 0);
    for (int64_t i = 0; i < count && !status; i++) found += !spr_is_zero(c->in[0].data, x->dtype, i);
    c->out[0].rank = 2;
    c->out[0].dim[0] = x->rank;
    c->out[0].dim[1] = found;
    return status;
}

/* ---- NonMaxSuppression ------------------------------------------------------------------------------------------- */

typedef struct candidate {
    float score;
    int64_t box;
} candidate;

typedef struct corners {
    float x0, y0, x1, y1;
} corners;

static corners corners_of(const float *box, int centered) {
    if (centered)
        return (corners){box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2};
    corners c = {box[1], box[0], box[3], box[2]};
    if (box[1] > box[3]) c.x0 = box[3], c.x1 = box[1];
    if (box[0] > box[2]) c.y0 = box[2], c.y1 = box[0];
    return c;
}

/* Whether two boxes share more than a part of what they cover together. */
static int overlap(const float *a, const float *b, int centered, float threshold) {
    corners p = corners_of(a, centered), q = corners_of(b, centered);
    float width = (p.x1 < q.x1 ? p.x1 : q.x1) - (p.x0 > q.x0 ? p.x0 : q.x0);
    float height = (p.y1 < q.y1 ? p.y1 : q.y1) - (p.y0 > q.y0 ? p.y0 : q.y0);
    float shared = width * height, area = (p.x1 - p.x0) * (p.y1 - p.y0), other = (q.x1 - q.x0) * (q.y1 - q.y0);
    if (!(width > 0 && height > 0 && area > 0 && other > 0)) return 0;
    return shared / (area + other - shared) > threshold;
}

static int comes_first(candidate a, candidate b) { return a.score > b.score || (a.score == b.score && a.box < b.box); }

static void sift_down(candidate *heap, int64_t root, int64_t count) {
    candidate moved = heap[root];
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && comes_first(heap[child], heap[child + 1])) child++;
        if (!comes_first(moved, heap[child])) break;
        heap[root] = heap[child];
    }
    heap[root] = moved;
}

/* Sorts best first, by heap sort: whatever the scores are, it takes n log n steps. */
static void sort(candidate *c, int64_t count) {
    for (int64_t i = count / 2; i-- > 0;) sift_down(c, i, count);
    for (int64_t left = count; left-- > 1;) {
        candidate last = c[0];
        c[0] = c[left];
        c[left] = last;
        sift_down(c, 0, left);
    }
}

int64_t spr_nms(const spr_desc *boxes, const spr_desc *scores, const void *const in[5], int centered, int64_t *out,
                void *room) {
    int64_t count = boxes->dim[1], classes = scores->dim[1], selected = 0, most = 0;
    float threshold = in[3] ? *(const float *)in[3] : 0;
    if (in[2]) memcpy(&most, in[2], sizeof(most));
    for (int64_t set = 0; set < boxes->dim[0] * classes && most > 0; set++) {
        const float *score = (const float *)in[1] + set * count,
                    *box = (const float *)in[0] + set / classes * count * 4;
        candidate *c = room;
        int64_t n = 0, kept = 0;
        for (int64_t i = 0; i < count; i++)
            if (!in[4] || score[i] > *(const float *)in[4]) c[n++] = (candidate){score[i], i};
        sort(c, n);
        for (int64_t i = 0; i < n && kept < most; i++) { /* those selected move to the front */
            int free = 1;
            for (int64_t k = 0; k < kept && free; k++)
                free = !overlap(box + c[i].box * 4, box + c[k].box * 4, centered, threshold);
            if (!free) continue;
            c[kept++] = c[i];
            if (out) {
                int64_t *row = out + 3 * selected;
                row[0] = set / classes;
                row[1] = set % classes;
                row[2] = c[i].box;
            }
            selected++;
        }
    }
    return selected;
}

spr_status spr_infer_nms(spr_infer *c) {
    static const unsigned types[] = {SPR_TYPES_FLOAT32, SPR_TYPES_FLOAT32, SPR_TYPE_BIT(SPR_INT64), SPR_TYPES_FLOAT32,
                                     SPR_TYPES_FLOAT32};
    const spr_desc *boxes = &c->in[0].desc, *scores = &c->in[1].desc;
    const void *in[5] = {NULL};
    spr_status status = spr_infer_rank(c, 0, 3, 3);
    if (!status) status = spr_infer_rank(c, 1, 3, 3);
    for (int i = 0; i < 5 && !status; i++) {
        if (!spr_infer_has(c, i)) continue;
        status = spr_infer_type(c, i, types[i]);
        if (!status && i > 1 && spr_desc_count(&c->in[i].desc) != 1)
            status = spr_infer_fail(c, SPR_ERROR_SHAPE, "%s should be one number", SPR_TEXT(c, i));
        if (!status) status = spr_infer_contents(c, i);
        in[i] = c->in[i].data;
    }
    if (status) return status;
    if (boxes->dim[2] != 4 || boxes->dim[0] != scores->dim[0] || boxes->dim[1] != scores->dim[2])
        return spr_infer_fail(c, SPR_ERROR_SHAPE, "boxes %s and scores %s should have the shapes [n, boxes, 4] and "
                              "[n, classes, boxes]", SPR_TEXT(c, 0), SPR_TEXT(c, 1));
    const spr_allocator *allocator = c->graph->arena.allocator;
    void *room = spr_alloc(allocator, SPR_NMS_ROOM(boxes->dim[1]));
    if (!room) return spr_fail_memory(c->err, "boxes", SPR_NMS_ROOM(boxes->dim[1]));
    c->out[0].rank = 2;
    c->out[0].dim[0] =
        spr_nms(boxes, scores, in, (int)SPR_INFER_ATTR(c, NonMaxSuppression, center_point_box)->i, NULL, room);
    c->out[0].dim[1] = 3;
    spr_release(allocator, room);
    return SPR_OK;
}
