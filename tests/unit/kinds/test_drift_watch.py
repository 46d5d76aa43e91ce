"""Drift watches of a monitor: windows of the prediction log against every kind of reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from mlplan.engine.kind import Options, View
from mlplan.engine.types import Desired
from mlplan.kinds.data_contract.reading import contract_of
from mlplan.kinds.monitor.drift import drift_by_window, log_files, windows
from mlplan.kinds.services import Services
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.profile import Profile
from mlplan.ledger.records import Record, State
from tests.unit.kinds.planning import reference

NOW, HOUR = 1_700_000_000.0, 3600.0
DATA = "data_contract.rows"
COLUMNS = {"x": {"type": "float"}, "k": {"type": "string"}, "y": {"type": "bool", "label": True}}


@dataclass
class Served:
    """A model that was trained on a file and is served; requests are lines of its log."""

    root: Path
    rule: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    trained: bool = True

    def contract(self) -> Desired:
        """Return the contract with one drift rule."""
        rule = {"min_rows": 100, "at_most": 0.2, **self.rule}
        arguments = {"source": "rows.csv", "columns": COLUMNS, "drift": {"moved": rule}}
        return Desired(DATA, "data_contract", "rows", arguments)

    def rows(self, n: int = 3_000, shift: float = 0.0, seed: int = 0) -> dict[str, Any]:
        """Write the training data."""
        random = np.random.default_rng(seed)
        x, k = random.normal(shift, 1, n), random.choice(["a", "b"], n)
        lines = "".join(f"{v:.6f},{c},{'true' if v > 0 else 'false'}\n" for v, c in zip(x, k, strict=True))
        (self.root / "rows.csv").write_text("x,k,y\n" + lines)
        from mlplan.data.profile import profile
        from mlplan.data.snapshot import take
        from mlplan.data.sources import resolve

        source, _ = resolve("rows.csv", self.root)
        assert source is not None
        snapshot = take(source, None)
        made = profile(contract_of(self.contract()), snapshot, self.root)
        key = f"{len(self.blobs):064x}"
        self.blobs[key] = orjson.dumps(made.to_json())
        self.profiles[snapshot.digest] = key
        return {"snapshot": snapshot.digest, "manifest": snapshot.to_json(), "profile": key}

    def ask(
        self, begin: float, until: float, n: int = 400, shift: float = 0.0, k: tuple[str, ...] = ("a", "b"), **more: Any
    ) -> None:
        """Let requests come, evenly between two moments before now."""
        random = np.random.default_rng(int(begin) % 1000 + n)
        for index, at in enumerate(np.linspace(NOW - begin, NOW - until, n, endpoint=False)):
            inputs = {"x": float(random.normal(shift, 1)), "k": k[index % len(k)], **more}
            self.lines.append({"at": float(at), "version": "v2", "inputs": inputs})

    def judged(self, kept: dict[str, Any], in_a_row: int = 1, other: Record | None = None) -> list[list[Evidence]]:
        """Return the evidence of the newest windows."""
        folder = self.root / ".mlplan" / "requests" / "endpoint"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        contract = self.contract()
        entry = {"profiles": {"train": {"contract": DATA, "profile": kept["profile"]}}} if self.trained else {}
        parts = {"recipe_parts": {"data": {"train": kept["snapshot"]}}}
        records = [
            Record(DATA, "data_contract", {**kept, "profiles": self.profiles}),
            Record("model.m", "model", {"versions": {"2": {**entry, **parts}}}),
        ]
        deployment = Record(
            'model.m.deployment["prod"]', "deployment", {"model": "model.m", "live": {"version": "v2", "since": NOW - 9 * HOUR}},
            physical_name="endpoint",
        )  # fmt: skip
        desired = {DATA: contract}
        if other is not None:
            records.append(other)
            desired[other.address] = Desired(other.address, "data_contract", "other", dict(contract.arguments))
        state = State("lineage", records={r.address: r for r in records})
        services: Any = Services(self.root, "python", None)  # type: ignore[arg-type]
        view = View(self.root, state, Options(), NOW, lambda name: None, services, self.blobs.get, desired)  # type: ignore[arg-type, return-value]
        watch = {"drift": reference(DATA, "drift", "moved"), "in_a_row": in_a_row}
        monitor = Desired("monitor.w", "monitor", "w", {"every": HOUR})
        return drift_by_window("monitor.w.watch.inputs", watch, monitor, deployment, view)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def verdicts(evidence: list[Evidence]) -> dict[str, str]:
    return {e.details.get("column", "joint"): str(e.verdict) for e in evidence}


def test_windows_end_now_and_begin_with_the_version() -> None:
    assert windows(100.0, 0.0, 30.0, 2) == [(70.0, 100.0), (40.0, 70.0)]
    assert windows(100.0, 85.0, 30.0, 3) == [(85.0, 100.0)]
    assert windows(100.0, 100.0, 30.0, 1) == []


def test_logs_are_found_with_those_that_are_written(tmp_path: Path) -> None:
    assert log_files(tmp_path / "nothing") == []
    for name in ("2.jsonl", "1.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [p.name for p in log_files(tmp_path)] == ["1.jsonl.gz", "2.jsonl"]


def test_each_window_against_training(served: Served) -> None:
    kept = served.rows()
    served.ask(2 * HOUR, HOUR)
    served.ask(HOUR, 0, shift=1.0)
    newest, before = served.judged(kept, in_a_row=2)
    assert verdicts(newest) == {"x": "fail", "k": "pass"}
    assert verdicts(before) == {"x": "pass", "k": "pass"}
    assert newest[0].details["bars"]["current"]
    assert newest[0].n == 400


def test_too_few_requests_say_nothing(served: Served) -> None:
    kept = served.rows()
    served.ask(HOUR, 0, n=50, shift=3.0)
    assert set(verdicts(served.judged(kept)[0]).values()) == {"inconclusive"}
    served.lines.clear()
    assert set(verdicts(served.judged(kept)[0]).values()) == {"inconclusive"}


def test_requests_of_other_versions_and_torn_lines_do_not_count(served: Served) -> None:
    kept = served.rows()
    served.ask(HOUR, 0, shift=5.0)
    for line in served.lines:
        line["version"] = "v1"
    served.ask(HOUR, 0)
    found = served.judged(kept)[0]
    assert verdicts(found) == {"x": "pass", "k": "pass"}
    assert {e.n for e in found} == {400}


@pytest.mark.parametrize(
    ("compare_to", "early", "late", "verdict"),
    [
        ("previous", 0.0, 1.0, "fail"), ("previous", 1.0, 1.0, "pass"), ("2h", 1.0, 1.0, "pass"), ("2h", 0.0, 1.0, "fail"),
        ("training", 1.0, 1.0, "fail"),
    ],
)  # fmt: skip
def test_references_from_requests(served: Served, compare_to: str, early: float, late: float, verdict: str) -> None:
    served.rule = {"compare_to": compare_to, "columns": ["x"]}
    kept = served.rows()
    served.ask(3 * HOUR, HOUR, n=1_200, shift=early)
    served.ask(HOUR, 0, n=600, shift=late)
    assert verdicts(served.judged(kept)[0]) == {"x": verdict}


def test_references_from_contracts_and_snapshots(served: Served) -> None:
    moved = served.rows(shift=1.0, seed=1)
    kept = served.rows()
    served.ask(HOUR, 0, n=600, shift=1.0)
    other = Record("data_contract.other", "data_contract", moved)
    served.rule = {"columns": ["x"]}
    assert verdicts(served.judged(kept)[0]) == {"x": "fail"}
    served.rule = {"columns": ["x"], "compare_to": "data_contract.other"}
    assert verdicts(served.judged(kept, other=other)[0]) == {"x": "pass"}
    served.rule = {"columns": ["x"], "compare_to": moved["snapshot"][:20]}
    assert verdicts(served.judged(kept)[0]) == {"x": "pass"}


@pytest.mark.parametrize(
    ("rule", "trained", "words"),
    [
        ({}, False, "no profile of the training data"),
        ({"compare_to": "data_contract.other"}, True, "has no profile: apply it first"),
        ({"compare_to": "sha256:00000000"}, True, "remembers no profile of snapshot"),
        ({"compare_to": "lately"}, True, "no window, contract or snapshot"),
    ],
)
def test_what_cannot_be_compared_is_an_error(served: Served, rule: dict[str, Any], trained: bool, words: str) -> None:
    kept = served.rows()
    served.rule, served.trained = rule, trained
    served.ask(HOUR, 0)
    (evidence,) = served.judged(kept)[0]
    assert evidence.verdict is Verdict.ERROR
    assert words in evidence.message


def _swapped(served: Served) -> None:
    """Let each column stay as it was, and only their pairing break."""
    for line in served.lines:
        line["inputs"]["k"] = "a" if line["inputs"]["x"] > 0 else "b"


@pytest.mark.parametrize(("change", "verdict"), [(_swapped, "fail"), (lambda served: None, "pass")])
def test_joint_drift_that_no_column_shows(served: Served, change: Callable[[Served], None], verdict: str) -> None:
    kept = served.rows()
    served.ask(HOUR, 0, n=1_500)
    change(served)
    assert "fail" not in verdicts(served.judged(kept)[0]).values()
    served.rule = {"distance": "classifier", "at_most": 0.6}
    assert verdicts(served.judged(kept)[0]) == {"joint": verdict}


def test_joint_drift_needs_the_rows_it_compares_to(served: Served) -> None:
    served.rule = {"distance": "classifier", "at_most": 0.6}
    kept = served.rows()
    served.ask(HOUR, 0, n=600)
    (served.root / "rows.csv").write_text("x,k,y\n")
    (evidence,) = served.judged(kept)[0]
    assert evidence.verdict is Verdict.ERROR
    assert "rows.csv" in evidence.message


def test_profiles_survive_being_stored(served: Served) -> None:
    kept = served.rows()
    stored = Profile.from_json(orjson.loads(served.blobs[kept["profile"]]))
    assert stored.columns["x"].n == 3_000
    assert set(stored.columns) == {"x", "k"}, "the label is no input"
