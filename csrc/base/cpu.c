/* Reads what the CPU can do: cpuid on x86, the kernel's auxiliary vector on ARM. */
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#if SPR_X86_64
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif (SPR_AARCH64 || SPR_ARM32) && defined(__linux__)
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>
#endif

/* A feature, its name, and the features that any kernel for it needs too. */
static const struct {
    uint32_t bit, implies;
    char name[8];
} isas[] = {
    {SPR_ISA_NEON, 0, "neon"},
    {SPR_ISA_DOTPROD, SPR_ISA_NEON, "dotprod"},
    {SPR_ISA_FP16, SPR_ISA_NEON, "fp16"},
    {SPR_ISA_I8MM, SPR_ISA_NEON | SPR_ISA_DOTPROD, "i8mm"},
    {SPR_ISA_INORDER, 0, "inorder"},
    {SPR_ISA_AVX2, 0, "avx2"},
    {SPR_ISA_AVX512, SPR_ISA_AVX2, "avx512"},
    {SPR_ISA_VNNI, SPR_ISA_AVX512 | SPR_ISA_AVX2, "vnni"},
    {SPR_ISA_VBMI, SPR_ISA_AVX512 | SPR_ISA_AVX2, "vbmi"},
    {SPR_ISA_AMX, SPR_ISA_VNNI | SPR_ISA_AVX512 | SPR_ISA_AVX2, "amx"},
};

#if SPR_X86_64

static uint64_t xgetbv0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Asks the system to save the tiles of AMX for the threads of this process, which it does on demand only: they are 8
   KB. */
static int may_use_tiles(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
    return 0;
#endif
}

/* Not __builtin_cpu_supports: that needs a constructor of libgcc to have run. */
static uint32_t detect(void) {
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX2 = 1 << 5, AVX512_VBMI = 1 << 1, AVX512_VNNI = 1 << 11 };
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    const uint32_t amx = 1u << 24 | 1u << 25;                         /* TILE, INT8 */
    uint32_t a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & FMA) || !(c & OSXSAVE)) return 0;
    uint64_t state = xgetbv0(); /* which registers the system saves: bits 1, 2 for ymm; 5, 6, 7 for zmm and masks; 17,
                                     18 for tiles */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2) || (state & 0x6) != 0x6) return 0;
    features = SPR_ISA_AVX2;
    if ((b & avx512) == avx512 && (state & 0xe6) == 0xe6) {
        features |= SPR_ISA_AVX512;
        if (c & AVX512_VNNI) features |= SPR_ISA_VNNI;
        if (c & AVX512_VBMI) features |= SPR_ISA_VBMI;
        if ((c & AVX512_VNNI) && (d & amx) == amx && (state & 0x60000) == 0x60000 && may_use_tiles())
            features |= SPR_ISA_AMX;
    }
    return features;
}

int spr_cpu_is_hybrid(void) {
    enum { HYBRID = 1 << 15 };
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & HYBRID;
}

static void describe(char *text, size_t size) {
    uint32_t brand[13] = {0}, top = __get_cpuid_max(0x80000000u, NULL);
    for (uint32_t leaf = 0, *w = brand; leaf < 3 && top >= 0x80000004u; leaf++, w += 4)
        __get_cpuid(0x80000002u + leaf, &w[0], &w[1], &w[2], &w[3]);
    snprintf(text, size, "%s", (const char *)brand);
}

#elif SPR_AARCH64 && defined(__linux__)

/* Whether a main ID register names a core that issues in order: Cortex-A35, A53, A55, A510, A520. */
static int in_order(uint64_t midr) {
    static const uint16_t parts[] = {0xd04, 0xd03, 0xd05, 0xd46, 0xd80};
    if ((midr >> 24 & 0xff) != 0x41) return 0;
    for (size_t i = 0; i < SPR_COUNTOF(parts); i++)
        if ((midr >> 4 & 0xfff) == parts[i]) return 1;
    return 0;
}

/* Main ID register of a CPU from the system's files; 0: not told; returns 0 where there is no such CPU. */
static int midr_of(int cpu, uint64_t *midr) {
    char text[96];
    snprintf(text, sizeof text, "/sys/devices/system/cpu/cpu%d/regs/identification/midr_el1", cpu);
    int file = open(text, O_RDONLY | O_CLOEXEC);
    *midr = 0;
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    *midr = strtoull(text, NULL, 16);
    return 1;
}

/* That of the CPU that runs this; the kernel traps the instruction and answers it. */
static uint64_t midr_here(void) {
    uint64_t midr = 0;
    if (getauxval(AT_HWCAP) & 1 << 11) __asm__("mrs %0, MIDR_EL1" : "=r"(midr));
    return midr;
}

/* Whether every core that tells what it is issues in order. */
static int all_in_order(void) {
    int known = 0;
    uint64_t midr;
    for (int cpu = 0; midr_of(cpu, &midr); cpu++) {
        if (!midr) continue;
        if (!in_order(midr)) return 0;
        known = 1;
    }
    return known || in_order(midr_here());
}

static void describe(char *text, size_t size) {
    uint64_t seen[8], midr;
    size_t count = 0, used = 0, i;
    for (int cpu = 0; midr_of(cpu, &midr) && count < SPR_COUNTOF(seen); cpu++) {
        for (i = 0; i < count && seen[i] != midr; i++) continue;
        if (midr && i == count) seen[count++] = midr;
    }
    if (!count && (midr = midr_here())) seen[count++] = midr;
    for (i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%smidr %08llx", i ? ", " : "", (unsigned long long)seen[i]);
}

static uint32_t detect(void) {
    enum { FPHP = 1 << 9, ASIMDHP = 1 << 10, ASIMDDP = 1 << 20, I8MM_2 = 1 << 13 };
    unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
    uint32_t features = SPR_ISA_NEON;
    if (caps & ASIMDDP) features |= SPR_ISA_DOTPROD;
    if ((caps & FPHP) && (caps & ASIMDHP)) features |= SPR_ISA_FP16;
    if ((caps2 & I8MM_2) && (caps & ASIMDDP)) features |= SPR_ISA_I8MM;
    if (all_in_order()) features |= SPR_ISA_INORDER;
    return features;
}

#elif SPR_AARCH64

static uint32_t detect(void) { return SPR_ISA_NEON; }
static void describe(char *text, size_t size) { (void)text, (void)size; }

#elif SPR_ARM32 && defined(__linux__)

static uint32_t detect(void) {
    enum { NEON = 1 << 12, VFPV4 = 1 << 16 };
    unsigned long caps = getauxval(AT_HWCAP);
    return (caps & NEON) && (caps & VFPV4) ? SPR_ISA_NEON : 0;
}
static void describe(char *text, size_t size) { (void)text, (void)size; }

#else

static uint32_t detect(void) { return 0; }
static void describe(char *text, size_t size) { (void)text, (void)size; }

#endif

void spr_cpu_name(char *text, size_t size) {
    text[0] = '\0';
    describe(text, size);
    for (char *p = text; *p; p++)
        if (*p < ' ' || *p > '~' || *p == '\'') *p = '?';
}

uint32_t spr_cpu_features(void) {
    uint32_t features = detect(), mask;
    const char *list = getenv("SPR_ISA");
    if (!list || !*list) return features;
    spr_isa_parse(list, &mask);
    return (features & mask) | (features & SPR_ISA_NEON ? mask & SPR_ISA_INORDER : 0);
}

const char *spr_isa_name(uint32_t bit) {
    if (bit == SPR_ISA_REF) return "ref";
    for (size_t i = 0; i < SPR_COUNTOF(isas); i++)
        if (isas[i].bit == bit) return isas[i].name;
    return NULL;
}

int spr_isa_parse(const char *list, uint32_t *mask) {
    int all_known = 1;
    *mask = 0;
    while (*list) {
        size_t length = strcspn(list, ","), i;
        for (i = 0; i < SPR_COUNTOF(isas); i++)
            if (strlen(isas[i].name) == length && memcmp(list, isas[i].name, length) == 0) break;
        if (i < SPR_COUNTOF(isas))
            *mask |= isas[i].bit | isas[i].implies;
        else if (length != 3 || memcmp(list, "ref", 3) != 0)
            all_known = 0;
        list += length + (list[length] == ',');
    }
    return all_known;
}
