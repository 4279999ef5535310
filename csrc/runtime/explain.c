/* spr_session_explain: what spr_session_layer and _memory tell, as a table for people. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "spr/spr.h"

enum { LAYER, OP, OUTPUT, MMACS, ZEROS, FILL, IN_FILE, PACKED, KERNEL, MS, SHARE, WHY, COLUMNS };
enum { CELL = 192, WIDEST_NAME = 40 };

static const char titles[COLUMNS][8] = {"layer", "op",     "output", "MMACs", "zeros", "2x1",
                                        "file",  "memory", "kernel", "ms",    "share", "why"};
#define LEFT (1 << LAYER | 1 << OP | 1 << OUTPUT | 1 << KERNEL | 1 << WHY)

typedef struct sums {
    double ns, macs;
    size_t file;
    int weighted;
} sums;

/* "-" where there is nothing to tell, as for the rest. */
static void percent(double share, char *cell) {
    if (share >= 0) snprintf(cell, CELL, "%.1f%%", 100 * share);
}

static void shape(const spr_tensor_info *info, char *cell) {
    spr_text text = {cell, CELL, 0};
    for (int i = 0; i < info->rank; i++) spr_text_add(&text, "%s%lld", i ? "x" : "", (long long)info->dim[i]);
    if (info->rank == 0) spr_text_add(&text, "scalar");
}

static void fill_cells(const spr_layer_info *layer, double all_ns, char cell[COLUMNS][CELL]) {
    for (int c = 0; c < COLUMNS; c++) memcpy(cell[c], c == WHY ? "\0" : "-", 2);
    size_t length = strlen(layer->name); /* the end of a long name tells more than its beginning */
    snprintf(cell[LAYER], CELL, "%s%s", length > WIDEST_NAME ? ".." : "",
             layer->name + (length > WIDEST_NAME ? length - WIDEST_NAME + 2 : 0));
    snprintf(cell[OP], CELL, "%s", layer->op);
    shape(&layer->output, cell[OUTPUT]);
    if (layer->macs > 0) snprintf(cell[MMACS], CELL, "%.2f", layer->macs * 1e-6);
    percent(layer->sparsity, cell[ZEROS]);
    percent(layer->sparsity > 0 ? layer->fill_2x1 : -1, cell[FILL]);
    if (layer->weight_bytes) snprintf(cell[IN_FILE], CELL, "%.1fk", (double)layer->weight_bytes * 1e-3);
    if (layer->packed_bytes) snprintf(cell[PACKED], CELL, "%.1fk", (double)layer->packed_bytes * 1e-3);
    if (*layer->kernel) snprintf(cell[KERNEL], CELL, "%s", layer->kernel);
    if (all_ns > 0) {
        snprintf(cell[MS], CELL, "%.3f", (double)layer->ns * 1e-6);
        percent((double)layer->ns / all_ns, cell[SHARE]);
    }
    snprintf(cell[WHY], CELL, "%s", layer->reason);
}

static void add_row(spr_text *text, const int *width, const char *const *cell) {
    for (int c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        if (c == WHY) spr_text_add(text, "%s", cell[c]);
        else if (LEFT >> c & 1) spr_text_add(text, "%-*s  ", width[c], cell[c]);
        else spr_text_add(text, "%*s  ", width[c], cell[c]);
    }
    spr_text_add(text, "\n");
}

static void add_notes(spr_text *text, const spr_session *session, int layers, const sums *sum) {
    spr_memory_info memory = {.struct_size = sizeof memory};
    char cpu[256];
    spr_session_memory(session, &memory);
    spr_cpu_describe(cpu, sizeof cpu);
    spr_text_add(text, "\n%d layers, %d with weights; multiply-adds if dense: %.1f M\n", layers, sum->weighted,
                 sum->macs * 1e-6);
    spr_text_add(text, "memory: weights %.2f MB, activations %.2f MB, scratch %.2f MB; weights in the file %.2f MB\n",
                 (double)memory.weights * 1e-6, (double)memory.activations * 1e-6, (double)memory.scratch * 1e-6,
                 (double)sum->file * 1e-6);
    if (sum->ns > 0) spr_text_add(text, "time of all layers: %.3f ms\n", sum->ns * 1e-6);
    if (*spr_session_tune_note(session)) spr_text_add(text, "autotune: %s\n", spr_session_tune_note(session));
    spr_text_add(text, "cpu: %s\n", cpu);
}

size_t spr_session_explain(const spr_session *session, char *text, size_t size) {
    spr_text out = {text, size, 0};
    spr_layer_info layer = {.struct_size = sizeof layer};
    char cell[COLUMNS][CELL];
    const char *row[COLUMNS];
    int layers = spr_session_layer_count(session), width[COLUMNS] = {0};
    sums sum = {0};
    if (size) text[0] = '\0';
    if (!layers) return 0;
    for (int i = 0; i < layers; i++) {
        spr_session_layer(session, i, &layer);
        sum.ns += (double)layer.ns;
        sum.macs += layer.macs;
        sum.file += layer.weight_bytes;
        sum.weighted += layer.sparsity >= 0;
    }
    for (int i = 0; i < layers; i++) {
        spr_session_layer(session, i, &layer);
        fill_cells(&layer, sum.ns, cell);
        for (int c = 0; c < COLUMNS; c++) {
            int length = (int)strlen(cell[c]);
            if (width[c] < length) width[c] = length;
        }
    }
    for (int c = 0; c < COLUMNS; c++) {
        row[c] = titles[c];
        if (width[c] < (int)strlen(titles[c])) width[c] = (int)strlen(titles[c]);
        if ((c == MS || c == SHARE) && sum.ns <= 0) width[c] = 0;
    }
    add_row(&out, width, row);
    for (int i = 0; i < layers; i++) {
        spr_session_layer(session, i, &layer);
        fill_cells(&layer, sum.ns, cell);
        for (int c = 0; c < COLUMNS; c++) row[c] = cell[c];
        add_row(&out, width, row);
    }
    add_notes(&out, session, layers, &sum);
    return out.length;
}
