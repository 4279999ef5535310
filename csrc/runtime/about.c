/* What this build and this CPU can do. */
#include <stdio.h>
#include <string.h>

#include "base/versions.h"
#include "kernels/kernel.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *spr_version(void) {
    return TEXT(SPR_VERSION_MAJOR) "." TEXT(SPR_VERSION_MINOR) "." TEXT(SPR_VERSION_PATCH);
}

/* Names of the bits set, comma separated; "ref" if none. */
static void describe_features(uint32_t features, char *text, size_t size) {
    size_t used = 0;
    if (!size) return;
    text[0] = '\0';
    for (uint32_t bit = 1; bit; bit <<= 1) {
        const char *name = features & bit ? spr_isa_name(bit) : NULL;
        if (name && used < size) used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "", name);
    }
    if (!used) snprintf(text, size, "%s", spr_isa_name(SPR_ISA_REF));
}

int spr_kernel_list_count(void) { return (int)spr_kernel_count; }

spr_status spr_kernel_list(int index, spr_kernel_info *info) {
    if (index < 0 || (size_t)index >= spr_kernel_count) return SPR_ERROR_ARGUMENT;
    const spr_kernel *kernel = &spr_kernels[index];
    spr_kernel_info found = {.name = kernel->name,
                             .cls = spr_kernel_class_name(kernel->cls),
                             .runs = spr_kernel_runs(kernel, spr_cpu_features())};
    describe_features(kernel->isa, found.isa, sizeof found.isa);
    return spr_info_write(info, &found, sizeof found, SPR_SIZE_UP_TO(spr_kernel_info, runs));
}

void spr_cpu_describe(char *text, size_t size) { describe_features(spr_cpu_features(), text, size); }
