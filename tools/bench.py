"""Measure mlplan against terraform in the same run, and write the tables into docs/benchmarks.md.

n `environment` blocks with a reference and a function call each here, n `terraform_data` (built into terraform, no provider to start)
with the same reference and call there. Every number is one process: its CPU seconds (user and system, children included), wall
seconds and peak memory, from wait4. With --repeat the one with the least CPU counts: noise only ever adds.

    python tools/bench.py                       all sizes, into docs/benchmarks.md
    python tools/bench.py --quick               up to 1,000, printed only
    python tools/bench.py --sizes 1 100 --chains 100 --no-write
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- language and plan: begin (written by tools/bench.py) -->", "<!-- language and plan: end -->"
SIZES, CHAINS = (1, 100, 1_000, 5_000, 10_000), (100, 500)
MOST_CREATED = 500
"""Terraform writes its whole state after every resource: beyond this it is given the state instead of making it."""

MOST_APPLIED = 1_000
"""Beyond it terraform's apply without changes is left out: it takes what its plan takes, minutes each."""

PHASES = ("validate", "plan create", "apply create", "plan no change", "apply no change")


@dataclass(frozen=True)
class Cost:
    """What one process took. Units: seconds, MB."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True)
class Tool:
    """A program under test: how to write n blocks, and how to run a phase."""

    name: str
    write: Callable[[Path, int, bool], None]
    phases: Mapping[str, Sequence[str]]
    prepare: Sequence[str]


def mlplan_files(folder: Path, n: int, chain: bool) -> None:
    """Write n environments; each but the first refers to another one and calls a function."""
    blocks = ['variable "prefix" {\n  type    = string\n  default = "bench"\n}\n']
    for i in range(n):
        before = f"environment.e{i - 1 if chain else 0}"
        text = (
            f'format("%s-%d follows %s", var.prefix, {i}, {before}.ready)' if i else f'format("%s-%d", var.prefix, {i})'
        )
        promote = f"  promote_from = {before}\n" if i else ""
        blocks.append(f'environment "e{i}" {{\n{promote}  description  = {text}\n}}\n')
    (folder / "main.mlplan.hcl").write_text("\n".join(blocks), encoding="utf-8")


def terraform_files(folder: Path, n: int, chain: bool) -> None:
    """Write n terraform_data with the same reference and call."""
    blocks = ['variable "prefix" {\n  type    = string\n  default = "bench"\n}\n']
    for i in range(n):
        before = f"terraform_data.e{i - 1 if chain else 0}"
        text = f'format("%s-%d follows %s", var.prefix, {i}, {before}.id)' if i else f'format("%s-%d", var.prefix, {i})'
        blocks.append(f'resource "terraform_data" "e{i}" {{\n  input = {text}\n}}\n')
    (folder / "main.tf").write_text("\n".join(blocks), encoding="utf-8")


def terraform_state(folder: Path, n: int, chain: bool) -> None:
    """Write the state that an apply of `terraform_files` would leave: making it with terraform takes an hour at 10,000."""
    resources = []
    for i in range(n):
        before = i - 1 if chain else 0
        text = f"bench-{i} follows {_identity(before)}" if i else "bench-0"
        value = {"value": text, "type": "string"}
        attributes = {"id": _identity(i), "input": value, "output": value, "triggers_replace": None}
        instance = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
        if i:
            instance["dependencies"] = [f"terraform_data.e{before}"]
        resources.append(
            {
                "mode": "managed", "type": "terraform_data", "name": f"e{i}",
                "provider": 'provider["terraform.io/builtin/terraform"]', "instances": [instance],
            }
        )  # fmt: skip
    state = {
        "version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": _identity(n), "outputs": {},
        "resources": resources, "check_results": None,
    }  # fmt: skip
    (folder / "terraform.tfstate").write_text(json.dumps(state), encoding="utf-8")


def _identity(number: int) -> str:
    return str(uuid.UUID(int=number))


def tools() -> list[Tool]:
    """Return the programs under test; terraform only where it is installed."""
    own = [sys.executable, "-m", "mlplan.cli.main"]
    found = [
        Tool(
            "mlplan", mlplan_files,
            {
                "validate": [*own, "validate"], "plan create": [*own, "plan"], "apply create": [*own, "apply", "--auto-approve"],
                "plan no change": [*own, "plan"], "apply no change": [*own, "apply", "--auto-approve"],
            },
            [*own, "init"],
        )
    ]  # fmt: skip
    terraform = shutil.which("terraform")
    if terraform is not None:
        quiet = ["-no-color", "-input=false"]
        found.append(
            Tool(
                "terraform", terraform_files,
                {
                    "validate": [terraform, "validate", "-no-color"], "plan create": [terraform, "plan", *quiet],
                    "apply create": [terraform, "apply", *quiet, "-auto-approve"], "plan no change": [terraform, "plan", *quiet],
                    "apply no change": [terraform, "apply", *quiet, "-auto-approve"],
                },
                [terraform, "init", *quiet],
            )
        )  # fmt: skip
    return found


def environment(cache: Path) -> dict[str, str]:
    """Return the environment of a measured process: bytecode is kept, as in an installed program; the parse cache is in `cache`."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")}
    return {**kept, "XDG_CACHE_HOME": str(cache), "NO_COLOR": "1", "CHECKPOINT_DISABLE": "1"}


def measure(command: Sequence[str], folder: Path, cache: Path) -> Cost:
    """Run one process and return what it took. Raises: RuntimeError when it fails."""
    import time

    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment(cache), stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def case(tool: Tool, n: int, chain: bool, repeat: int) -> dict[str, Cost]:
    """Return the cost of every phase of one tool at one size. Phases that read can be repeated; an apply that creates cannot."""
    found: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory(prefix="mlplan-bench-") as place:
        folder, cache = Path(place) / "files", Path(place) / "cache"
        folder.mkdir()
        cache.mkdir()
        tool.write(folder, n, chain)
        measure(tool.prepare, folder, cache)
        for phase in PHASES:
            if tool.name == "terraform" and phase == "apply create" and n > MOST_CREATED:
                terraform_state(folder, n, chain)
                continue
            if tool.name == "terraform" and phase == "apply no change" and n > MOST_APPLIED:
                continue
            times = 1 if phase == "apply create" else repeat
            if tool.name == "mlplan" and phase in ("validate", "plan no change"):
                shutil.rmtree(cache)
                cache.mkdir()
                found[f"{phase}, cold"] = measure(tool.phases[phase], folder, cache)
            costs = [measure(tool.phases[phase], folder, cache) for _ in range(times)]
            found[phase] = min(costs, key=lambda cost: cost.cpu)
    return found


Results = dict[tuple[str, str, int], dict[str, Cost]]
"""By tool, shape and size."""


def run(
    sizes: Sequence[int], chains: Sequence[int], repeat: int, keep: Callable[[Results], None] = lambda results: None
) -> Results:
    """Measure everything, telling how far it is on stderr. keep: gets the results after every size, so that a cut run has some."""
    results: Results = {}
    for shape, counts in (("chain", chains), ("shallow", sizes)):
        for n in counts:
            for tool in tools():
                sys.stderr.write(f"{tool.name}: {shape} {n:,}\n")
                results[tool.name, shape, n] = case(tool, n, shape == "chain", repeat if n <= 1_000 else 1)
            keep(results)
    return results


def start_up(repeat: int) -> Cost:
    """Return the cost of `mlplan version`."""
    command = [sys.executable, "-m", "mlplan.cli.main", "version"]
    script = Path(sys.executable).with_name("mlplan")
    with tempfile.TemporaryDirectory() as folder:
        costs = [
            measure([str(script), "version"] if script.exists() else command, Path(folder), Path(folder))
            for _ in range(repeat)
        ]
    return min(costs, key=lambda cost: cost.wall)


def tables(results: Results, version: Cost) -> str:
    """Return the results as Markdown."""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}, "
        f"{_terraform()}, load {os.getloadavg()[0]:.1f} at the end. `mlplan version`: {version.wall:.3f} s of wall, "
        f"{version.cpu:.3f} s of CPU.", "",
        "CPU s / wall s / peak MB. Ratio: CPU of mlplan to that of terraform; below 1 mlplan takes less. Warm parse cache, unless it "
        f"says cold. Terraform's creating apply is not run beyond {MOST_CREATED:,}: it is handed the state instead; its apply "
        f"without changes not beyond {MOST_APPLIED:,}: minutes.", "",
        "| shape | n | phase | mlplan | terraform | CPU ratio | wall ratio | memory ratio |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    keys = sorted(dict.fromkeys((shape, n) for _, shape, n in results), key=lambda key: (key[0] == "chain", key[1]))
    for shape, n in keys:
        own, other = results["mlplan", shape, n], results.get(("terraform", shape, n), {})
        for phase, cost in own.items():
            against = other.get(phase.removesuffix(", cold"))
            row = [shape, f"{n:,}", phase, _cost(cost), _cost(against) if against else "", *_ratios(cost, against)]
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", *_growth(results), *_goals(results)]) + "\n"


def _cost(cost: Cost) -> str:
    return f"{cost.cpu:.2f} / {cost.wall:.2f} / {cost.memory:.0f}"


def _ratios(cost: Cost, against: Cost | None) -> list[str]:
    if against is None:
        return ["", "", ""]
    return [f"{a / b:.2f}" for a, b in zip(_facts(cost), _facts(against), strict=True)]


def _facts(cost: Cost) -> tuple[float, float, float]:
    return cost.cpu, cost.wall, cost.memory


def _growth(results: Results) -> list[str]:
    """Return the growth exponents: of what is spent beyond the start-up, between the two largest sizes of each shape."""
    lines = ["Growth: the exponent e of n^e in CPU seconds beyond those of n = 1, between the two largest sizes.", ""]
    lines += ["| tool | shape | from | to | " + " | ".join(PHASES) + " |", "|---|---|---|---|" + "---|" * len(PHASES)]
    for tool in dict.fromkeys(tool for tool, _, _ in results):
        base = results.get((tool, "shallow", 1))
        for shape in ("shallow", "chain"):
            sizes = sorted(n for t, s, n in results if (t, s) == (tool, shape) and n > 1)
            if len(sizes) < 2 or base is None:
                continue
            low, high = sizes[-2:]
            row = []
            for phase in PHASES:
                if phase not in results[tool, shape, low] or phase not in results[tool, shape, high]:
                    row.append("not run")
                    continue
                a = results[tool, shape, low][phase].cpu - base[phase].cpu
                b = results[tool, shape, high][phase].cpu - base[phase].cpu
                row.append(f"{math.log(b / a) / math.log(high / low):.2f}" if a > 0.02 and b > 0 else "too small")
            lines.append(f"| {tool} | {shape} | {low:,} | {high:,} | {' | '.join(row)} |")
    return [*lines, ""]


def _goals(results: Results) -> list[str]:
    """Return whether the goals are met, in plain words."""
    lines = ["| goal | measured | met |", "|---|---|---|"]

    def row(goal: str, n: int, phase: str, fact: str, most: float) -> None:
        own, other = results.get(("mlplan", "shallow", n)), results.get(("terraform", "shallow", n))
        if own is None or other is None:
            return
        ratio = getattr(own[phase], fact) / getattr(other[phase.removesuffix(", cold")], fact)
        lines.append(f"| {goal} | {ratio:.2f} | {'yes' if ratio <= most else 'no'} |")

    row("plan no change at 1,000, warm: at most half of terraform's CPU", 1_000, "plan no change", "cpu", 0.5)
    row("plan no change at 10,000, warm: at most a fifth of terraform's wall", 10_000, "plan no change", "wall", 0.2)
    row(
        "plan no change at 10,000, warm: at most a third of terraform's memory",
        10_000,
        "plan no change",
        "memory",
        1 / 3,
    )
    row("plan no change at 1,000, cold: at most terraform's CPU", 1_000, "plan no change, cold", "cpu", 1.0)
    chain, flat = results.get(("mlplan", "chain", 500)), results.get(("mlplan", "shallow", 1_000))
    one = results.get(("mlplan", "shallow", 1))
    if chain and flat and one:
        half = one["plan no change"].cpu + (flat["plan no change"].cpu - one["plan no change"].cpu) / 2
        ratio = chain["plan no change"].cpu / half
        lines.append(
            f"| a chain of 500 costs what 500 shallow ones cost (within 1.25) | {ratio:.2f} | {'yes' if ratio <= 1.25 else 'no'} |"
        )
    return lines


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match[1].strip() if match else platform.machine()


def _terraform() -> str:
    program = shutil.which("terraform")
    if program is None:
        return "no terraform here"
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].replace("Terraform v", "terraform ")


def write(text: str) -> None:
    """Put the tables between their marks in docs/benchmarks.md; the rest of the page stays."""
    page = (
        PAGE.read_text(encoding="utf-8")
        if PAGE.exists()
        else f"# Benchmarks\n\n## Language and plan\n\n{BEGIN}\n{END}\n"
    )
    if BEGIN not in page:
        page = page.rstrip("\n") + f"\n\n## Language and plan\n\n{BEGIN}\n{END}\n"
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}", encoding="utf-8")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--chains", type=int, nargs="*", default=CHAINS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="up to 1,000, nothing written")
    parser.add_argument("--no-write", action="store_true")
    given = parser.parse_args()
    sizes = [n for n in given.sizes if n <= 1_000] if given.quick else given.sizes
    version = start_up(5)
    stays = given.no_write or given.quick
    results = run(sizes, given.chains, given.repeat, lambda found: None if stays else write(tables(found, version)))
    sys.stdout.write(tables(results, version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
