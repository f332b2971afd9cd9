/* SPDX-License-Identifier: MIT
 * The progress of long work. */
#define _DEFAULT_SOURCE /* the size of a terminal */

#include "progress.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EVERY_NS  INT64_C(100000000)
#define WIDTH_MAX 120
#define BAR_MAX   30
#define SECOND_NS INT64_C(1000000000)

void progress_start(struct progress *progress, const char *what, uint64_t total) {
    int64_t now_ns = idem_clock_monotonic_ns();
    *progress = (struct progress){.shown = isatty(STDERR_FILENO) == 1,
                                  .what = what,
                                  .total = total,
                                  .started_ns = now_ns,
                                  .due_ns = now_ns};
    progress_at(progress, 0);
}

static void add_bar(char *out, size_t size, uint64_t done, uint64_t total) {
    char bar[BAR_MAX + 1];
    size_t full = (size_t)((double)done / (double)total * BAR_MAX);
    full = full > BAR_MAX ? BAR_MAX : full;
    memset(bar, '.', BAR_MAX);
    memset(bar, '#', full);
    bar[BAR_MAX] = '\0';
    (void)snprintf(out, size, " [%s] %3.0f %%", bar,
                   done >= total ? 100.0 : 100.0 * (double)done / (double)total);
}

static void add_time_left(char *out, size_t size, uint64_t left, double rate) {
    double seconds = rate > 0 ? (double)left / rate : 0;
    if (rate > 0 && seconds < 360000) {
        (void)snprintf(out, size, ", %d:%02d left", (int)seconds / 60, (int)seconds % 60);
    }
}

void progress_line(char *out, int width, const struct progress *progress, uint64_t done,
                   int64_t now_ns) {
    char bar[BAR_MAX + 16] = "";
    char left[32] = "";
    char line[256];
    uint64_t total = progress->total;
    double seconds = (double)(now_ns - progress->started_ns) / (double)SECOND_NS;
    double rate = seconds > 0.05 ? (double)done / seconds : 0;
    if (total > 0) {
        add_bar(bar, sizeof bar, done, total);
        add_time_left(left, sizeof left, done < total ? total - done : 0, rate);
    }
    (void)snprintf(line, sizeof line, "%s%s  %" PRIu64 ", %.0f/s%s", progress->what, bar,
                   done, rate, left);
    (void)snprintf(out, (size_t)width + 1, "%s", line);
}

static int terminal_width(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) {
        return 79;
    }
    return size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col - 1;
}

void progress_at(struct progress *progress, uint64_t done) {
    char line[WIDTH_MAX + 1];
    if (!progress->shown) {
        return;
    }
    int64_t now_ns = idem_clock_monotonic_ns();
    if (now_ns < progress->due_ns) {
        return;
    }
    progress->due_ns = now_ns + EVERY_NS;
    progress_line(line, terminal_width(), progress, done, now_ns);
    (void)fprintf(stderr, "\r\x1b[K%s", line);
    (void)fflush(stderr);
}

void progress_end(struct progress *progress) {
    if (progress->shown) {
        (void)fputs("\r\x1b[K", stderr);
        (void)fflush(stderr);
        progress->shown = false;
    }
}
