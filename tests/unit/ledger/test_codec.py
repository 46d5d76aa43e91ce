"""The document: sealed, strict, upgraded from every format that was ever written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from mlplan.ledger import codec
from mlplan.ledger.damage import NewerFormat
from mlplan.ledger.records import FORMAT, State
from mlplan.ledger.upgrades import UPGRADES
from mlplan.spi.store import StoreDamaged

GOLDEN = Path(__file__).parents[2] / "golden" / "state"


def document() -> dict[str, Any]:
    return dict(orjson.loads(codec.encode(State("lineage", 3, outputs={"a": 1, "b": [1.5, None, "é"]}), "sha256:p")))


def test_every_format_has_a_golden_file_and_a_way_to_the_present_one() -> None:
    assert sorted(UPGRADES) == list(range(1, FORMAT))
    assert sorted(path.name for path in GOLDEN.glob("*.json")) == [f"format-{n}.json" for n in range(1, FORMAT + 1)]


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_a_golden_file_reads_as_the_same_state_for_ever(number: int) -> None:
    snapshot = codec.decode((GOLDEN / f"format-{number}.json").read_bytes())
    state = snapshot.state
    assert (state.lineage, state.serial, state.open_run) == ("4c7a0a52-8a3e-4b55-9a0e-54d1c7a0f001", 7, "r9")
    assert state.records["data_contract.d"].attributes == {"rows": 4000, "path": "Größe/été.csv"}
    assert state.records["model.a"].dependencies == ("data_contract.d",)
    assert state.records["model.a"].evidence == tuple(state.evidence)
    assert state.operations["model.b"].accepted == {"job": "j-1", "pid": 4711}
    assert [(line.number, line.who) for line in state.history] == [(1, "ada"), (2, "bob")]
    assert state.history[1].previous == state.history[0].digest()
    assert (state.unswept, state.generations, state.used_plans) == (("r9",), {"model.gone": 2}, ("p1",))


def test_the_present_format_is_written_as_its_golden_file_says() -> None:
    data = (GOLDEN / f"format-{FORMAT}.json").read_bytes()
    snapshot = codec.decode(data)
    assert codec.encode(snapshot.state, snapshot.parent) == data


def test_a_newer_format_is_refused_untouched() -> None:
    changed = {**document(), "format": FORMAT + 1}
    del changed["checksum"]
    sealed = {**changed, "checksum": codec.checksum_of(changed)}
    with pytest.raises(NewerFormat, match="newer mlplan"):
        codec.decode(orjson.dumps(sealed))


def test_blanks_and_order_of_keys_do_not_matter_but_every_value_does() -> None:
    found = document()
    turned = json.dumps(dict(reversed(found.items())), indent=7).encode()
    assert codec.decode(turned).checksum == found["checksum"]
    for key in found:
        if key != "checksum":
            with pytest.raises(StoreDamaged):
                codec.decode(orjson.dumps({**found, key: "other"}))


@pytest.mark.parametrize(
    "data", [b"", b" \n", b"\0" * 4096, b"{", b"[]", b"null", b'"x"', b"{}", b'{"format": 2}', b"\xff\xfe{}"]
)
def test_what_is_no_document_is_damage_with_ways_out(data: bytes) -> None:
    with pytest.raises(StoreDamaged, match="mlplan state repair"):
        codec.decode(data)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "9007199254740993"])
def test_numbers_that_readers_disagree_about_are_refused(word: str) -> None:
    data = orjson.dumps(document()).replace(b'"a":1', b'"a":' + word.encode())
    with pytest.raises(StoreDamaged):
        codec.decode(data)


def test_a_key_twice_is_refused_even_when_the_last_one_fits_the_seal() -> None:
    data = orjson.dumps(document()).replace(b'"a":1', b'"a":2,"a":1')
    with pytest.raises(StoreDamaged, match="twice"):
        codec.decode(data)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 2**53, -(2**53), "\udc00", {1: 2}, {2}, b"x"])
def test_what_json_cannot_keep_is_never_written(value: object) -> None:
    with pytest.raises(ValueError, match=r"state\.outputs"):
        codec.encode(replace(State("lineage"), outputs={"x": [value]}))


def test_a_document_nested_beyond_reason_is_damage() -> None:
    with pytest.raises(StoreDamaged):
        codec.decode(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
