/* SPDX-License-Identifier: MIT
 * Everything that libidem offers. */
#ifndef IDEM_IDEM_H
#define IDEM_IDEM_H

#include <idem/clock.h>
#include <idem/config.h>
#include <idem/digest.h>
#include <idem/error.h>
#include <idem/identity.h>
#include <idem/inbox.h>
#include <idem/log.h>
#include <idem/message.h>
#include <idem/number.h>
#include <idem/parameter.h>
#include <idem/receiver.h>
#include <idem/result.h>
#include <idem/rule.h>
#include <idem/sightings.h>
#include <idem/span.h>
#include <idem/store.h>
#include <idem/ticket.h>
#include <idem/transfer.h>
#include <idem/verdict.h>
#include <idem/version.h>

#endif
