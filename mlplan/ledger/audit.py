"""The audit log: every line of history for ever, in blobs that are written once and name the one before.

A state document carries the newest lines and the key of the newest blob. Line is chained to line by digest, blob to
blob by key, and a key is the digest of its bytes: nothing can be altered, taken out or put in unnoticed as long as the
newest document is the true one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from mlplan.ledger.plain import canonical
from mlplan.ledger.records import Happening, State
from mlplan.spi.store import Store, StoreDamaged


@dataclass(frozen=True)
class Verified:
    """What was found. lines: oldest first, as far back as they could be read. problem: None when the whole chain
    holds."""

    lines: tuple[Happening, ...]
    problem: str | None


def line_json(line: Happening) -> dict[str, Any]:
    """Return a line as JSON types."""
    return {name: getattr(line, name) for name in line.__dataclass_fields__}


def line_from(document: Mapping[str, Any]) -> Happening:
    """Return the line of its JSON. Raises: TypeError, KeyError for wrong fields."""
    known = dict(document)
    known["evidence"] = tuple(known["evidence"])
    return Happening(**known)


def keep(store: Store, state: State) -> State:
    """Write the lines that are in no blob yet into one; return the state that names it. Raises: StoreError."""
    known = 0
    for _, chunk in _chunks(store, state.audit):
        # An unreadable blob is named again by the next one: the log goes on, and `verify` tells of the gap.
        known = chunk[-1].number if isinstance(chunk, list) else 0
        break
    fresh = [line for line in state.history if line.number > known]
    if not fresh:
        return state
    data = canonical({"before": state.audit, "lines": [line_json(line) for line in fresh]})
    key = "sha256:" + hashlib.sha256(data).hexdigest()
    store.put_blob(key, data)
    return replace(state, audit=key)


def verify(store: Store, state: State, most: int | None = None) -> Verified:
    """Return the audit log with the first thing that is wrong with it. most: look at so many blobs only, newest first.

    Lines that are not in a blob yet (a run that did not end) are taken from the state.
    """
    lines: list[Happening] = list(state.history)
    problem = _broken(lines)
    reached = lines[0] if lines else None
    for number, (key, chunk) in enumerate(_chunks(store, state.audit)):
        if isinstance(chunk, str):
            return Verified(tuple(lines), problem or chunk)
        problem = problem or _broken(chunk)
        older = [line for line in chunk if reached is None or line.number < reached.number]
        same = {line.number: line for line in lines}
        if any(same.get(line.number, line) != line for line in chunk):
            problem = problem or f"{key} holds other lines than the state document"
        if older and reached is not None:
            problem = problem or _broken([older[-1], reached])
        if older:
            lines, reached = [*older, *lines], older[0]
        if most is not None and number + 1 >= most:
            return Verified(tuple(lines), problem)
    if problem is None and reached is not None and (reached.number != 1 or reached.previous):
        problem = f"the lines before number {reached.number} are gone"
    return Verified(tuple(lines), problem)


def _chunks(store: Store, key: str) -> Iterator[tuple[str, list[Happening] | str]]:
    while key:
        try:
            data = store.get_blob(key)
            if data is None:
                yield key, f"{key} is gone from the store"
                return
            document = orjson.loads(data)
            yield key, [line_from(line) for line in document["lines"]]
            key = document["before"]
        except (StoreDamaged, orjson.JSONDecodeError, KeyError, TypeError) as error:
            yield key, f"{key} cannot be read ({error})"
            return


def _broken(lines: list[Happening]) -> str | None:
    for before, line in itertools.pairwise(lines):
        if line.number != before.number + 1 or line.previous != before.digest():
            return (
                f"line {line.number} does not follow line {before.number}: one of them was altered, taken out or put in"
            )
    return None
