/* SPDX-License-Identifier: MIT
 * Named points at which a fault harness ends the process: each window between two steps of a delivery.
 * Nothing is compiled in unless IDEM_FAULTS is defined; then IDEM_FAULT=NAME:N in the environment kills
 * the process (SIGKILL) when the point NAME is passed for the Nth time. */
#ifndef IDEM_RABBITMQ_FAULT_H
#define IDEM_RABBITMQ_FAULT_H

#if defined(IDEM_FAULTS)
void idem_fault_point(const char *name);
#define IDEM_FAULT_POINT(name) idem_fault_point(name)
#else
#define IDEM_FAULT_POINT(name) ((void)0)
#endif

#endif
