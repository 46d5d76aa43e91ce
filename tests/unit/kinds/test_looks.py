"""From counters to looks: every request once, under the weight it came under, against a limit that was fixed before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlplan.kinds.deployment import looks
from mlplan.kinds.deployment.rollout import Rollout
from mlplan.kinds.deployment.spec import Place, place
from mlplan.ledger.evidence import Verdict
from mlplan.spi.capabilities import Histogram, VersionCounters
from tests.unit.kinds.planning import deployment, environment

EDGES = (10.0, 100.0, 1000.0)


def _place(**criterion: Any) -> Place:
    rollout = {"canary": {"steps": (20, 100), "success": {"c": {"min_requests": 10, **criterion}}}}
    return place(deployment(), environment(rollout=rollout), "lineage", None)


def _counted(version: str, fast: int, slow: int = 0, errors: int = 0, epoch: str = "a") -> VersionCounters:
    total = fast + slow
    return VersionCounters(version, epoch, total, errors, Histogram(EDGES, (fast, fast, total), total))


ROLLOUT = Rollout(1, "v2", "v1", phase="analyzing", index=0, steps=(2000, 10_000))


def _look(where: Place, rollout: Rollout, *counters: VersionCounters) -> looks.Judged:
    return looks.look(where, rollout, {c.version: c for c in counters}, 2000, 0.0)


def _seen(judged: looks.Judged) -> tuple[float, ...]:
    assert judged.rollout.harm is not None
    return tuple(judged.rollout.harm["tracks"][0]["totals"])


def test_only_what_came_since_the_cursor_counts() -> None:
    where = _place(metric="error_rate", no_worse_than="live", margin=0.05)
    start = replace(
        ROLLOUT, cursor=looks.cursors({c.version: c for c in (_counted("v1", 500, errors=9), _counted("v2", 5))})
    )
    first = _look(where, start, _counted("v1", 580, errors=10), _counted("v2", 25, errors=2))
    assert _seen(first) == (2, 20, 1, 80)
    again = _look(where, first.rollout, _counted("v1", 580, errors=10), _counted("v2", 25, errors=2))
    assert _seen(again) == (2, 20, 1, 80)


def test_counters_of_a_router_that_restarted_begin_at_nothing() -> None:
    where = _place(metric="error_rate", no_worse_than="live", margin=0.05)
    start = replace(ROLLOUT, cursor=looks.cursors({c.version: c for c in (_counted("v1", 500), _counted("v2", 50))}))
    found = _look(where, start, _counted("v1", 40, epoch="b"), _counted("v2", 10, epoch="b"))
    assert _seen(found) == (0, 10, 0, 40)


def test_slow_requests_over_a_limit() -> None:
    where = _place(metric="p95_latency", at_most="100ms")
    good = _look(where, ROLLOUT, _counted("v1", 800), _counted("v2", 198, slow=2))
    assert (good.step_verdict, good.harm) == (Verdict.PASS, "")
    bad = _look(where, ROLLOUT, _counted("v1", 800), _counted("v2", 120, slow=80))
    assert bad.step_verdict is Verdict.FAIL
    assert "over 100" in bad.harm


def test_no_slower_than_live_is_measured_against_lives_own_past() -> None:
    where = _place(metric="p95_latency", no_worse_than="live", margin=0.05)
    little = _look(where, ROLLOUT, _counted("v1", 30), _counted("v2", 10))
    assert little.step_verdict is Verdict.INCONCLUSIVE
    assert little.rollout.thresholds == {}
    known = _look(where, little.rollout, _counted("v1", 400), _counted("v2", 100))
    assert known.rollout.thresholds == {"c": 10.0}
    later = _look(where, known.rollout, _counted("v1", 800, slow=600), _counted("v2", 200))
    assert later.rollout.thresholds == {"c": 10.0}  # fixed: a live version that gets slow does not move the limit


def test_evidence_under_other_criteria_is_not_used() -> None:
    strict = _look(
        _place(metric="error_rate", at_most="0.01"), ROLLOUT, _counted("v1", 800), _counted("v2", 150, errors=90)
    )
    assert strict.harm
    other = _look(
        _place(metric="error_rate", at_most="0.9"), strict.rollout, _counted("v1", 900), _counted("v2", 160, errors=90)
    )
    assert other.harm == ""
    assert _seen(other) == (0, 10, 0, 100)


def test_harm_outlives_a_step_and_proof_does_not() -> None:
    where = _place(metric="error_rate", no_worse_than="live", margin=0.05)
    passed = _look(where, ROLLOUT, _counted("v1", 800), _counted("v2", 200))
    assert passed.step_verdict is Verdict.PASS
    following = replace(passed.rollout, analysis=None)  # what the state machine does when a step begins
    after = _look(where, following, _counted("v1", 810), _counted("v2", 203))
    assert after.step_verdict is Verdict.INCONCLUSIVE
    assert _seen(after)[1] == 203
