"""Breaches and their answers: within cool-down and budget, never to a rejected version, never the same recipe twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlplan.config.quantities import parse_rate
from mlplan.engine.types import Action, Observation
from mlplan.kinds.deployment.wanted import wanted_version
from mlplan.kinds.monitor.answers import answers, data_to_refresh, within
from mlplan.kinds.monitor.kind import MonitorKind
from mlplan.ledger.records import Record
from tests.unit.kinds.planning import (
    MONITOR,
    NOW,
    breached,
    deployment,
    deployment_record,
    environment,
    model,
    model_record,
    monitor,
    view,
)

KIND = MonitorKind()


@pytest.mark.parametrize(
    ("past", "cooldown", "at_most", "allowed", "words"),
    [
        ([], 600.0, "2/day", True, "0 of 2 used"),
        ([NOW - 10], 600.0, "2/day", False, "590 s left"),
        ([NOW - 700], 600.0, "2/day", True, "1 of 2 used"),
        ([NOW - 700, NOW - 2000], 600.0, "2/day", False, "2 of 2 used"),
        ([NOW - 90_000, NOW - 700], 600.0, "2/day", True, "1 of 2 used"),
        ([NOW - 1], 0.0, None, True, "cool-down over"),
    ],
)
def test_cooldown_and_budget(
    past: list[float], cooldown: float, at_most: str | None, allowed: bool, words: str
) -> None:
    rule = {"cooldown": cooldown, "at_most": parse_rate(at_most) if at_most else None}
    assert within(rule, past, NOW)[0] is allowed
    assert words in within(rule, past, NOW)[1]


def test_a_breach_shows_is_told_once_and_its_end_too() -> None:
    wanted = monitor("alert")
    looking = view([wanted, model(), environment(), deployment()], [], {MONITOR: breached()})
    watching = KIND.diff(wanted, None, breached(), looking)
    inputs = str(watching.steps[0].inputs["inputs"])
    kept = Record(MONITOR, "monitor", {"breached": {}}, inputs=inputs)

    first = KIND.diff(wanted, kept, breached(), looking)
    assert first.breach == "w: errors 5 %"
    assert [s.action for s in first.steps] == ["alert"]
    told = replace(kept, attributes={"breached": {"w": {"since": 1.0, "message": "errors 5 %", "version": "v2"}}})

    again = KIND.diff(wanted, told, breached("errors 6 %"), looking)
    assert (again.action, again.steps, again.breach) == (Action.KEEP, (), "w: errors 6 %")

    quiet = Observation({"watches": {"w": {"verdict": "inconclusive", "breached": False, "message": ""}}, "live": "v2"})
    assert KIND.diff(wanted, told, quiet, looking).steps == ()

    over = KIND.diff(wanted, told, breached(breach=False), looking)
    assert over.steps[0].inputs["over"] == ["w"]
    assert "is over" in over.reasons[0].text


def test_rollback_goes_to_the_version_before() -> None:
    wanted = wanted_version(
        deployment(), deployment_record(),
        view([monitor("rollback"), deployment(), environment(), model()], [model_record(), deployment_record()], {MONITOR: breached()}),
    )  # fmt: skip
    assert (wanted.version, wanted.rolls_back, wanted.why) == ("v1", True, "errors 5 %")
    assert wanted.asked[0]["monitor"] == MONITOR


@pytest.mark.parametrize(
    ("attributes", "answer", "why"),
    [
        ({"previous": None}, {}, "no version to go back to"),
        ({"rejected": {"v1": {"reason": "slow"}}}, {}, "v1, the version before, is rejected"),
        (
            {"roll_backs": [{"monitor": MONITOR, "watch": "w", "text": "x", "at": NOW - 5}]}, {"cooldown": 60.0}, "55 s left",
        ),
    ],
)  # fmt: skip
def test_rollback_that_cannot_be(attributes: dict[str, object], answer: dict[str, object], why: str) -> None:
    """It is said why, and a newer version may still come: it is the other way out of a breach."""
    record = deployment_record(**{"previous": "v1", **attributes})  # type: ignore[arg-type]
    looking = view(
        [monitor("rollback", **answer), deployment(), environment(), model()],
        [model_record(), record],
        {MONITOR: breached()},
    )
    wanted = wanted_version(deployment(), record, looking)
    assert (wanted.version, wanted.rolls_back) == ("v2", False)
    assert why in wanted.notes[0][1]
    newer = view(
        [monitor("rollback", **answer), deployment(), environment(), model()],
        [model_record(3), record],
        {MONITOR: breached()},
    )
    assert wanted_version(deployment(), record, newer).version == "v3"


def test_only_a_retrain_that_is_allowed_lets_new_data_in() -> None:
    parts = [model(), environment(), deployment()]
    for do, past, expected in (
        ("retrain", [], {"data_contract.rows"}),
        ("retrain", [{"monitor": MONITOR, "watch": "w", "at": NOW - 5}], set()),
        ("propose_retrain", [], set()),
        ("alert", [], set()),
    ):
        looking = view([monitor(do, cooldown=60.0), *parts], [model_record(retrains=past)], {MONITOR: breached()})
        assert data_to_refresh(looking) == expected, (do, past)


def test_a_proposal_says_what_to_do() -> None:
    wanted = monitor("propose_retrain")
    looking = view([wanted, model(), environment(), deployment()], [model_record()], {MONITOR: breached()})
    change = KIND.diff(wanted, None, breached(), looking)
    assert "attended apply" in change.notes[0][1]
    assert [a.do for a in answers(looking, "propose_retrain")] == ["propose_retrain"]


def test_nothing_is_answered_while_nothing_is_breached() -> None:
    looking = view([monitor("retrain"), model()], [model_record()], {MONITOR: breached(breach=False)})
    assert answers(looking, "retrain") == []
    assert answers(view([monitor("retrain"), model()], [], {MONITOR: Observation()}), "retrain") == []
