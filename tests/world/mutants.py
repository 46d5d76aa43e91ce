"""Mutants of store and ledger: each lacks one sync, one check, one fence. The proofs must notice every one of them."""

from __future__ import annotations

import ast
import contextlib
import importlib.machinery
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "state/mlplan_state/local.py", "state/mlplan_state/journal.py", "state/mlplan_state/history.py",
    "state/mlplan_state/locking.py", "state/mlplan_state/blobs.py", "state/mlplan_state/files.py",
    "mlplan/ledger/journal.py", "mlplan/ledger/codec.py", "mlplan/ledger/commit.py",
)  # fmt: skip
CALLS = frozenset({"sync", "sync_data", "sync_folder", "verify", "check"})
SKIPPED = {
    # In `Files` itself these are the system calls; the disk in memory has its own.
    "state/mlplan_state/files.py": ("make_folder", "write_at", "read", "sync_folder", "write"),
}
SECOND_LINES = frozenset(
    {
        # Each of these is followed by another check of the same thing, which the proofs see at work.
        "local.py _read_state: if not document.strip()",  # then it has no serial
        "local.py _read_state: if serial is None",  # then the ledger finds another serial in it, or none
        "journal.py read: if rest and rest[0] is not None and (rest[0].number == 0) and (not good)",  # only the better message
        # `_put` verifies before it renames. What is done before that is a copy in the history or in damaged/, which nothing reads by itself.
        "local.py swap_head: held.verify()",
        "local.py replace_damaged: held.verify()",
        # Only the name of the marker counts, not what is in it, and the name is made durable by its folder.
        "local.py _mark: self._files.sync(fd)",
        # The loop after it refuses as well.
        "commit.py _refuse_if_over: if self._error is not None",
        # An empty file has nothing to sync; each line that comes into it is.
        "journal.py create: files.sync(fd)",
        # A power loss ends the holder too: what the lock file says after it matters to nobody.
        "locking.py take: files.sync(fd)",
        "locking.py take_away: files.sync(fd)",
        "locking.py take_away: files.sync_folder(path.parent)",
    }
)
"""Mutants that change nothing, or nothing that matters, and why."""
TIMEOUT = 120.0


@dataclass(frozen=True)
class Mutant:
    """One file with one line less."""

    file: str
    function: str
    line: int
    what: str
    source: str

    @property
    def key(self) -> str:
        """Name it independently of line numbers."""
        return f"{Path(self.file).name} {self.function}: {self.what}"

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line} without {self.what}"


def mutants() -> list[Mutant]:
    """Return every mutant, in the order of the files."""
    return [mutant for file in FILES for mutant in _of(file)]


def _of(file: str) -> Iterator[Mutant]:
    source = (ROOT / file).read_text()
    for function, node in _statements(ast.parse(source)):
        if function in SKIPPED.get(file, ()):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = node.value.func.attr if isinstance(node.value.func, ast.Attribute) else ""
            if name in CALLS:
                yield _without(file, function, source, node, f"{ast.unparse(node)[:70]}")
        elif isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise) and not node.orelse:
            yield _without(file, function, source, node, f"if {ast.unparse(node.test)[:70]}")


def _statements(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.stmt):
                    yield function.name, node


def _without(file: str, function: str, source: str, node: ast.stmt, what: str) -> Mutant:
    lines = source.splitlines(keepends=True)
    indent = lines[node.lineno - 1][: node.col_offset]
    assert node.end_lineno is not None
    kept = [*lines[: node.lineno - 1], f"{indent}pass\n", *("\n" for _ in range(node.end_lineno - node.lineno))]
    return Mutant(file, function, node.lineno, what, "".join([*kept, *lines[node.end_lineno :]]))


def notices(mutant: Mutant) -> str:
    """Return what the proofs say about a mutant, empty when they see nothing. Runs in a child process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(read_end)
            os.write(write_end, _verdict(mutant).encode()[:2000])
        os._exit(0)
    os.close(write_end)
    return _answer(child, read_end)


def _answer(child: int, pipe: int) -> str:
    deadline = time.monotonic() + TIMEOUT
    os.set_blocking(pipe, False)
    answer = b""
    while True:
        with contextlib.suppress(BlockingIOError):
            part = os.read(pipe, 4096)
            if not part:
                break
            answer += part
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            answer = b"it hangs"
            break
        time.sleep(0.02)
    os.close(pipe)
    os.waitpid(child, 0)
    return answer.decode(errors="replace")


def _verdict(mutant: Mutant) -> str:
    target = str(ROOT / mutant.file)
    real = importlib.machinery.SourceFileLoader.get_data

    def get_data(self: importlib.machinery.SourceFileLoader, path: str) -> bytes:
        if path == target:
            return mutant.source.encode()
        if path.endswith(".pyc") and Path(path).name.startswith(Path(target).stem + "."):
            raise OSError("compiled anew")
        return real(self, path)

    importlib.machinery.SourceFileLoader.get_data = get_data  # type: ignore[method-assign]
    sys.dont_write_bytecode = True
    for name in list(sys.modules):
        if name.startswith(("mlplan", "tests.world")):
            del sys.modules[name]
    with tempfile.TemporaryDirectory() as folder:
        try:
            from tests.world.quick import first_problem

            return first_problem(Path(folder))
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
