"""Checks a contract over a snapshot: every check at once, as evidence. The order is one scan, the passes, then
examples.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlplan.data.aggregates import Aggregation, Numbers, Planned, judge_all
from mlplan.data.checks import RowCheck, missing_columns, row_checks
from mlplan.data.contract import Contract, QualityRule
from mlplan.data.engines import DataEngine, open_engine
from mlplan.data.examples import find_examples
from mlplan.data.failure import QueryFailed
from mlplan.data.findings import Finder
from mlplan.data.freshness import judge_freshness, judge_rows, newest_of
from mlplan.data.measures import plan_metric
from mlplan.data.passes import judge_distinct_count, judge_reference, judge_unique, unique_keys
from mlplan.data.relation import name
from mlplan.data.schema import judge_schema
from mlplan.data.snapshot import Snapshot
from mlplan.data.sources import shown
from mlplan.data.unreadable import file_facts, moved, why_unreadable
from mlplan.data.view import View, open_view
from mlplan.ledger.evidence import Evidence, Verdict, worst


@dataclass(frozen=True)
class Referenced:
    """The data of another contract, for `references` rules."""

    contract: Contract
    snapshot: Snapshot


@dataclass(frozen=True)
class CheckReport:
    """What a contract's checks found. Units: `newest` seconds since the epoch of the newest row, `seconds` of work.

    rows: None when the data could not be read. stored: every column of the files, undeclared ones too, with its stored type.
    """

    evidence: tuple[Evidence, ...]
    rows: int | None
    newest: float | None
    seconds: float
    stored: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of the checks that block."""
        return worst(e.verdict for e in self.evidence if e.severity == "block")

    @property
    def failures(self) -> tuple[Evidence, ...]:
        """Return what did not pass, warnings too."""
        return tuple(e for e in self.evidence if e.verdict is not Verdict.PASS)


def check(
    contract: Contract,
    snapshot: Snapshot,
    root: Path,
    *,
    now: float,
    cache: Path | None = None,
    references: Mapping[str, Referenced] | None = None,
    previous_rows: Sequence[int] = (),
) -> CheckReport:
    """Return the evidence of every check of a contract over the files of a snapshot.

    now: seconds since the epoch, for freshness and `Evidence.at`. cache: `.mlplan/cache`, where the engine spills.
    references: by the addresses in `contract.references`. previous_rows: of earlier snapshots, newest first, for `rows_change`. The
    caller verifies the snapshot. Trouble with the data is evidence with verdict `error`, never an exception.
    """
    started = time.perf_counter()
    references = references or {}
    inputs = {"snapshot": snapshot.digest, "contract": contract.digest()}
    inputs |= {address: other.snapshot.digest for address, other in references.items()}
    finder = Finder(contract, inputs, now)
    paths = snapshot.paths(root)
    before = file_facts(paths)
    allowed = [*paths, *(path for other in references.values() for path in other.snapshot.paths(root))]
    try:
        with open_engine(contract, allowed, cache) as engine:
            report = _Scan(engine, finder, snapshot, root, references, previous_rows).run()
    except QueryFailed as failure:
        report = _failed(finder, why_unreadable(failure, snapshot.format, paths, root, cache, contract.missing))
    changed = moved(before)
    if changed:
        names = ", ".join(f'"{shown(path, root)}"' for path in changed[:3])
        report = _failed(finder, f"{names} changed while it was read. Run again when nothing writes to it.")
    return replace(report, seconds=time.perf_counter() - started)


def _failed(finder: Finder, reason: str) -> CheckReport:
    error = finder.error(f"{finder.contract.address}.source", "the data can be read", reason)
    return CheckReport((error,), None, None, 0.0)


class _Scan:
    """One check of one contract: what its steps share."""

    def __init__(
        self,
        engine: DataEngine,
        finder: Finder,
        snapshot: Snapshot,
        root: Path,
        references: Mapping[str, Referenced],
        previous_rows: Sequence[int],
    ) -> None:
        self.engine = engine
        self.finder = finder
        self.contract = finder.contract
        self.snapshot = snapshot
        self.root = root
        self.references = references
        self.previous_rows = previous_rows
        self.paths = snapshot.paths(root)
        self.view = open_view(engine, self.contract, snapshot.format, self.paths)

    def run(self) -> CheckReport:
        """Return the report without its seconds."""
        contract, finder = self.contract, self.finder
        evidence = list(judge_schema(self.engine, contract, self.view, self.paths, self.root, finder))
        scanned, numbers, rows_alias, newest_alias = self._scan()
        rows = int(numbers[rows_alias])
        evidence.append(judge_rows(contract, rows, finder))
        newest = newest_of(numbers.get(newest_alias)) if newest_alias else None
        if contract.fresh_within is not None and newest_alias:
            evidence.append(judge_freshness(contract, newest, rows, finder.at, finder))
        evidence += scanned
        for check, columns in unique_keys(contract, self.view):
            evidence.append(judge_unique(self.engine, self.view, check, columns, finder))
        evidence += self._other_rules()
        return CheckReport(tuple(evidence), rows, newest, 0.0, self.view.present)

    def _scan(self) -> tuple[list[Evidence], Numbers, str, str | None]:
        """Run the one query, and the one for examples when something failed."""
        from sqlglot import exp

        aggregation = Aggregation()
        rows_alias = aggregation.count(None)
        newest_alias = None
        if self.contract.time is not None and self.contract.time in self.view.stored:
            newest_alias = aggregation.add(exp.Max(this=name(self.contract.time)))
        checks = list(row_checks(self.contract, self.view))
        planned = [_plan_row_check(check, aggregation, self.finder) for check in checks]
        planned += [
            plan_metric(self.contract, rule, self.view, aggregation, self.finder, self.previous_rows)
            for rule in self._metric_rules()
        ]
        evidence, numbers = judge_all(self.engine, self.view, aggregation, planned, self.finder)
        return self._with_examples(checks, evidence), numbers, rows_alias, newest_alias

    def _with_examples(self, checks: Sequence[RowCheck], evidence: list[Evidence]) -> list[Evidence]:
        """Return the evidence with the failing rows shown. `evidence` begins with that of `checks`, in their order."""
        failing = [i for i, check in enumerate(checks) if evidence[i].details.get("failing")]
        if not failing:
            return evidence
        chosen = [checks[i] for i in failing]
        examples = find_examples(self.engine, self.contract, self.view, chosen, self.root, len(self.paths))
        for i, found in zip(failing, examples, strict=True):
            count, n = int(evidence[i].details["failing"]), evidence[i].n or 0
            evidence[i] = self.finder.rows(checks[i], count, n, found)
        return evidence

    def _metric_rules(self) -> list[QualityRule]:
        rules = self.contract.quality.values()
        usable = [r for r in rules if r.metric is not None and r.metric.name != "distinct_count"]
        return [rule for rule in usable if not missing_columns(self.contract, rule, self.view)]

    def _other_rules(self) -> list[Evidence]:
        """Return the evidence of quality rules that take a pass of their own or cannot be measured."""
        evidence = []
        for rule in self.contract.quality.values():
            missing = missing_columns(self.contract, rule, self.view)
            if missing:
                reason = f"It needs the column {', '.join(missing)}, which is not in the data."
                evidence.append(self._unmeasured(rule, reason))
            elif rule.metric is not None and rule.metric.name == "distinct_count":
                evidence.append(judge_distinct_count(self.engine, self.view, rule, self.finder))
            elif rule.references is not None:
                evidence.append(self._reference(rule))
        return evidence

    def _reference(self, rule: QualityRule) -> Evidence:
        assert rule.references is not None
        other = self.references.get(rule.references.address)
        if other is None:
            return self._unmeasured(rule, f"The data of {rule.references.address} is not there to compare with.")
        if rule.references.column not in other.contract.columns:
            return self._unmeasured(rule, f"{rule.references.address} declares no column {rule.references.column}.")
        try:
            view = self._open_other(other)
            if rule.references.column in view.absent:
                return self._unmeasured(rule, f"{rule.references} is not in the data of its contract.")
            return judge_reference(self.engine, self.view, rule, view, self.finder)
        except QueryFailed as failure:
            return self._unmeasured(rule, f"It could not be compared with {rule.references}: {failure.message}")

    def _open_other(self, other: Referenced) -> View:
        return open_view(self.engine, other.contract, other.snapshot.format, other.snapshot.paths(self.root))

    def _unmeasured(self, rule: QualityRule, reason: str) -> Evidence:
        subject = f"{self.contract.address}.quality.{rule.name}"
        question = str(rule.metric or rule.rule or f"{rule.column} is found in {rule.references}")
        return self.finder.error(subject, question, reason, rule.severity)


def _plan_row_check(check: RowCheck, aggregation: Aggregation, finder: Finder) -> Planned:
    failing, looked_at = aggregation.count(check.failing), aggregation.count(check.applies)

    def judge(numbers: Numbers) -> Evidence:
        return finder.rows(check, int(numbers[failing] or 0), int(numbers[looked_at] or 0))

    return Planned(check.subject, check.question, (failing, looked_at), judge, check.severity)
