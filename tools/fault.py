"""The long fault campaign over the state (make fault): counts every case, names every problem, writes the table of docs/reliability.md.

    python tools/fault.py                    everything, about a quarter of an hour on two idle cores
    python tools/fault.py --only power rivals    some parts; the others keep the rows that were measured before
    python tools/fault.py --scale 0.01       smaller numbers, nothing is written

Exits with 1 when any case has a problem.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.world import mutants, proofs  # noqa: E402  (after the path is set)
from tests.world.ledger_work import broken_promise, goes_on, local  # noqa: E402
from tests.world.proofs import Tally  # noqa: E402
from tests.world.strace_work import CALLS, killed_at  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- measured by tools/fault.py -->", "<!-- end of what was measured -->"


@dataclass
class Part:
    """One row of the table."""

    name: str
    what: str
    cases: int
    distinct: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    when: str = ""


def kills(scale: float, folder: Path) -> Tally:
    """Every operation of works of different sizes."""
    total = Tally()
    for addresses, runs in ((1, 2), (3, 3), (2, 5), (6, 3)):
        _add(total, proofs.crash_points(addresses, runs, max(1, round(1 / scale))))
    return total


def system_calls(scale: float, folder: Path) -> Tally:
    """A real process under strace, killed as it enters each system call that changes something."""
    tally = Tally()
    if shutil.which("strace") is None:
        return tally
    for call in CALLS:
        number = 1
        while True:
            root = folder / f"{call}-{number}"
            promises, killed = killed_at(root, call, number)
            if not killed:
                break
            files = proofs.Files()
            problem = broken_promise(local(files, root), promises) or goes_on(local(files, root), promises)
            tally.add(problem, f"{call} number {number}")
            shutil.rmtree(root)
            number += max(1, round(1 / scale))
    return tally


def disk_faults(scale: float, folder: Path) -> Tally:
    """EIO, ENOSPC, EROFS at every operation."""
    return proofs.io_faults(2, 3, max(1, round(1 / scale)))


def power(scale: float, folder: Path) -> Tally:
    """Images of power losses, drawn by two processes with seeds of their own."""
    total = Tally()
    jobs = [(int(1_000_000 * scale / 10), seed, 1 + seed % 3, 2 + seed % 2) for seed in range(10)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for tally in pool.map(_power, jobs):
            _add(total, tally)
    return total


def _power(job: tuple[int, int, int, int]) -> Tally:
    images, seed, addresses, runs = job
    return proofs.power_losses(images, seed, addresses, runs, on_every=100)


def damage(scale: float, folder: Path) -> Tally:
    """Each byte of each file of a state flipped, zeroed, cut."""
    return proofs.damaged_bytes(max(1, round(1 / scale)))


def rivals(scale: float, folder: Path) -> Tally:
    """Appliers at once, with failing writes and locks taken away."""
    return proofs.rivals(max(1, int(500 * scale)), int(time.time()), folder)


def mutated(scale: float, folder: Path) -> Tally:
    """Each sync, check and fence taken out of the store, one at a time: the proofs must notice."""
    tally = Tally()
    for number, mutant in enumerate(mutants.mutants()):
        if number % max(1, round(1 / scale)):
            continue
        if mutant.key in mutants.SECOND_LINES:
            continue
        tally.add("" if mutants.notices(mutant) else "nobody notices", str(mutant))
    return tally


def applies(scale: float, folder: Path) -> Tally:
    """A whole apply (data, training, packaging, gates, canary) that meets each fate at moments spread over it."""
    from tests.world import apply_crash

    stage = apply_crash.Stage(folder)
    tally, deadline = Tally(), time.monotonic() + 1200 * min(scale, 1.0)
    moments = {template: stage.moments(template) for template in (stage.second, stage.first)}
    for step in (16, 8, 4, 2, 1):  # coarse first: what time is left makes it finer
        for template, names in moments.items():
            for at in range(step // 2, len(names), step):
                for fate in apply_crash.FATES:
                    if time.monotonic() > deadline:
                        return tally
                    tally.add(
                        apply_crash.after(stage, template, at, fate), f"{fate} at {names[at]} ({at}) of {template.name}"
                    )
    return tally


PARTS: dict[str, tuple[str, Callable[[float, Path], Tally]]] = {
    "kills": ("the process is killed before, in the middle of and after every operation on files", kills),
    "calls": ("a real process gets SIGKILL from strace at every write, rename, fsync, fdatasync, unlink, mkdir", system_calls),
    "disk": ("EIO, ENOSPC, EROFS at every operation, some after part of a write", disk_faults),
    "power": ("power losses: unsynced writes reordered, torn, zeroed, renames without synced folders lost", power),
    "damage": ("each byte of state, journal, mark, lock, history and blobs flipped, zeroed, cut", damage),
    "rivals": ("histories of three appliers at once, 6 % of syncs and renames failing, locks taken away", rivals),
    "applies": ("whole applies: killed, rebooted, job, unit or router killed, answers lost, disk full", applies),
    "mutants": ("the store without one of its syncs, checks or fences", mutated),
}  # fmt: skip


def _add(total: Tally, part: Tally) -> None:
    total.cases += part.cases
    total.distinct += part.distinct
    total.problems += part.problems


def main() -> int:
    """Run the campaign; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=[*PARTS, "terraform"], default=[*PARTS, "terraform"])
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    rows = _measured()
    failed = False
    for name in given.only:
        if name == "terraform":
            from tools.fault_terraform import compare

            rows[name] = compare()
            sys.stdout.write(json.dumps(rows[name], indent=1) + "\n")
        else:
            rows[name] = asdict(_run(name, given.scale))
            failed = failed or bool(rows[name]["problems"])
        if given.scale == 1.0:
            _write(rows)
    return 1 if failed else 0


def _run(name: str, scale: float) -> Part:
    what, work = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = work(scale, Path(folder))
    seconds = time.monotonic() - began
    sys.stdout.write(f"{name}: {tally.cases:,} cases, {len(tally.problems)} problems, {seconds:.0f} s\n")
    sys.stdout.writelines(f"    {problem[:600]}\n" for problem in tally.problems[:20])
    sys.stdout.flush()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return Part(name, what, tally.cases, tally.distinct, tally.problems[:20], round(seconds, 1), today)


def _measured() -> dict[str, dict]:  # type: ignore[type-arg]
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    found = text.partition("<!-- raw: ")[2].partition(" -->")[0]
    return dict(json.loads(found)) if found else {}


def _write(rows: dict[str, dict]) -> None:  # type: ignore[type-arg]
    lines = [
        BEGIN,
        "",
        "| what happens | cases | lost, orphaned or unreadable | seconds | measured |",
        "|---|---:|---:|---:|---|",
    ]
    for name in PARTS:
        row = rows.get(name)
        if row is not None:
            distinct = f" ({row['distinct']:,} of them different)" if row["distinct"] else ""
            word = f"{row['cases']:,}{distinct}"
            lines.append(f"| {row['what']} | {word} | {len(row['problems'])} | {row['seconds']:.0f} | {row['when']} |")
    cpus = f"{os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}"
    lines += ["", f"Measured on {cpus}, with other work going on."]
    if "terraform" in rows:
        lines += ["", "The same on Terraform, side by side:", "", *rows["terraform"]["table"]]
    lines += ["", f"<!-- raw: {json.dumps(rows)} -->", END]
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(before + "\n".join(lines) + tail, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
