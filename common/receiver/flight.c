/* SPDX-License-Identifier: MIT
 * Flights: taken for a question to the store, put to rest by its answer. */
#include "receiver/flight.h"

#include <stdlib.h>

static void unlink_flight(struct idem_flight *flight) {
    *flight->link = flight->next;
    if (flight->next != NULL) {
        flight->next->link = flight->link;
    }
    flight->link = NULL;
}

struct idem_flight *idem_flight_take(struct idem_flights *flights,
                                     struct idem_receiver *receiver) {
    struct idem_flight *flight = flights->resting;
    if (flight != NULL) {
        flights->resting = flight->next;
    } else {
        flight = calloc(1, sizeof *flight);
        if (flight == NULL) {
            return NULL;
        }
    }
    flight->receiver = receiver;
    flight->next = flights->open;
    flight->link = &flights->open;
    if (flight->next != NULL) {
        flight->next->link = &flight->next;
    }
    flights->open = flight;
    return flight;
}

void idem_flight_rest(struct idem_flights *flights, struct idem_flight *flight) {
    unlink_flight(flight);
    flight->next = flights->resting;
    flights->resting = flight;
}

void idem_flight_free(struct idem_flight *flight) {
    free(flight->propagation);
    free(flight);
}

void idem_flights_fini(struct idem_flights *flights) {
    for (struct idem_flight *flight = flights->open; flight != NULL;
         flight = flight->next) {
        flight->receiver = NULL;
    }
    while (flights->resting != NULL) {
        struct idem_flight *flight = flights->resting;
        flights->resting = flight->next;
        idem_flight_free(flight);
    }
}
