#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""packaging/monitoring against docs/reference/metrics.md: dashboard and alerts use figures that there are, with labels that
they have; and promtool accepts the rules."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/docs")  # tests are run from the top of the tree
from report import run  # noqa: E402

METRICS = pathlib.Path("docs/reference/metrics.md")
RULES = pathlib.Path("packaging/monitoring/idem-alerts.yml")
DASHBOARD = pathlib.Path("packaging/monitoring/idem-dashboard.json")
ADDED = {"instance", "job", "le"}  # by Prometheus itself
ALERTS = {"IdemDown", "IdemStoreDown", "IdemInDoubtRising", "IdemConflicts", "IdemLag", "IdemUnprotected"}


def figures():
    """Name -> labels, histograms with the names that they are asked by."""
    found = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", METRICS.read_text(), re.M):
        names = [name + end for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name]
        found.update({each: set(re.findall(r"`(\w+)`", labels)) for each in names})
    return found


def expressions():
    """(place, expression) of the rules and of the dashboard."""
    for line in re.findall(r"^ *expr: (.*)$", RULES.read_text(), re.M):
        yield RULES.name, line
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield f"{DASHBOARD.name}, {panel['title']}", target["expr"]


def uses(expression):
    """(figure, labels) of an expression; labels of `by` count for each figure in it."""
    grouped = {label for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.findall(r"\w+", group)}
    for name, selector in re.findall(r"\b((?:idem|process)_\w+|up\b)(?:\{([^}]*)\})?", expression):
        yield name, grouped | set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector))


def every_figure_is_in_the_reference():
    known = figures()
    return [f"{place}: {name}" for place, expression in expressions() for name, _ in uses(expression)
            if name != "up" and name not in known]


def every_label_is_one_of_its_figure():
    known = figures()
    return [f"{place}: {name} has no label {label}" for place, expression in expressions()
            for name, labels in uses(expression) for label in sorted(labels - ADDED - known.get(name, set()))
            if name != "up"]


def every_expression_uses_a_figure():
    return [f"{place}: {expression}" for place, expression in expressions() if not list(uses(expression))]


def what_operators_are_promised_is_there():
    named = set(re.findall(r"^ *- alert: (\w+)$", RULES.read_text(), re.M))
    return [f"no alert {name}" for name in sorted(ALERTS - named)]


def panels_do_not_overlap():
    wrong, taken = [], set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        if cells & taken or at["x"] + at["w"] > 24:
            wrong.append(panel["title"])
        taken |= cells
    return wrong


def promtool_accepts_the_rules():
    if not shutil.which("promtool"):
        return None
    result = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)
    return [] if result.returncode == 0 else (result.stdout + result.stderr).splitlines()


TESTS = [every_figure_is_in_the_reference, every_label_is_one_of_its_figure, every_expression_uses_a_figure,
         what_operators_are_promised_is_there, panels_do_not_overlap, promtool_accepts_the_rules]


if __name__ == "__main__":
    sys.exit(run(TESTS))
