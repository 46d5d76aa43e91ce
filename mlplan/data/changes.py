"""How two versions of a contract differ, and whom each difference can hurt: those who read the data, or those who write it.

Readers are models: what they were trained on was promised by the old rules. Writers are the data: what kept the old rules
may not keep the new ones. Works on `Contract.definition()`, so that an old contract needs no files. Reads no data; what
happens about a difference is decided by the kinds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlplan.data.looser import Looser, length_change, range_change, set_change, type_change

Definition = Mapping[str, Any]


@dataclass(frozen=True)
class ContractChange:
    """One difference.

    place: "columns.amount.between". text: in words, "between [0, 100] → [0, 50]". column: the one it is about. readers:
    models that use the column (every model, when it is about none) must be trained again. writers: data that kept the old
    rules may break the new ones. unseen: values may come that no model has learned from; what is served refuses them.
    """

    place: str
    text: str
    column: str | None = None
    readers: bool = False
    writers: bool = False
    unseen: bool = False

    @property
    def breaking(self) -> bool:
        """Tell whether somebody can be hurt."""
        return self.readers or self.writers

    def hurts(self, used: Collection[str] | None) -> bool:
        """Tell whether a model that uses these columns must be trained again. used: None when that is not known."""
        return self.readers and (self.column is None or used is None or self.column in used)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "place": self.place, "change": self.text, "column": self.column, "class": class_of([self]),
            "breaks_readers": self.readers, "breaks_data": self.writers, "unseen_values": self.unseen,
        }  # fmt: skip


def class_of(changes: Collection[ContractChange]) -> str:
    """Return "breaking", "compatible", or "none" when nothing changed."""
    return "breaking" if any(c.breaking for c in changes) else "compatible" if changes else "none"


def changes(before: Definition, after: Definition) -> list[ContractChange]:
    """Return what differs between two definitions: columns in their order, then what is about whole rows."""
    found = list(_columns(before["columns"], after["columns"]))
    found += _keys(before["key"] or [], after["key"] or [])
    found += _rows(before, after)
    found += _quality(before["quality"], after["quality"])
    return found


def _columns(old: Definition, new: Definition) -> Iterator[ContractChange]:
    for name in old:
        if name not in new:
            yield ContractChange(f"columns.{name}", "removed", name, readers=True)
    for name, column in new.items():
        if name not in old:
            words = f"added ({column['type']}, {'may be missing' if column['nullable'] else 'never missing'})"
            label = bool(column["label"])
            yield ContractChange(
                f"columns.{name}", words, None if label else name, readers=label, writers=not column["nullable"]
            )
        else:
            yield from _column(name, old[name], column)


def _column(name: str, old: Definition, new: Definition) -> Iterator[ContractChange]:
    place = f"columns.{name}"
    warns = new["severity"] == "warn"

    def differs(argument: str, readers: bool, writers: bool, unseen: bool = False) -> ContractChange:
        text = f"{_shown(old[argument])} → {_shown(new[argument])}"
        return ContractChange(f"{place}.{argument}", text, name, readers, writers and not warns, unseen)

    if old["type"] != new["type"]:
        how = type_change(old["type"], new["type"])
        yield differs("type", how is Looser.NEITHER, how is not Looser.WIDER, how is Looser.WIDER)
    if old["nullable"] != new["nullable"]:
        yield differs("nullable", bool(new["nullable"]), not new["nullable"], bool(new["nullable"]))
    ways = {"between": range_change, "length": length_change, "one_of": set_change}
    for argument, compare in ways.items():
        how = compare(old[argument], new[argument])
        if how is not Looser.SAME:
            narrower = how in (Looser.NARROWER, Looser.NEITHER)
            yield differs(argument, False, narrower, how in (Looser.WIDER, Looser.NEITHER))
    if old["matches"] != new["matches"]:
        yield differs("matches", False, new["matches"] is not None, old["matches"] is not None)
    if old["unique"] != new["unique"]:
        yield differs("unique", False, bool(new["unique"]))
    if old["severity"] != new["severity"]:
        yield differs("severity", False, new["severity"] == "block")
    if old["pii"] != new["pii"]:
        yield differs("pii", False, False)
    if old["label"] != new["label"]:
        yield ContractChange(
            f"{place}.label", f"{_shown(old['label'])} → {_shown(new['label'])}", readers=True, writers=False
        )


def _keys(old: list[str], new: list[str]) -> Iterator[ContractChange]:
    """A key column is no feature, and fewer columns in a key must still tell all rows apart."""
    if sorted(old) == sorted(new):
        return
    text = f"{_shown(old)} → {_shown(new)}"
    joined = [column for column in new if column not in old]
    looser = bool(old) and (not new or set(old) < set(new))
    yield ContractChange("key", text, joined[0] if joined else None, bool(joined), not looser)
    for column in joined[1:]:
        yield ContractChange("key", f"{column} is one now", column, readers=True)


def _rows(old: Definition, new: Definition) -> Iterator[ContractChange]:
    def differs(argument: str, readers: bool, writers: bool) -> ContractChange:
        text = f"{_shown(old[argument])} → {_shown(new[argument])}"
        return ContractChange(argument, text, None, readers, writers)

    if old["missing"] != new["missing"]:
        yield differs("missing", readers=True, writers=True)
    if old["format"] != new["format"]:
        yield differs("format", readers=False, writers=new["format"] is not None and old["format"] is not None)
    if old["time"] != new["time"]:
        yield differs("time", False, new["fresh_within"] is not None)
    if old["fresh_within"] != new["fresh_within"]:
        yield differs("fresh_within", False, _tighter(old["fresh_within"], new["fresh_within"], low=False))
    if old["min_rows"] != new["min_rows"]:
        yield differs("min_rows", False, _tighter(old["min_rows"], new["min_rows"], low=True))
    if old["strict"] != new["strict"]:
        yield differs("strict", False, bool(new["strict"]))


def _tighter(old: float | None, new: float | None, *, low: bool) -> bool:
    """Tell whether a bound asks for more. low: it is a lower bound."""
    if new is None:
        return False
    return old is None or (new > old if low else new < old)


def _quality(old: Definition, new: Definition) -> Iterator[ContractChange]:
    for name in old:
        if name not in new:
            yield ContractChange(f"quality.{name}", f"removed ({_asks(old[name])})")
    for name, rule in new.items():
        blocks = rule["severity"] == "block"
        place = f"quality.{name}"
        if name not in old:
            yield ContractChange(place, f"added ({_asks(rule)})", writers=blocks)
            continue
        before = old[name]
        if any(before[part] != rule[part] for part in ("metric", "rule", "column", "where", "references")):
            yield ContractChange(place, f"{_asks(before)} → {_asks(rule)}", writers=blocks)
            continue
        for bound in ("at_least", "at_most"):
            if before[bound] != rule[bound]:
                # A rule without a bound wants every row to keep it.
                unbounded = 1.0 if bound == "at_least" and rule["rule"] and rule["at_most"] is None else None
                ends = (before[bound] if before[bound] is not None else unbounded, rule[bound])
                ends = (ends[0], unbounded if ends[1] is None else ends[1])
                tighter = blocks and _tighter(*ends, low=bound == "at_least")
                text = f"{_shown(before[bound])} → {_shown(rule[bound])}"
                yield ContractChange(f"{place}.{bound}", text, writers=tighter)
        if before["severity"] != rule["severity"]:
            yield ContractChange(f"{place}.severity", f"{before['severity']} → {rule['severity']}", writers=blocks)


def _asks(rule: Definition) -> str:
    what = rule["metric"] or rule["rule"] or f"{rule['column']} is found in {rule['references']}"
    where = f" where {rule['where']}" if rule["where"] else ""
    ends = [
        f"{sign} {rule[bound]:g}" for bound, sign in (("at_least", "≥"), ("at_most", "≤")) if rule[bound] is not None
    ]
    return f"{what}{where}{' ' if ends else ''}{', '.join(ends)}"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        shown = [_shown(item) if item is not None else "…" for item in value[:8]]
        return f"[{', '.join(shown)}{f', and {len(value) - 8} more' if len(value) > 8 else ''}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
