"""What plan and apply make of data that changes: new, changed, late, small and dropped; history, freshness, drift, accept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplan.cli.main import run

pytestmark = pytest.mark.e2e

FILES = """\
data_contract "sales" {{
  owner    = "shop"
  source   = "data/*.parquet"
  key      = ["id"]
  time     = "at"
  columns = {{
    id   = {{ type = "int" }}
    at   = {{ type = "timestamp" }}
    x    = {{ type = "float" }}
    shop = {{ type = "string" }}
    note = {{ type = "string", nullable = true }}
  }}
{more}
}}
"""
DRIFT = """
  drift "moved" {
    compare_to = "previous"
    columns    = ["x", "shop"]
    at_most    = 0.2
    min_rows   = 100
  }
"""
ROWS = 600


@dataclass
class Shop:
    """A project whose data is one file a month."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def files(self, more: str = "") -> None:
        """Write the configuration; `more` stands at the end of the block."""
        (self.folder / "main.mlplan.hcl").write_text(FILES.format(more=more))

    def month(self, number: int, rows: int = ROWS, shift: float = 0.0, drop: str = "", **columns: Any) -> Path:
        """Write the file of a month."""
        random = np.random.default_rng(number)
        start = datetime(2026, number, 1)
        table: dict[str, Any] = {
            "id": np.arange(rows) + 1_000_000 * number,
            "at": [start + timedelta(minutes=m) for m in range(rows)],
            "x": random.normal(shift, 1.0, rows),
            "shop": random.choice(["north", "south"], rows),
            "note": ["-"] * rows,
        }
        table.update(columns)
        table.pop(drop, None)
        path = self.folder / "data" / f"2026-{number:02}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(table), path)
        return path

    def run(self, *words: str) -> tuple[int, str]:
        """Return exit code and text of a command."""
        self.capsys.readouterr()
        code = run([f"-chdir={self.folder}", *words])
        shown = self.capsys.readouterr()
        return code, " ".join((shown.out + shown.err).split())

    def apply(self) -> None:
        """Apply what there is; the second plan is empty."""
        code, text = self.run("apply", "-auto-approve")
        assert code == 0, text
        code, text = self.run("plan", "-detailed-exitcode")
        assert code == 0, text


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    made = Shop(tmp_path, capsys)
    for number in (2, 3, 4, 5):
        made.month(number)
    made.files()
    assert made.run("init")[0] == 0
    made.apply()
    return made


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.month(6), ["1 new file: data/2026-06.parquet, +600 rows"]),
        (lambda s: s.month(5, rows=599), ["1 changed file: data/2026-05.parquet, -1 rows"]),
        (lambda s: (s.folder / "data/2026-02.parquet").unlink(), ["1 removed file: data/2026-02.parquet, -600 rows"]),
        (lambda s: s.month(1), ["late", "data/2026-01.parquet (600 rows, 2026-01-01 00:00 to 2026-01-01 09:59)"]),
        (lambda s: s.month(6, rows=3), ["small", "data/2026-06.parquet", "is it written to its end?"]),
        (lambda s: s.month(6, extra=np.arange(ROWS)), ["columns extra came (BIGINT)"]),
        (lambda s: s.month(6, x=np.arange(ROWS)), ["check 3,000 rows and pin"]),
    ],
)  # fmt: skip
def test_what_came_is_told_and_taken(shop: Shop, change: Callable[[Shop], Any], told: list[str]) -> None:
    change(shop)
    code, text = shop.run("plan")
    assert code == 0
    for words in told:
        assert words in text
    shop.apply()


def test_a_file_that_is_still_written_is_no_data(shop: Shop) -> None:
    whole = shop.month(6).read_bytes()
    (shop.folder / "data/2026-06.parquet").write_bytes(whole[: len(whole) // 2])
    code, text = shop.run("plan")
    assert code == 3
    assert "contract says no" in text
    assert "2026-06.parquet" in text
    code, text = shop.run("apply", "-auto-approve")
    assert code == 3, text
    (shop.folder / "data/2026-06.parquet").write_bytes(whole)
    shop.apply()


def test_a_column_may_come_later_and_not_just_go(shop: Shop) -> None:
    shop.month(6, drop="note")
    _, text = shop.run("plan")
    assert 'Column "note" is not in data/2026-06.parquet, where its values are missing.' in text
    shop.apply()
    for number in (2, 3, 4, 5):
        shop.month(number, drop="note")
    _code, text = shop.run("plan")
    assert "columns note went" in text
    assert "contract says no" in text
    assert "It is in the snapshot in use." in text
    assert shop.run("apply", "-auto-approve")[0] == 3


def test_rows_against_history(shop: Shop) -> None:
    shop.files('  quality "volume" {\n    metric = "rows_change"\n    at_least = -0.1\n    at_most = 0.3\n  }')
    shop.apply()
    shop.month(6)
    assert "contract says no" not in shop.run("plan")[1]
    shop.apply()
    shop.month(7, rows=1500)
    _, text = shop.run("plan")
    assert "measured 0.5 over 4,500 rows" in text
    assert shop.run("apply", "-auto-approve")[0] == 3
    _code, text = shop.run("plan", "-detailed-exitcode")
    assert "held at" in text
    assert shop.run("contract", "check")[0] == 3, "the pin says how many rows there were"


def test_freshness_is_of_now(shop: Shop) -> None:
    old = datetime.now(UTC) - datetime(2026, 5, 1, tzinfo=UTC)
    shop.files(f'  fresh_within = "{old.days - 1}d"')
    _code, text = shop.run("plan")
    assert "are allowed" in text
    assert shop.run("apply", "-auto-approve")[0] == 3
    shop.files(f'  fresh_within = "{old.days + 30}d"')
    shop.apply()


def test_drift_of_new_files_alone(shop: Shop) -> None:
    shop.files(DRIFT)
    shop.apply()
    shop.month(6)
    _, text = shop.run("plan")
    assert "PSI" not in text
    shop.apply()
    shop.month(7, shift=1.0)
    _, text = shop.run("plan")
    assert "warn fail x PSI" in text
    assert "(in data/2026-07.parquet)" in text
    assert "shop PSI" not in text, "what did not move is not told"
    shutil.rmtree(shop.folder / ".mlplan" / "cache")
    shop.apply()
    _code, text = shop.run("evidence", "data_contract.sales", "--verdict", "fail")
    assert "data_contract.sales.drift.moved.x" in text


def test_drift_that_blocks_keeps_the_snapshot_out(shop: Shop) -> None:
    shop.files(DRIFT.replace("min_rows   = 100", 'min_rows   = 100\n    severity   = "block"'))
    shop.apply()
    shop.month(6, shift=1.0)
    assert "contract says no" in shop.run("plan")[1]
    assert shop.run("apply", "-auto-approve")[0] == 3
    code, text = shop.run("plan", "-detailed-exitcode")
    assert code == 0
    assert "held at" in text


def test_unattended_runs_take_only_what_they_may(shop: Shop) -> None:
    shop.month(6)
    code, _text = shop.run("apply", "-unattended")
    assert code == 0
    assert 'waits for an attended apply (accept = "reviewed")' in shop.run("plan", "-unattended")[1]
    shop.files('  accept = "automatic"')
    assert shop.run("apply", "-unattended")[0] == 0
    assert shop.run("plan", "-detailed-exitcode")[0] == 0
