/* SPDX-License-Identifier: MIT
 * idemctl check: whether the configuration is right. */
#include "command.h"

#include <stdio.h>

static const char help[] = "usage: idemctl -c CONFIG check\n\n"
                           "Reads the configuration as the programs do.\n";

static void warn(void *arg, const char *text) {
    (void)arg;
    (void)fprintf(stderr, "warning: %s\n", text);
}

enum ctl_exit ctl_load(const struct ctl *ctl, struct idem_config *config) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_config_load(config, ctl->config_path, warn, NULL, &error) != IDEM_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return CTL_REFUSED;
    }
    return CTL_OK;
}

static enum ctl_exit report(const struct ctl *ctl, const struct idem_config *config,
                            void *arg) {
    struct json_object *report = json_object_new_object();
    (void)arg;
    ctl_add(report, "config", config->path);
    ctl_add(report, "result", "ok");
    ctl_add_count(report, "rules", config->rules.count);
    ctl_print(ctl, report);
    return CTL_OK;
}

enum ctl_exit ctl_check(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {CTL_OPTIONS_END};
    static const struct ctl_line line = {
        .help = help, .letters = "h", .options = options, .run = report};
    return ctl_run(ctl, &line, NULL, argc, argv);
}
