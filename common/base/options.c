/* SPDX-License-Identifier: MIT
 * Options as an older or newer caller knows them, read into ours. */
#include "base/options.h"

#include <string.h>

bool idem_options_read(void *own, size_t own_size, const void *given, size_t given_size) {
    const unsigned char *bytes = given;
    size_t common = given_size < own_size ? given_size : own_size;
    memset(own, 0, own_size);
    memcpy(own, given, common);
    for (size_t i = common; i < given_size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}
