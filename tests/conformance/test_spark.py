"""One contract, the same evidence: the embedded engine and Spark, in this process and on a cluster with a worker.

What may differ is written in docs/guides/spark.md: estimates of quantiles, last digits of sums of floats.
"""

from __future__ import annotations

import datetime as dt
import gc
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplan.data.contract import Contract, contract_from
from mlplan.data.profile import profile
from mlplan.data.scan import CheckReport, Referenced, check
from mlplan.data.snapshot import Snapshot, take
from mlplan.data.sources import resolve
from mlplan.ledger.evidence import Evidence, Verdict
from tests.world.spark_cluster import SparkCluster

pytest.importorskip("pyspark", reason='needs pyspark: pip install "mlplan[spark]"')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17 or 21"),
    pytest.mark.filterwarnings(
        "ignore:unclosed <socket:ResourceWarning"
    ),  # pyspark leaves the sockets of its answers open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NOW = 1_700_000_000.0
QUICK = {
    "spark.sql.codegen.wholeStage": False, "spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.shuffle.partitions": 2,
    "spark.executor.memory": "512m", "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}  # fmt: skip
"""Compiling queries takes longer than running them over a few rows."""

APPROXIMATE = ("quantile", "median", "correlation", "mean", "deviation", "sum")


@pytest.fixture(scope="module", params=["local", "cluster"])
def master(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from mlplan.data import spark_session

    patch = pytest.MonkeyPatch()
    patch.setenv("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")
    patch.setenv("MLPLAN_DATA_MEMORY", "600MiB")
    try:
        if request.param == "local":
            yield "local[2]"
        else:
            patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
            with SparkCluster(tmp_path_factory.mktemp("cluster")) as cluster:
                yield cluster.master
                spark_session.stop()
    finally:
        spark_session.stop()
        patch.undo()


@pytest.fixture(autouse=True)
def _left_sockets() -> Iterator[None]:
    yield
    gc.collect()


class Folder:
    """A folder of data and the two ways to check it."""

    def __init__(self, root: Path, master: str) -> None:
        self.root = root
        self.master = master

    def write(self, name: str, content: Any) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_bytes(content.encode())
        else:
            pq.write_table(content if isinstance(content, pa.Table) else pa.table(content), path)

    def contract(self, source: str, columns: dict[str, Any], engine: str, **more: Any) -> tuple[Contract, Snapshot]:
        arguments = {"source": source, "columns": columns, "engine": engine, **more}
        if engine == "spark":
            arguments["spark"] = {"master": self.master, "settings": QUICK}
        contract, problems = contract_from(arguments, "data_contract.things")
        assert contract is not None, problems
        found, problems = resolve(source, self.root, None)
        assert found is not None, problems
        return contract, take(found, None)

    def report(self, source: str, columns: dict[str, Any], engine: str, **more: Any) -> CheckReport:
        others = more.pop("references", {})
        contract, snapshot = self.contract(source, columns, engine, **more)
        references = {a: Referenced(*self.contract(*pair, engine)) for a, pair in others.items()}
        return check(contract, snapshot, self.root, now=NOW, references=references)

    def same(self, source: str, columns: dict[str, Any], **more: Any) -> CheckReport:
        """Check with both and return what Spark found, which must be what the embedded engine found."""
        ours, theirs = (self.report(source, columns, engine, **dict(more)) for engine in ("duckdb", "spark"))
        assert theirs.rows == ours.rows
        assert theirs.newest == ours.newest
        assert [_shown(e) for e in theirs.evidence] == [_shown(e) for e in ours.evidence]
        for mine, other in zip(ours.evidence, theirs.evidence, strict=True):
            if mine.estimate is None:
                assert other.estimate is None, mine.question
            else:
                assert other.estimate == pytest.approx(mine.estimate, rel=0.01), mine.question
            if mine.interval is not None:
                assert other.interval == pytest.approx(mine.interval, rel=0.01)
        return theirs


def _shown(evidence: Evidence) -> dict[str, Any]:
    """Return evidence without the digits in which sums and quantiles may differ."""
    document = evidence.to_json()
    if evidence.question.split("(")[0].split()[-1] in APPROXIMATE:
        for name in ("message", "estimate", "interval"):
            document.pop(name, None)
    return {k: v for k, v in document.items() if k != "inputs"}


@pytest.fixture
def folder(tmp_path: Path, master: str) -> Folder:
    return Folder(tmp_path, master)


def _table(n: int = 400) -> pa.Table:
    start = dt.datetime(2023, 11, 1)
    rows = range(n)
    return pa.table({
        "id": list(rows),
        "i": pa.array([None if i % 7 == 0 else i - 5 for i in rows], pa.int32()),
        "f": [float("nan") if i % 11 == 0 else i / 3 for i in rows],
        "s": [["a", "b", "cc", "ünï"][i % 4] if i % 13 else None for i in rows],
        "b": [i % 3 == 0 for i in rows],
        "d": [dt.date(2023, 1, 1) + dt.timedelta(i) for i in rows],
        "t": pa.array([start + dt.timedelta(seconds=i * 1.5) for i in rows], pa.timestamp("ns")),
        "z": pa.array([start + dt.timedelta(hours=i) for i in rows], pa.timestamp("us", "Europe/Berlin")),
        "m": pa.array([Decimal(i) / 8 for i in rows], pa.decimal128(12, 3)),
        "l": pa.array([[1] * (i % 4) if i % 5 else None for i in rows], pa.list_(pa.int64())),
        "o": [{"x": i, "y": str(i)} for i in rows],
        "whole": [i + 0.0 if i % 10 else i + 0.5 for i in rows],
        "txt": [str(i) if i % 9 else "no" for i in rows],
        "dup": [i % 50 for i in rows],
        'odd `"name': list(rows),
    })  # fmt: skip


COLUMNS = {
    "id": {"type": "int", "unique": True},
    "i": {"type": "int", "between": [0, 300]},
    "f": {"type": "float", "between": [None, 100]},
    "s": {"type": "string", "one_of": ["a", "b"], "matches": r"^[a-z]\w?$", "length": [2, None], "nullable": True},
    "b": "bool",
    "d": {"type": "date", "between": ["2023-02-01", "2023-12-31"]},
    "t": {"type": "timestamp", "between": ["2023-11-01 00:01:00", None]},
    "z": {"type": "timestamptz", "between": ["2023-11-02T00:00:00+01:00", None]},
    "m": {"type": "decimal(12,3)", "between": [1, 40]},
    "l": {"type": "list(int)", "length": [1, 2], "nullable": True},
    "o": "struct(x: int, y: string)",
    "whole": "int",
    "txt": {"type": "int", "severity": "warn"},
    "dup": {"type": "int", "unique": True},
    'odd `"name': {"type": "int", "between": [3, None], "pii": True},
    "gone": "int",
}
QUALITY = {
    "row": {"rule": "i < id AND f > 0"},
    "share": {"rule": "s = 'a' OR s LIKE '%c%'", "where": "id > 20", "at_least": 0.5},
    "calls": {"rule": "length(s) <= 2 AND year(d) = 2023 AND dayofweek(d) < 6"},
    "casts": {"rule": "cast(txt AS int) >= 5 AND coalesce(i, 0) / dup > 2"},
    "mean": {"metric": "mean(f)", "at_most": 50},
    "quantile": {"metric": "quantile(f, 0.9)", "at_most": 90},
    "median": {"metric": "median(i)", "at_least": 0},
    "correlation": {"metric": "correlation(id, f)", "at_least": 0.5},
    "sum": {"metric": "sum(m)", "at_most": 10},
    "distinct": {"metric": "distinct_count(s)", "at_most": 3},
    "nulls": {"metric": "null_fraction(s)", "at_most": 0.01},
    "trues": {"metric": "true_fraction(b)", "at_least": 0.5, "where": "id > 10"},
    "rows": {"metric": "rows", "at_least": 1000},
    "found": {"references": "data_contract.other.column.k", "column": "dup"},
}


def test_every_check_over_parquet(folder: Folder) -> None:
    folder.write("p.parquet", _table())
    folder.write("other.parquet", {"k": list(range(45))})
    report = folder.same(
        "p.parquet", COLUMNS, quality=QUALITY, key=["s", "dup"], time="z", fresh_within=86_400.0, min_rows=1_000, strict=True,
        references={"data_contract.other": ("other.parquet", {"k": "int"})},
    )  # fmt: skip
    found = {e.verdict for e in report.evidence}
    assert found >= {Verdict.PASS, Verdict.FAIL}
    assert len(report.failures) > 30


def test_profiles_over_parquet(folder: Folder) -> None:
    folder.write("p.parquet", _table())
    columns = {c: k for c, k in COLUMNS.items() if c in ("id", "f", "s", "b", "whole")}
    ours, theirs = (profile(*folder.contract("p.parquet", columns, e), folder.root) for e in ("duckdb", "spark"))
    assert theirs.rows == ours.rows
    for column, mine in ours.columns.items():
        other = theirs.columns[column]
        assert (other.counts, other.edges, other.categories) == (mine.counts, mine.edges, mine.categories)
        assert other.nulls == mine.nulls
        assert other.mean == pytest.approx(mine.mean)


def test_texts_of_csv_mean_the_same(folder: Folder) -> None:
    texts = [
        "1", "1.0", "1.5", " 1 ", "1e3", "1_000", "0x1F", "1d", "+1", "1.", ".5", "nan", "-inf", "1e400", "9223372036854775807",
        "9223372036854775808", "true", "T", "yes", "0", "on", "2020-01-02", "2020-1-2", "2020/01/02", "2020", "2020-01",
        "2020-01-02 03:04:05", "2020-01-02T03:04:05Z", "2020-01-02 03:04:05+02", "2020-02-30", "2020-01-02 03", "03:04:05", "12.345",
        "NA", "", '"x,y"', '"q""q"', '"l1\nl2"', "ünï", "20200102", "0012", "1\u0661",
    ]  # fmt: skip
    kinds = ["int", "float", "decimal(5,2)", "bool", "timestamptz", "string"]
    header = ",".join(f"c{i}" for i in range(len(kinds)))
    folder.write("k=a b/1.csv", header + "\n" + "\n".join(",".join([text] * len(kinds)) for text in texts) + "\n")
    columns = {f"c{i}": kind for i, kind in enumerate(kinds)} | {"k": {"type": "string", "one_of": ["a b"]}}
    report = folder.same("k=a b", columns, missing=["NA"])
    assert report.rows == len(texts)


def test_json_means_the_same(folder: Folder) -> None:
    lines = [
        '{"a":1,"s":"x","l":[1,2],"o":{"x":1},"t":"2020-01-01T00:00:00Z"}', '{"a":"1","s":5,"l":[1,"b"],"o":{"x":"no"}}',
        '{"a":null,"s":null}', '{"a":1.0,"l":null,"o":[]}', '{"a":1.5,"s":"ünï","t":"x"}', "", '{"a":true,"l":{}}', '{"q":1}',
    ]  # fmt: skip
    folder.write("j.jsonl", "\n".join(lines) + "\n")
    columns = {"a": "int", "s": "string", "l": "list(int)", "o": "struct(x: int)", "t": "timestamptz"}
    folder.same("j.jsonl", columns)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 values"),
        ('a,b\n1,2\n3,"abc\n4,5\n', "a quote that is never closed"),
        ("a\n1\n\n", "Spark does not read CSV files of one column"),
    ],
)
def test_what_cannot_be_read(folder: Folder, content: str, said: str) -> None:
    folder.write("d.csv", content)
    (evidence,) = folder.report("d.csv", {"a": "int"}, "spark").evidence
    assert evidence.verdict is Verdict.ERROR
    assert said in evidence.message


def test_a_master_that_is_not_there(tmp_path: Path) -> None:
    """The reason is evidence, not a traceback."""
    folder = Folder(tmp_path, "nonsense://x")
    folder.write("p.parquet", {"a": [1]})
    (evidence,) = folder.report("p.parquet", {"a": "int"}, "spark").evidence
    assert 'Spark cannot be started with the master "nonsense://x"' in evidence.message
