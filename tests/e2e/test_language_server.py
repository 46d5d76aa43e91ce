"""A real session with the language server: a process, spoken to over stdin and stdout as an editor does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.e2e.running import plain_environment

pytest.importorskip("pygls", reason="needs the extra lsp: pip install 'mlplan[lsp]'")

TEXT = """\
variable "size" {
  type = number
}
locals {
  grüße = upper("é")
}
environment "dev" {
  descripton = "size ${var.size}"
}
model "m" {
  task = ""
  train {
    run  = "python train.py"

  }
  deploy_to = [environment.dev]
}
output "v" {
  value = model.m.version + var.size
}
"""


class Editor:
    """The client's end of a session."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0
        self._received: Queue[dict[str, Any]] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while line := stream.readline():
            size = int(line.split(b":")[1])
            while stream.readline().strip():
                pass
            self._received.put(json.loads(stream.read(size)))

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Send a request and return its result."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self.until(lambda m: m.get("id") == self._number and "method" not in m)["result"]

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next message that is wanted; others are passed over."""
        while True:
            try:
                message = self._received.get(timeout=60)
            except Empty:
                raise AssertionError("the server said nothing for a minute") from None
            if wanted(message):
                return message

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[tuple[Editor, str]]:
    """Return an editor that has opened a file, and the file's address."""
    path = tmp_path / "main.mlplan.hcl"
    path.write_text("")
    with subprocess.Popen(
        [sys.executable, "-m", "mlplan.cli.main", "language-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd=tmp_path, env=plain_environment(),
    ) as process:  # fmt: skip
        editor = Editor(process)
        try:
            capabilities = editor.ask(
                "initialize", {"processId": None, "rootUri": tmp_path.as_uri(), "capabilities": {}}
            )
            assert capabilities["serverInfo"]["name"] == "mlplan"
            editor.notify("initialized", {})
            document = {"uri": path.as_uri(), "languageId": "mlplan", "version": 1, "text": TEXT}
            editor.notify("textDocument/didOpen", {"textDocument": document})
            yield editor, path.as_uri()
            assert editor.ask("shutdown") is None
            editor.notify("exit", {})
            assert process.wait(30) == 0
        finally:
            process.kill()


def at(text: str, mark: str, after: bool = True) -> dict[str, int]:
    """Return the position behind (or before) the first place where `mark` stands."""
    offset = text.index(mark) + (len(mark) if after else 0)
    before = text[:offset]
    return {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}


@pytest.mark.e2e
def test_a_session(session: tuple[Editor, str]) -> None:
    editor, uri = session
    document = {"uri": uri}

    def labels(mark: str) -> list[str]:
        found = editor.ask("textDocument/completion", {"textDocument": document, "position": at(TEXT, mark)})
        return [item["label"] for item in found]

    told = editor.until(lambda m: m.get("method") == "textDocument/publishDiagnostics")["params"]
    codes = {d["code"]: d for d in told["diagnostics"]}
    assert codes["unknown-argument"]["range"]["start"] == at(TEXT, "descripton", after=False)
    assert 'Did you mean "description"?' in codes["unknown-argument"]["message"]

    assert {"regression", "binary_classification"} <= set(labels('task = "'))
    inside = labels('run  = "python train.py"\n')
    assert {"seed", "params", "code"} <= set(inside)
    assert "deploy_to" not in inside
    assert {"size"} == set(labels("${var."))
    assert {"version", "metrics", "train"} <= set(labels("value = model.m."))
    assert {"model", "var", "local", "upper"} <= set(labels("deploy_to = ["))

    def hover(mark: str) -> str:
        found = editor.ask("textDocument/hover", {"textDocument": document, "position": at(TEXT, mark)})
        return str(found["contents"]["value"]) if found else ""

    assert "What it predicts" in hover("  ta")
    assert "upper(" in hover("= upp")
    assert "Number of the accepted version" in hover("model.m.ver")
    assert "Where it is served" in hover("deploy")

    found = editor.ask("textDocument/definition", {"textDocument": document, "position": at(TEXT, "+ var.si")})
    assert found["uri"] == uri
    assert found["range"]["start"]["line"] == 0
    found = editor.ask("textDocument/definition", {"textDocument": document, "position": at(TEXT, "[environment.d")})
    assert found["range"]["start"] == at(TEXT, 'environment "dev"', after=False)

    better = TEXT.replace("descripton", "description  ").replace('task = ""', 'task = "regression"')
    change = {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": better}]}
    editor.notify("textDocument/didChange", change)
    told = editor.until(lambda m: m.get("method") == "textDocument/publishDiagnostics")["params"]
    assert "unknown-argument" not in {d["code"] for d in told["diagnostics"]}
    options = {"tabSize": 2, "insertSpaces": True}
    edits = editor.ask("textDocument/formatting", {"textDocument": document, "options": options})
    assert 'description = "size' in edits[0]["newText"]
