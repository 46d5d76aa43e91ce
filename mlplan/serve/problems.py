"""What can be wrong with a request: a status, a code, a sentence for the client.

Never a traceback, never another's data.
"""

from __future__ import annotations


class RequestProblem(Exception):  # noqa: N818  (most of them are the client's, not errors of this program)
    """A request that gets an error answer.

    status: HTTP. code: stable, kebab-case. reason: short word for metrics. path: where in the body, as
    "$.instances[0].carrier". column: a contract column, for metrics. retry_after: seconds.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        reason: str = "",
        path: str = "",
        column: str = "",
        retry_after: int = 0,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason or code
        self.path = path
        self.column = column
        self.retry_after = retry_after

    def to_json(self, request_id: str) -> dict[str, dict[str, str]]:
        """Return the body of the answer."""
        body = {"code": self.code, "message": self.message, "request_id": request_id}
        if self.path:
            body["path"] = self.path
        return {"error": body}
