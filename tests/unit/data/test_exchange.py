"""Contracts that a program writes: inferred from data, taken from and given to the Open Data Contract Standard, as HCL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlplan.data.contract import Contract, contract_from
from mlplan.data.infer import infer
from mlplan.data.odcs import read_odcs, write_odcs
from mlplan.data.sources import resolve
from mlplan.data.writing import block_name, contract_hcl, quoted, value_hcl
from mlplan.lang.diagnostic import DiagnosticError
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile

CSV = """order_id,placed_at,country,amount,units,paid,email,note,day
a1,2024-01-01T10:00:00,DE,10.50,1,true,x@example.com,,2024-01-01
a2,2024-01-02T11:30:00,FR,-3.25,2,false,y@example.com,hello,2024-01-02
a3,2024-01-03T12:00:00,DE,7,3,true,z@example.com,,2024-01-03
"""


def inferred(folder: Path, text: str, repeat: int = 1) -> dict[str, Any]:
    head, *rows = text.strip().splitlines()
    lines = [head]
    for copy in range(repeat):
        lines += [row.replace("a", f"a{copy}", 1) for row in rows]
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    source, problems = resolve("orders.csv", folder)
    assert source is not None, problems
    return infer(source)[0]


def test_types_of_texts_are_the_narrowest_that_fit(tmp_path: Path) -> None:
    columns = inferred(tmp_path, CSV)["columns"]
    types = {name: column["type"] for name, column in columns.items()}
    assert types == {
        "order_id": "string", "placed_at": "timestamp", "country": "string", "amount": "float", "units": "int", "paid": "bool",
        "email": "string", "note": "string", "day": "date",
    }  # fmt: skip


def test_missing_values_keys_and_personal_columns_are_seen(tmp_path: Path) -> None:
    arguments = inferred(tmp_path, CSV)
    assert arguments["key"] == ["order_id"]
    assert arguments["time"] == "placed_at"
    assert arguments["columns"]["note"]["nullable"] is True
    assert arguments["columns"]["country"]["nullable"] is None
    assert arguments["columns"]["email"]["pii"] is True
    assert arguments["columns"]["units"]["between"] == [0, None]
    assert arguments["columns"]["amount"]["between"] is None


def test_codes_with_leading_zeros_are_text_and_moments_keep_their_zone(tmp_path: Path) -> None:
    columns = inferred(
        tmp_path,
        "zip,at,local,n\n00123,2024-01-02T03:04:05Z,2024-01-02 03:04:05,0.5\n99999,2024-01-02T03:04:05+02:00,2024-01-02 03:04:06,0\n",
    )["columns"]
    assert [column["type"] for column in columns.values()] == ["string", "timestamptz", "timestamp", "float"]


def test_a_marker_in_columns_of_numbers_stands_for_no_value_in_all(tmp_path: Path) -> None:
    arguments = inferred(tmp_path, "id,n,at,word\na,1,2024-01-02,NA\nb,NA,?,x\nc,3,2024-01-03,-\n")
    assert arguments["missing"] == ["NA", "?"]
    columns = arguments["columns"]
    assert {name: (c["type"], c["nullable"]) for name, c in columns.items()} == {
        "id": ("string", None), "n": ("int", True), "at": ("date", True), "word": ("string", True)
    }  # fmt: skip


def test_a_marker_among_words_is_a_word(tmp_path: Path) -> None:
    arguments = inferred(tmp_path, "country,n\nNA,1\nDE,2\n")
    assert arguments["missing"] is None
    assert arguments["columns"]["country"]["nullable"] is None


def test_few_values_in_many_rows_are_a_set_and_personal_ones_are_not(tmp_path: Path) -> None:
    columns = inferred(tmp_path, CSV, repeat=20)["columns"]
    assert columns["country"]["one_of"] == ["DE", "FR"]
    assert columns["email"]["one_of"] is None


def test_what_is_inferred_is_a_contract_that_its_data_keeps(tmp_path: Path) -> None:
    from mlplan.data.scan import check
    from mlplan.data.snapshot import take
    from mlplan.ledger.evidence import Verdict

    arguments = inferred(tmp_path, CSV, repeat=30)
    contract, problems = contract_from(arguments, "data_contract.orders")
    assert contract is not None, problems
    source, _ = resolve("orders.csv", tmp_path)
    assert source is not None
    report = check(contract, take(source, None), tmp_path, now=0.0, references={}, cache=None)
    assert {e.verdict for e in report.evidence} == {Verdict.PASS}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "${x}", "%{if}", "a\nb", "\x1b[31m", "ü", "$${x}"])
def test_quoted_text_is_read_back_as_it_was(text: str) -> None:
    from mlplan.lang.evaluate import evaluate
    from mlplan.lang.scope import Scope

    body, problems = parse(SourceFile("x.mlplan.hcl", f"x = {quoted(text)}\n"))
    assert not problems
    assert evaluate(body.attributes["x"].expr, Scope()) == text


def test_values_are_written_as_expressions() -> None:
    assert value_hcl({"a b": [1, None, True, 0.5]}) == '{ "a b" = [1, null, true, 0.5] }'
    assert block_name("2024 Orders-EU") == "data_2024_orders_eu"
    text = contract_hcl(
        "o", {"source": "x", "columns": {"a": {"type": "int"}}, "quality": {"q": {"metric": "rows", "at_least": 1}}}
    )
    assert not parse(SourceFile("x.mlplan.hcl", text))[1]


def document(table: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "x",
        "version": "1",
        "status": "active",
        "schema": [table],
        **more,
    }


def test_a_document_of_the_standard_becomes_a_contract() -> None:
    table = {
        "name": "orders", "physicalName": "orders_v1", "description": "Orders",
        "properties": [
            {"name": "id", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 1, "physicalType": "varchar(18)"},
            {"name": "at", "logicalType": "timestamp", "required": True},
            {"name": "amount", "logicalType": "number", "physicalType": "decimal(12,2)", "logicalTypeOptions": {"minimum": 0}},
            {"name": "country", "logicalType": "string", "required": True, "classification": "restricted",
             "quality": [{"metric": "invalidValues", "arguments": {"validValues": ["DE", "FR"]}, "mustBe": 0}]},
            {"name": "note", "logicalType": "string", "quality": [{"metric": "nullValues", "mustBeLessOrEqualTo": 5, "unit": "percent"}]},
            {"name": "tags", "logicalType": "array", "items": {"logicalType": "string"}},
        ],
        "quality": [{"metric": "rowCount", "mustBeGreaterThan": 1000}, {"type": "sql", "query": "SELECT 1"}],
    }  # fmt: skip
    tables, notes = read_odcs(
        document(
            table,
            servers=[
                {"server": "p", "type": "postgres", "host": "db", "port": 5433, "database": "shop", "schema": "sales"}
            ],
            team=[{"username": "ann", "role": "Owner"}],
            slaProperties=[{"property": "latency", "value": 4, "unit": "d", "element": "orders.at"}],
        )
    )
    arguments = tables["orders"]
    assert arguments["source"] == "postgres://db:5433/shop?table=sales.orders_v1"
    assert arguments["owner"] == "ann"
    assert arguments["key"] == ["id"]
    assert (arguments["time"], arguments["fresh_within"]) == ("at", "4d")
    assert arguments["min_rows"] == 1000
    columns = arguments["columns"]
    assert columns["id"]["length"] == [None, 18]
    assert columns["amount"]["type"] == "decimal(12,2)"
    assert columns["amount"]["between"] == [0, None]
    assert columns["country"]["one_of"] == ["DE", "FR"]
    assert columns["country"]["pii"] is True
    assert columns["tags"]["type"] == "list(string)"
    assert arguments["quality"]["note_present"] == {"metric": "null_fraction(note)", "at_most": 0.05}
    assert any("sql" in note for note in notes)


def test_a_contract_survives_the_way_there_and_back() -> None:
    arguments: dict[str, Any] = {
        "source": "data/o.parquet", "owner": "ann", "description": "Orders", "key": ["id"], "min_rows": 10,
        "columns": {
            "id": {"type": "string", "length": [1, 8], "matches": "^[A-Z]+$"},
            "n": {"type": "int", "nullable": True, "between": [0, 9]},
            "at": {"type": "timestamptz"}, "d": {"type": "date"}, "m": {"type": "decimal(10,3)"},
            "c": {"type": "string", "one_of": ["a", "b"], "unique": True}, "l": {"type": "list(int)"},
            "s": {"type": "struct(x: int, y: string)"}, "b": {"type": "bool"}, "f": {"type": "float", "pii": True},
        },
    }  # fmt: skip
    contract = _contract(arguments)
    written, _ = write_odcs(contract, "orders")
    again = read_odcs(written)[0]["orders"]
    assert _contract(again).definition() == contract.definition()


def _contract(arguments: Mapping[str, Any]) -> Contract:
    contract, problems = contract_from(arguments, "data_contract.orders")
    assert contract is not None, problems
    return contract


@pytest.mark.parametrize(
    "bad", [None, [], {"kind": "DataContract", "apiVersion": "v2.2.2", "schema": []}, {"kind": "Pod"}]
)
def test_other_documents_are_refused(bad: Any) -> None:
    with pytest.raises(DiagnosticError) as caught:
        read_odcs(bad)
    assert caught.value.diagnostics[0].code == "invalid-odcs"
