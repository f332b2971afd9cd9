/* SPDX-License-Identifier: MIT
 * The value that one extractor, or a whole key spec, gives for one message. */
#ifndef IDEM_KEY_EXTRACT_H
#define IDEM_KEY_EXTRACT_H

#include <idem/identity.h>

/* What is extracted from, and where derived values live: until the workspace is started again. */
struct idem_extraction {
    const struct idem_message *message;
    const struct idem_secret *secret;
    struct idem_workspace *workspace;
    /* The payload stands for the message: its hash takes in the topic. */
    bool whole_message;
};

/* Forgets the derived values of the message before. One start serves one key, one scope and one
 * fingerprint. */
void idem_workspace_start(struct idem_workspace *workspace);

/* The value of one extractor, 1 to IDEM_KEY_MAX bytes; false: it yields none. The payload's hash stands
 * for the payload. */
bool idem_extract(const struct idem_extraction *from,
                  const struct idem_extractor *extractor, struct idem_span *value);

/* Without a key and of the body alone, so that whoever has the body can compute it: a producer that sends
 * the hash itself as its key has sent the same key. */
#define IDEM_SHA256_HEX_SIZE 65
void idem_extract_sha256(struct idem_span payload, char hex[IDEM_SHA256_HEX_SIZE]);

/* What the message itself holds, however long; empty where it does not, and for what is derived: json,
 * payload and its hash. */
struct idem_span idem_extract_field(const struct idem_message *message,
                                    const struct idem_extractor *extractor);

/* The values of a spec: one where the first that yields wins, all where it is joined; 0 where it yields
 * nothing. parts holds IDEM_EXTRACTORS_MAX. */
size_t idem_extract_spec(const struct idem_extraction *from,
                         const struct idem_key_spec *spec, struct idem_key_part *parts);

#endif
