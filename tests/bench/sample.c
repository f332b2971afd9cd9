/* SPDX-License-Identifier: MIT
 * Figures out of samples. */
#include "sample.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double sample_at(double *values, size_t count, double share) {
    qsort(values, count, sizeof *values, by_size);
    return values[(size_t)((double)(count - 1) * share + 0.5)];
}

double sample_cpu_us(pid_t pid) {
    char path[64];
    char line[1024] = "";
    unsigned long long user = 0;
    unsigned long long system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    bool read = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    const char *after = read ? strrchr(line, ')') : NULL; /* a name may hold anything */
    if (after == NULL ||
        sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2) {
        return -1;
    }
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}
