"""The one error of this room: something a user caused, said so that the core can show it as a diagnostic."""

from __future__ import annotations

from typing import Any


class ArtifactError(Exception):
    """A model, a folder or a request that cannot be used.

    code: stable, kebab-case. summary: fixed sentence-case text per code. detail: full sentences: what is wrong, why,
    what to do.
    """

    def __init__(self, code: str, summary: str, detail: str = "") -> None:
        super().__init__(f"{summary}: {detail}" if detail else summary)
        self.code = code
        self.summary = summary
        self.detail = detail

    def to_json(self) -> dict[str, Any]:
        """Return the form that result files carry."""
        return {"code": self.code, "summary": self.summary, "detail": self.detail}
