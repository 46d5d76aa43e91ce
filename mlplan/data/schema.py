"""Which columns the files have against which the contract declares: absent, undeclared, stored as another type,
differing by file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlplan.data.contract import Contract
from mlplan.data.engines import DataEngine
from mlplan.data.findings import Finder, shown_value
from mlplan.data.sources import shown
from mlplan.data.view import View
from mlplan.ledger.evidence import Evidence, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED = 5
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def judge_schema(
    engine: DataEngine, contract: Contract, view: View, paths: Sequence[Path], root: Path, finder: Finder
) -> Iterator[Evidence]:
    """Yield evidence on the presence and stored type of every column, and on undeclared columns when the contract is
    strict.
    """
    by_file = engine.stored_types(paths) if view.format == "parquet" and len(paths) > 1 else {}
    for column in contract.columns.values():
        subject, question = f"{contract.address}.column.{column.name}", f"{column.name} is there as {column.type}"
        optional = column.nullable and not column.label and column.name not in (*contract.key, contract.time)
        severity = "warn" if optional else column.severity
        if column.name in view.absent:
            other = _spelled_otherwise(column.name, view)
            message = f'Column "{column.name}" is declared and not in the data.{other}'
            if optional and not other:
                message = f"{message[:-1]}, so that every value of it is missing."
            else:
                severity = column.severity
            yield finder.evidence(
                subject,
                question,
                Verdict.FAIL,
                message,
                method="schema",
                severity=severity,
                details={"absent": column.name},
            )
            continue
        lacking = [path for path, types in by_file.items() if column.name not in types]
        if column.name in view.mismatched:
            kinds = _kinds(column.name, by_file, root) or view.stored[column.name]
            message = f'Column "{column.name}" is declared as {column.type} and stored as {kinds}.'
            yield finder.evidence(subject, question, Verdict.FAIL, message, method="schema", severity=column.severity)
        elif lacking:
            message = f'Column "{column.name}" is not in {_some([shown(Path(path), root) for path in lacking])}.'
            message = f"{message[:-1]}, where its values are missing." if optional else message
            yield finder.evidence(subject, question, Verdict.FAIL, message, method="schema", severity=severity)
        else:
            yield finder.evidence(
                subject, question, Verdict.PASS, f"Stored as {view.stored[column.name]}.", method="schema"
            )
    if contract.strict:
        yield _strict(contract, view, finder)


def _strict(contract: Contract, view: View, finder: Finder) -> Evidence:
    subject, question = f"{contract.address}.columns", "no undeclared columns"
    if not view.undeclared:
        return finder.evidence(subject, question, Verdict.PASS, "Every column is declared.", method="schema")
    more = "columns that are" if len(view.undeclared) > 1 else "a column that is"
    message = f"The data has {more} not declared: {_some(view.undeclared)}. Declare them, or leave out strict."
    return finder.evidence(
        subject, question, Verdict.FAIL, message, method="schema", details={"undeclared": list(view.undeclared)}
    )


def _spelled_otherwise(column: str, view: View) -> str:
    same = [other for other in view.undeclared if other.lower() == column.lower()]
    if same:
        return f' The data has "{same[0]}", which differs in upper and lower case.'
    if view.format == "csv" and len(view.undeclared) == 1 and not view.stored:
        only = view.undeclared[0]
        marks = [name for mark, name in _DELIMITERS.items() if mark in only]
        if marks:
            return f" Its header is one column, {shown_value(only)!r}: values seem to be separated by {marks[0]}, not by commas."
    return ""


def _kinds(column: str, by_file: dict[str, dict[str, str]], root: Path) -> str:
    """Return the stored types of one column over files that differ, each with a file that has it."""
    first: dict[str, str] = {}
    for path, types in by_file.items():
        if column in types:
            first.setdefault(types[column], path)
    if len(first) < 2:
        return ""
    return ", ".join(f"{kind} (in {shown(Path(path), root)})" for kind, path in list(first.items())[:_NAMED])


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
