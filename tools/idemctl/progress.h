/* SPDX-License-Identifier: MIT
 * The progress of long work: one line on standard error that is drawn again, where that is a terminal. */
#ifndef IDEM_CTL_PROGRESS_H
#define IDEM_CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown; /* standard error is a terminal */
    const char *what;
    uint64_t total; /* 0: not known, so there is neither a bar nor a time left */
    int64_t started_ns;
    int64_t due_ns;
};

void progress_start(struct progress *progress, const char *what, uint64_t total);
/* So much has been done so far. Cheap; draws ten times a second at most. */
void progress_at(struct progress *progress, uint64_t done);
/* Takes the line away again. */
void progress_end(struct progress *progress);

/* The line itself, for the tests as well: at most width characters. */
void progress_line(char *out, int width, const struct progress *progress, uint64_t done,
                   int64_t now_ns);

#endif
