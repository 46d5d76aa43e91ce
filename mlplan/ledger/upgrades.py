"""From older formats of the state document to the present one. Pure: a document in, the next format's document out.

Golden files of every format that was ever written stay in the tests. A step knows nothing of the present dataclasses:
they will change, it must not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlplan.ledger.evidence import digest_of


def _chain_history(document: Mapping[str, Any]) -> dict[str, Any]:
    """1 to 2: lines of history are numbered and chained; interrupted runs are remembered until they were swept."""
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(document["history"], start=1):
        previous = digest_of(lines[-1]) if lines else ""
        lines.append({**line, "number": number, "previous": previous})
    open_run = document["open_run"]
    return {**document, "format": 2, "history": lines, "unswept": [open_run] if open_run else [], "audit": ""}


UPGRADES: dict[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: _chain_history}
"""By the format they start from."""
