"""A project in a scratch folder, driven as a person at a terminal would: commands are typed and shown, files edited.

For `tools/demo.py` and the end-to-end tests. It knows nothing of the story it is used to tell, and imports nothing of
mlplan: what it sees is what a user sees. Whatever goes otherwise than expected raises `UnexpectedError`, with what was
wanted and what was seen.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parent.parent
SHOWN_DATA = 240


class UnexpectedError(Exception):
    """Something did not do what it says."""


def expect(condition: object, wanted: str, seen: object) -> None:
    """Raise `UnexpectedError` unless `condition` holds."""
    if not condition:
        raise UnexpectedError(f"expected: {wanted}\n    seen: {seen}")


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code, everything it wrote, and how many seconds it took."""

    command: str
    code: int
    text: str
    seconds: float

    def says(self, *words: str) -> None:
        """Expect every one of `words` in the output, whatever its case and wherever lines were broken."""
        text = " ".join(self.text.lower().split())
        for word in words:
            expect(
                word.lower() in text,
                f"`{self.command}` says {word!r}",
                f"{len(self.text)} characters without it",
            )

    def line(self, *words: str) -> str:
        """Return the first line that holds all of `words`."""
        for line in self.text.splitlines():
            if all(word.lower() in line.lower() for word in words):
                return line.strip()
        raise UnexpectedError(
            f"expected: a line of `{self.command}` with {' and '.join(map(repr, words))}\n    seen: none"
        )


@dataclass
class Tour:
    """The scratch folder and what happened in it. quiet: commands and their output are kept, not shown."""

    scratch: Path
    quiet: bool = False
    log: list[str] = field(default_factory=list)
    _running: subprocess.Popen[str] | None = None

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.scratch / "flights"

    @property
    def temporary(self) -> Path:
        """Where commands put temporary files: must be empty in the end."""
        return self.scratch / "tmp"

    def prepare(self, example: Path) -> None:
        """Start over: end what an earlier tour left running, and copy the example without its data."""
        self.end_processes()
        remove_tree(self.scratch)
        self.temporary.mkdir(parents=True)
        (self.scratch / ".gitignore").write_text("*\n")
        ignored = shutil.ignore_patterns("data", ".mlplan", "__pycache__", "requests", "mlplan.lock.hcl")
        shutil.copytree(example, self.root, ignore=ignored)

    def say(self, text: str = "") -> None:
        """Show a line."""
        self.log.append(text)
        if not self.quiet:
            print(text, flush=True)

    def run(
        self,
        *command: str,
        code: int | None = 0,
        longest: float = 240,
        watch: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run a command in the project's folder, show it with its output, and expect its exit code (None: any).

        watch: is told each line as it comes. Units: `longest` seconds, after which the command is killed.
        """
        typed = " ".join(command)
        self.say(f"\n$ {typed}")
        began = time.monotonic()
        lines: list[str] = []
        with subprocess.Popen(
            [self._program(command[0]), *command[1:]],
            cwd=self.root,
            env=self._environment(),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this program, which then ends the command in its own time
        ) as process:
            self._running = process
            limit = threading.Timer(longest, process.kill)
            limit.start()
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                self.say("  " + line.rstrip("\n"))
                if watch is not None:
                    watch(line)
            process.wait()
            limit.cancel()
        self._running = None
        done = Finished(typed, process.returncode, "".join(lines), time.monotonic() - began)
        wanted = "" if code is None else f"`{typed}` exits with {code}"
        expect(code is None or done.code == code, wanted, f"exit code {done.code}")
        self.say(f"  [exit {done.code}, {done.seconds:.1f} s]")
        return done

    def mlplan(self, *arguments: str, code: int | None = 0, watch: Callable[[str], None] | None = None) -> Finished:
        """Run the mlplan command."""
        return self.run("mlplan", *arguments, code=code, watch=watch)

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace text that stands once in a file, and show the difference."""
        path = self.root / name
        old = path.read_text(encoding="utf-8")
        expect(old.count(before) == 1, f"{before!r} once in {name}", f"{old.count(before)} times")
        new = old.replace(before, after)
        path.write_text(new, encoding="utf-8")
        self.say()
        for line in difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm="", n=1):
            self.say("  " + line)

    def ask(self, url: str, body: bytes) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Post a body as curl would, show it, and return the answer and its headers."""
        shown = body.decode()
        shown = shown if len(shown) <= SHOWN_DATA else shown[:SHOWN_DATA] + "…"
        self.say(f"\n$ curl -si -H 'content-type: application/json' -d '{shown}' {url}")
        request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310  (our own url)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
                headers = {name.lower(): value for name, value in response.headers.items()}
                answer = json.load(response)
        except (OSError, ValueError) as error:
            raise UnexpectedError(f"expected: an answer from {url}\n    seen: {error}") from error
        self.say(f"  HTTP 200  x-mlplan-model-version: {headers.get('x-mlplan-model-version')}")
        self.say(f"  {json.dumps(answer)}")
        return answer, headers

    def processes(self) -> dict[int, str]:
        """Return the servers, routers and jobs of the project that are running."""
        return processes_of(self.root)

    def end_processes(self) -> None:
        """End the running command and every process of the project."""
        if self._running is not None and self._running.poll() is None:
            self._running.send_signal(signal.SIGINT)
            try:
                self._running.wait(20)
            except subprocess.TimeoutExpired:
                self._running.kill()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            deadline = time.monotonic() + 5
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.1)

    def _program(self, name: str) -> str:
        path = Path(sys.executable).parent / name
        return str(path) if path.exists() else name

    def _environment(self) -> dict[str, str]:
        folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        cache = str(self.scratch / "cache")
        return {**os.environ, "PATH": os.pathsep.join(folders), "TMPDIR": str(self.temporary), "XDG_CACHE_HOME": cache}


PROGRAMS = ("python", "envoy", "mlplan")
"""What a project's processes are. Others that name its folder (an editor, a pager) are somebody's own."""


def processes_of(folder: Path) -> dict[int, str]:
    """Return pid -> command line of every Python, Envoy and mlplan process that names `folder` or works in it.

    This process and those that started it are left out.
    """
    rows = _process_table()
    parents = {pid: parent for pid, parent, _, _ in rows}
    mine, pid = set(), os.getpid()
    while pid and pid not in mine:
        mine.add(pid)
        pid = parents.get(pid, 0)
    inside = re.compile(re.escape(str(folder)) + r"(/|\s|$)")
    found = {}
    for pid, _, command, cwd in rows:
        program = os.path.basename(command.split(" ", 1)[0])
        if pid not in mine and program.startswith(PROGRAMS) and (inside.search(command) or inside.match(cwd)):
            found[pid] = command
    return found


def _process_table() -> list[tuple[int, int, str, str]]:
    """Return pid, parent's pid, command line and working folder of every process; without /proc no working folder."""
    proc = Path("/proc")
    if not (proc / "self" / "cmdline").exists():
        listing = ["ps", "-axww", "-o", "pid=,ppid=,command="]
        lines = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
        rows = (line.split(None, 2) for line in lines)
        return [(int(row[0]), int(row[1]), row[2], "") for row in rows if len(row) == 3]
    table = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            cwd = os.readlink(entry / "cwd") if command else ""
        except OSError:  # it has ended, or belongs to someone else
            continue
        if command:  # a zombie has none, and waits only for its parent to look
            table.append((int(entry.name), parent, command, cwd))
    return table


def listens(url: str) -> bool:
    """Tell whether something accepts connections at the address of a URL."""
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 80)) == 0


def remove_tree(folder: Path) -> None:
    """Remove a folder, read-only artifacts in it included."""
    if not folder.exists():
        return
    for path, _, _ in os.walk(folder):
        os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(folder)


def bodies_of(path: Path) -> list[bytes]:
    """Return the request bodies of a file, one a line."""
    return [line for line in path.read_bytes().splitlines() if line.strip()]


def count_by_version(versions: Mapping[str, Mapping[str, int]]) -> str:
    """Return what each version answered, for people: "v1: 812 x 200; v2: 90 x 200, 14 x 500"."""
    parts = []
    for version, codes in sorted(versions.items()):
        parts.append(f"{version}: " + ", ".join(f"{count:,} x {code}" for code, count in sorted(codes.items())))
    return "; ".join(parts)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as they must be."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
