"""How often a canary's analysis is wrong, and how soon it is right: simulated, beside the rules that people use instead.

    python tools/simulate_rollout.py            print the tables
    python tools/simulate_rollout.py --write    and write them into docs/statistics-rollout.md (about a minute)

Every run is a canary of many looks; all runs of a row are simulated at once with the very payoffs of `mlplan.judge.sequential`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlplan.judge.sequential import (
    BELOW_WEIGHT,
    MARGIN_WEIGHT,
    PSI,
    PSI_WEIGHT,
    limit_payoff,
    margin_payoff,
    mixed,
    predictions,
    ratio_payoff,
    remembered,
)

Array = NDArray[np.float64]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "statistics-rollout.md"
BAR = np.log(20.0)


@dataclass(frozen=True)
class Traffic:
    """What is simulated. Units: requests a look of both arms together. stable: its error rate by look, (looks,); candidate too."""

    requests: int
    share: float
    stable: Array
    candidate: Array

    def counts(self, runs: int, seed: int) -> Array:
        """Return (runs, looks, 4): candidate events, others, stable events, others; the router splits request by request."""
        rng = np.random.default_rng(seed)
        looks = len(self.stable)
        total = rng.poisson(self.requests, size=(runs, looks))
        of_candidate = rng.binomial(total, self.share)
        of_stable = total - of_candidate
        c, s = rng.binomial(of_candidate, self.candidate), rng.binomial(of_stable, self.stable)
        return np.stack([c, of_candidate - c, s, of_stable - s], axis=-1).astype(np.float64)


def ratio_log_e(counts: Array, rho: float = 1.0) -> Array:
    """Return log e of the ratio process after each look. Shapes: (runs, looks, 4) -> (runs, looks)."""
    payoff = ratio_payoff(counts[..., 0] + counts[..., 1], counts[..., 2] + counts[..., 3], rho, PSI)
    return mixed(np.cumsum(np.einsum("rlk,rlkj->rlj", counts, payoff), axis=1), PSI_WEIGHT)


def margin_log_e(counts: Array, margin: float) -> Array:
    """Return log e of the margin process after each look."""
    runs, looks, _ = counts.shape
    past, logs = np.zeros((runs, 8)), np.zeros((runs, len(MARGIN_WEIGHT)))
    out = np.empty((runs, looks))
    for look in range(looks):
        now = counts[:, look]
        theta = predictions(past)
        payoff = margin_payoff(now[:, 0] + now[:, 1], now[:, 2] + now[:, 3], *theta, margin)
        logs = logs + np.einsum("rk,rkj->rj", now, payoff)
        past = remembered(past, now)
        out[:, look] = mixed(logs, MARGIN_WEIGHT)
    return out


def limit_log_e(counts: Array, limit: float, side: str) -> Array:
    """Return log e of the limit process after each look."""
    payoff = limit_payoff(limit, "above" if side == "above" else "below")
    weight = PSI_WEIGHT if side == "above" else BELOW_WEIGHT
    return mixed(np.cumsum(counts @ payoff, axis=1), weight)


def fixed_threshold(counts: Array, times: float = 1.5) -> Array:
    """Return (runs, looks) of bool: the share of errors of this look is `times` that of the live arm."""
    c = counts[..., 0] / np.maximum(counts[..., 0] + counts[..., 1], 1)
    s = counts[..., 2] / np.maximum(counts[..., 2] + counts[..., 3], 1)
    return (counts[..., 0] > 0) & (c > times * s)


def repeated_z(counts: Array) -> Array:
    """Return (runs, looks) of bool: a two-proportion z-test over all so far says p < 0.05, one-sided, at this look."""
    total = np.cumsum(counts, axis=1)
    nc, ns = total[..., 0] + total[..., 1], total[..., 2] + total[..., 3]
    p = (total[..., 0] + total[..., 2]) / np.maximum(nc + ns, 1)
    spread = np.sqrt(np.maximum(p * (1 - p) * (1 / np.maximum(nc, 1) + 1 / np.maximum(ns, 1)), 1e-12))
    return (total[..., 0] / np.maximum(nc, 1) - total[..., 2] / np.maximum(ns, 1)) / spread > 1.6449


def ever(rule: Array) -> float:
    """Return the share of runs in which a rule ever says yes."""
    return float(rule.any(axis=1).mean())


def first(rule: Array) -> tuple[float, float]:
    """Return the median look and the last of 95 % of the looks at which a rule says yes; never counts as infinity."""
    looks = np.where(rule.any(axis=1), rule.argmax(axis=1) + 1.0, np.inf)
    return float(np.quantile(looks, 0.5, method="higher")), float(np.quantile(looks, 0.95, method="higher"))


def flat(rate: float, looks: int = 60) -> Array:
    """Return a rate that stays."""
    return np.full(looks, rate)


def shared_drift(looks: int = 60) -> Array:
    """Return an error rate that rises from 0.5 % to 3 % and falls again: an upstream service in trouble, in both arms."""
    return 0.005 + 0.025 * np.exp(-(((np.arange(looks) - looks / 2) / (looks / 6)) ** 2))


def wrong_rollbacks(runs: int) -> list[tuple[str, ...]]:
    """Return rows: equal arms, by rule; how often a good candidate is rolled back."""
    cases = (("1 % errors, steady", flat(0.01)), ("errors of both arms drift 0.5 % - 3 %", shared_drift()))
    rows = []
    for name, rate in cases:
        counts = Traffic(1000, 0.25, rate, rate).counts(runs, 1)
        rows.append(
            (
                name, _percent(ever(ratio_log_e(counts) >= BAR)), _percent(ever(repeated_z(counts))),
                _percent(ever(fixed_threshold(counts))),
            )
        )  # fmt: skip
    return rows


def ramped(runs: int) -> list[tuple[str, ...]]:
    """Return rows: a ramp 10, 25, 50 % while both arms get worse; looks are compared within themselves."""
    parts = [
        Traffic(1000, share, flat(r, 20), flat(r, 20)).counts(runs, 7 + i)
        for i, (share, r) in enumerate(((0.1, 0.005), (0.25, 0.015), (0.5, 0.03)))
    ]
    counts = np.concatenate(parts, axis=1)
    return [
        (
            "10 > 25 > 50 % while errors of both rise",
            _percent(ever(ratio_log_e(counts) >= BAR)),
            _percent(ever(repeated_z(counts))),
        )
    ]


def found_harm(runs: int) -> list[tuple[str, ...]]:
    """Return rows: a candidate that is worse; how often and when it is found."""
    rows = []
    for times in (1.5, 2.0, 5.0):
        counts = Traffic(1000, 0.25, flat(0.01), flat(0.01 * times)).counts(runs, 2)
        rule = ratio_log_e(counts) >= BAR
        median, late = first(rule)
        rows.append((f"{times:g}x the errors of live (1 %)", _percent(ever(rule)), _look(median), _look(late)))
    return rows


def wrong_promotions(runs: int) -> list[tuple[str, ...]]:
    """Return rows: a candidate worse by exactly the margin; how often it is passed. And equal ones: how soon."""
    rows = []
    for stable, margin in ((0.01, 0.01), (0.001, 0.005), (0.05, 0.02)):
        at_margin = Traffic(1000, 0.25, flat(stable), flat(stable + margin)).counts(runs, 3)
        equal = Traffic(1000, 0.25, flat(stable), flat(stable)).counts(runs, 4)
        passed = margin_log_e(equal, margin) >= BAR
        rows.append(
            (
                f"live {stable:.1%}, margin {margin:.1%}", _percent(ever(margin_log_e(at_margin, margin) >= BAR)),
                _percent(ever(passed)), _look(first(passed)[0]),
            )
        )  # fmt: skip
    return rows


def limits(runs: int) -> list[tuple[str, ...]]:
    """Return rows: an absolute limit of 2 %, a candidate on it, below it, above it."""
    rows = []
    for rate in (0.005, 0.02, 0.04):
        counts = Traffic(1000, 0.25, flat(rate), flat(rate)).counts(runs, 5)
        over, under = limit_log_e(counts, 0.02, "above") >= BAR, limit_log_e(counts, 0.02, "below") >= BAR
        rows.append((f"{rate:.1%}", _percent(ever(over)), _percent(ever(under))))
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _look(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "not within 60"


TABLES: tuple[tuple[str, tuple[str, ...], Callable[[int], list[tuple[str, ...]]]], ...] = (
    ("A good candidate is rolled back", ("both arms", "ratio e-process", "z-test at every look", "1.5x at any look"), wrong_rollbacks),
    ("The same on a ramp", ("ramp", "ratio e-process", "pooled z-test at every look"), ramped),
    ("A bad candidate is found", ("candidate", "found within 60 looks", "median look", "95 % by look"), found_harm),
    (
        "A candidate worse by just the margin is passed; an equal one is passed",
        ("rates", "worse by the margin: passed", "equal: passed", "equal: median look"), wrong_promotions,
    ),
    ("An absolute limit of 2 %", ("error rate", "harm proven", "proven within the limit"), limits),
)  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def page(runs: int) -> str:
    """Return the results as Markdown."""
    parts = [f"## {title}\n\n{table(head, make(runs))}\n" for title, head, make in TABLES]
    return f"{INTRODUCTION.format(runs=runs)}\n" + "\n".join(parts)


INTRODUCTION = """# How the analysis of a canary errs

Measured by `python tools/simulate_rollout.py --write`: {runs:,} simulated canaries a row, 60 looks each, 1,000 requests a look, a
quarter of them at the candidate; thresholds of 20 to 1 (α = β = 5 %). Theory bounds the first column of the first two tables and
the second of the fourth by 5 %, for any number of looks, any drift that both arms share and any weights that depend on the past;
`tests/unit/judge/test_sequential.py` checks the inequality behind it, E[e] ≤ 1, by exact enumeration.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, and write the page when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    arguments = parser.parse_args(argv)
    text = page(arguments.runs)
    sys.stdout.write(text)
    if arguments.write:
        PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
