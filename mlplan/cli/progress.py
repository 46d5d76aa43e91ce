"""Events of a run on a terminal, as plain lines, or as JSON lines. One stream feeds all three."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TextIO

from mlplan.engine.events import Event
from mlplan.report.safe import one_line
from mlplan.report.style import Style

SIGNS = {
    "done": "ok",
    "unchanged": "ok",
    "refused": "NO",
    "rolled back": "<-",
    "waiting": "..",
    "failed": "!!",
    "skipped": "--",
}
COLOURS = {
    "done": "green",
    "unchanged": "dim",
    "refused": "red",
    "rolled back": "red",
    "waiting": "yellow",
    "failed": "red",
}


class JsonLines:
    """Writes one JSON document a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write an event."""
        import orjson

        with self._lock:
            self._stream.write(orjson.dumps({"type": "event", **asdict(event)}, default=str).decode() + "\n")
            self._stream.flush()


class PlainLines:
    """Writes a line for what matters; looks at most every few seconds, so that a log stays readable."""

    def __init__(self, stream: TextIO, style: Style, quiet: float = 2.0) -> None:
        self._stream = stream
        self._style = style
        self._quiet = quiet
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()
        self._started = time.time()

    def __call__(self, event: Event) -> None:
        """Write an event, if it says something new."""
        if event.kind in ("look", "progress") and not self._due(event):
            return
        text = describe(event, self._style)
        if text:
            with self._lock:
                self._stream.write(self._style.plain(f"{self._clock(event)} {text}") + "\n")
                self._stream.flush()

    def _due(self, event: Event) -> bool:
        key = f"{event.kind} {event.address}"
        if event.at - self._last.get(key, 0.0) < self._quiet:
            return False
        self._last[key] = event.at
        return True

    def _clock(self, event: Event) -> str:
        return self._style.paint(f"{(event.at or time.time()) - self._started:6.1f}s", "dim")


def describe(event: Event, style: Style) -> str:
    """Return an event as one line; empty for what is not worth one."""
    where = style.paint(event.address, "bold")
    if event.kind == "step_started":
        return f"{where}: {one_line(event.text)} …"
    if event.kind == "step_ended":
        result = str(event.data["result"])
        sign = style.paint(SIGNS[result], COLOURS.get(result, "dim"), "bold")
        return f"{where}: {sign} {result}: {one_line(event.text, 600)} ({event.data['seconds']:.1f} s)"
    if event.kind == "log":
        return style.paint(f"{event.address} | {one_line(event.text, 300)}", "dim")
    if event.kind == "look":
        return f"{where}: look at {event.text}: {look_text(event)}"
    if event.kind == "progress":
        return f"{where}: {progress_text(event)}"
    if event.kind == "alert":
        targets = ", ".join(event.data.get("notify") or ()) or "nobody named"
        return f"{where}: {style.paint('ALERT', 'red', 'bold')} {one_line(event.text, 400)} (for {targets})"
    return f"{where}: {one_line(event.text, 400)}" if event.address else one_line(event.text, 400)


def look_text(event: Event) -> str:
    """Return a look: requests and errors by version, and what the criteria say."""
    requests, errors = event.data["requests"], event.data["errors"]
    arms = ", ".join(f"{v} {requests[v]:,} requests {errors.get(v, 0):,} errors" for v in sorted(requests))
    criteria = "; ".join(f"{c['verdict']}: {c['message'] or c['question']}" for c in event.data["criteria"])
    return one_line(f"{arms} | {criteria or 'no criteria'}", 400)


def progress_text(event: Event) -> str:
    """Return what a training script reports."""
    done = event.data.get("progress", event.data.get("done"))
    bar = f"{float(done) * 100:3.0f} %" if isinstance(done, int | float) else ""
    rest = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in _metrics(event.data).items())
    return one_line(f"{bar} {rest} (reported by the script)")


def _metrics(data: Any) -> dict[str, Any]:
    inner = data.get("metrics")
    return inner if isinstance(inner, dict) else {k: v for k, v in data.items() if k not in ("progress", "done", "at")}


class Live:
    """Shows running steps in place on a terminal, with a bar of traffic for each rollout; lines that stay go above."""

    def __init__(self, style: Style) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(stderr=True, highlight=False, no_color=not style.colour)
        self._style = style
        self._lines = PlainLines(sys.stderr, style)
        self._running: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._live = RichLive(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._draw)

    def __enter__(self) -> Callable[[Event], None]:
        return self._on_event

    def __exit__(self, *args: Any) -> None:
        if self._live.is_started:
            self._live.stop()

    def _on_event(self, event: Event) -> None:
        with self._lock:
            if not self._live.is_started:
                self._live.start()  # not before: until the first step the terminal belongs to the plan and the question
            row = self._running.get(event.step)
            if event.kind == "step_started":
                self._running[event.step] = {
                    "event": event,
                    "since": time.time(),
                    "tail": "",
                    "weights": {},
                    "look": "",
                }
            elif event.kind == "step_ended":
                self._running.pop(event.step, None)
            elif row is not None and event.kind == "log":
                row["tail"] = one_line(event.text, 120)
                return
            elif row is not None and event.kind == "progress":
                row["tail"] = progress_text(event)
                return
            elif row is not None and event.kind == "look":
                row["look"] = look_text(event)
                return
            elif row is not None and event.kind == "weights":
                row["weights"] = event.data["weights"]
        if event.kind == "step_started":
            return
        from rich.text import Text

        self._console.print(Text.from_ansi(self._style.plain(describe(event, self._style))))

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.text import Text

        rows: list[Any] = []
        with self._lock:
            for row in self._running.values():
                event = row["event"]
                seconds = time.time() - row["since"]
                rows.append(Spinner("dots", Text(f"{event.address}: {one_line(event.text, 90)} ({seconds:.0f} s)")))
                for version, weight in sorted(row["weights"].items()):
                    filled = round(weight / 10_000 * 30)
                    rows.append(Text(f"    {version:<8} {'█' * filled}{'░' * (30 - filled)} {weight / 100:5.1f} %"))
                rows += [Text(f"    {row[k]}", overflow="ellipsis", no_wrap=True) for k in ("look", "tail") if row[k]]
        return Group(*rows)
