"""One measured piece of work for `bench_data.py`: `python tools/bench_data_cases.py CASE FOLDER`. Prints one line of what it found.

Every case does the same checks, or compares the same columns, with one program's own means, as its documentation shows them. It
runs in a process and an environment of its own; nothing here imports more than the case needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLOATS = [f"f{i}" for i in range(6)]
INTS = [f"i{i}" for i in range(4)]
SETS = [f"c{i}" for i in range(3)]
CATEGORIES = [f"k{i:02}" for i in range(12)]
PATTERN = "^[A-Z]{3}-[0-9]{4}$"
NUMBERS, GROUPS = 40, 10
"""Numeric and categorical columns of the drift data."""


def contract_columns() -> dict[str, Any]:
    """Return the 20 columns as a contract has them."""
    columns: dict[str, Any] = {"id": {"type": "int"}, "at": {"type": "timestamp"}}
    columns["amount"] = {"type": "float", "between": [0, 1000]}
    columns |= {f: {"type": "float", "between": [-10, 10], "nullable": f == "f5"} for f in FLOATS}
    columns |= {i: {"type": "int", "between": [0, 100]} for i in INTS}
    columns |= {c: {"type": "string", "one_of": CATEGORIES} for c in SETS}
    columns |= {"code": {"type": "string", "matches": PATTERN}, "note": {"type": "string", "nullable": True}}
    return columns | {"flag": {"type": "bool"}, "day": {"type": "date"}}


def mlplan_contract(folder: Path, columns: dict[str, Any] | None = None) -> str:
    """Check with mlplan: snapshot with its hashes, every check, uniqueness."""
    from mlplan.data.contract import contract_from
    from mlplan.data.scan import check
    from mlplan.data.snapshot import take
    from mlplan.data.sources import resolve

    given = {
        "source": "rows", "columns": columns or contract_columns(), "key": ["id"], "min_rows": 1,
        "quality": {"usual": {"metric": "mean(amount)", "at_least": 400, "at_most": 600}},
    }  # fmt: skip
    contract, problems = contract_from(given, "data_contract.rows")
    assert contract is not None, problems
    source, found = resolve("rows", folder)
    assert source is not None, found
    report = check(contract, take(source, None), folder, now=0.0, cache=folder / "cache")
    return f"{len(report.evidence)} checks, {len(report.failures)} failed, {report.rows:,} rows"


def mlplan_narrow(folder: Path) -> str:
    """Check four columns with mlplan, uniqueness included: for 100 million rows."""
    columns = contract_columns()
    return mlplan_contract(folder, {name: columns[name] for name in ("id", "amount", "c0", "code")})


def bare_read(folder: Path) -> str:
    """Read and decode every column in batches with pyarrow, and do nothing with it."""
    import pyarrow.parquet as pq

    rows = 0
    for path in sorted((folder / "rows").glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=131_072):
                rows += batch.num_rows
    return f"{rows:,} rows"


def duckdb_hand(folder: Path) -> str:
    """Check with one hand-written query of DuckDB, and its count(distinct)."""
    import duckdb

    parts = ["count(*)", "count(distinct id)", "avg(amount)", "count(*) filter (amount not between 0 and 1000)"]
    parts += [f"count(*) filter ({f} not between -10 and 10)" for f in FLOATS]
    parts += [f"count(*) filter ({i} not between 0 and 100)" for i in INTS]
    allowed = ", ".join(f"'{c}'" for c in CATEGORIES)
    parts += [f"count(*) filter ({c} not in ({allowed}))" for c in SETS]
    parts += [f"count(*) filter (not regexp_matches(code, '{PATTERN}'))"]
    parts += [f'count(*) filter ("{n}" is null)' for n in contract_columns() if n not in ("f5", "note")]
    connection = duckdb.connect()
    row = connection.execute(f"select {', '.join(parts)} from read_parquet('{folder}/rows/*.parquet')").fetchone()  # noqa: S608
    assert row is not None
    return f"{row[0]:,} rows, {row[1]:,} different, {sum(row[3:])} failing"


def pandera(folder: Path) -> str:
    """Check with pandera on Polars, lazily, every failure at once."""
    import pandera.polars as pa
    import polars as pl

    columns: dict[str, Any] = {
        "id": pa.Column(pl.Int64, unique=True), "at": pa.Column(pl.Datetime("us")),
        "amount": pa.Column(pl.Float64, pa.Check.in_range(0, 1000)),
        "code": pa.Column(pl.String, pa.Check.str_matches(PATTERN)), "note": pa.Column(pl.String, nullable=True),
        "flag": pa.Column(pl.Boolean), "day": pa.Column(pl.Date),
    }  # fmt: skip
    columns |= {f: pa.Column(pl.Float64, pa.Check.in_range(-10, 10), nullable=f == "f5") for f in FLOATS}
    columns |= {i: pa.Column(pl.Int32, pa.Check.in_range(0, 100)) for i in INTS}
    columns |= {c: pa.Column(pl.String, pa.Check.isin(CATEGORIES)) for c in SETS}
    usual = pa.Check(lambda data: data.lazyframe.select(pl.col("amount").mean().is_between(400, 600)))
    schema = pa.DataFrameSchema(columns, checks=usual)
    frame = pl.read_parquet(folder / "rows" / "*.parquet")
    return f"{schema.validate(frame, lazy=True).height:,} rows"


def dataframely(folder: Path) -> str:
    """Check with dataframely on a lazy Polars frame."""
    import dataframely as dy
    import polars as pl

    parts: dict[str, Any] = {
        "id": dy.Int64(primary_key=True), "at": dy.Datetime(nullable=False), "amount": dy.Float64(min=0, max=1000, nullable=False),
        "code": dy.String(regex=PATTERN, nullable=False), "note": dy.String(nullable=True), "flag": dy.Bool(nullable=False),
        "day": dy.Date(nullable=False),
    }  # fmt: skip
    parts |= {f: dy.Float64(min=-10, max=10, nullable=f == "f5") for f in FLOATS}
    parts |= {i: dy.Int32(min=0, max=100, nullable=False) for i in INTS}
    parts |= {c: dy.String(nullable=False, check=lambda values: values.is_in(CATEGORIES)) for c in SETS}
    schema: Any = type("Rows", (dy.Schema,), parts)
    frame = pl.read_parquet(folder / "rows" / "*.parquet")
    assert 400 <= frame["amount"].mean() <= 600
    return f"{schema.validate(frame).height:,} rows"


def pointblank(folder: Path) -> str:
    """Check with pointblank on Polars; extracts of failing rows off."""
    import pointblank as pb
    import polars as pl

    columns = contract_columns()
    work = pb.Validate(pl.read_parquet(folder / "rows" / "*.parquet"))
    work = work.col_vals_not_null([n for n in columns if n not in ("f5", "note")])
    work = work.col_vals_between("amount", 0, 1000).col_vals_between(FLOATS, -10, 10, na_pass=True)
    work = work.col_vals_between(INTS, 0, 100).col_vals_in_set(SETS, CATEGORIES)
    work = work.col_vals_regex("code", PATTERN).rows_distinct(columns_subset="id")
    done = work.interrogate(collect_extracts=False)
    return f"all passed: {done.all_passed()}"


def soda(folder: Path) -> str:
    """Check with Soda Core on DuckDB."""
    import duckdb
    from soda.scan import Scan

    lines = [
        "checks for rows:",
        "  - row_count > 0",
        "  - duplicate_count(id) = 0",
        "  - avg(amount) between 400 and 600",
    ]
    lines += [f"  - missing_count({n}) = 0" for n in contract_columns() if n not in ("f5", "note")]
    lines += [f"  - invalid_count(amount) = 0:{_limits(0, 1000)}"]
    lines += [f"  - invalid_count({f}) = 0:{_limits(-10, 10)}" for f in FLOATS]
    lines += [f"  - invalid_count({i}) = 0:{_limits(0, 100)}" for i in INTS]
    lines += [f"  - invalid_count({c}) = 0:\n      valid values: {json.dumps(CATEGORIES)}" for c in SETS]
    lines += [f"  - invalid_count(code) = 0:\n      valid regex: '{PATTERN}'"]
    connection = duckdb.connect()
    connection.execute(f"create view rows as select * from read_parquet('{folder}/rows/*.parquet')")  # noqa: S608
    scan = Scan()
    scan.disable_telemetry()
    scan.add_duckdb_connection(connection)
    scan.set_data_source_name("duckdb")
    scan.add_sodacl_yaml_str("\n".join(lines))
    scan.execute()
    return f"failed: {scan.has_check_fails()}, errors: {scan.has_error_logs()}, {len(scan.get_scan_results()['checks'])} checks"


def _limits(low: int, high: int) -> str:
    return f"\n      valid min: {low}\n      valid max: {high}"


def great_expectations(folder: Path) -> str:
    """Check with Great Expectations on pandas."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    frame = pd.read_parquet(folder / "rows")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    asked: list[Any] = [
        gxe.ExpectColumnValuesToNotBeNull(column=n) for n in contract_columns() if n not in ("f5", "note")
    ]
    asked += [gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=1000)]
    asked += [gxe.ExpectColumnValuesToBeBetween(column=f, min_value=-10, max_value=10) for f in FLOATS]
    asked += [gxe.ExpectColumnValuesToBeBetween(column=i, min_value=0, max_value=100) for i in INTS]
    asked += [gxe.ExpectColumnValuesToBeInSet(column=c, value_set=CATEGORIES) for c in SETS]
    asked += [gxe.ExpectColumnValuesToMatchRegex(column="code", regex=PATTERN)]
    asked += [gxe.ExpectColumnValuesToBeUnique(column="id")]
    asked += [gxe.ExpectColumnMeanToBeBetween(column="amount", min_value=400, max_value=600)]
    found = batch.validate(gx.ExpectationSuite("s", expectations=asked))
    return f"success: {found.success}, {len(found.results)} checks"


def mlplan_drift(folder: Path) -> str:
    """Compare 50 columns with mlplan: two profiles and PSI with its noise floor."""
    from mlplan.data.contract import contract_from
    from mlplan.data.profile import profile
    from mlplan.data.snapshot import take
    from mlplan.data.sources import resolve
    from mlplan.judge.drift import judge_drift

    columns = {f"n{i}": {"type": "float"} for i in range(NUMBERS)} | {
        f"g{i}": {"type": "string"} for i in range(GROUPS)
    }
    made = []
    for name in ("reference", "current"):
        contract, _ = contract_from({"source": name, "columns": columns}, "data_contract.d")
        source, _ = resolve(name, folder)
        assert contract is not None
        assert source is not None
        made.append(profile(contract, take(source, None), folder, made[0] if made else None, cache=folder / "cache"))
    found = judge_drift("d", made[0], made[1], None, "psi", 0.1)
    return f"{len(found)} columns, {sum(e.verdict == 'fail' for e in found)} drift"


def evidently(folder: Path) -> str:
    """Compare with Evidently's drift preset, PSI in every column."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    frames = [pd.read_parquet(folder / name) for name in ("reference", "current")]
    result = Report([DataDriftPreset(method="psi")]).run(frames[1], frames[0])
    return f"{len(result.dict()['metrics'])} metrics"


def nannyml(folder: Path) -> str:
    """Compare with NannyML: Jensen-Shannon in every column, the current rows as one chunk."""
    import nannyml as nml
    import pandas as pd

    frames = [pd.read_parquet(folder / name) for name in ("reference", "current")]
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(frames[0].columns), chunk_number=1, continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
    )  # fmt: skip
    found = calculator.fit(frames[0]).calculate(frames[1])
    return f"{found.to_df().shape[1]} numbers"


def frouros(folder: Path) -> str:
    """Compare with frouros: PSI of numeric columns, chi-square of categorical ones."""
    import pandas as pd
    from frouros.detectors.data_drift import PSI, ChiSquareTest

    frames = [pd.read_parquet(folder / name) for name in ("reference", "current")]
    found = 0
    for column in frames[0].columns:
        detector: Any = PSI() if column.startswith("n") else ChiSquareTest()
        detector.fit(X=frames[0][column].to_numpy())
        detector.compare(X=frames[1][column].to_numpy())
        found += 1
    return f"{found} columns"


def scipy(folder: Path) -> str:
    """Compare with SciPy: two-sample KS of numeric columns, chi-square of categorical ones."""
    import pandas as pd
    from scipy import stats

    frames = [pd.read_parquet(folder / name) for name in ("reference", "current")]
    found = 0
    for column in frames[0].columns:
        left, right = frames[0][column], frames[1][column]
        if column.startswith("n"):
            stats.ks_2samp(left, right, method="asymp")
        else:
            counts = [side.value_counts() for side in (left, right)]
            stats.chi2_contingency(pd.concat(counts, axis=1).fillna(0).T)
        found += 1
    return f"{found} columns"


CASES: dict[str, Callable[[Path], str]] = {
    f.__name__: f
    for f in (
        mlplan_contract, mlplan_narrow, bare_read, duckdb_hand, pandera, dataframely, pointblank, soda, great_expectations,
        mlplan_drift, evidently, nannyml, frouros, scipy,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    sys.stdout.write(CASES[sys.argv[1]](Path(sys.argv[2]).resolve()) + "\n")
