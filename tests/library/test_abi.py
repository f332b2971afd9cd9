#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The binary interface: what libidem.so exports is what its headers declare, and another language can use it."""

import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile

STAGE = pathlib.Path(__file__).resolve().parents[2] / "stage"
LIBRARY = STAGE / "lib" / "libidem.so"
NEW, IN_DOUBT, DUPLICATE, CONFLICT, IN_FLIGHT = range(5)
OK, INVALID, BUSY, NOT_FOUND = 0, 1, 5, 12


def declarations():
    """The functions that the public headers declare: name -> whether it is marked IDEM_API."""
    found = {}
    for header in sorted((STAGE / "include" / "idem").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", " ", header.read_text(), flags=re.S)
        text = re.sub(r"^#(?:.*\\\n)*.*$", " ", text, flags=re.M)
        text = text.replace('extern "C" {', " ")
        while re.search(r"\{[^{}]*\}", text):  # bodies and members, the inner ones first
            text = re.sub(r"\{[^{}]*\}", " BODY;", text)
        for statement in text.split(";"):
            name = re.search(r"\b(idem_\w+)\s*\(", statement)
            if name and not re.search(r"\b(typedef|static|BODY)\b", statement):
                found[name.group(1)] = "IDEM_API" in statement
    return found


def exports():
    """The symbols that the library defines for others, with their version."""
    lines = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", LIBRARY], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return {fields[2] for fields in map(str.split, lines) if fields[1] != "A"}


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("sys_errno", ctypes.c_int), ("text", ctypes.c_char * 512)]


class Inbox:
    """inbox.h, as a stranger's binding would have it."""

    def __init__(self, url, instance="one"):
        self.library = ctypes.CDLL(str(LIBRARY))
        self.library.idem_inbox_close.restype = None
        self.error = Error()
        self.handle = ctypes.c_void_p()
        self.code = self.library.idem_inbox_open(ctypes.byref(self.handle), url.encode(), b"inbox",
                                                 instance.encode(), ctypes.byref(self.error))

    def claim(self, key, payload=b""):
        answer = ctypes.c_int(-1)
        code = self.library.idem_inbox_claim(self.handle, key, ctypes.c_size_t(len(key)), payload,
                                             ctypes.c_size_t(len(payload)), ctypes.byref(answer), None)
        return answer.value if code == OK else -code

    def complete(self, key):
        return self.library.idem_inbox_complete(self.handle, key, ctypes.c_size_t(len(key)), None)

    def abandon(self, key):
        return self.library.idem_inbox_abandon(self.handle, key, ctypes.c_size_t(len(key)), None)

    def set_times(self, ttl_ms, lease_ms):
        return self.library.idem_inbox_set_times(self.handle, ctypes.c_int64(ttl_ms), ctypes.c_int64(lease_ms))

    def close(self):
        self.library.idem_inbox_close(self.handle)
        self.handle = ctypes.c_void_p()


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def every_function_of_the_headers_is_exported_and_nothing_else():
    marked = declarations()
    equal(sorted(name for name, api in marked.items() if not api), [])
    equal(sorted(exports() - {"IDEM_0"}), sorted(f"{name}@@IDEM_0" for name in marked))
    equal(len(marked) > 40, True)


def the_library_tells_its_version():
    library = ctypes.CDLL(str(LIBRARY))
    library.idem_version.restype = ctypes.c_char_p
    header = (STAGE / "include" / "idem" / "version.h").read_text()
    equal(library.idem_version().decode(), re.search(r'IDEM_VERSION\s+"(.*)"', header).group(1))


def a_claim_completed_makes_every_copy_a_duplicate():
    inbox = Inbox("memory:")
    equal(inbox.claim(b"k\0 1", b"body"), NEW)
    equal(inbox.claim(b"k\0 1", b"body"), IN_FLIGHT)
    equal(inbox.complete(b"k\0 1"), OK)
    equal(inbox.claim(b"k\0 1", b"body"), DUPLICATE)
    equal(inbox.claim(b"k\0 1", b"another"), CONFLICT)
    equal(inbox.claim(b"k\0 2", b"body"), NEW)
    equal(inbox.abandon(b"k\0 2"), OK)
    equal(inbox.claim(b"k\0 2", b"body"), NEW)
    equal(inbox.claim(b""), -INVALID)
    equal(inbox.abandon(b"unknown"), NOT_FOUND)
    equal(inbox.set_times(0, 1), INVALID)
    inbox.close()


def an_embedded_inbox_knows_after_a_restart_what_was_done_and_what_is_in_doubt():
    with tempfile.TemporaryDirectory() as folder:
        inbox = Inbox(f"embedded://{folder}/store")
        equal(inbox.code, OK)
        equal([inbox.claim(b"done"), inbox.complete(b"done"), inbox.claim(b"open")], [NEW, OK, NEW])
        second = Inbox(f"embedded://{folder}/store")
        equal(second.code, BUSY)
        equal(second.handle.value, None)
        equal(second.error.code, BUSY)
        equal(folder.encode() in second.error.text, True)
        inbox.close()
        inbox = Inbox(f"embedded://{folder}/store")
        equal([inbox.claim(b"done"), inbox.claim(b"open"), inbox.claim(b"never")], [DUPLICATE, IN_DOUBT, NEW])
        inbox.close()


def main():
    tests = [every_function_of_the_headers_is_exported_and_nothing_else, the_library_tells_its_version,
             a_claim_completed_makes_every_copy_a_duplicate,
             an_embedded_inbox_knows_after_a_restart_what_was_done_and_what_is_in_doubt]
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}")
        except Exception as reason:  # the next test tells more
            failed = 1
            print(f"not ok {number} - {test.__name__}\n# {reason}")
    print(f"1..{len(tests)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
