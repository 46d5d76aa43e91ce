"""The process of `child`: takes limits on itself, then checks one contract after the other, as long as somebody asks.

Requests are pickled by the process that started this one; answers are JSON, since what read hostile data may say anything.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import sys
from typing import Any


def main() -> None:
    """Serve until the input ends."""
    limit = int(sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides what Ctrl-C ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while size := sys.stdin.buffer.read(8):
        request = pickle.loads(sys.stdin.buffer.read(int.from_bytes(size, "big")))  # noqa: S301  (from our parent)
        answers.write(json.dumps(_answer(request), default=str).encode() + b"\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from mlplan.data.scan import check
    from mlplan.lang.diagnostic import DiagnosticError

    contract, snapshot, root = (request.pop(name) for name in ("contract", "snapshot", "root"))
    try:
        report = check(contract, snapshot, root, **request)
    except DiagnosticError as error:
        kept = ("code", "summary", "detail", "severity", "address", "hint")
        return {"problems": [{name: getattr(d, name) for name in kept} for d in error.diagnostics]}
    fields = {name: value for name, value in vars(report).items() if name != "evidence"}
    return {"evidence": [e.to_json() for e in report.evidence], **fields}


if __name__ == "__main__":
    main()
