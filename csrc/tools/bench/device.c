/* What device this is, from Linux' files: kinds of cores, clocks, temperatures. What is not told there is left out. */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench/bench.h"

/* First line of a file, "" where there is none. */
static void read_text(char *text, size_t size, const char *directory, const char *name) {
    char path[1024];
    text[0] = '\0';
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    if (!file) return;
    if (!fgets(text, (int)size, file)) text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    fclose(file);
}

/* 0 where it cannot be read. */
static long read_number(const char *directory, const char *name, int base) {
    char text[64];
    read_text(text, sizeof text, directory, name);
    return (long)strtoull(text, NULL, base);
}

static long read_cpu(const bench_device *device, int cpu, const char *name) {
    char part[96];
    snprintf(part, sizeof part, "devices/system/cpu/cpu%d/%s", cpu, name);
    return read_number(device->sys, part, strstr(name, "midr") ? 16 : 10);
}

/* From Arm's technical reference manuals of the cores: their part numbers. */
static void core_name(char *name, size_t size, unsigned implementer, unsigned part) {
    static const struct { unsigned part; const char *name; } arm[] = {
        {0xc05, "Cortex-A5"}, {0xc07, "Cortex-A7"}, {0xc08, "Cortex-A8"}, {0xc09, "Cortex-A9"},
        {0xc0e, "Cortex-A17"}, {0xc0f, "Cortex-A15"}, {0xd03, "Cortex-A53"}, {0xd04, "Cortex-A35"},
        {0xd05, "Cortex-A55"}, {0xd07, "Cortex-A57"}, {0xd08, "Cortex-A72"}, {0xd09, "Cortex-A73"},
        {0xd0a, "Cortex-A75"}, {0xd0b, "Cortex-A76"}, {0xd0c, "Neoverse N1"}, {0xd0d, "Cortex-A77"},
        {0xd40, "Neoverse V1"}, {0xd41, "Cortex-A78"}, {0xd44, "Cortex-X1"}, {0xd46, "Cortex-A510"},
        {0xd47, "Cortex-A710"}, {0xd48, "Cortex-X2"}, {0xd49, "Neoverse N2"}, {0xd4d, "Cortex-A715"},
        {0xd4e, "Cortex-X3"}, {0xd4f, "Neoverse V2"}, {0xd80, "Cortex-A520"}, {0xd81, "Cortex-A720"},
        {0xd82, "Cortex-X4"},
    };
    for (size_t i = 0; i < sizeof arm / sizeof *arm; i++)
        if (implementer == 0x41 && arm[i].part == part) {
            snprintf(name, size, "%s", arm[i].name);
            return;
        }
    snprintf(name, size, "implementer %02x part %03x", implementer, part);
}

/* Names of the cores as /proc/cpuinfo tells, and the board's where it does. */
static void read_cpuinfo(bench_device *device, char names[BENCH_CPUS][64]) {
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) return;
    long cpu = 0;
    unsigned implementer = 0;
    while (fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (!value) continue;
        value += value[1] == ' ' ? 2 : 1;
        value[strcspn(value, "\n")] = '\0';
        if (strncmp(line, "processor", 9) == 0) cpu = strtol(value, NULL, 10);
        if (cpu < 0 || cpu >= BENCH_CPUS) continue;
        if (strncmp(line, "CPU implementer", 15) == 0) implementer = (unsigned)strtoul(value, NULL, 0);
        if (strncmp(line, "CPU part", 8) == 0)
            core_name(names[cpu], 64, implementer, (unsigned)strtoul(value, NULL, 0));
        if (strncmp(line, "model name", 10) == 0 && !names[cpu][0]) snprintf(names[cpu], 64, "%.63s", value);
        if (strncmp(line, "Hardware", 8) == 0 && !device->model[0])
            snprintf(device->model, sizeof device->model, "%.127s", value);
    }
    fclose(file);
}

static long speed(const bench_cluster *c) { return c->capacity ? c->capacity : c->max_mhz; }

static int by_speed(const void *a, const void *b) {
    const bench_cluster *x = a, *y = b;
    if (speed(x) != speed(y)) return speed(x) < speed(y) ? 1 : -1;
    return (x->cpus > y->cpus) - (x->cpus < y->cpus);
}

static int same_kind(const bench_cluster *a, const bench_cluster *b) {
    return a->capacity == b->capacity && a->max_mhz == b->max_mhz && strcmp(a->core, b->core) == 0;
}

static void read_clusters(bench_device *device) {
    static char names[BENCH_CPUS][64];
    read_cpuinfo(device, names);
    for (int cpu = 0; cpu < BENCH_CPUS; cpu++) {
        if (!(device->usable >> cpu & 1)) continue;
        bench_cluster found = {.capacity = read_cpu(device, cpu, "cpu_capacity"),
                               .max_mhz = read_cpu(device, cpu, "cpufreq/cpuinfo_max_freq") / 1000};
        unsigned long midr = (unsigned long)read_cpu(device, cpu, "regs/identification/midr_el1");
        if (midr) core_name(found.core, sizeof found.core, midr >> 24 & 0xff, midr >> 4 & 0xfff);
        else memcpy(found.core, names[cpu], sizeof found.core);
        int i = 0;
        while (i < device->cluster_count && !same_kind(&device->clusters[i], &found)) i++;
        if (i == BENCH_CLUSTERS) continue;
        if (i == device->cluster_count) device->clusters[device->cluster_count++] = found;
        device->clusters[i].cpus |= (uint64_t)1 << cpu;
    }
    qsort(device->clusters, (size_t)device->cluster_count, sizeof *device->clusters, by_speed);
}

void bench_device_read(bench_device *device, const char *sys) {
    memset(device, 0, sizeof *device);
    device->sys = sys;
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int i = 0; i < BENCH_CPUS; i++)
            if (CPU_ISSET(i, &set)) device->usable |= (uint64_t)1 << i;
#endif
    read_text(device->model, sizeof device->model, "/proc/device-tree", "model");
    read_clusters(device);
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(device->system, sizeof device->system, "%.40s %.60s %.40s", name.sysname, name.release, name.machine);
    spr_cpu_describe(device->features, sizeof device->features);
    device->memory_mb = (long)((double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1048576.0);
}

static uint64_t parse_cpus(const char *text) {
    uint64_t cpus = 0;
    for (const char *p = text;; p++) {
        char *end;
        long first = strtol(p, &end, 10), last = first;
        if (end == p) return 0;
        if (*end == '-') {
            p = end + 1;
            last = strtol(p, &end, 10);
            if (end == p) return 0;
        }
        if (first < 0 || last < first || last >= BENCH_CPUS) return 0;
        for (long cpu = first; cpu <= last; cpu++) cpus |= (uint64_t)1 << cpu;
        if (!*end) return cpus;
        if (*end != '+') return 0;
        p = end;
    }
}

uint64_t bench_cores(const bench_device *device, const char *text) {
    if (strcmp(text, "any") == 0) return 0;
    const bench_cluster *c = device->clusters;
    uint64_t cpus = 0;
    if (strcmp(text, "big") == 0 || strcmp(text, "little") == 0 || strcmp(text, "prime") == 0) {
        if (!device->cluster_count) bench_die("--cores %s: this system does not tell its cores", text);
        const long fastest = speed(&c[0]), slowest = speed(&c[device->cluster_count - 1]);
        for (int i = 0; i < device->cluster_count; i++)
            if (fastest == slowest || (text[0] == 'b' && speed(&c[i]) > slowest) ||
                (text[0] == 'l' && speed(&c[i]) == slowest) || (text[0] == 'p' && speed(&c[i]) == fastest))
                cpus |= c[i].cpus;
        return cpus;
    }
    cpus = parse_cpus(text);
    if (!cpus) bench_die("--cores takes any, big, little, prime, or CPUs as 0-3+6, not '%s'", text);
    if (cpus & ~device->usable) bench_die("--cores %s: this process may not run on all of these CPUs", text);
    return cpus;
}

void bench_pin(const bench_device *device, uint64_t cpus) {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (!cpus) cpus = device->usable;
    for (int i = 0; i < BENCH_CPUS; i++)
        if (cpus >> i & 1) CPU_SET(i, &set);
    if (cpus && sched_setaffinity(0, sizeof set, &set) != 0) bench_die("cannot pin to these CPUs");
#else
    (void)device;
    if (cpus) bench_die("this system cannot pin threads to CPUs");
#endif
}

long bench_mhz(const bench_device *device, uint64_t cpus) {
    long highest = 0;
    for (int cpu = 0; cpu < BENCH_CPUS; cpu++) {
        if (!((cpus ? cpus : device->usable) >> cpu & 1)) continue;
        long mhz = read_cpu(device, cpu, "cpufreq/scaling_cur_freq") / 1000;
        if (mhz > highest) highest = mhz;
    }
    return highest;
}

double bench_celsius(const bench_device *device) {
    char directory[300], type[64], text[64];
    double all = NAN, cpu = NAN;
    snprintf(directory, sizeof directory, "%s/class/thermal", device->sys);
    DIR *dir = opendir(directory);
    if (!dir) return NAN;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "thermal_zone", 12) != 0) continue;
        char zone[600];
        snprintf(zone, sizeof zone, "%s/%.255s", directory, entry->d_name);
        read_text(text, sizeof text, zone, "temp");
        char *end;
        double celsius = (double)strtol(text, &end, 10) / 1000;
        if (end == text || celsius < -40 || celsius > 200) continue; /* zones that are switched off tell nonsense */
        read_text(type, sizeof type, zone, "type");
        if (strcasestr(type, "cpu") || strcasestr(type, "soc") || strcasestr(type, "x86_pkg")) cpu = fmax(cpu, celsius);
        all = fmax(all, celsius);
    }
    closedir(dir);
    return isnan(cpu) ? all : cpu;
}
