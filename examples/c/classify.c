/* Classifies a picture with an .spr model, and says how long that takes.
 *
 *   classify MODEL.spr PICTURE [--size WxH] [--mean R,G,B] [--std R,G,B] [--bgr] [--nhwc] [--labels FILE] [--top N]
 *            [--threads N] [--runs N] [--explain]
 *
 * PICTURE is a PPM file (P6; `convert cat.jpg cat.ppm` makes one) or raw bytes, row by row, RGB: then --size tells its
 * size. It is scaled to the size that the model takes. Channels become (value / 255 - mean) / std, by default the mean
 * and deviation of ImageNet. Only spr.h and the C library are used. */
#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <spr/spr.h>

typedef struct options {
    const char *model, *picture, *labels;
    int width, height; /* of a raw picture */
    float mean[3], std[3];
    int bgr, nhwc, top, threads, runs, explain;
} options;

typedef struct picture {
    int width, height;
    unsigned char *rgb;
} picture;

static void die(const char *what, const char *why) {
    fprintf(stderr, "classify: %s: %s\n", what, why);
    exit(1);
}

static void *get_memory(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) die("memory", "there is not enough");
    return memory;
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- what was asked for ------------------------------------------------------------------------------------------ */

static void parse_three(const char *option, const char *text, float *three) {
    if (sscanf(text, "%f,%f,%f", &three[0], &three[1], &three[2]) != 3)
        die(option, "takes three numbers, as in 0.5,0.5,0.5");
}

static options parse(int argc, char **argv) {
    options o = {.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}, .top = 5, .threads = 1, .runs = 10};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (!strcmp(option, "--bgr")) o.bgr = 1;
        else if (!strcmp(option, "--nhwc")) o.nhwc = 1;
        else if (!strcmp(option, "--explain")) o.explain = 1;
        else if (option[0] != '-' && !o.model) o.model = option;
        else if (option[0] != '-' && !o.picture) o.picture = option;
        else if (option[0] != '-' || i + 1 == argc) die(option, "is one argument too many, or lacks its value");
        else if (!strcmp(option, "--labels")) o.labels = argv[++i];
        else if (!strcmp(option, "--mean")) parse_three(option, argv[++i], o.mean);
        else if (!strcmp(option, "--std")) parse_three(option, argv[++i], o.std);
        else if (!strcmp(option, "--top")) o.top = atoi(argv[++i]);
        else if (!strcmp(option, "--threads")) o.threads = atoi(argv[++i]);
        else if (!strcmp(option, "--runs")) o.runs = atoi(argv[++i]);
        else if (!strcmp(option, "--size")) {
            if (sscanf(argv[++i], "%dx%d", &o.width, &o.height) != 2) die(option, "takes a size, as in 640x480");
        } else die(option, "is not known; the head of classify.c lists the options");
    }
    if (!o.picture) die("usage", "classify MODEL.spr PICTURE [options]; the head of classify.c lists them");
    if (o.runs < 1) die("--runs", "takes a number from 1");
    return o;
}

/* ---- the picture ------------------------------------------------------------------------------------------------- */

/* The next number of a PPM header, behind blanks and comments. */
static int read_number(FILE *file) {
    int c = fgetc(file), number = -1;
    while (c == '#' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        if (c == '#')
            while (c != '\n' && c != EOF) c = fgetc(file);
        else c = fgetc(file);
    }
    for (; c >= '0' && c <= '9' && number < 100000; c = fgetc(file)) number = (number < 0 ? 0 : number * 10) + c - '0';
    return number; /* and the one character behind it is gone */
}

static picture read_picture(const options *o) {
    picture p = {.width = o->width, .height = o->height};
    FILE *file = fopen(o->picture, "rb");
    if (!file) die(o->picture, strerror(errno));
    if (!o->width) {
        if (fgetc(file) != 'P' || fgetc(file) != '6') die(o->picture, "is not a PPM file (P6); raw bytes need --size");
        p.width = read_number(file);
        p.height = read_number(file);
        if (read_number(file) != 255) die(o->picture, "has not 8 bits a channel");
    }
    if (p.width < 1 || p.height < 1 || p.width > 20000 || p.height > 20000) die(o->picture, "has an impossible size");
    size_t bytes = (size_t)p.width * (size_t)p.height * 3;
    p.rgb = get_memory(bytes);
    if (fread(p.rgb, 1, bytes, file) != bytes) die(o->picture, "is too short for its size");
    fclose(file);
    return p;
}

/* One channel of the picture at a point in pixels, between pixels by linear interpolation; beyond the border that of
   the border. */
static float sample(const picture *p, float y, float x, int channel) {
    if (y < 0) y = 0;
    if (x < 0) x = 0;
    if (y > (float)(p->height - 1)) y = (float)(p->height - 1);
    if (x > (float)(p->width - 1)) x = (float)(p->width - 1);
    int y0 = (int)y, x0 = (int)x, y1 = y0 + (y0 + 1 < p->height), x1 = x0 + (x0 + 1 < p->width);
    float fy = y - (float)y0, fx = x - (float)x0;
    const unsigned char *above = p->rgb + (size_t)y0 * (size_t)p->width * 3,
                        *below = p->rgb + (size_t)y1 * (size_t)p->width * 3;
    float top = (float)above[x0 * 3 + channel] * (1 - fx) + (float)above[x1 * 3 + channel] * fx;
    float bottom = (float)below[x0 * 3 + channel] * (1 - fx) + (float)below[x1 * 3 + channel] * fx;
    return top * (1 - fy) + bottom * fy;
}

/* The picture as the model wants it: height x width, float32 normalized or uint8 as it is. */
static void *make_input(const options *o, const picture *p, spr_dtype dtype, int height, int width) {
    size_t pixels = (size_t)height * (size_t)width;
    float *floats = get_memory(pixels * 3 * sizeof(float));
    unsigned char *bytes = (unsigned char *)floats;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                int channel = o->bgr ? 2 - c : c;
                float value = sample(p, ((float)y + 0.5f) * (float)p->height / (float)height - 0.5f,
                                     ((float)x + 0.5f) * (float)p->width / (float)width - 0.5f, channel);
                size_t pixel = (size_t)y * (size_t)width + (size_t)x,
                       at = o->nhwc ? pixel * 3 + (size_t)c : (size_t)c * pixels + pixel;
                if (dtype == SPR_UINT8) bytes[at] = (unsigned char)(value + 0.5f);
                else floats[at] = (value / 255 - o->mean[channel]) / o->std[channel];
            }
    return floats;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* The line `index` of the labels, without its end. */
static const char *label(const char *path, size_t index, char *line, int size) {
    FILE *file = path ? fopen(path, "r") : NULL;
    snprintf(line, (size_t)size, "class %zu", index);
    if (path && !file) die(path, strerror(errno));
    for (size_t i = 0; file && i <= index; i++)
        if (!fgets(line, size, file)) {
            snprintf(line, (size_t)size, "class %zu (not in the labels)", index);
            break;
        }
    if (file) fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

static void print_best(const options *o, const float *scores, size_t count) {
    char line[256];
    unsigned char *taken = get_memory(count);
    memset(taken, 0, count);
    for (int rank = 0; rank < o->top && (size_t)rank < count; rank++) {
        size_t best = count;
        for (size_t i = 0; i < count; i++)
            if (!taken[i] && (best == count || scores[i] > scores[best])) best = i;
        taken[best] = 1;
        printf("%2d. %10.6f  %5zu  %s\n", rank + 1, (double)scores[best], best,
               label(o->labels, best, line, sizeof line));
    }
    free(taken);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    options o = parse(argc, argv);
    spr_error err;
    spr_model *model;
    spr_session *session;
    spr_session_options session_options;
    spr_tensor_info in, out;

    double start = now_ms();
    if (spr_model_open(o.model, NULL, &model, &err)) die(o.model, err.message);
    spr_session_options_init(&session_options);
    session_options.threads = o.threads;
    session_options.profile = o.explain;
    if (spr_session_create(model, &session_options, &session, &err)) die(o.model, err.message);

    /* One picture of three channels; where the model leaves the size free it is that of the picture. */
    picture p = read_picture(&o);
    spr_session_input(session, 0, &in);
    int channels = o.nhwc ? 3 : 1, rows = o.nhwc ? 1 : 2, columns = rows + 1;
    if (spr_model_input_count(model) != 1 || in.rank != 4 || in.dim[channels] != 3 ||
        (in.dtype != SPR_FLOAT32 && in.dtype != SPR_UINT8))
        die(o.model, "does not take one picture of three channels");
    if (in.dim[0] < 0) in.dim[0] = 1;
    if (in.dim[rows] < 0) in.dim[rows] = p.height;
    if (in.dim[columns] < 0) in.dim[columns] = p.width;
    if (in.dim[0] != 1) die(o.model, "takes more than one picture at a time");
    if (spr_session_set_input_shape(session, 0, in.rank, in.dim, &err)) die(o.model, err.message);
    if (spr_session_prepare(session, &err)) die(o.model, err.message);
    double prepared = now_ms();

    void *data = make_input(&o, &p, in.dtype, (int)in.dim[rows], (int)in.dim[columns]);
    if (spr_session_set_input(session, 0, data, spr_tensor_bytes(&in), &err)) die(o.model, err.message);

    double *times = get_memory((size_t)o.runs * sizeof *times);
    for (int run = -1; run < o.runs; run++) { /* the first one warms the caches */
        double before = now_ms();
        if (spr_session_run(session, &err)) die(o.model, err.message);
        if (run >= 0) times[run] = now_ms() - before;
    }
    qsort(times, (size_t)o.runs, sizeof *times, by_value);

    spr_session_output(session, 0, &out);
    if (out.dtype != SPR_FLOAT32) die(o.model, "does not give scores as float32");
    size_t bytes = spr_tensor_bytes(&out);
    float *scores = get_memory(bytes);
    if (spr_session_get_output(session, 0, scores, bytes, &err)) die(o.model, err.message);
    print_best(&o, scores, bytes / sizeof(float));
    printf("ready in %.1f ms; %.3f ms a picture (median of %d, fastest %.3f), %d thread%s\n", prepared - start,
           times[o.runs / 2], o.runs, times[0], o.threads, o.threads == 1 ? "" : "s");

    if (o.explain) {
        size_t length = spr_session_explain(session, NULL, 0);
        char *text = get_memory(length + 1);
        spr_session_explain(session, text, length + 1);
        fputs(text, stdout);
        free(text);
    }
    free(scores);
    free(times);
    free(data);
    free(p.rgb);
    spr_session_free(session);
    spr_model_close(model);
    return 0;
}
