"""`contract`: check, infer, import and export data contracts. Reads data and files; keeps nothing but caches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplan.app.compose import Project
from mlplan.engine.types import Desired
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.ledger.evidence import Evidence, Verdict, worst

_LARGEST_DOCUMENT = 4 * 2**20


@dataclass(frozen=True)
class Checked:
    """What a contract says of its data now. rows: None when they could not be counted."""

    address: str
    source: str
    owner: str
    rows: int | None
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the most serious verdict of the checks that block."""
        return worst(e.verdict for e in self.evidence if e.severity == "block")


def check(project: Project, names: Sequence[str]) -> list[Checked]:
    """Check contracts against what lies there now; all of them when none is named. Raises: DiagnosticError."""
    from mlplan.kinds.data_contract.reading import look_now

    contracts = declared(project)
    chosen = [_named(contracts, name) for name in names] or list(contracts.values())
    found = []
    for desired in chosen:
        seen = look_now(desired, contracts, project.services, time.time())
        attributes = seen.attributes
        found.append(
            Checked(
                desired.address,
                str(attributes["source"]),
                str(attributes["owner"] or ""),
                attributes["rows"],
                seen.evidence,
            )
        )
    return found


def declared(project: Project) -> dict[str, Desired]:
    """Return the contracts of the files by address. Raises: DiagnosticError."""
    contracts: dict[str, Desired] = {}
    problems: list[Diagnostic] = []
    for instance in project.program.instances:
        if instance.kind != "data_contract":
            continue
        arguments, diagnostics = project.program.decode(instance, lambda _: None)
        problems += [d for d in diagnostics if d.is_error]
        contracts[instance.address] = Desired(
            instance.address, instance.kind, instance.name, arguments, tuple(instance.dependencies), span=instance.span
        )
    if problems:
        raise DiagnosticError(*problems)
    return contracts


def _named(contracts: dict[str, Desired], name: str) -> Desired:
    address = name if name.startswith(("data_contract.", "module.")) else f"data_contract.{name}"
    if address not in contracts:
        detail = f"{address} is not in the files. There are {', '.join(sorted(contracts)) or 'no data contracts'}."
        raise DiagnosticError(
            Diagnostic("unknown-address", "Nothing has this address", detail, hint=suggestion(address, contracts))
        )
    return contracts[address]


def infer(root: Path, text: str, name: str, format: str | None = None) -> str:
    """Return a first contract for a source, as HCL. Raises: DiagnosticError."""
    from mlplan.data.failure import QueryFailed
    from mlplan.data.infer import infer as inferred
    from mlplan.data.sources import resolve
    from mlplan.data.unreadable import why_unreadable
    from mlplan.data.writing import contract_hcl

    source, problems = resolve(text, root, format)
    if source is None:
        raise DiagnosticError(*problems)
    try:
        arguments, notes = inferred(source)
    except QueryFailed as failure:
        detail = why_unreadable(failure, source.format, source.files, root, None)
        raise DiagnosticError(Diagnostic("source-unreadable", "Data file cannot be read", detail)) from failure
    return contract_hcl(
        name or Path(text.rstrip("/*")).stem.strip("*") or "data", arguments | {"format": format}, notes
    )


def import_odcs(path: Path, name: str | None = None) -> tuple[str, list[str]]:
    """Return the tables of an ODCS document as HCL, and notes on what has no counterpart. Raises: DiagnosticError."""
    from mlplan.data.writing import contract_hcl

    tables, notes = import_arguments(path)
    if name is not None and len(tables) == 1:
        tables = {name: next(iter(tables.values()))}
    return "\n".join(contract_hcl(table, arguments) for table, arguments in tables.items()), notes


def import_arguments(path: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the arguments of a block for each table of an ODCS document, and notes. Raises: DiagnosticError."""
    from mlplan.data.odcs import read_odcs

    return read_odcs(_yaml(path))


def export_odcs(project: Project, name: str) -> tuple[str, list[str]]:
    """Return a contract of the files as ODCS YAML, and notes on what it cannot say. Raises: DiagnosticError."""
    import yaml

    from mlplan.data.odcs import write_odcs
    from mlplan.kinds.data_contract.reading import contract_of

    desired = _named(declared(project), name)
    document, notes = write_odcs(contract_of(desired), desired.name)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), notes


def _yaml(path: Path) -> Any:
    import yaml

    try:
        if path.stat().st_size > _LARGEST_DOCUMENT:
            raise DiagnosticError(_unreadable(f'"{path}" is larger than {_LARGEST_DOCUMENT // 2**20} MiB.'))
        text = path.read_text(encoding="utf-8")
        if "&" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise DiagnosticError(
                _unreadable(f'"{path}" uses YAML aliases, which can grow without bound. Write them out.')
            )
        return yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DiagnosticError(_unreadable(f'"{path}" cannot be read as YAML: {reason}')) from error


def _unreadable(detail: str) -> Diagnostic:
    return Diagnostic("invalid-odcs", "This is no data contract of the open standard", detail)
