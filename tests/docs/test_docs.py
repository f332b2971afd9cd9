#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The documentation, tried: what README.md and docs/ show is loaded, or run, as it stands.

A fenced block says by its language what is done with it:

    ```yaml       a configuration, or rules of one: `idemctl check` has to accept it
    ```console    lines after `$ ` are run; what they print has to be what follows (`...` stands for anything)
    ```sh         run in the terminal that the comment before it names

and a comment before it, which a reader does not see, says more:

    <!-- terminal: NAME -->          the next block is typed into that terminal, and runs to its end
    <!-- terminal: NAME, stays -->   it goes on in the foreground, as a subscriber does
    <!-- terminal: NAME, again -->   it is typed again until it succeeds: what it looks at takes a moment
    <!-- shows: NAME -->             what that terminal shows next, line by line
    <!-- start: broker -->           what `make run` starts; `broker FILE`: what `make run CONFIG=FILE` does
    <!-- not run: REASON -->         the next block is not run; also for yaml that is not whole

Each page has terminals of its own, in a copy of the tree in which build/ is the one under test. Ports are free ones:
mosquitto_pub, mosquitto_sub and `idemctl --mqtt 127.0.0.1:1883` get theirs here instead of from the reader."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
BUILD = HERE.parents[2]
TREE = next(folder for folder in BUILD.parents if (folder / "README.md").is_file())
PROGRAMS = ["idemctl", "idem-bridge", "mosquitto_idem.so"]
COMMANDS = re.compile(r"^\$? ?(mosquitto_(pub|sub)|idemctl|idem-bridge|build/|make\b|amqp-|redis-cli|(tools|tests)/\w+\.sh)", re.M)
PATIENCE = 90

# mosquitto_sub tells by -d when it is subscribed; what it tells besides is not what a reader would see.
SHELL = r"""
mosquitto_pub() { command mosquitto_pub -p "$MQTT_PORT" "$@"; }
mosquitto_sub() { exec stdbuf -oL mosquitto_sub -p "$MQTT_PORT" -d "$@"; }
build/idemctl() { command build/idemctl "${@/#127.0.0.1:1883/127.0.0.1:$MQTT_PORT}"; }
amqp-consume() { exec stdbuf -oL amqp-consume "$@"; }
"""
NOISE = re.compile(r"^(Client \S+ (sending|received)|Client null|Subscribed \(mid)")


class Block:
    def __init__(self, line, language, notes, text):
        self.line, self.language, self.notes, self.text = line, language, notes, text

    def note(self, name):
        return next((value for key, value in self.notes if key == name), None)


def blocks(page):
    """The fenced blocks of a page, each with the comments before it."""
    notes, inside, found = [], None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"^( *)```(\w*)", line)
        comment = re.match(r"^<!-- ([a-z ]+): (.*?) -->$", line)
        if inside is not None:
            if fence:
                found.append(Block(inside[0], inside[1], notes, "\n".join(inside[2]) + "\n"))
                notes, inside = [], None
            else:
                inside[2].append(line)
        elif fence:
            inside = (number, fence.group(2), [])
        elif comment:
            notes.append(comment.groups())
            if comment.group(1) == "start":
                found.append(Block(number, "start", notes, ""))
                notes = []
        elif line.strip():
            notes = []
    return found


def pages():
    return [TREE / "README.md", TREE / "CONTRIBUTING.md", *sorted((TREE / "docs").rglob("*.md"))]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE} s: {what()}")
        time.sleep(0.02)


class Terminal:
    """A shell whose output is kept; read tells how much of it a page has shown."""

    def __init__(self, name, folder, environment):
        self.path, self.read, self.typed, self.name = folder / f"{name}.terminal", 0, 0, name
        self.process = subprocess.Popen(["bash", "--norc"], cwd=folder / "tree", stdin=subprocess.PIPE, text=True,
                                        stdout=self.path.open("w"), stderr=subprocess.STDOUT, env=environment,
                                        start_new_session=True)
        self.process.stdin.write(SHELL)

    def consumers(self):
        listed = subprocess.run([TREE / "tests" / "rabbitmq.sh", "ctl", self.path.parent / "tree" / "build" / "rabbitmq",
                                 "-q", "list_consumers", "--no-table-headers", "queue_name"],
                                text=True, capture_output=True)
        return listed.stdout.split()

    # What stays in the foreground, and when it does what it is for.
    READY = {
        "tools/run.sh": lambda self: re.search(r"mosquitto version .* running", self.output()),
        "mosquitto_sub": lambda self: "Subscribed (mid" in self.output(),
        "idem-bridge": lambda self: self.output().count("link.up") >= 2,
        "amqp-consume": lambda self: any(queue.startswith("amq.gen") for queue in self.consumers()),
    }

    def output(self):
        return self.path.read_text(errors="replace")

    def lines(self):
        output = re.sub(r"@end \d+ \d+\n", "", self.output())
        return [line for line in output.splitlines() if not NOISE.match(line)]

    def status(self):
        """Of what was typed last; None: it has not ended."""
        end = re.search(rf"@end {self.typed} (\d+)$", self.output(), re.M)
        return end and int(end.group(1))

    def succeeds(self, text, again):
        if self.status() and again:
            self.type(text)
        assert not self.status(), f"status {self.status()} of\n{text}{self.output()}"
        return self.status() == 0

    def type(self, text):
        self.typed += 1
        script = self.path.with_suffix(f".{self.typed}")
        script.write_text(text)
        # Read from a file: what is run here must not read what is typed next.
        self.process.stdin.write(f". {script} </dev/null; printf '@end {self.typed} %d\\n' $?\n")
        self.process.stdin.flush()

    def run(self, text, how):
        self.type(text)
        if how != "stays":
            wait_until(lambda: self.succeeds(text, how == "again"), lambda: f"the end of\n{text}in:\n{self.output()}")
            return
        ready = next((ready for program, ready in self.READY.items() if program in text), None)
        assert ready, f"nothing is known of when this is ready:\n{text}"
        wait_until(lambda: ready(self), lambda: f"ready:\n{text}{self.output()}")

    def shows(self, text):
        wanted = text.splitlines()
        wait_until(lambda: len(self.lines()) >= self.read + len(wanted),
                   lambda: f"in {self.name}:\n{text}but:\n{self.output()}")
        seen = self.lines()[self.read:self.read + len(wanted)]
        assert alike("\n".join(wanted), "\n".join(seen)), f"expected:\n{text}seen:\n" + "\n".join(seen)
        self.read += len(wanted)

    def close(self):
        for end in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, end)
                self.process.stdin.close()
                self.process.wait(10)
                return
            except (ProcessLookupError, BrokenPipeError):
                self.process.wait(10)
                return
            except subprocess.TimeoutExpired:
                pass


def alike(pattern, text):
    """Whether text is what a page shows: `...` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.strip().split("..."))), text.strip(), re.S) is not None


class Page:
    """A page's terminals, in a tree of their own."""

    def __init__(self, folder):
        self.folder, self.terminals, self.port = folder, {}, free_port()
        (folder / "tree" / "build").mkdir(parents=True)
        for entry in TREE.iterdir():
            if entry.name not in ("build", ".git"):
                (folder / "tree" / entry.name).symlink_to(entry)
        for program in PROGRAMS:
            (folder / "tree" / "build" / program).symlink_to(BUILD / program)
        self.environment = dict(os.environ, MQTT_PORT=str(self.port), TERM="dumb",
                                PATH=f"{folder}/tree/build:{os.environ['PATH']}:/usr/sbin")

    def terminal(self, name):
        if name not in self.terminals:
            self.terminals[name] = Terminal(name, self.folder, self.environment)
        return self.terminals[name]

    def start(self, what):
        name, _, config = what.partition(" ")
        assert name == "broker", f"nothing is called {name}"
        self.terminal("broker").run(f"exec env PORT={self.port} CONFIG={config} tools/run.sh\n", "stays")

    def console(self, text):
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
            shell = subprocess.run(["bash", "-c", SHELL + command], cwd=self.folder / "tree", env=self.environment,
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
            assert alike(expected, shell.stdout), f"{command}\nexpected:\n{expected}seen:\n{shell.stdout}"

    def play(self, block):
        if block.note("not run"):
            return
        if block.language == "start":
            self.start(block.note("start"))
        elif block.language == "console":
            self.console(block.text)
        elif block.note("shows"):
            self.terminal(block.note("shows")).shows(block.text)
        elif block.language == "sh":
            assert block.note("terminal"), "neither `terminal:` nor `not run:` before the block"
            name, _, how = block.note("terminal").partition(", ")
            self.terminal(name).run(block.text, how)

    def close(self):
        for terminal in reversed(list(self.terminals.values())):
            terminal.close()
        rabbitmq = self.folder / "tree" / "build" / "rabbitmq"
        if rabbitmq.exists():
            subprocess.run([TREE / "tests" / "rabbitmq.sh", "stop", rabbitmq], check=False)


def runs_as_written(page):
    # RabbitMQ's programs want a short path that others may look into.
    with tempfile.TemporaryDirectory(prefix="idem-docs-") as folder:
        session = Page(pathlib.Path(folder))
        try:
            for block in blocks(page):
                try:
                    session.play(block)
                except Exception as reason:
                    raise AssertionError(f"{page.relative_to(TREE)}:{block.line}: {reason}") from reason
        finally:
            session.close()


def whole(text):
    """A fragment as a configuration: a rule of a list, or the part of one, is put into its place."""
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    return "rules:\n" + text if lines and re.match(r"^ *- ", lines[0]) else text


def is_accepted(page):
    for block in blocks(page):
        if block.language != "yaml" or block.note("not run"):
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(whole(block.text))
            file.flush()
            check = subprocess.run([BUILD / "idemctl", "-c", file.name, "check"], text=True, capture_output=True)
        assert check.returncode == 0, f"{page.relative_to(TREE)}:{block.line}: {check.stdout}{check.stderr}"


def commands_are_marked(page):
    """A command in a block without a language would not be tried."""
    for block in blocks(page):
        hidden = block.language in ("", "text") and not block.note("shows") and COMMANDS.search(block.text)
        assert not hidden, f"{page.relative_to(TREE)}:{block.line}: commands in a block that is neither sh nor console"


def anchors(page):
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", head).lower()).replace(" ", "-") for head in heads}


def links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.relative_to(TREE)}: {target}: no such file"
        assert not anchor or file.suffix != ".md" or anchor in anchors(file), \
            f"{page.relative_to(TREE)}: {target}: no such heading"


def every_page(check):
    """One test that names all pages that fail it."""
    def test():
        reasons = []
        for page in pages():
            try:
                check(page)
            except AssertionError as reason:
                reasons.append(str(reason))
        assert not reasons, "\n".join(reasons)
    return test


def tests():
    yield "links_lead_somewhere", every_page(links_lead_somewhere)
    yield "commands_are_marked", every_page(commands_are_marked)
    yield "configurations_are_accepted", every_page(is_accepted)
    for page in pages():
        if any(block.language in ("sh", "console") and not block.note("not run") for block in blocks(page)):
            yield f"{page.relative_to(TREE)}_works_as_written", lambda page=page: runs_as_written(page)


def main(patterns):
    failed, count = 0, 0
    for name, test in tests():
        if patterns and not any(pattern in name for pattern in patterns):
            continue
        count += 1
        try:
            test()
            print(f"ok {count} - {name}", flush=True)
        except Exception as reason:  # the next test tells more
            failed = 1
            print(f"not ok {count} - {name}")
            print("\n".join(f"# {line}" for line in str(reason).splitlines()), flush=True)
    print(f"1..{count}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
