#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/reference/events.md against the sources: every event of the log, with its levels, and no other."""

import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/docs")  # tests are run from the top of the tree
from report import run  # noqa: E402

SOURCES = [path for top in ("common", "plugins") for path in sorted(pathlib.Path(top).rglob("*.c"))]
PAGE = pathlib.Path("docs/reference/events.md")
# Functions that hand an event on, and where it stands among their arguments.
WRAPPERS = {"common/store/redis/greeting.c": ("warn", "warning")}
# Written by the broker's log itself, about itself.
DIRECT = {"plugins/mosquitto/broker_log.c": (r'"idem: (log\.lost): ', "warning")}
NAME = r"[a-z]+\.[a-z_]+"


def calls(text, function):
    """The arguments of each call, up to the first format."""
    return re.findall(r"(?<![\w.>])" + function + r"\((.*?)\);", text, re.S)


def events_of(path):
    """(event, level) of each line that the file writes; a complaint where an event is no literal."""
    text = path.read_text()
    found, complaints = set(), []
    for arguments in calls(text, "idem_log_write"):
        level = re.search(r"IDEM_LOG_(\w+)", arguments)
        names = re.findall(r'"(' + NAME + r')"', arguments)
        if level and names:
            found |= {(name, level.group(1).lower()) for name in names}
        elif str(path) not in WRAPPERS and path.name != "log.c":
            complaints.append(f"{path}: an event that is no literal: {' '.join(arguments.split())[:80]}")
    if str(path) in WRAPPERS:
        function, level = WRAPPERS[str(path)]
        for arguments in calls(text, function):
            found |= {(name, level) for name in re.findall(r'"(' + NAME + r')"', arguments)}
    if str(path) in DIRECT:
        pattern, level = DIRECT[str(path)]
        found |= {(name, level) for name in re.findall(pattern, text)}
    return found, complaints


def documented():
    rows = re.findall(r"^\| `(" + NAME + r")` \| ([a-z, ]+) \|", PAGE.read_text(), re.M)
    return {(event, level) for event, levels in rows for level in levels.split(", ")}, [event for event, _ in rows]


def sources():
    found, complaints = set(), []
    for path in SOURCES:
        here, wrong = events_of(path)
        found |= here
        complaints += wrong
    return found, complaints


def every_event_is_a_literal():
    return sources()[1]


def every_event_of_the_sources_is_in_the_page():
    return [f"{event} ({level}) is not in {PAGE}" for event, level in sorted(sources()[0] - documented()[0])]


def every_event_of_the_page_is_in_the_sources():
    return [f"{event} ({level}) is written nowhere" for event, level in sorted(documented()[0] - sources()[0])]


def the_page_is_sorted_and_names_none_twice():
    events = documented()[1]
    return [] if events == sorted(set(events)) else ["the table is not sorted, or names an event twice"]


TESTS = [every_event_is_a_literal, every_event_of_the_sources_is_in_the_page,
         every_event_of_the_page_is_in_the_sources, the_page_is_sorted_and_names_none_twice]


if __name__ == "__main__":
    sys.exit(run(TESTS))
