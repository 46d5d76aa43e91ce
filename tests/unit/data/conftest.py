"""A folder of data files and a contract over them, checked in one call."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlplan.data.contract import Contract, contract_from
from mlplan.data.scan import CheckReport, Referenced, check
from mlplan.data.snapshot import Snapshot, take
from mlplan.data.sources import resolve
from mlplan.ledger.evidence import Evidence, Verdict

NOW = 1_700_000_000.0
ADDRESS = "data_contract.things"


@dataclass
class DataFolder:
    """A project's folder."""

    root: Path

    def write(self, name: str, content: Any) -> Path:
        """Write text, bytes, an Arrow table or a mapping of columns as the file's name says."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(content, name))
        return path

    def contract(self, source: str, columns: Mapping[str, Any], **arguments: Any) -> Contract:
        """Return a contract that has no mistakes."""
        contract, problems = contract_from({"source": source, "columns": columns, **arguments}, ADDRESS)
        assert contract is not None, problems
        return contract

    def snapshot(self, contract: Contract) -> Snapshot:
        """Take the snapshot of a contract's source."""
        source, problems = resolve(contract.source, self.root, contract.format)
        assert source is not None, problems
        return take(source, None)

    def check(
        self,
        source: str,
        columns: Mapping[str, Any],
        *,
        references: Mapping[str, Referenced] | None = None,
        previous_rows: Sequence[int] = (),
        **arguments: Any,
    ) -> CheckReport:
        """Return what the checks of a contract find."""
        contract = self.contract(source, columns, **arguments)
        snapshot = self.snapshot(contract)
        return check(contract, snapshot, self.root, now=NOW, references=references, previous_rows=previous_rows)

    def fails(self, source: str, columns: Mapping[str, Any], **arguments: Any) -> dict[str, Evidence]:
        """Return what did not pass, by question."""
        return {e.question: e for e in self.check(source, columns, **arguments).failures}

    def unreadable(self, source: str, columns: Mapping[str, Any], **arguments: Any) -> str:
        """Return why the data cannot be read; that must be the only thing that is said."""
        (evidence,) = self.check(source, columns, **arguments).evidence
        assert evidence.verdict is Verdict.ERROR
        assert "Traceback" not in evidence.message
        return evidence.message


def _bytes(content: Any, name: str) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert name.endswith(".parquet")
    buffer = io.BytesIO()
    pq.write_table(content if isinstance(content, pa.Table) else pa.table(content), buffer)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


@pytest.fixture
def question() -> Callable[[CheckReport, str], Evidence]:
    """Return the evidence of one question."""

    def find(report: CheckReport, text: str) -> Evidence:
        found = [e for e in report.evidence if e.question == text]
        assert len(found) == 1, [e.question for e in report.evidence]
        return found[0]

    return find
