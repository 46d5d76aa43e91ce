"""The drift watches of a monitor: windows of the prediction log against what the rule compares them to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from mlplan.config.quantities import parse_duration
from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.data_contract.reading import contract_of
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.profile import Profile
from mlplan.ledger.records import Record

_TRIES = 5
T = TypeVar("T")


def drift_by_window(
    subject: str, rule: Mapping[str, Any], desired: Desired, deployment: Record, view: View
) -> list[list[Evidence]]:
    """Return the evidence of the newest windows, newest first; one entry with an error when nothing can be compared."""
    reference = rule["drift"]
    contract = view.desired.get(reference.address)
    limits = (contract.arguments.get("drift") or {}).get(reference.path[-1]) if contract is not None else None
    if contract is None or limits is None or reference.path[0] != "drift":
        return [[_error(subject, f"there is no drift rule {reference}", view.now)]]
    every = float(desired.arguments["every"])
    since = float(deployment.attributes["live"]["since"])
    watch = _Watch(subject, contract, limits, deployment, view, every)
    return [watch.judge(*window) for window in windows(view.now, since, every, int(rule.get("in_a_row") or 1))]


def windows(now: float, since: float, length: float, count: int) -> list[tuple[float, float]]:
    """Return the newest `count` windows (from, until), newest first, none from before `since`. Units: seconds."""
    ends = [now - index * length for index in range(count)]
    return [(max(since, end - length), end) for end in ends if end > since]


def log_files(folder: Path) -> list[Path]:
    """Return the prediction logs of an endpoint, the one being written included."""
    return sorted(p for p in folder.glob("*.jsonl*") if p.is_file()) if folder.is_dir() else []


@dataclass(frozen=True)
class _Watch:
    """One drift rule over one deployment. Units: `every` seconds."""

    subject: str
    contract: Desired
    limits: Mapping[str, Any]
    deployment: Record
    view: View
    every: float

    @property
    def version(self) -> str:
        return str(self.deployment.attributes["live"]["version"])

    @property
    def compare_to(self) -> str:
        return str(self.limits.get("compare_to") or "training")

    def judge(self, since: float, until: float) -> list[Evidence]:
        """Return the evidence of one window."""
        training = self._training()
        if training is None:
            return [_error(self.subject, "there is no profile of the training data to compare with", self.view.now)]
        features = self._features()
        columns = list(self.limits.get("columns") or ())
        columns = columns or [c for c in training.columns if features is None or c in features]
        if self.limits.get("distance") == "classifier":
            return [self._joint(columns, since, until)]
        from mlplan.judge.drift import judge_drift

        reference = self._reference(training, columns, since)
        if isinstance(reference, str):
            return [_error(self.subject, reference, self.view.now)]
        current = self._window(columns, since, until, reference)
        return judge_drift(
            self.subject, reference, current, columns, self.limits.get("distance"), self._number("at_most", 0.2),
            self._number("false_alarm_rate", 0.01), int(self._number("min_rows", 500)), 0,
        )  # fmt: skip

    def _number(self, name: str, default: float) -> float:
        value = self.limits.get(name)
        return default if value is None else float(value)

    def _reference(self, training: Profile, columns: Sequence[str], since: float) -> Profile | str:
        """Return the profile that the rule compares to, or why there is none."""
        wanted = self.compare_to
        if wanted == "training":
            return training
        if wanted == "previous":
            return self._window(columns, since - self.every, since, training)
        if wanted.startswith("data_contract."):
            record = self.view.record(wanted)
            found = self._stored(record.attributes.get("profile")) if record else None
            return found or f"{wanted} has no profile: apply it first"
        if wanted.startswith("sha256:"):
            return self._snapshot(wanted)
        try:
            length = parse_duration(wanted)
        except DiagnosticError:
            return f'compare_to is "{wanted}", which is no window, contract or snapshot'
        return self._window(columns, since - length, since, training)

    def _snapshot(self, digest: str) -> Profile | str:
        record = self.view.record(self.contract.address)
        kept = (record.attributes.get("profiles") or {}) if record else {}
        found = [self._stored(key) for snapshot, key in kept.items() if snapshot.startswith(digest)]
        if len(found) == 1 and found[0] is not None:
            return found[0]
        return f"{self.contract.address} remembers no profile of snapshot {digest}"

    def _stored(self, key: str | None) -> Profile | None:
        data = self.view.blob(key) if key else None
        return Profile.from_json(orjson.loads(data)) if data is not None else None

    def _version_entry(self) -> Mapping[str, Any]:
        model = self.view.record(str(self.deployment.attributes["model"]))
        versions = (model.attributes.get("versions") or {}) if model else {}
        entry: Mapping[str, Any] = versions.get(self.version.removeprefix("v")) or {}
        return entry

    def _training(self) -> Profile | None:
        for entry in (self._version_entry().get("profiles") or {}).values():
            if entry and entry["contract"] == self.contract.address and entry.get("profile"):
                return self._stored(entry["profile"])
        return None

    def _features(self) -> set[str] | None:
        """Return what the live version is asked with; None when its artifact is not here to tell."""
        from mlplan.artifact.errors import ArtifactError
        from mlplan.artifact.manifest import read_manifest

        digest = self._version_entry().get("artifact")
        if not digest:
            return None
        try:
            return set(read_manifest(self.view.services.artifact_path(str(digest))).info.features)
        except (ArtifactError, OSError):
            return None

    def _window(self, columns: Sequence[str], since: float, until: float, bins: Profile) -> Profile:
        from mlplan.data.request_log import profile_requests

        return self._read(lambda files: profile_requests(files, columns, since, until, bins, self.version))

    def _read(self, read: Callable[[list[Path]], T]) -> T:
        """Read the log; one that is rotated meanwhile is read again under its new name."""
        folder = self.view.services.requests / self.deployment.physical_name
        for _ in range(_TRIES):
            try:
                return read(log_files(folder))
            except FileNotFoundError:
                continue
        return read(log_files(folder))

    def _joint(self, columns: Sequence[str], since: float, until: float) -> Evidence:
        """Judge all columns together, on rows: of the log, and of the data that the rule compares to."""
        from dataclasses import replace

        from mlplan.data.read import sample_frame
        from mlplan.data.request_log import sample_requests
        from mlplan.data.snapshot import Snapshot, verify
        from mlplan.judge.two_sample import MOST_ROWS, judge_joint

        address = self.compare_to if self.compare_to.startswith("data_contract.") else self.contract.address
        record, other = self.view.record(address), self.view.desired.get(address)
        if record is None or other is None or not record.attributes.get("manifest"):
            return _error(self.subject, f"{address} has no data to compare with: apply it first", self.view.now)
        trained_on = (self._version_entry().get("recipe_parts") or {}).get("data") or {}
        if self.compare_to == "training" and record.attributes["snapshot"] not in map(str, trained_on.values()):
            reason = f"{address} was pinned anew after {self.version} was trained, so its training rows are not at hand"
            return _error(self.subject, reason, self.view.now)
        pinned, services = Snapshot.from_json(record.attributes["manifest"]), self.view.services
        problems = verify(pinned, services.root, services.cache)
        if problems:
            return _error(self.subject, problems[0].detail, self.view.now)
        contract = contract_of(other)
        usable = [c for c in columns if c in contract.columns and not contract.columns[c].pii]
        before = sample_frame(contract, pinned, services.root, usable, MOST_ROWS, cache=services.cache)
        after = self._read(lambda f: sample_requests(f, contract, usable, since, until, self.version, MOST_ROWS))
        found = judge_joint(
            self.subject, before, after, self._number("at_most", 0.6), int(self._number("min_rows", 500))
        )
        return replace(found, at=self.view.now)


def _error(subject: str, message: str, now: float) -> Evidence:
    return Evidence(subject, "drift", Verdict.ERROR, message=message, at=now)
