/* SPDX-License-Identifier: MIT
 * The scripts that run inside Redis.
 *
 * They change a record only where they find it as their caller expects, and answer 1; in every other
 * case they change nothing and answer what is there (nil: nothing), and the caller decides. What it
 * decides is in step.c, the same for every backend: of a record's layout (record.h) the scripts know
 * only its version, state, owner and end. */
#include "store/redis/script.h"
#include "store/redis/command.h"
#include "store/redis/layout.h"

/* ARGV: record, milliseconds. Answers what was there, as SET NX GET does. */
static const char claim_text[] =
    "local found = redis.call('GET', KEYS[1])\n"
    "if not found then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end\n"
    "return found\n";

/* ARGV: the record as it was found ('': there was none), its replacement, milliseconds. */
static const char replace_text[] = "local found = redis.call('GET', KEYS[1])\n"
                                   "if (found or '') ~= ARGV[1] then return found end\n"
                                   "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
                                   "return 1\n";

#define NUMBER                                                                           \
    "local function number(text)\n"                                                      \
    "  local n = 0\n"                                                                    \
    "  for i = 6, 1, -1 do n = n * 256 + string.byte(text, i) end\n"                     \
    "  return n\n"                                                                       \
    "end\n"

/* Whether found is, version 1, a pending record of the owner in ARGV[1]; or a done one that its instance
 * completed, and that has no result. */
#define OURS                                                                             \
    "local found = redis.call('GET', KEYS[1])\n"                                         \
    "local state = found and string.byte(found, 1) == 1 and string.byte(found, 2) or "   \
    "0\n"                                                                                \
    "local ours = state % 128 == 1 and string.sub(found, 15, 30) == ARGV[1]\n"           \
    "local bare = state % 128 == 2"                                                      \
    " and string.sub(found, 15, 22) == string.sub(ARGV[1], 1, 8)"                        \
    " and #found == (state > 128 and 38 or 22)\n"

/* ARGV: owner, end, milliseconds, result, now. */
static const char complete_text[] = NUMBER OURS
    "if bare and ARGV[4] ~= '' and number(string.sub(found, 9, 14)) > number(ARGV[5]) "
    "then\n"
    "  redis.call('APPEND', KEYS[1], ARGV[4])\n"
    "  return 1\n"
    "end\n"
    "if not ours then return found end\n"
    "redis.call('SET', KEYS[1], string.sub(found, 1, 1)"
    " .. string.char(state + 1) .. string.sub(found, 3, 8)"
    " .. ARGV[2] .. string.sub(found, 15, 22) .. string.sub(found, 31) .. ARGV[4],"
    " 'PX', ARGV[3])\n"
    "return 1\n";

/* ARGV: owner; end and milliseconds of each key. Answers 1 where it has changed all of them, else for each what
 * the script for one answers. The keys are of one slot, or of no cluster. */
static const char complete_all_text[] =
    "local call, byte, sub = redis.call, string.byte, string.sub\n"
    "local answers, all = {}, 1\n"
    "for i = 1, #KEYS do\n"
    "  local found = call('GET', KEYS[i])\n"
    "  local state = found and byte(found, 1) == 1 and byte(found, 2) or 0\n"
    "  if state % 128 == 1 and sub(found, 15, 30) == ARGV[1] then\n"
    "    call('SET', KEYS[i], sub(found, 1, 1) .. string.char(state + 1) .."
    " sub(found, 3, 8) .. ARGV[2 * i] .. sub(found, 15, 22) .. sub(found, 31),"
    " 'PX', ARGV[2 * i + 1])\n"
    "    answers[i] = 1\n"
    "  else\n"
    "    answers[i], all = found, answers\n"
    "  end\n"
    "end\n"
    "return all\n";

/* ARGV: owner, '1' where a done record goes as well. */
static const char abandon_text[] =
    OURS "if not ours and not (bare and ARGV[2] == '1') then return found end\n"
         "redis.call('DEL', KEYS[1])\n"
         "return 1\n";

/* ARGV: end, milliseconds. Only a done record, version 1, and only to a later end: whoever comes second
 * with an earlier one has nothing left to do. */
static const char extend_text[] = NUMBER
    "local found = redis.call('GET', KEYS[1])\n"
    "if not found or string.byte(found, 1) ~= 1 or string.byte(found, 2) % 128 ~= 2 then"
    " return found end\n"
    "if number(string.sub(found, 9, 14)) < number(ARGV[1]) then\n"
    "  redis.call('SETRANGE', KEYS[1], 8, ARGV[1])\n"
    "  redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
    "end\n"
    "return 1\n";

const char *idem_script_text(enum idem_script script) {
    switch (script) {
    case IDEM_SCRIPT_CLAIM:
        return claim_text;
    case IDEM_SCRIPT_REPLACE:
        return replace_text;
    case IDEM_SCRIPT_COMPLETE:
        return complete_text;
    case IDEM_SCRIPT_COMPLETE_ALL:
        return complete_all_text;
    case IDEM_SCRIPT_ABANDON:
        return abandon_text;
    case IDEM_SCRIPT_EXTEND:
        return extend_text;
    case IDEM_SCRIPT_COUNT:
        break;
    }
    return "";
}

/* Without its hash, or where the server has lost it, a script goes as a whole, which loads it too. */
void idem_script_call(struct idem_bytes *out, const struct idem_server *server,
                      enum idem_script script, unsigned keys, unsigned count) {
    idem_command_begin(out, 3 + keys + count);
    if (server->script_known[script]) {
        idem_command_text(out, "EVALSHA");
        idem_command_word(out, server->script_sha[script], IDEM_SHA_LENGTH);
    } else {
        idem_command_text(out, "EVAL");
        idem_command_text(out, idem_script_text(script));
    }
    idem_command_number(out, keys);
}

void idem_script_begin(struct idem_bytes *out, const struct idem_server *server,
                       enum idem_script script, const struct idem_digest *digest,
                       unsigned count) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    idem_layout_key(key, digest);
    idem_script_call(out, server, script, 1, count);
    idem_command_word(out, key, sizeof key);
}
