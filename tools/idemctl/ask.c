/* SPDX-License-Identifier: MIT
 * Asking before what cannot be taken back. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool says_yes(const char *answer) {
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

bool ctl_confirm(bool yes, const char *format, ...) {
    char answer[16];
    char question[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(question, sizeof question, format, args);
    va_end(args);
    if (yes) {
        return true;
    }
    if (isatty(STDIN_FILENO) != 1) {
        ctl_complain("this would %s; there is no terminal to ask on: --yes does it",
                     question);
        return false;
    }
    (void)fprintf(stderr, "This will %s. Go on? [y/N] ", question);
    (void)fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL || !says_yes(answer)) {
        ctl_complain("nothing was changed");
        return false;
    }
    return true;
}
