"""Collects what is wrong with a contract's arguments, so that the user sees every mistake at once."""

from __future__ import annotations

from mlplan.lang.diagnostic import Diagnostic

_SUMMARIES = {
    "invalid-contract-argument": "Invalid argument in a data contract",
    "unknown-column-type": "Unknown column type",
    "unknown-contract-column": "Column is not declared",
    "invalid-quality-rule": "Invalid quality rule",
}


class Mistakes:
    """The diagnostics of one contract."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.diagnostics: list[Diagnostic] = []

    @property
    def found(self) -> bool:
        """Tell whether there is any."""
        return bool(self.diagnostics)

    def add(self, code: str, detail: str) -> None:
        """Note a mistake by its code."""
        self.diagnostics.append(Diagnostic(code, _SUMMARIES[code], detail, address=self.address))

    def argument(self, place: str, problem: str) -> None:
        """Note that argument `place` "is wrong in this way"."""
        self.add("invalid-contract-argument", f"{place} {problem}.")

    def quality(self, name: str, problem: str) -> None:
        """Note what is wrong with one quality rule."""
        self.add("invalid-quality-rule", f'quality "{name}" {problem}')
