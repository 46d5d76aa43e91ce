"""Measure data contracts and drift against other programs, on the same generated files, and write docs/benchmarks.md.

Every number is one process, measured from outside (wait4, children included): CPU seconds, wall seconds, peak memory. Every peer
has a throw-away environment of its own, made by uv. Results are kept in the work folder as they come, so that a run may be cut:

    python tools/bench_data.py                      everything that is not measured yet, then write the page
    python tools/bench_data.py --only pandera       one case, measured anew
    python tools/bench_data.py --rows 100000        small, printed only
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.bench import Cost, measure
from tools.bench_data_cases import CATEGORIES, GROUPS, NUMBERS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- data: begin (written by tools/bench_data.py) -->", "<!-- data: end -->"
CASES = Path(__file__).resolve().parent / "bench_data_cases.py"


@dataclass(frozen=True)
class Case:
    """One row of a table. data: the folder of generated files. packages: of the peer's environment; () is our own."""

    name: str
    function: str
    data: str
    shown: str
    packages: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Result:
    """What a case took and said; error: why it has no cost."""

    cost: Cost | None
    said: str
    error: str = ""


ARROW = "pyarrow"
ALL = (
    Case("bare read", "bare_read", "rows", "pyarrow: read all columns, check nothing"),
    Case("mlplan", "mlplan_contract", "rows", "mlplan: hashes of the files, all checks, uniqueness"),
    Case("duckdb", "duckdb_hand", "rows", "DuckDB: one query by hand, count(distinct)"),
    Case("pandera", "pandera", "rows", "pandera (Polars)", ("pandera[polars]", ARROW)),
    Case("dataframely", "dataframely", "rows", "dataframely", ("dataframely", ARROW)),
    Case("pointblank", "pointblank", "rows", "pointblank (Polars)", ("pointblank", "polars", ARROW)),
    Case("soda", "soda", "rows", "Soda Core (DuckDB)", ("soda-core-duckdb",)),
    Case("mlplan 1 M", "mlplan_contract", "tenth", "mlplan, a tenth of the rows"),
    Case("gx 1 M", "great_expectations", "tenth", "Great Expectations (pandas), a tenth", ("great_expectations", ARROW)),
    Case("narrow", "mlplan_narrow", "rows", "mlplan: four columns, uniqueness", variables=(("MLPLAN_DATA_MEMORY", "1GiB"),)),
    Case("narrow x10", "mlplan_narrow", "tenfold", "the same, ten times the rows", variables=(("MLPLAN_DATA_MEMORY", "1GiB"),)),
    Case("mlplan drift", "mlplan_drift", "drift", "mlplan: profiles of both, PSI with its noise floor"),
    Case("evidently", "evidently", "drift", "Evidently (PSI)", ("evidently", "pandas<3", ARROW)),
    Case("nannyml", "nannyml", "drift", "NannyML (Jensen-Shannon)", ("nannyml", "pandas<3", "statsmodels", ARROW)),
    Case("frouros", "frouros", "drift", "frouros (PSI, chi-square)", ("frouros", ARROW, "pandas")),
    Case("scipy", "scipy", "drift", "SciPy (KS, chi-square)", ("scipy", "pandas", ARROW)),
)  # fmt: skip
CONTRACTS = (
    "bare read",
    "mlplan",
    "duckdb",
    "pandera",
    "dataframely",
    "pointblank",
    "soda",
    "mlplan 1 M",
    "gx 1 M",
    "narrow",
    "narrow x10",
)


def generate(folder: Path, rows: int) -> None:
    """Write the files: `rows` in ten files, `tenth`, `tenfold` (the first four columns that matter), and two drift tables."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads = 2; set memory_limit = '2GB'")

    def share(column: int, of: str = "i") -> str:
        return f"(hash({of} * 31 + {column}) % 1000003) / 1000003.0"

    def category(column: int) -> str:
        return f"'k' || lpad((hash(i * 37 + {column}) % {len(CATEGORIES)})::varchar, 2, '0')"

    letters = " || ".join(f"chr(65 + (hash(i * 41 + {n}) % 26)::int)" for n in range(3))
    code = f"{letters} || '-' || lpad((hash(i * 43) % 10000)::varchar, 4, '0')"
    narrow = f"i as id, {share(0)} * 1000 as amount, {category(0)} as c0, {code} as code"
    parts = [
        narrow, "timestamp '2026-01-01' + to_seconds(i) as at",
        *[f"case when hash(i * 47 + {n}) % 20 = 0 and {n} = 5 then null else {share(n + 1)} * 20 - 10 end as f{n}" for n in range(6)],
        *[f"(hash(i * 53 + {n}) % 101)::int as i{n}" for n in range(4)], f"{category(1)} as c1", f"{category(2)} as c2",
        "case when hash(i * 59) % 3 = 0 then null else 'note ' || (hash(i * 61) % 100000)::varchar end as note",
        "hash(i * 67) % 2 = 0 as flag", "date '2026-01-01' + (i % 365)::int as day",
    ]  # fmt: skip
    moved = [
        f"sqrt(-2 * ln({share(n, 'i + OFFSET')} + 1e-9)) * cos(6.283185 * {share(n + 500, 'i + OFFSET')}) + SHIFT * {n % 10 == 0}::int as n{n}"
        for n in range(NUMBERS)
    ]
    moved += [
        f"'g' || (hash((i + OFFSET) * 71 + {n}) % (8 + (SHIFT * {n % 5 == 0}::int)::int))::varchar as g{n}"
        for n in range(GROUPS)
    ]
    each, tables = rows // 10, ", ".join(moved)
    work = [(f"rows/{n}", ", ".join(parts), n * each, each) for n in range(10)]
    work += [("tenth/rows/0", ", ".join(parts), 0, each)]
    work += [(f"tenfold/rows/{n:02}", narrow, n * rows, rows) for n in range(10)]
    work += [("drift/reference/0", tables.replace("OFFSET", "0").replace("SHIFT", "0"), 0, each)]
    work += [("drift/current/0", tables.replace("OFFSET", str(each)).replace("SHIFT", "1"), 0, each)]
    for name, columns, start, count in work:
        path = folder / f"{name}.parquet"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        sys.stderr.write(f"writing {name}\n")
        query = f"copy (select {columns} from range({start}, {start + count}) t(i)) to '{path}.tmp' (format parquet)"  # noqa: S608
        connection.execute(query)
        path.with_name(path.name + ".tmp").rename(path)


def interpreter(case: Case, folder: Path) -> str:
    """Return the interpreter of a case, in a new environment when it is a peer's. Raises: CalledProcessError."""
    if not case.packages:
        return sys.executable
    place = folder / "environments" / case.function
    python = place / "bin" / "python"
    if not python.exists():
        uv = shutil.which("uv")
        if uv is None:
            raise RuntimeError("uv is not here; it makes the environments of the peers")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run([uv, "venv", "-q", "--python", version, str(place)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *case.packages], check=True)
    return str(python)


def run(case: Case, folder: Path) -> Result:
    """Measure one case."""
    data = folder if case.data == "rows" else folder / case.data
    said = folder / "said.txt"
    try:
        python = interpreter(case, folder)
        script = f'exec "{python}" "{CASES}" {case.function} "{data}" > "{said}"'
        os.environ.update(dict(case.variables))
        with tempfile.TemporaryDirectory() as cache:
            cost = measure(["/bin/sh", "-c", script], ROOT if not case.packages else folder, Path(cache))
    except (RuntimeError, subprocess.CalledProcessError) as error:
        return Result(None, "", str(error)[-600:])
    finally:
        for name, _ in case.variables:
            os.environ.pop(name, None)
    return Result(cost, said.read_text(encoding="utf-8").strip().splitlines()[-1])


def versions(case: Case, folder: Path) -> str:
    """Return the version of a peer's own package."""
    if not case.packages:
        return ""
    name = case.packages[0].partition("[")[0]
    python = folder / "environments" / case.function / "bin" / "python"
    if not python.exists():
        return ""
    command = [str(python), "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def load(path: Path) -> dict[str, Result]:
    """Return what was measured before."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {n: Result(Cost(**r["cost"]) if r["cost"] else None, r["said"], r["error"]) for n, r in found.items()}


def tables(results: dict[str, Result], folder: Path, rows: int) -> str:
    """Return the results as Markdown."""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, Python {platform.python_version()}, load "
        f"{os.getloadavg()[0]:.1f} at the end. Contracts: {rows:,} rows x 20 columns of Parquet; drift: twice {rows // 10:,} rows x 50 columns.",
    ]  # fmt: skip
    for title, wanted in (("Contracts", True), ("Drift", False)):
        lines += ["", f"**{title}**", "", "| program | CPU s | wall s | peak MB | it said |", "|---|---|---|---|---|"]
        for case in ALL:
            if (case.name in CONTRACTS) is not wanted or case.name not in results:
                continue
            result = results[case.name]
            name = " ".join([case.shown, versions(case, folder)]).strip()
            if result.cost is None:
                why = " ".join(result.error.split())[-160:].replace("|", "/")
                lines.append(f"| {name} | did not run | | | {why} |")
            else:
                cost = result.cost
                lines.append(f"| {name} | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:.0f} | {result.said} |")
    return "\n".join([*lines, "", *goals(results)]) + "\n"


def goals(results: dict[str, Result]) -> list[str]:
    """Return which goals are met."""
    cost = {name: result.cost for name, result in results.items() if result.cost is not None}
    lines = ["| goal | measured | met |", "|---|---|---|"]

    def row(goal: str, measured: str, met: bool) -> None:
        lines.append(f"| {goal} | {measured} | {'yes' if met else 'no'} |")

    own, bare = cost.get("mlplan"), cost.get("bare read")
    if own and bare:
        row(
            "contract with uniqueness: at most 1.2 times the bare read's CPU",
            f"{own.cpu / bare.cpu:.2f}",
            own.cpu <= 1.2 * bare.cpu,
        )
    if own:
        row("contract: at most 500 MB", f"{own.memory:.0f} MB", own.memory <= 500)
        for peer in ("duckdb", "pandera", "dataframely", "pointblank", "soda"):
            if found := cost.get(peer):
                row(f"contract: ahead of {peer} in CPU and memory", *_ahead(own, found, 1, 1))
    if cost.get("mlplan 1 M") and cost.get("gx 1 M"):
        row("contract: ahead of Great Expectations", *_ahead(cost["mlplan 1 M"], cost["gx 1 M"], 1, 1))
    if (small := cost.get("narrow")) and (large := cost.get("narrow x10")):
        row(
            "ten times the rows of four columns: at most 2,000 MB in one process",
            f"{large.memory:.0f} MB",
            large.memory <= 2_000,
        )
        row("and at most 12 times the CPU", f"{large.cpu / small.cpu:.1f}", large.cpu <= 12 * small.cpu)
    if own := cost.get("mlplan drift"):
        for peer in ("evidently", "nannyml", "frouros", "scipy"):
            if found := cost.get(peer):
                row(f"drift: 5 times ahead of {peer} in CPU and 4 times in memory", *_ahead(own, found, 5, 4))
    return lines


def _ahead(own: Cost, peer: Cost, cpu: float, memory: float) -> tuple[str, bool]:
    ratios = peer.cpu / own.cpu, peer.memory / own.memory
    return f"{ratios[0]:.1f} x CPU, {ratios[1]:.1f} x memory", ratios[0] >= cpu and ratios[1] >= memory


def write(text: str) -> None:
    """Put the tables between their marks in docs/benchmarks.md; the rest of the page stays."""
    page = PAGE.read_text(encoding="utf-8")
    if BEGIN not in page:
        page = page.rstrip("\n") + f"\n\n## Data contracts and drift\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, and write the page when it is the full size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mlplan-bench-data")
    parser.add_argument("--only", nargs="*", choices=[case.name for case in ALL], help="measure these anew")
    parser.add_argument("--generate", action="store_true", help="only write the files")
    parser.add_argument("--write", action="store_true", help="only write the page from what was measured")
    given = parser.parse_args(arguments)
    folder: Path = given.folder / str(given.rows)
    folder.mkdir(parents=True, exist_ok=True)
    environments = given.folder / "environments"
    environments.mkdir(exist_ok=True)
    if not (folder / "environments").exists():
        (folder / "environments").symlink_to(environments)
    if given.generate:
        generate(folder, given.rows)
        return
    if not given.write:
        # in a process of its own: a child begins with what its parent holds in memory, and that would be counted
        command = [sys.executable, __file__, "--generate", "--rows", str(given.rows), "--folder", str(given.folder)]
        subprocess.run(command, check=True)
    kept = folder / "results.json"
    results = load(kept)
    wanted = [c for c in ALL if (c.name in given.only if given.only else c.name not in results)]
    for case in wanted if not given.write else ():
        results[case.name] = run(case, folder)
        sys.stderr.write(f"{case.name}: {results[case.name]}\n")
        kept.write_text(
            json.dumps({name: asdict(result) for name, result in results.items()}, indent=1), encoding="utf-8"
        )
    text = tables(results, folder, given.rows)
    sys.stdout.write(text)
    if given.rows >= 10_000_000 and (given.write or not given.only):
        write(text)


if __name__ == "__main__":
    main()
