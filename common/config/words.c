/* SPDX-License-Identifier: MIT
 * The words that keys of the configuration take. */
#include "config/words.h"

const struct idem_schema_word idem_schema_wait_words[] = {
    {"park", IDEM_WAIT_PARK}, {"block", IDEM_WAIT_BLOCK}, {NULL, 0}};
const struct idem_schema_word idem_schema_control_words[] = {{"off", IDEM_CONTROL_OFF},
                                                             {"read", IDEM_CONTROL_READ},
                                                             {"full", IDEM_CONTROL_FULL},
                                                             {NULL, 0}};
const struct idem_schema_word idem_schema_strategy_words[] = {
    {"natural", IDEM_STRATEGY_NATURAL},
    {"key", IDEM_STRATEGY_KEY},
    {"sequence", IDEM_STRATEGY_SEQUENCE},
    {NULL, 0}};
const struct idem_schema_word idem_schema_scope_words[] = {
    {"global", IDEM_SCOPE_GLOBAL},
    {"rule", IDEM_SCOPE_RULE},
    {"principal", IDEM_SCOPE_PRINCIPAL},
    {NULL, 0}};
const struct idem_schema_word idem_schema_ttl_from_words[] = {
    {"first", IDEM_TTL_FROM_FIRST}, {"last", IDEM_TTL_FROM_LAST}, {NULL, 0}};
const struct idem_schema_word idem_schema_missing_words[] = {
    {"deliver", IDEM_ACTION_DELIVER},
    {"reject", IDEM_ACTION_REJECT},
    {"quarantine", IDEM_ACTION_QUARANTINE},
    {NULL, 0}};
const struct idem_schema_word idem_schema_duplicate_words[] = {
    {"drop", IDEM_ACTION_DROP},
    {"quarantine", IDEM_ACTION_QUARANTINE},
    {"replay", IDEM_ACTION_REPLAY},
    {NULL, 0}};
const struct idem_schema_word idem_schema_conflict_words[] = {
    {"drop", IDEM_ACTION_DROP},
    {"deliver", IDEM_ACTION_DELIVER},
    {"reject", IDEM_ACTION_REJECT},
    {"quarantine", IDEM_ACTION_QUARANTINE},
    {NULL, 0}};
const struct idem_schema_word idem_schema_flight_words[] = {
    {"hold", IDEM_ACTION_HOLD},
    {"reject", IDEM_ACTION_REJECT},
    {"quarantine", IDEM_ACTION_QUARANTINE},
    {NULL, 0}};
const struct idem_schema_word idem_schema_doubt_words[] = {
    {"deliver", IDEM_ACTION_DELIVER},
    {"quarantine", IDEM_ACTION_QUARANTINE},
    {"drop", IDEM_ACTION_DROP},
    {NULL, 0}};
const struct idem_schema_word idem_schema_failure_words[] = {
    {"deliver", IDEM_ACTION_DELIVER}, {"refuse", IDEM_ACTION_REFUSE}, {NULL, 0}};
const struct idem_schema_word idem_schema_gap_words[] = {{"accept", IDEM_ACTION_DELIVER},
                                                         {"hold", IDEM_ACTION_HOLD},
                                                         {"reject", IDEM_ACTION_REJECT},
                                                         {NULL, 0}};
const struct idem_schema_word idem_schema_fenced_words[] = {
    {"drop", IDEM_ACTION_DROP},
    {"reject", IDEM_ACTION_REJECT},
    {"quarantine", IDEM_ACTION_QUARANTINE},
    {NULL, 0}};
const struct idem_schema_word idem_schema_unknown_words[] = {
    {"accept", IDEM_UNKNOWN_ACCEPT},
    {"require_zero", IDEM_UNKNOWN_REQUIRE_ZERO},
    {NULL, 0}};
const struct idem_schema_word idem_schema_mode_words[] = {
    {"forward", IDEM_BRIDGE_FORWARD}, {"rpc", IDEM_BRIDGE_RPC}, {NULL, 0}};
const struct idem_schema_word idem_schema_format_words[] = {
    {"text", IDEM_LOG_TEXT}, {"json", IDEM_LOG_JSON}, {NULL, 0}};
const struct idem_schema_word idem_schema_level_words[] = {
    {"error", IDEM_LOG_ERROR}, {"warning", IDEM_LOG_WARNING}, {"notice", IDEM_LOG_NOTICE},
    {"info", IDEM_LOG_INFO},   {"debug", IDEM_LOG_DEBUG},     {NULL, 0}};
