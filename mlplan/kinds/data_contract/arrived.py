"""What a plan says of a new snapshot beside its checks: columns that came or went, late files, files too small to be whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.data_contract.reading import contract_of

_MOST = 12


def arrived(desired: Desired, prior: Mapping[str, Any], found: Mapping[str, Any], view: View) -> list[tuple[str, str]]:
    """Return lines for the plan; none when the snapshot is the one in use, or nothing was in use."""
    if not prior.get("manifest") or found["snapshot"] == prior.get("snapshot"):
        return []
    from mlplan.data.arrivals import arrivals, column_words, late_words, new_files, small_words
    from mlplan.data.failure import QueryFailed
    from mlplan.data.snapshot import Snapshot

    notes = []
    if prior.get("stored") and found.get("stored"):
        columns = column_words(prior["stored"], found["stored"])
        notes += [("columns", text) for text in columns[:_MOST]]
        if len(columns) > _MOST:
            notes.append(("columns", f"and {len(columns) - _MOST} more"))
    before, after = Snapshot.from_json(prior["manifest"]), Snapshot.from_json(found["manifest"])
    small = small_words(before, after)
    notes += [("small", small)] if small else []
    part = new_files(before, after)
    if part is not None and found.get("rows") is not None and prior.get("newest") is not None:
        try:
            contract = contract_of(desired)
            late = late_words(arrivals(contract, part, view.services.root, view.services.cache), float(prior["newest"]))
        except QueryFailed:
            late = ""  # the checks have read these files a moment ago; what is wrong with them now, the apply will say
        notes += [("late", late)] if late else []
    return notes
