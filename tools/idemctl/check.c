/* SPDX-License-Identifier: MIT
 * idemctl check: whether the configuration is right. */
#include "command.h"

#include <stdio.h>

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

enum ctl_exit ctl_with_config(const struct ctl *ctl, ctl_task *task, void *arg) {
    struct idem_config config;
    enum ctl_exit result = ctl_load(ctl, &config);
    if (result == CTL_OK) {
        result = task(ctl, &config, arg);
    }
    idem_config_fini(&config);
    return result;
}

enum ctl_exit ctl_check(const struct ctl *ctl, int argc, char **argv) {
    struct idem_config config;
    if (argc > 1) {
        ctl_complain("check takes no arguments; %s is one", argv[1]);
        return CTL_USAGE;
    }
    enum ctl_exit result = ctl_load(ctl, &config);
    if (result == CTL_OK) {
        struct json_object *report = json_object_new_object();
        (void)json_object_object_add(report, "config",
                                     json_object_new_string(config.path));
        (void)json_object_object_add(report, "result", json_object_new_string("ok"));
        (void)json_object_object_add(report, "rules",
                                     json_object_new_int64((int64_t)config.rules.count));
        ctl_print(ctl, report);
    }
    idem_config_fini(&config);
    return result;
}
