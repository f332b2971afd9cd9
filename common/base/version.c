/* SPDX-License-Identifier: MIT
 * The version that this library was built as. */
#include <idem/version.h>

const char *idem_version(void) {
    return IDEM_VERSION;
}
