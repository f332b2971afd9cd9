/* SPDX-License-Identifier: MIT
 * The command line of a command: read in one place, as each says what it takes. */
#define _GNU_SOURCE /* getopt_long */

#include "command.h"

#include <stdio.h>

/* *help: it was asked for, and nothing else counts. False: the line is not right, and that has been said. */
static bool read_line(const struct ctl_line *line, void *arg, int argc, char **argv,
                      bool *help) {
    int option;
    while ((option = getopt_long(argc, argv, line->letters, line->options, NULL)) != -1) {
        if (option == 'h') {
            *help = true;
            return true;
        }
        if (option == '?' || line->take == NULL || !line->take(arg, option, optarg)) {
            return false;
        }
    }
    if (line->settle != NULL) {
        return line->settle(arg, argc - optind, argv + optind);
    }
    if (optind < argc) {
        ctl_complain("%s is no option of %s%s%s", argv[optind], argv[0],
                     line->stray != NULL ? "; " : "",
                     line->stray != NULL ? line->stray : "");
    }
    return optind == argc;
}

static enum ctl_exit run_configured(const struct ctl *ctl, const struct ctl_line *line,
                                    void *arg) {
    struct idem_config config;
    enum ctl_exit result = ctl_load(ctl, &config);
    if (result == CTL_OK) {
        result = line->run(ctl, &config, arg);
    }
    idem_config_fini(&config);
    return result;
}

enum ctl_exit ctl_run(const struct ctl *ctl, const struct ctl_line *line, void *arg,
                      int argc, char **argv) {
    bool help = false;
    if (!read_line(line, arg, argc, argv, &help)) {
        return CTL_USAGE;
    }
    if (help) {
        (void)fputs(line->help, stdout);
        return CTL_OK;
    }
    return line->unconfigured ? line->run(ctl, NULL, arg)
                              : run_configured(ctl, line, arg);
}
