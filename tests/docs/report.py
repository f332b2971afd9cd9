# SPDX-License-Identifier: MIT
"""Tests that are functions: each returns what is wrong, as lines; nothing is well, None is a skip."""


def run(tests):
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        wrong = test()
        skip = " # SKIP not installed" if wrong is None else ""
        print(f"{'not ok' if wrong else 'ok'} {number} - {test.__name__}{skip}")
        for line in wrong or []:
            print(f"# {line}")
        failed += bool(wrong)
    return 1 if failed else 0
