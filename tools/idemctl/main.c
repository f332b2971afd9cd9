/* SPDX-License-Identifier: MIT
 * idemctl, the operator's command: options that all commands share, and the table of commands. */
#define _GNU_SOURCE /* getopt_long */

#include "live.h"

#include <idem/digest.h>
#include <idem/version.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct ctl_command commands[] = {
    {"bench", "[--seconds N] [--depth N]", "how fast the store is", ctl_bench},
    {"check", "", "check the configuration", ctl_check},
    {"explain", "-t TOPIC [-m PAYLOAD] ...", "how one message is judged, and why",
     ctl_explain},
    {"export", "FILE", "write all records to a file", ctl_export},
    {"exporter", "--mqtt HOST", "the figures of a broker, for Prometheus", ctl_exporter},
    {"forget", "RULE KEY | DIGEST | -t ...", "remove one record", ctl_forget},
    {"import", "FILE", "take over the records of a file", ctl_import},
    {"list", "[--state S] [--limit N]", "the records, one a line", ctl_list},
    {"lookup", "RULE KEY | DIGEST | -t ...", "what is recorded for one key", ctl_lookup},
    {"purge", "[--all]", "remove expired records", ctl_purge},
    {"stats", "[--quick]", "the figures of the store", ctl_stats},
    {"tail", "--mqtt HOST | --http URL", "duplicates and conflicts, as they come",
     ctl_tail},
    {"top", "--mqtt HOST | --http URL", "rates, rules and store, as they are now",
     ctl_top},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void usage(FILE *out) {
    (void)fprintf(out, "usage: idemctl -c CONFIG [--json] COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)fprintf(out, "  %-8s %-28s %s\n", commands[i].name, commands[i].arguments,
                      commands[i].summary);
    }
    (void)fprintf(out,
                  "\n  -c, --config PATH   the configuration file (/etc/idem/idem.yaml)\n"
                  "      --json          print JSON\n"
                  "      --version       print the version\n"
                  "      --help          print this; also after a command\n");
}

static const struct ctl_command *find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Who reads a pipe may have seen enough. Anything else that was not written is an error. */
static enum ctl_exit written(enum ctl_exit result) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return result;
    }
    if (errno != EPIPE && errno != 0) {
        ctl_complain("standard output: %s", strerror(errno));
        return result == CTL_OK ? CTL_REFUSED : result;
    }
    return result;
}

static enum ctl_exit dispatch(const struct ctl *ctl, int argc, char **argv) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (argc == 0) {
        usage(stderr);
        return CTL_USAGE;
    }
    bool exporter = strcmp(argv[0], "export") == 0 && ctl_wants_exporter(argc, argv);
    const struct ctl_command *command = find(exporter ? "exporter" : argv[0]);
    if (command == NULL) {
        ctl_complain("there is no command %s; idemctl --help lists them", argv[0]);
        return CTL_USAGE;
    }
    if (idem_digest_init(&error) != IDEM_OK) {
        ctl_complain("%s", error.text);
        return CTL_STORE;
    }
    return written(command->run(ctl, argc, argv));
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct ctl ctl = {.config_path = "/etc/idem/idem.yaml"};
    int option;
    while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            ctl.config_path = optarg;
            break;
        case 'j':
            ctl.json = true;
            break;
        case 'V':
            (void)printf("idemctl %s\n", IDEM_VERSION);
            return CTL_OK;
        case 'h':
            usage(stdout);
            return CTL_OK;
        default:
            return CTL_USAGE;
        }
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a reader of the store must give its place back */
    int rest = argc - optind;
    char **words = argv + optind;
    optind = 0; /* the command reads its own options from the start */
    return (int)dispatch(&ctl, rest, words);
}
