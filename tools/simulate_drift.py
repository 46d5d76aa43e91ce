"""Measures how often drift is called where there is none, and how often it is found where there is: docs/statistics.md.

    python tools/simulate_drift.py                     the campaign of the page, some ten minutes on one core
    python tools/simulate_drift.py --trials 20         a quick look
    python tools/simulate_drift.py --part agreement    one part: rates, joint or agreement with exact statistics

Every trial draws a reference and a window, bins both at the quantiles of the reference, as profiles are, and judges them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlplan.data.bins import edges_of
from mlplan.judge.drift import judge_drift
from mlplan.ledger.evidence import Verdict
from mlplan.ledger.profile import ColumnProfile, Profile

PAGE = Path(__file__).resolve().parent.parent / "docs" / "statistics.md"
MARKS = {
    "rates": ("<!-- drift: begin -->", "<!-- drift: end -->"),
    "joint": ("<!-- joint: begin -->", "<!-- joint: end -->"),
    "agreement": ("<!-- agreement: begin -->", "<!-- agreement: end -->"),
}
Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, float], Values]

DRAWS: dict[str, Draw] = {
    "normal": lambda random, n, shift: random.normal(shift, 1, n),
    "heavy tails (Cauchy)": lambda random, n, shift: random.standard_cauchy(n) + shift,
    "many zeros": lambda random, n, shift: np.where(random.random(n) < 0.7, 0.0, random.exponential(1 + shift, n)),
    "whole numbers 0-9": lambda random, n, shift: random.binomial(9, min(0.95, 0.4 + shift / 6), n).astype(float),
}


@dataclass(frozen=True)
class Case:
    """One line of the table. columns: how many, of which `moved` are shifted by `shift` spreads."""

    kind: str
    distance: str
    at_most: float
    n: int
    m: int
    columns: int = 1
    moved: int = 0
    shift: float = 0.0
    rate: float = 0.05


def profile_of(values: Values, name: str, edges: tuple[float, ...]) -> ColumnProfile:
    """Return the profile of values in given bins."""
    inside = np.histogram(values, edges)[0]
    counts = (int((values < edges[0]).sum()), *map(int, inside), int((values > edges[-1]).sum()))
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    return ColumnProfile(name, "numeric", len(values), 0, counts, edges, mean=mean, deviation=deviation)


def trial(case: Case, random: np.random.Generator) -> tuple[bool, bool]:
    """Return whether an unmoved and whether a moved column was called drift."""
    reference, current = {}, {}
    for index in range(case.columns):
        name, draw = f"x{index}", DRAWS[case.kind]
        before = draw(random, case.n, 0.0)
        after = draw(random, case.m, case.shift if index < case.moved else 0.0)
        edges = edges_of([float(v) for v in before[:100_000]], 100)
        edges = (min(edges[0], float(before.min())), *edges[1:-1], max(edges[-1], float(before.max())))
        reference[name], current[name] = profile_of(before, name, edges), profile_of(after, name, edges)
    found = judge_drift(
        "s",
        Profile("r", case.n, reference),
        Profile("c", case.m, current),
        None,
        case.distance,
        case.at_most,
        case.rate,
        10,
    )
    failed = [e.verdict is Verdict.FAIL for e in found]
    return any(failed[case.moved :]), any(failed[: case.moved])


def run(case: Case, trials: int, seed: int) -> str:
    """Return a line of the table."""
    random = np.random.default_rng([seed, case.n, case.m, case.columns, int(case.shift * 1000)])
    results = [trial(case, random) for _ in range(trials)]
    false, true = (sum(r[i] for r in results) for i in (0, 1))
    alarms = f"{false / trials:.1%} ({false} of {trials})" if case.moved < case.columns else ""
    power = f"{true / trials:.1%} ({true} of {trials})" if case.moved else ""
    moved = f"{case.moved} of {case.columns} by {case.shift:g}" if case.moved else f"none of {case.columns}"
    cells = (case.kind, case.distance, f"{case.at_most:g}", f"{case.n:,}", f"{case.m:,}", moved, alarms, power)
    return "| " + " | ".join(cells) + " |"


def cases() -> list[tuple[str, int, Sequence[Case]]]:
    """Return (title, trials in percent of the wanted ones, cases)."""
    every = ("psi", "jensen_shannon", "wasserstein", "ks", "chi2")
    null = [Case(kind, d, 0.0, 20_000, 1_000) for kind in DRAWS for d in every]
    sizes = [
        Case("normal", d, 0.0, n, m) for d in ("psi", "ks") for n, m in ((200, 100), (1_000, 50), (500_000, 200_000))
    ]
    many = [
        Case("normal", "psi", 0.0, 20_000, 1_000, columns=50),
        Case("heavy tails (Cauchy)", "ks", 0.0, 20_000, 1_000, columns=50),
    ]
    limits = {"psi": 0.1, "jensen_shannon": 0.1, "wasserstein": 0.1, "ks": 0.1, "chi2": 0.3}
    power = [Case("normal", d, limits[d], 20_000, 2_000, 1, 1, s) for d in every for s in (0.05, 0.2, 0.4)]
    shapes = [Case(kind, "psi", 0.1, 20_000, 2_000, 1, 1, 0.5) for kind in DRAWS]
    one = [
        Case("normal", "psi", 0.1, 20_000, 2_000, 50, 1, 0.5),
        Case("normal", "psi", 0.1, 500_000, 200_000, 1, 1, 0.02),
    ]
    return [
        ("Nothing moved; a limit of 0, so that noise alone decides", 100, null),
        ("Nothing moved; tiny and huge samples", 50, sizes),
        ("Nothing moved; an alarm is one in any of 50 columns", 20, many),
        ("Something moved, by so many spreads; usual limits", 40, [*power, *shapes, *one]),
    ]


def rates(trials: int, seed: int) -> list[str]:
    """Return the tables of false alarms and of power, column by column."""
    lines: list[str] = []
    for title, share, some in cases():
        lines += [f"**{title}**", "", "| data | distance | limit | reference | window | moved | false alarms | found |"]
        lines.append("|---|---|---|---|---|---|---|---|")
        for case in some:
            lines.append(run(case, max(5, trials * share // 100), seed))
            print(lines[-1], flush=True)
        lines.append("")
    return lines


def joint(trials: int, seed: int) -> list[str]:
    """Return the table of the classifier two-sample test: nothing moved, one column moved, only a pairing broken."""
    import pandas as pd

    from mlplan.judge.two_sample import judge_joint

    def rows(random: np.random.Generator, n: int, shift: float, tied: float) -> pd.DataFrame:
        frame = random.normal(0, 1, (n, 5))
        frame[:, 1] = tied * frame[:, 0] + np.sqrt(1 - tied**2) * frame[:, 1]
        frame[:, 2] += shift
        return pd.DataFrame(frame, columns=list("abcde"))

    lines = ["| what moved | rows each | limit on the AUC | called drift | inconclusive |", "|---|---|---|---|---|"]
    changes = (
        ("nothing", 0.0, 0.8),
        ("one of 5 columns by 0.3 spreads", 0.3, 0.8),
        ("one by 1 spread", 1.0, 0.8),
        ("a correlation of 0.8 to 0", 0.0, 0.0),
    )
    for n in (600, 2_000):
        for words, shift, tied in changes:
            random = np.random.default_rng([seed, n, int(shift * 10), int(tied * 10)])
            found = [
                judge_joint("s", rows(random, n, 0, 0.8), rows(random, n, shift, tied), 0.55, seed=t).verdict
                for t in range(max(5, trials // 10))
            ]
            failed, open_ = (sum(v is verdict for v in found) for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE))
            lines.append(f"| {words} | {n:,} | 0.55 | {failed} of {len(found)} | {open_} of {len(found)} |")
            print(lines[-1], flush=True)
    return [*lines, ""]


def agreement(trials: int, seed: int) -> list[str]:
    """Return the table of distances from 100 bins against the exact ones that SciPy takes from all values."""
    from scipy import stats

    from mlplan.judge.drift import judge_drift

    lines = [
        "| data | shift | statistic | exact (mean) | largest difference | of the exact one |",
        "|---|---|---|---|---|---|",
    ]
    for kind in DRAWS:
        for shift in (0.1, 0.5):
            errors: dict[str, list[tuple[float, float]]] = {"ks": [], "wasserstein": []}
            random = np.random.default_rng([seed, int(shift * 10), len(kind)])
            for _ in range(max(5, trials // 20)):
                before, after = DRAWS[kind](random, 50_000, 0.0), DRAWS[kind](random, 10_000, shift)
                edges = edges_of([float(v) for v in before], 100)
                profiles = [
                    Profile(n, len(v), {"x": profile_of(v, "x", edges)}) for n, v in (("r", before), ("c", after))
                ]
                exact = {
                    "ks": float(stats.ks_2samp(before, after, method="asymp").statistic),
                    "wasserstein": float(stats.wasserstein_distance(before, after) / before.std(ddof=1)),
                }
                for method, value in exact.items():
                    (found,) = judge_drift("s", profiles[0], profiles[1], None, method, 0.0)
                    assert found.estimate is not None
                    errors[method].append((value, abs(found.estimate - value)))
            for method, pairs in errors.items():
                worst = max(error for _, error in pairs)
                part = max(error / value for value, error in pairs)
                mean = sum(value for value, _ in pairs) / len(pairs)
                lines.append(f"| {kind} | {shift:g} | {method} | {mean:.4g} | {worst:.2g} | {part:.1%} |")
                print(lines[-1], flush=True)
    return [*lines, ""]


PARTS = {"rates": rates, "joint": joint, "agreement": agreement}


def main() -> int:
    """Run the campaign and write the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into docs/statistics.md")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="only this part; may be repeated")
    chosen = parser.parse_args()
    for part in chosen.part or PARTS:
        lines = PARTS[part](chosen.trials, chosen.seed)
        if chosen.write:
            begin, end = MARKS[part]
            text = PAGE.read_text(encoding="utf-8")
            before, _, rest = text.partition(begin)
            PAGE.write_text(before + begin + "\n\n" + "\n".join(lines) + end + rest.partition(end)[2], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
