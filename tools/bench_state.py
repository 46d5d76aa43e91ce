"""What remembering costs: creating thousands of records durably, beside Terraform's way of writing the whole state after each.

    python tools/bench_state.py [--most 10000]

Prints a table: seconds in the store for N creates (an intent, the outcome, both durable before the next), the bytes written, and the same
for a state that is rewritten and synced whole after every create. The rewriting is measured up to 500 and stated as it grows: with N
squared. Everything is written to a folder in the current one, so that it is a real disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlplan.ledger.names import token
from mlplan.ledger.records import Operation, Record
from mlplan.ledger.session import Ledger
from mlplan.spi.store import Holder
from mlplan_state.files import Files
from mlplan_state.local import LocalStore

HOLDER = Holder("bench", "here", 1, 1.0, "apply", "")
LONGEST_REWRITING = 500
THREADS = 10
"""As many as apply carries out at a time when nobody says otherwise; they share syncs."""


class Counting(Files):
    """Real files; counts bytes and the time in calls that write or sync."""

    def __init__(self) -> None:
        self.bytes = 0
        self.seconds = 0.0

    def write(self, fd: int, data: bytes) -> None:
        began = time.perf_counter()
        super().write(fd, data)
        self.seconds += time.perf_counter() - began
        self.bytes += len(data)

    def sync(self, fd: int) -> None:
        began = time.perf_counter()
        super().sync(fd)
        self.seconds += time.perf_counter() - began

    def sync_data(self, fd: int) -> None:
        began = time.perf_counter()
        super().sync_data(fd)
        self.seconds += time.perf_counter() - began


def attributes(number: int) -> dict[str, object]:
    """Return about what a deployment remembers."""
    return {
        "name": f"thing-{number}",
        "digest": token("x", str(number), 1) * 3,
        "weights": {"v1": 10_000},
        "url": "http://127.0.0.1:1",
    }


def journal(count: int, folder: Path, threads: int = THREADS) -> tuple[float, float, int]:
    """Create `count` records, so many at a time as apply does; return all seconds, those in the file system, bytes written."""
    files = Counting()
    ledger = Ledger(LocalStore({}, folder, "default", files))
    ledger.initialise()
    began = time.perf_counter()
    with ledger.begin("bench", HOLDER, "apply") as session:

        def create(number: int) -> None:
            address = f"thing.t{number}"
            mark = token("lineage", address, 1)
            session.intent(Operation(address, f"{address}#make", "make", "thing", mark))
            session.done(address, f"{address}#make", Record(address, "thing", attributes(number), token=mark))

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(create, range(count)))
        session.end("done")
    return time.perf_counter() - began, files.seconds, files.bytes


def rewriting(count: int, folder: Path) -> tuple[float, int]:
    """Write the whole state after each of `count` creates, as Terraform does; return seconds and bytes."""
    path, written, resources = folder / "terraform.tfstate", 0, []
    began = time.perf_counter()
    for number in range(count):
        resources.append(
            {
                "mode": "managed",
                "type": "thing",
                "name": f"t{number}",
                "instances": [{"attributes": attributes(number)}],
            }
        )
        data = json.dumps({"version": 4, "serial": number, "resources": resources}, indent=2).encode()
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written += len(data)
    return time.perf_counter() - began, written


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10_000)
    most = parser.parse_args().most
    sys.stdout.write(
        "| creates | journal, s | of it in the file system, s | MB written | whole state each time, s | MB written |\n"
    )
    sys.stdout.write("|---:|---:|---:|---:|---:|---:|\n")
    for count in (n for n in (100, 500, 1000, 5000, 10_000) if n <= most):
        with tempfile.TemporaryDirectory(dir=".") as name:
            seconds, inside, size = journal(count, Path(name))
            other = rewriting(count, Path(name)) if count <= LONGEST_REWRITING else None
        words = f"{other[0]:.2f} | {other[1] / 1e6:.1f}" if other else "not measured | "
        sys.stdout.write(f"| {count:,} | {seconds:.2f} | {inside:.2f} | {size / 1e6:.1f} | {words} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
