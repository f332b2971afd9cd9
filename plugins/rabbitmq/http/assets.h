/* SPDX-License-Identifier: MIT
 * The files of the live page, as the build puts them into the program: see tools/embed.sh. */
#ifndef IDEM_RABBITMQ_HTTP_ASSETS_H
#define IDEM_RABBITMQ_HTTP_ASSETS_H

#include <stddef.h>

struct idem_asset {
    const char *path; /* "/page.js" */
    const char *type; /* of the content */
    const unsigned char *bytes;
    size_t length;
};

extern const struct idem_asset idem_assets[];
extern const size_t idem_asset_count;

#endif
