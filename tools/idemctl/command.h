/* SPDX-License-Identifier: MIT
 * What the commands of idemctl share: their table, their exit codes, and how they print and ask. */
#ifndef IDEM_CTL_COMMAND_H
#define IDEM_CTL_COMMAND_H

#include <idem/config.h>

#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>

/* Documented in docs/reference/idemctl.md; scripts rely on them. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_REFUSED = 1, /* the configuration, a file, or what was asked for, is not right */
    CTL_USAGE = 2,   /* the command line is not right */
    CTL_STORE = 3,   /* the store could not be read or written */
    CTL_NOT_FOUND = 4, /* nothing is recorded for the key */
    CTL_BUSY = 5,      /* a running program holds the embedded store */
    CTL_DECLINED = 6,  /* the answer to the question was no, or nobody could be asked */
    CTL_SILENT = 7, /* a running program that was named did not answer, or refused to */
};

struct ctl {
    const char *config_path;
    bool json;
};

struct ctl_command {
    const char *name;
    const char *arguments;
    const char *summary;
    /* argv[0] is the command's name. */
    enum ctl_exit (*run)(const struct ctl *ctl, int argc, char **argv);
};

enum ctl_exit ctl_bench(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_check(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_explain(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_export(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_forget(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_import(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_list(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_lookup(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_purge(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_stats(const struct ctl *ctl, int argc, char **argv);

/* What runs once the command line has been read. */
typedef enum ctl_exit ctl_task(const struct ctl *ctl, const struct idem_config *config,
                               void *arg);

/* The options of a command, and what it does. */
struct ctl_line {
    const char *help;             /* what --help prints */
    const char *letters;          /* of its options, as getopt wants them, with h */
    const struct option *options; /* ended by CTL_OPTIONS_END */
    /* Takes one of them; false: its value is not right, and that has been said. NULL: there are none. */
    bool (*take)(void *arg, int option, const char *value);
    /* All have been taken, and these words are left over; false: not right, and said. NULL: there may be none;
     * stray, or NULL, is what is said to one besides. */
    bool (*settle)(void *arg, int count, char **words);
    const char *stray;
    bool unconfigured; /* it needs no configuration: run gets NULL */
    ctl_task *run;
};
#define CTL_OPTIONS_END                                                                  \
    {"help", no_argument, NULL, 'h'}, {                                                  \
        NULL, 0, NULL, 0                                                                 \
    }

/* Reads the line, loads the configuration and runs the command; or prints its help. argv[0] is its name. */
enum ctl_exit ctl_run(const struct ctl *ctl, const struct ctl_line *line, void *arg,
                      int argc, char **argv);

/* Loads the configuration, warnings to standard error; prints why where it is refused. The caller calls
 * idem_config_fini in any case. */
enum ctl_exit ctl_load(const struct ctl *ctl, struct idem_config *config);

/* "idemctl: TEXT" on standard error. */
void ctl_complain(const char *format, ...) IDEM_PRINTF(1, 2);

/* Prints the members of object: as JSON, or one "name  value" line each. Takes over object. */
void ctl_print(const struct ctl *ctl, struct json_object *object);
/* On one line, whatever ctl says: for lists of records. Takes over object. False: nobody reads any more, or
 * it could not be written, which main tells. */
bool ctl_print_json_line(struct json_object *object);

/* Members of a report. */
void ctl_add(struct json_object *report, const char *name, const char *value);
void ctl_add_count(struct json_object *report, const char *name, uint64_t value);
/* 2026-11-30T09:00:00Z. */
void ctl_add_time(struct json_object *report, const char *name, int64_t ms);
/* With the unit that people read it in: 250 ms, 30 s, 5 m 10 s, 71 h 59 m; "over" and how long ago. */
void ctl_add_left(struct json_object *report, const char *name, int64_t ms);

/* The same as texts. */
#define CTL_TIME_SIZE 32
void ctl_time_text(char out[CTL_TIME_SIZE], int64_t ms);
void ctl_duration_text(char out[CTL_TIME_SIZE], int64_t ms);

/* "250ms", "30s", "5m", "72h", "7d"; false where it is none, or nothing. */
bool ctl_parse_duration(const char *text, int64_t *ms);
/* A whole number from least to most; complains under the option's name. */
bool ctl_parse_count(const char *option, const char *text, uint64_t least, uint64_t most,
                     uint64_t *value);

/* Whether to go on: the answer of the person at the terminal, or yes. Says why not, also where there is nobody to
 * ask. */
bool ctl_confirm(bool yes, const char *format, ...) IDEM_PRINTF(2, 3);

#endif
