"""Words for a state that is not what was written: what is wrong, and the ways out. Used by codec, journal, replay
and repair.
"""

from __future__ import annotations

from mlplan.lang.diagnostic import Diagnostic
from mlplan.spi.store import Conflict, LockHeld, StoreDamaged, StoreError

OPTIONS = """Nothing was changed. Look at what is there, then choose one:

  mlplan state repair
      shows the damage and the good snapshots in the history

  mlplan state repair --restore KEY
      puts a snapshot of the history back, as a new serial

  mlplan state repair --accept
      takes the file as it was edited by hand, and seals it again"""


def damaged(*reasons: str) -> StoreDamaged:
    """Return the error of a damaged state with its reasons and the repair options."""
    return StoreDamaged("State is damaged", " ".join(reasons) + "\n" + OPTIONS)


class NewerFormat(StoreError):  # noqa: N818  (named by what it tells, like its neighbours in spi.store)
    """The state was written by a newer mlplan; this one must not touch it."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            "State was written by a newer mlplan",
            f"Its format is {found}, this mlplan knows up to {known}. Use the newer version; nothing was changed.",
        )


def problem(error: StoreError) -> Diagnostic:
    """Return the diagnostic of an error of a store or of the ledger. Diagnostics: state-locked, state-conflict,
    state-damaged,
    state-newer, state-store."""
    if isinstance(error, LockHeld):
        return Diagnostic("state-locked", "State is locked", _locked(error))
    if isinstance(error, Conflict):
        return Diagnostic("state-conflict", "Nothing was written to the state", _sentences(error))
    if isinstance(error, StoreDamaged):
        detail = error.detail if OPTIONS in error.detail else f"{_sentences(error)}\n{OPTIONS}"
        return Diagnostic("state-damaged", "State is damaged", detail)
    if isinstance(error, NewerFormat):
        return Diagnostic("state-newer", "State was written by a newer mlplan", error.detail)
    return Diagnostic("state-store", "State store failed", _sentences(error))


def _sentences(error: StoreError) -> str:
    return f"{error.summary}. {error.detail}".strip()


def _locked(error: LockHeld) -> str:
    from datetime import UTC, datetime

    holder = error.holder
    if holder is None:
        return "Another run holds the lock; it has not written yet who it is. Try again."
    since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{holder.who} on {holder.host} (process {holder.pid}) holds it since {since}, for {holder.operation}, run "
        f"{holder.run or 'unnamed'}. Wait with --lock-timeout 5m. The lock of a process that died is free by itself; only "
        f"when the holder hangs and will not come back, take it away:\n\n  mlplan force-unlock {holder.run}".rstrip()
    )
