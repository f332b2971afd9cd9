/* SPDX-License-Identifier: MIT
 * What the commands of idemctl share: their table, their exit codes, and how they print. */
#ifndef IDEM_CTL_COMMAND_H
#define IDEM_CTL_COMMAND_H

#include <idem/config.h>

#include <json-c/json.h>
#include <stdbool.h>

/* Documented in docs/reference/idemctl.md; scripts rely on them. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_REFUSED = 1, /* the configuration, or what was asked for, is not right */
    CTL_USAGE = 2,   /* the command line is not right */
    CTL_STORE = 3,   /* the store could not be read */
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

enum ctl_exit ctl_check(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_explain(const struct ctl *ctl, int argc, char **argv);

/* Loads the configuration, warnings to standard error; prints why where it is refused. The caller calls
 * idem_config_fini in any case. */
enum ctl_exit ctl_load(const struct ctl *ctl, struct idem_config *config);

/* "idemctl: TEXT" on standard error. */
void ctl_complain(const char *format, ...) IDEM_PRINTF(1, 2);

/* Prints the members of object: as JSON, or one "name  value" line each. Takes over object. */
void ctl_print(const struct ctl *ctl, struct json_object *object);

#endif
