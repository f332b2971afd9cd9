/* SPDX-License-Identifier: MIT
 * How the broker is run so that valgrind or the sanitizers see what the plugin does in it. */
#ifndef TESTS_INSTRUMENT_H
#define TESTS_INSTRUMENT_H

#include "testing.h"

#define INSTRUMENT_WORDS_MAX 16
#define INSTRUMENT_STATUS    99 /* the exit status of a broker in which an error was found */

struct instrument {
    const char *argv[INSTRUMENT_WORDS_MAX];        /* ends in NULL */
    const char *environment[INSTRUMENT_WORDS_MAX]; /* NAME, VALUE, ..., NULL */
    char runtime[512];                             /* what environment may point to */
    char conf[512];                                /* what argv points to */
    char suppressions[512];
};

/* The command line for `program -c DIR/mosquitto.conf`, under IDEM_VALGRIND=1 inside valgrind, in a sanitizer build
 * with the run-time library loaded first. Borrows its arguments. */
void instrument_broker(struct instrument *instrument, const char *program,
                       const char *dir);

#endif
