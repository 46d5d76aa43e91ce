"""`contract diff`: how the contracts of two places differ, and which models must be trained again. Reads; keeps nothing."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlplan.app.compose import Settings, open_project, schemas
from mlplan.app.contract import import_arguments
from mlplan.config.load import load
from mlplan.data.changes import ContractChange, changes, class_of
from mlplan.kinds.data_contract.evolution import Reader, used_columns
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.ledger.records import State

APPLIED = "applied"
"""The place that stands for what the last apply has kept."""

_TIMEOUT = 60.0


@dataclass(frozen=True)
class Place:
    """The contracts that stand somewhere: definitions by address. readers: model -> contracts that it learns from."""

    definitions: dict[str, Mapping[str, Any]]
    readers: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ContractDifference:
    """How one contract differs. readers: models that learn from it, each with what hurts it."""

    address: str
    changes: tuple[ContractChange, ...]
    readers: tuple[tuple[Reader, tuple[ContractChange, ...]], ...] = ()

    @property
    def kind(self) -> str:
        """Return "breaking" or "compatible"."""
        return class_of(self.changes)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "address": self.address, "class": self.kind, "changes": [c.to_json() for c in self.changes],
            "models": [
                {"address": r.address, "version": r.version or None, "used": sorted(r.used) if r.used is not None else None,
                 "class": "breaking" if hurt else "compatible", "must_retrain": bool(hurt), "because": [str(c) for c in hurt]}
                for r, hurt in self.readers
            ],
        }  # fmt: skip


def diff(given: Settings, old: str, new: str) -> list[ContractDifference]:
    """Return the contracts that differ between two places. Raises: DiagnosticError.

    A place is a folder or file of configuration, a document of the open standard (.yaml), a git revision of this folder, or
    "applied".
    """
    state = _state(given)
    before, after = _place(given, old, state), _place(given, new, state)
    if len(before.definitions) == len(after.definitions) == 1:  # one contract each: it may have been renamed
        before = Place({next(iter(after.definitions)): next(iter(before.definitions.values()))}, before.readers)
    found = []
    for address in dict.fromkeys((*before.definitions, *after.definitions)):
        changed = _changed(before.definitions.get(address), after.definitions.get(address))
        if not changed:
            continue
        readers = {**before.readers, **after.readers}
        hurt = []
        for model, contracts in readers.items():
            if address in contracts:
                reader = _reader(model, state)
                hurt.append((reader, tuple(reader.hurt_by(changed))))
        found.append(ContractDifference(address, tuple(changed), tuple(hurt)))
    return found


def _changed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[ContractChange]:
    if before is None:
        return [ContractChange("contract", "added")]
    if after is None:
        return [ContractChange("contract", "removed", readers=True)]
    return changes(before, after)


def _reader(model: str, state: State | None) -> Reader:
    record = state.records.get(model) if state is not None else None
    version = str(record.attributes.get("version") or "") if record else ""
    return Reader(model, version, used_columns(record) if record and version else None)


def _state(given: Settings) -> State | None:
    """Return the state of the project in this folder; None when there is none, as where only files are compared."""
    if not any(given.root.glob("*.mlplan.hcl")) or not (given.root / ".mlplan").is_dir():
        return None
    project = open_project(given)
    return project.ledger.open_read() if project.ledger.exists() else None


def _place(given: Settings, text: str, state: State | None) -> Place:
    path = given.root / text
    if text == APPLIED:
        return _applied(given, state)
    if path.is_dir():
        return _program(replace(given, root=path.resolve()))
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return _document(path)
    if path.is_file():
        with tempfile.TemporaryDirectory(prefix="mlplan-") as folder:
            name = path.name if path.name.endswith(".mlplan.hcl") else f"{path.stem}.mlplan.hcl"
            shutil.copyfile(path, Path(folder) / name)
            return _program(replace(given, root=Path(folder)))
    with _revision(given.root, text) as folder:
        return _program(replace(given, root=folder))


def _applied(given: Settings, state: State | None) -> Place:
    import orjson

    if state is None:
        detail = (
            "There is no state for this project yet, so nothing was applied to compare with. Name two files or folders."
        )
        raise DiagnosticError(Diagnostic("not-initialised", "This project is not initialised", detail))
    store = open_project(given).store
    found: dict[str, Mapping[str, Any]] = {}
    for address, record in state.records.items():
        digest = record.attributes.get("contract") if record.kind == "data_contract" else None
        data = store.get_blob(str(digest).removeprefix("sha256:")) if digest else None
        if data is not None:
            found[address] = orjson.loads(data)
        elif digest:
            detail = f"{address} was applied by a program that did not keep its rules. Apply once more, then compare."
            raise DiagnosticError(Diagnostic("rules-not-kept", "The rules that were applied are not kept", detail))
    return Place(found)


def _program(given: Settings) -> Place:
    program, problems = load(
        given.root, schemas=schemas(), variables=given.variables, variable_files=given.variable_files,
        environment=given.environment, workspace=given.workspace,
    )  # fmt: skip
    if program is None:
        raise DiagnosticError(*problems)
    definitions: dict[str, Mapping[str, Any]] = {}
    readers: dict[str, tuple[str, ...]] = {}
    # what is wrong elsewhere (a model's script that is not here) does not keep contracts from being compared
    found: list[Diagnostic] = []
    for instance in program.instances:
        if instance.kind not in ("data_contract", "model"):
            continue
        arguments, wrong = program.decode(instance, lambda _: None)
        if instance.kind == "model":
            data = (arguments.get("train") or {}).get("data") or {}
            readers[instance.address] = tuple(str(r.address) for r in data.values() if hasattr(r, "address"))
            continue
        found += [d for d in wrong if d.is_error]
        if not wrong:
            definitions[instance.address] = _definition(arguments, instance.address)
    if found or (not definitions and any(d.is_error for d in problems)):
        raise DiagnosticError(*(found or problems))
    return Place(definitions, readers)


def _definition(arguments: Mapping[str, Any], address: str) -> Mapping[str, Any]:
    from mlplan.data.contract import contract_from

    contract, problems = contract_from(arguments, address)
    if contract is None:
        raise DiagnosticError(*problems)
    return contract.definition()


def _document(path: Path) -> Place:
    tables, _ = import_arguments(path)
    return Place({f"data_contract.{n}": _definition(a, f"data_contract.{n}") for n, a in tables.items()})


@contextmanager
def _revision(root: Path, revision: str) -> Iterator[Path]:
    """Yield a folder with the configuration files of a git revision of `root`. Raises: DiagnosticError."""
    if revision.startswith("-"):
        raise _unknown(revision, "a place does not begin with a dash")
    command = ["git", "-C", str(root), "archive", "--format=tar", f"{revision}", "."]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)  # noqa: S603  (fixed words)
    except FileNotFoundError as error:
        raise _unknown(revision, "it is no file or folder, and git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise _unknown(revision, f"git gave no answer within {_TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        why = " ".join(done.stderr.decode(errors="replace").split())
        raise _unknown(revision, f"it is no file or folder here, and git does not know it ({why})")
    with (
        tempfile.TemporaryDirectory(prefix="mlplan-") as folder,
        tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive,
    ):
        members = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".hcl")]
        archive.extractall(folder, members=members, filter="data")
        yield Path(folder)


def _unknown(text: str, why: str) -> DiagnosticError:
    detail = (
        f'"{text}": {why}. Name a folder or file of configuration, a .yaml document of the open standard, a git revision, '
        f'or "{APPLIED}" for what the last apply kept.'
    )
    return DiagnosticError(Diagnostic("unknown-place", "There are no contracts to compare", detail))
