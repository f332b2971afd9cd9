/* SPDX-License-Identifier: MIT
 * idemctl lookup: what is recorded for one key. */
#include "address.h"
#include "record.h"
#include "store.h"

#include <idem/clock.h>

#include <stdio.h>

static const char help[] =
    "usage: idemctl -c CONFIG lookup RULE KEY | DIGEST | -t TOPIC ...\n\n" ADDRESS_USAGE
    "      --instance NAME       another instance whose records are to be called by "
    "name\n";

static enum ctl_exit look_up(const struct ctl *ctl, const struct idem_config *config,
                             void *arg) {
    const struct address *address = arg;
    struct idem_store *store = NULL;
    struct store_found found;
    int64_t now_ms = idem_clock_wall_ms();
    enum ctl_exit result = store_open(config, false, &store);
    if (result != CTL_OK) {
        return result;
    }
    result = store_look_up(store, &address->digest, now_ms, &found);
    idem_store_close(store);
    if (result != CTL_OK) {
        return result;
    }
    struct json_object *report = json_object_new_object();
    struct record_names names = {config->instance, address->instances,
                                 address->instance_count};
    address_describe(address, report);
    record_describe(&found, &names, now_ms, report);
    ctl_print(ctl, report);
    return found.record.state == IDEM_RECORD_NONE ? CTL_NOT_FOUND : CTL_OK;
}

enum ctl_exit ctl_lookup(const struct ctl *ctl, int argc, char **argv) {
    struct address address;
    enum ctl_exit result = address_parse(&address, argc, argv, true, false);
    if (result == CTL_OK) {
        result = address_run(ctl, &address, help, look_up);
    }
    address_fini(&address);
    return result;
}
