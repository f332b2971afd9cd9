/* SPDX-License-Identifier: MIT
 * Figures out of samples, and the processor time of another process. */
#ifndef IDEM_BENCH_SAMPLE_H
#define IDEM_BENCH_SAMPLE_H

#include <stddef.h>
#include <sys/types.h>

/* Sorts the values; share 0.5 is their median, 0 the least, 1 the greatest. count is at least 1. */
double sample_at(double *values, size_t count, double share);

/* User and system time of a process so far, in microseconds; below zero: it cannot be told. */
double sample_cpu_us(pid_t pid);

#endif
