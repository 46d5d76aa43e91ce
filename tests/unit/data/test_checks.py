"""What a contract says of values, rows and the whole, measured on small data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlplan.data.contract import contract_from
from mlplan.data.scan import CheckReport, Referenced
from mlplan.ledger.evidence import Evidence, Verdict
from tests.unit.data.conftest import NOW

Question = Callable[[CheckReport, str], Evidence]


def test_ranges_sets_patterns_and_lengths_fail_with_counts_fraction_and_examples(folder: Any) -> None:
    folder.write("d.csv", "k,n,s,t\na,1,x,ab\nb,11,y,Ab\nc,-1,z,\nd,5,x,abcd\n")
    failures = folder.fails(
        "d.csv",
        {
            "k": "string",
            "n": {"type": "int", "between": [0, 10]},
            "s": {"type": "string", "one_of": ["x", "y"]},
            "t": {"type": "string", "nullable": True, "matches": "^[a-z]+$", "length": [1, 3]},
        },
        key=["k"], owner="team-a",
    )  # fmt: skip
    assert set(failures) == {
        "n is between 0 and 10", "s is one of x, y", "t matches ^[a-z]+$", "t is between 1 and 3 characters long",
    }  # fmt: skip
    range_ = failures["n is between 0 and 10"]
    assert (range_.details["failing"], range_.n, range_.estimate, range_.owner) == (2, 4, 0.5, "team-a")
    assert range_.details["examples"][0] == {"file": "d.csv", "row": 2, "key": {"k": "b"}, "values": {"n": 11}}
    assert range_.message.endswith("Owner: team-a.")
    assert "2 of 4 rows (50.00 %)" in range_.message
    assert failures["t matches ^[a-z]+$"].n == 3  # a missing value has no pattern to match


@pytest.mark.parametrize(
    ("between", "failing"), [([None, 3], 1), ([2, None], 1), ([4, 4], 2), (["1", 2], None), ([3, 1], None)]
)
def test_an_end_of_a_range_may_be_open_and_must_be_a_number(folder: Any, between: list[Any], failing: int) -> None:
    folder.write("d.csv", "n\n1\n4\n3\n")
    columns = {"n": {"type": "int", "between": between}}
    if failing is None:
        assert contract_from({"source": "d.csv", "columns": columns}, "data_contract.x")[0] is None
    else:
        (failure,) = folder.fails("d.csv", columns).values()
        assert failure.details["failing"] == failing


def test_personal_values_are_masked_everywhere(folder: Any) -> None:
    folder.write("d.csv", "id,mail\n1,secret@x.org\n1,nobody\n")
    report = folder.check(
        "d.csv",
        {"id": "int", "mail": {"type": "string", "pii": True, "unique": True, "one_of": ["a"]}},
        key=["id"], quality={"r": {"rule": "mail = 'b'"}},
    )  # fmt: skip
    assert len(report.failures) >= 3
    text = str([e.to_json() for e in report.evidence])
    assert "secret" not in text
    assert "nobody" not in text
    assert "(masked)" in text


def test_a_key_of_several_columns_is_unique_together(folder: Any, question: Question) -> None:
    folder.write("d.csv", "a,b\n1,x\n1,y\n2,x\n1,x\n,x\n,x\n")
    nullable = {"type": "int", "nullable": True}
    report = folder.check("d.csv", {"a": nullable, "b": "string"}, key=["a", "b"])
    failure = question(report, "a and b together are unique")
    assert failure.verdict is Verdict.FAIL
    assert failure.details["failing"] == 4
    assert {"values": {"a": 1, "b": "x"}, "times": 2} in failure.details["examples"]


def test_a_single_unique_column_leaves_missing_values_out(folder: Any) -> None:
    folder.write("d.csv", "a\n1\n\n\n2\n")
    assert folder.fails("d.csv", {"a": {"type": "int", "nullable": True, "unique": True}}) == {}


RULES = {
    "h > 1 AND (g = 'x' OR g IS NULL)": (2, 4),
    "h BETWEEN 2 AND 4": (1, 4),
    "g IN ('x')": (1, 3),
    "upper(g) <> 'X'": (2, 3),
    "length(g) = 1": (0, 3),
    "g LIKE 'x%' OR regexp_like(g, '^y$')": (0, 3),
    "CASE WHEN h > 3 THEN g IS NULL ELSE TRUE END": (0, 4),
    "1 / (h - 1) > 0": (0, 3),  # nothing is said where a number is divided by zero
    "h % 2 = 0": (2, 4),
    "CAST(g AS INT) > 0": (0, 0),
    "coalesce(g, 'y') = 'y'": (2, 4),
    "t >= '2024-01-02'": (1, 3),
    "year(t) = 2024": (0, 3),
    "t - INTERVAL '1' DAY >= DATE '2024-01-01'": (1, 3),
    "isnan(f) = FALSE": (0, 3),
    "starts_with(g, 'x')": (1, 3),
    "abs(f) <= 2 AND round(f, 1) = f": (1, 3),
    "h IS DISTINCT FROM f": (1, 4),
}


@pytest.mark.parametrize("rule", RULES)
def test_row_rules(folder: Any, rule: str) -> None:
    folder.write("d.csv", "h,g,t,f\n1,x,2024-01-01,1\n2,x,2024-01-02,\n3,y,2024-01-03,-2.5\n4,,,2\n")
    columns = {
        "h": "int", "g": {"type": "string", "nullable": True}, "t": {"type": "timestamp", "nullable": True},
        "f": {"type": "float", "nullable": True},
    }  # fmt: skip
    report = folder.check("d.csv", columns, quality={"r": {"rule": rule}})
    evidence = next(e for e in report.evidence if e.subject.endswith(".r"))
    assert (evidence.details["failing"], evidence.n) == RULES[rule], evidence.message


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("SELECT 1", "cannot query"),
        ("h > (SELECT 1)", "cannot query"),
        ("h + 1", "is a value"),
        ("h >", "not a SQL condition"),
        ("random() > 1", "may not use"),
        ("count(*) > 1", "written as a metric"),
        ("t > now()", "may not use"),
        ("read_csv('x') = 1", "may not use"),
        ("h > 1; DROP TABLE x", "exactly one condition"),
        ("hh > 1", "not a declared column"),
        ("getenv('HOME') = 'x'", "may not use"),
        ("CAST(h AS BLOB) = 1", "may not cast"),
        ("(" * 2000 + "h > 1" + ")" * 2000, ""),
    ],
)
def test_a_rule_can_do_nothing_but_compare(rule: str, said: str) -> None:
    arguments = {"source": "d.csv", "columns": {"h": "int", "t": "timestamp"}, "quality": {"r": {"rule": rule}}}
    contract, problems = contract_from(arguments, "data_contract.x")
    assert contract is None
    assert said in problems[0].detail


def test_a_conditional_rule_looks_only_at_the_rows_where_it_applies(folder: Any) -> None:
    folder.write("d.csv", "kind,v\na,1\na,-1\nb,-1\n")
    report = folder.check(
        "d.csv", {"kind": "string", "v": "int"},
        quality={
            "positive": {"rule": "v > 0", "where": "kind = 'a'"},
            "mean": {"metric": "max(v)", "where": "kind = 'b'", "at_most": 0},
            "soft": {"rule": "v > 5", "severity": "warn"},
        },
    )  # fmt: skip
    found = {e.subject.rpartition(".")[2]: e for e in report.evidence}
    assert (found["positive"].details["failing"], found["positive"].n) == (1, 2)
    assert found["mean"].verdict is Verdict.PASS
    assert (found["soft"].verdict, found["soft"].severity) == (Verdict.FAIL, "warn")


METRICS = {
    "rows": 5.0, "mean(v)": 3.0, "sum(v)": 15.0, "min(v)": 1.0, "max(v)": 5.0, "median(v)": 3.0, "quantile(v, 0.5)": 3.0,
    "deviation(v)": 2.5**0.5, "distinct_count(g)": 2, "null_fraction(n)": 0.4, "true_fraction(b)": 0.8, "correlation(v, w)": 1.0,
    "rows_change": 0.25,
}  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_metrics(folder: Any, metric: str) -> None:
    folder.write("d.csv", "v,w,g,n,b\n1,2,x,1,true\n2,4,x,,true\n3,6,y,,true\n4,8,y,2,true\n5,10,x,3,false\n")
    columns = {"v": "float", "w": "int", "g": "string", "n": {"type": "int", "nullable": True}, "b": "bool"}
    report = folder.check(
        "d.csv", columns, previous_rows=[4], quality={"m": {"metric": metric, "at_least": 0, "at_most": 1 if "fraction" in metric else 100}}
    )  # fmt: skip
    evidence = next(e for e in report.evidence if e.subject.endswith(".m"))
    assert evidence.estimate == pytest.approx(METRICS[metric])


def test_a_share_is_judged_by_its_interval(folder: Any) -> None:
    from scipy import stats

    folder.write("d.csv", "v\n" + "1\n" * 97 + "0\n" * 3)

    def judged(limit: float) -> Evidence:
        report = folder.check("d.csv", {"v": "int"}, quality={"r": {"rule": "v = 1", "at_least": limit}})
        return next(e for e in report.evidence if e.subject.endswith(".r"))

    wilson = stats.binomtest(97, 100).proportion_ci(0.95, method="wilson")
    assert judged(0.9).interval == pytest.approx((wilson.low, wilson.high))
    assert [judged(x).verdict for x in (0.9, 0.95, 0.999)] == [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    assert "rows would decide" in judged(0.95).message


def test_freshness_against_the_clock(folder: Any) -> None:
    import datetime as dt

    def newest(seconds_ago: float) -> Evidence:
        moment = dt.datetime.fromtimestamp(NOW - seconds_ago, dt.UTC).isoformat()
        folder.write("d.csv", f"at\n{moment}\n2001-01-01T00:00:00Z\n")
        report = folder.check("d.csv", {"at": "timestamptz"}, time="at", fresh_within=3600.0)
        return next(e for e in report.evidence if e.subject.endswith(".freshness"))

    assert newest(3000).verdict is Verdict.PASS
    assert newest(4000).verdict is Verdict.FAIL
    assert newest(-600).verdict is Verdict.PASS  # clocks differ
    assert "wrong clock" in newest(-10 * 86_400).message  # a row of next week must not hide that data is old


def test_rows_and_their_change(folder: Any, question: Question) -> None:
    folder.write("d.csv", "v\n1\n2\n")
    report = folder.check(
        "d.csv",
        {"v": "int"},
        min_rows=3,
        previous_rows=[10, 4, 2],
        quality={"q": {"metric": "rows_change", "at_least": -0.5}},
    )
    assert question(report, "at least 3 rows").verdict is Verdict.FAIL
    assert question(report, "rows_change >= -0.5").estimate == pytest.approx(-0.8)
    report = folder.check(
        "d.csv", {"v": "int"}, previous_rows=[10, 4, 2], quality={"q": {"metric": "rows_change(3)", "at_least": -0.6}}
    )
    assert question(report, "rows_change(3) >= -0.6").estimate == pytest.approx(-0.5), "against the median of three"


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
def test_no_row_at_all(folder: Any, name: str) -> None:
    import pyarrow as pa

    folder.write(name, "a,b\n" if name == "d.csv" else {"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())})
    report = folder.check(
        name, {"a": {"type": "int", "between": [0, 1]}, "b": "string"}, key=["a"],
        quality={"m": {"metric": "mean(a)", "at_least": 0}, "r": {"rule": "a > 0", "at_least": 0.5}},
    )  # fmt: skip
    assert report.rows == 0
    assert {e.question for e in report.failures} == {
        "at least 1 row",
        "mean(a) >= 0",
        "a > 0 in at least 0.5 of the rows",
    }


def test_references_to_another_contract(folder: Any) -> None:
    folder.write("other.csv", "id\na\nb\n")
    folder.write("d.csv", "ref\na\nzz\nzz\n\n")
    other = folder.contract("other.csv", {"id": "string"})
    reference = {"data_contract.other": Referenced(other, folder.snapshot(other))}
    rule = {"references": "data_contract.other.column.id", "column": "ref"}
    report = folder.check(
        "d.csv", {"ref": {"type": "string", "nullable": True}}, references=reference, quality={"known": rule}
    )
    (failure,) = report.failures
    assert (failure.details["failing"], failure.n) == (2, 3)
    assert failure.details["examples"] == [{"values": {"ref": "zz"}, "times": 2}]
    report = folder.check("d.csv", {"ref": {"type": "string", "nullable": True}}, quality={"known": rule})
    assert report.failures[0].verdict is Verdict.ERROR


def test_undeclared_absent_and_misspelled_columns(folder: Any) -> None:
    folder.write("d.csv", "A,b\n1,2\n")
    failures = folder.fails("d.csv", {"a": "int", "c": "int"}, strict=True)
    assert 'The data has "A"' in failures["a is there as int"].message
    assert failures["c is there as int"].verdict is Verdict.FAIL
    assert failures["no undeclared columns"].details["undeclared"] == ["A", "b"]
    assert "no undeclared columns" not in folder.fails("d.csv", {"a": "int"})


def test_a_column_that_only_some_files_have(folder: Any) -> None:
    folder.write("d/1.parquet", {"a": [1], "b": [1]})
    folder.write("d/2.parquet", {"a": [1]})
    failures = folder.fails("d", {"a": "int", "b": {"type": "int", "nullable": True}})
    assert 'Column "b" is not in d/2.parquet' in failures["b is there as int"].message


def test_one_bad_rule_hides_nothing_else(folder: Any) -> None:
    folder.write("d.csv", "a\n9000000000000000000\n1\n")
    report = folder.check(
        "d.csv", {"a": {"type": "int", "between": [2, None]}}, quality={"overflow": {"rule": "a * a > 0"}}
    )
    verdicts = {e.subject.rpartition(".")[2]: e.verdict for e in report.failures}
    assert verdicts == {"a": Verdict.FAIL, "overflow": Verdict.ERROR}


def test_every_mistake_of_a_contract_is_reported_at_once() -> None:
    contract, problems = contract_from(
        {
            "source": "x.csv", "key": ["nope"], "time": "s", "min_rows": -1, "format": "xls",
            "columns": {
                "s": {"type": "string", "between": [1, 2], "one_of": []}, "t": "text", "n": {"type": "int", "matches": "("},
                "N": "int",
            },
            "quality": {"q": {"metric": "mean(s)"}, "r": {"rule": "s = 1", "metric": "rows"}, "u": {"metric": "modus(n)"}},
        },
        "data_contract.x",
    )  # fmt: skip
    assert contract is None
    text = "\n".join(p.detail for p in problems)
    for said in ("nope", "time names", "min_rows", "xls", "has no order", "at least one value", '"text" is not a type',
                 "only strings have patterns", "upper and lower case", "cannot take mean", "exactly one of", "modus"):  # fmt: skip
        assert said in text, said


def test_a_wrong_value_in_a_text_file_hides_no_other_failure(folder: Any) -> None:
    folder.write("d.csv", "k,v\n1,1\n1,2\nx,3\n")
    fails = folder.fails("d.csv", {"k": {"type": "int", "unique": True}, "v": {"type": "int", "between": [0, 2]}})
    assert len(fails) == 3, list(fails)
