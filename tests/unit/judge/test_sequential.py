"""The e-processes: expectation at most 1 by exact enumeration, chances of error by simulation, the same state by any road."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

from mlplan.judge import analysis
from mlplan.judge.sequential import Assignment, Counts, Limit, Margin, Ratio, ratio_payoff
from mlplan.ledger.evidence import Verdict
from tools.simulate_rollout import (
    BAR,
    Traffic,
    ever,
    fixed_threshold,
    flat,
    limit_log_e,
    margin_log_e,
    ratio_log_e,
    repeated_z,
    shared_drift,
)

Process = Ratio | Margin | Limit
ROUNDING = 1 + 1e-9


def _expectation(process: Process, sizes: list[tuple[int, int]], rates: list[tuple[float, float]]) -> float:
    """Return E[e] after looks of (candidate, stable) sizes with these true rates, over every outcome there is."""
    if not sizes:
        return math.exp(process.log_e)
    (nc, ns), (pc, ps) = sizes[0], rates[0]
    total = 0.0
    for xc, xs in itertools.product(range(nc + 1), range(ns + 1)):
        chance = stats.binom.pmf(xc, nc, pc) * stats.binom.pmf(xs, ns, ps)
        if chance > 0:
            total += chance * _expectation(process.after(Counts(xc, nc, xs, ns)), sizes[1:], rates[1:])
    return total


@pytest.mark.parametrize("rho", [1.0, 1.25])
@pytest.mark.parametrize("ps", [0.05, 0.3, 0.6])
@pytest.mark.parametrize(("nc", "ns"), [(1, 1), (2, 7), (8, 3), (6, 6)])
def test_ratio_is_fair_on_its_null(nc: int, ns: int, ps: float, rho: float) -> None:
    for below in (1.0, 0.7, 0.0):
        assert _expectation(Ratio(rho=rho), [(nc, ns)], [(min(rho * ps * below, 1.0), ps)]) <= ROUNDING
    above = min(rho * ps * 1.3, 1.0)
    if above >= rho * ps:
        assert _expectation(Ratio(rho=rho, side="below"), [(nc, ns)], [(above, ps)]) <= ROUNDING


def test_ratio_stays_fair_when_weights_and_rates_move() -> None:
    """Two looks, the second with other sizes and three times the shared rate: still at most 1."""
    assert _expectation(Ratio(), [(2, 5), (5, 3)], [(0.1, 0.1), (0.3, 0.3)]) <= ROUNDING


def test_ratio_grows_off_its_null() -> None:
    assert _expectation(Ratio(), [(6, 6)], [(0.8, 0.2)]) > 1.5


@pytest.mark.parametrize("margin", [0.05, 0.2])
@pytest.mark.parametrize("ps", [0.0, 0.1, 0.4])
@pytest.mark.parametrize(("nc", "ns"), [(1, 1), (3, 8), (8, 3)])
def test_margin_is_fair_on_its_null(nc: int, ns: int, ps: float, margin: float) -> None:
    for extra in (0.0, 0.1):
        assert _expectation(Margin(margin=margin), [(nc, ns)], [(ps + margin + extra, ps)]) <= ROUNDING
    assert _expectation(Margin(margin=margin), [(2, 3), (3, 2)], [(ps + margin, ps), (ps + margin, ps)]) <= ROUNDING


@pytest.mark.parametrize("limit", [0.02, 0.3])
def test_limit_is_fair_on_its_null(limit: float) -> None:
    for n in (1, 5, 12):
        assert _expectation(Limit(limit=limit), [(n, 0)], [(limit, 0.0)]) <= ROUNDING
        assert _expectation(Limit(limit=limit), [(n, 0)], [(limit / 2, 0.0)]) <= ROUNDING
        assert _expectation(Limit(limit=limit, side="below"), [(n, 0)], [(limit * 1.5, 0.0)]) <= ROUNDING


def test_assignment_is_fair_on_its_null() -> None:
    for weight in (0.1, 0.5):
        total = sum(
            stats.binom.pmf(c, 12, weight) * math.exp(Assignment().after(Counts(0, c, 0, 12 - c), weight).log_e)
            for c in range(13)
        )
        assert total == pytest.approx(1.0)


def test_thinned_counts_stay_fair() -> None:
    e = sum(
        stats.binom.pmf(xc, 4, 0.2) * stats.binom.pmf(xs, 4, 0.2) * math.exp(Ratio().after(Counts(xc, 4, xs, 4).thinned(3)).log_e)
        for xc, xs in itertools.product(range(5), range(5))
    )  # fmt: skip
    assert e <= ROUNDING


def test_a_look_without_both_arms_adds_nothing() -> None:
    for process in (Ratio(), Margin(margin=0.1)):
        assert process.after(Counts(3, 10, 0, 0)).log_e == pytest.approx(0.0)
        assert process.after(Counts(0, 0, 3, 10)).log_e == pytest.approx(0.0)


def test_batch_is_incremental() -> None:
    """All looks at once, by the payoffs as arrays, and one after the other, by the processes: the same numbers."""
    counts = Traffic(200, 0.25, flat(0.02, 12), flat(0.05, 12)).counts(2, 5)
    for run in counts:
        ratio, margin, limit = Ratio(), Margin(margin=0.01), Limit(limit=0.03)
        for look, (xc, fc, xs, fs) in enumerate(run):
            seen = Counts(xc, xc + fc, xs, xs + fs)
            ratio, margin, limit = ratio.after(seen), margin.after(seen), limit.after(seen)
            assert ratio.log_e == pytest.approx(ratio_log_e(run[None])[0, look])
            assert margin.log_e == pytest.approx(margin_log_e(run[None], 0.01)[0, look])
            assert limit.log_e == pytest.approx(limit_log_e(run[None], 0.03, "above")[0, look])


def test_payoff_is_that_of_the_design() -> None:
    """ψS/S' and S/S' are (q1/q0, (1−q1)/(1−q0)) with q0 = nc·ρ/(nc·ρ + ns), q1 the same with ρψ."""
    nc, ns, rho, psi = 3.0, 9.0, 1.2, 2.0
    q0, q1 = nc * rho / (nc * rho + ns), nc * rho * psi / (nc * rho * psi + ns)
    up, _, down, _ = ratio_payoff(np.array(nc), np.array(ns), rho, np.array([psi]))[:, 0]
    assert (up, down) == pytest.approx((math.log(q1 / q0), math.log((1 - q1) / (1 - q0))))


CRITERIA = (
    analysis.Criterion("errors", "error_rate", no_worse_than_live=True, margin=0.02, min_requests=50),
    analysis.Criterion("slow", "p95_latency", at_most=100.0, threshold=100.0),
)


def _looks(run: np.ndarray) -> list[analysis.Look]:
    def arm(events: float, others: float) -> analysis.ArmCounts:
        return analysis.ArmCounts(int(events + others), int(events), {"slow": int(events)})

    return [analysis.Look(arm(xc, fc), arm(xs, fs), 0.25) for xc, fc, xs, fs in run]


def test_replay_from_json_is_the_same() -> None:
    run = Traffic(300, 0.25, flat(0.01, 10), flat(0.03, 10)).counts(1, 6)[0]
    straight = stored = analysis.start(CRITERIA)
    for look in _looks(run):
        straight = analysis.update(straight, look)
        stored = analysis.Analysis.from_json(json.loads(json.dumps(analysis.update(stored, look).to_json())))
    assert stored == straight
    assert analysis.verdict(stored) == analysis.verdict(straight)


def test_good_candidates_are_hardly_ever_rolled_back() -> None:
    """At most 5 % however often one looks, also while the errors of both arms move; what people do instead is far off."""
    for rate in (flat(0.01), shared_drift()):
        counts = Traffic(1000, 0.25, rate, rate).counts(600, 1)
        assert ever(ratio_log_e(counts) >= BAR) <= 0.05
        assert ever(repeated_z(counts)) > 0.15
        assert ever(fixed_threshold(counts)) > 0.95


def test_twice_the_errors_are_found() -> None:
    rule = ratio_log_e(Traffic(1000, 0.25, flat(0.01), flat(0.02)).counts(300, 2)) >= BAR
    assert ever(rule) >= 0.99
    assert np.median(rule.argmax(axis=1)) < 20


def test_candidates_worse_by_the_margin_are_hardly_ever_passed() -> None:
    worse = Traffic(1000, 0.25, flat(0.01), flat(0.03)).counts(300, 3)
    equal = Traffic(1000, 0.25, flat(0.01), flat(0.01)).counts(100, 4)
    assert ever(margin_log_e(worse, 0.02) >= BAR) <= 0.06
    assert ever(margin_log_e(equal, 0.02) >= BAR) >= 0.99


def test_verdicts() -> None:
    def after(stable: float, candidate: float, looks: int = 30) -> Verdict:
        state = analysis.start(CRITERIA[:1])
        for look in _looks(Traffic(600, 0.25, flat(stable, looks), flat(candidate, looks)).counts(1, 9)[0]):
            state = analysis.update(state, look)
        return analysis.verdict(state)[0]

    assert after(0.005, 0.005) is Verdict.PASS
    assert after(0.005, 0.2) is Verdict.FAIL
    assert after(0.005, 0.005, looks=1) is Verdict.INCONCLUSIVE


def test_worse_within_the_margin_is_no_harm() -> None:
    """Measurably worse, by less than what is tolerated: not rolled back."""
    state = analysis.start((analysis.Criterion("errors", "error_rate", no_worse_than_live=True, margin=0.05),))
    for look in _looks(Traffic(3000, 0.25, flat(0.01, 30), flat(0.03, 30)).counts(1, 9)[0]):
        state = analysis.update(state, look)
    assert analysis.verdict(state)[0] is Verdict.PASS


def test_a_wrong_split_is_an_error() -> None:
    state = analysis.start(CRITERIA[:1])
    for look in _looks(Traffic(1000, 0.4, flat(0.01, 10), flat(0.01, 10)).counts(1, 9)[0]):
        state = analysis.update(state, look)
    verdict, evidence = analysis.verdict(state)
    assert verdict is Verdict.ERROR
    assert "cannot be compared" in evidence[-1].message


def test_time_to_decide_is_about_right() -> None:
    """The plan's estimate of requests until 2x is caught, against simulation."""
    _, caught = analysis.requests_to_decide(CRITERIA[:1], 0.25, 0.01, worse=2.0)
    assert caught is not None
    rule = ratio_log_e(Traffic(1000, 0.25, flat(0.01), flat(0.02)).counts(300, 8)) >= BAR
    seen = 1000 * (np.quantile(rule.argmax(axis=1), 0.8) + 1)
    assert 0.6 < caught / seen < 1.7
