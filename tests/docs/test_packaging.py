#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docker/ and packaging/, as far as it can be seen without an engine and without a chroot: make docker-test and make
deb-test try them in full."""

import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/docs")  # tests are run from the top of the tree
from report import run  # noqa: E402

BUILD = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(pathlib.Path("docker").glob("Dockerfile.*"))
COMPOSE = pathlib.Path("docker/compose.yaml").read_text()
DEBIAN = pathlib.Path("packaging/debian")
UNIT = (DEBIAN / "idem-bridge@.service").read_text()
CONFINED = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
            "PrivateDevices": "yes", "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes",
            "RestrictNamespaces": "yes", "StateDirectoryMode": "0700", "User": "idem"}


def images_are_built_from_one_base():
    return [f"{path}: FROM {base}" for path in DOCKERFILES
            for base in re.findall(r"^FROM (\S+)", path.read_text(), re.M) if base != "debian:bookworm-slim"]


def images_need_no_newer_builder():
    return [f"{path}: {found}" for path in DOCKERFILES
            for found in re.findall(r"--mount=|<<-?['\"]?\w+", path.read_text())]


def images_do_not_run_as_root_and_say_how_they_are():
    wrong = []
    for path in DOCKERFILES:
        last = path.read_text().split("\nFROM ")[-1]
        user = re.search(r"^USER (\w+)$", last, re.M)
        if not user or user.group(1) == "root" or "HEALTHCHECK" not in last:
            wrong.append(f"{path}: no USER, or no HEALTHCHECK")
    return wrong


def every_image_is_in_the_stack():
    named = set(re.findall(r"dockerfile: (\S+?),", COMPOSE))
    there = {str(path) for path in DOCKERFILES}
    return [f"{name} is in one place only" for name in sorted(named ^ there)]


def ports_are_published_on_loopback_only():
    return [line.strip() for line in COMPOSE.splitlines() if "ports:" in line and '"127.0.0.1:' not in line]


def the_stack_s_configuration_is_accepted():
    result = subprocess.run([BUILD / "idemctl", "-c", "docker/idem.yaml", "check"], capture_output=True, text=True)
    return [] if result.returncode == 0 else (result.stdout + result.stderr).splitlines()


def packages_have_the_version_of_the_program():
    version = re.search(r'IDEM_VERSION *"(.*)"', pathlib.Path("common/include/idem/version.h").read_text()).group(1)
    first = (DEBIAN / "changelog").read_text().splitlines()[0]
    return [] if first.startswith(f"idem ({version})") else [f"{version} is not in: {first}"]


def the_unit_is_confined():
    settings = dict(line.split("=", 1) for line in UNIT.splitlines() if re.match(r"\w+=", line))
    return [f"{name}={settings.get(name)}" for name, value in CONFINED.items() if settings.get(name) != value]


def the_unit_speaks_the_bridge_s_protocol():
    wanted = ["Type=notify", "WatchdogSec=2min", "ExecReload=/bin/kill -HUP $MAINPID", "RestartPreventExitStatus=2"]
    return [line for line in wanted if f"\n{line}\n" not in UNIT]


def the_plugin_is_not_active_by_itself():
    return re.findall(r"^plugin.*$", (DEBIAN / "mosquitto.conf").read_text(), re.M)


TESTS = [images_are_built_from_one_base, images_need_no_newer_builder,
         images_do_not_run_as_root_and_say_how_they_are, every_image_is_in_the_stack,
         ports_are_published_on_loopback_only, the_stack_s_configuration_is_accepted,
         packages_have_the_version_of_the_program, the_unit_is_confined, the_unit_speaks_the_bridge_s_protocol,
         the_plugin_is_not_active_by_itself]


if __name__ == "__main__":
    sys.exit(run(TESTS))
