"""Results of `mlplan test` as text, as JSON lines and as JUnit XML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import SourceFile
from mlplan.report.diagnostics import diagnostic_json, diagnostics_text
from mlplan.report.safe import safe_text
from mlplan.report.style import Style

ORDER = ("error", "fail", "pass", "skip")
COLOURS = {"pass": "green", "fail": "red", "error": "red", "skip": "yellow"}


@dataclass(frozen=True)
class RunResult:
    """How one run of a test file ended. status: pass, fail, error or skip. shown: the plan or state, for --verbose."""

    name: str
    status: str
    diagnostics: tuple[Diagnostic, ...] = ()
    seconds: float = 0.0
    shown: str = ""


@dataclass(frozen=True)
class FileResult:
    """How a test file ended. diagnostics: of the file itself, and of what could not be cleaned up."""

    path: str
    runs: tuple[RunResult, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, SourceFile] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """Return the most serious status of its runs."""
        found = {run.status for run in self.runs}
        if any(d.is_error for d in self.diagnostics):
            found.add("error")
        return next((status for status in ORDER if status in found), "pass")


def run_line(run: RunResult, style: Style) -> str:
    """Return the line of a run."""
    return f'  run "{safe_text(run.name)}"... {style.paint(run.status, COLOURS[run.status])}\n'


def file_line(path: str, words: str, style: Style) -> str:
    """Return the line of a file: in progress, tearing down, or how it ended."""
    return f"{safe_text(path)}... {style.paint(words, COLOURS[words]) if words in COLOURS else words}\n"


def summary(files: Iterable[FileResult]) -> str:
    """Return the last line: Success or Failure, with the counts."""
    every = list(files)
    runs = [run.status for file in every for run in file.runs]
    failed = sum(status in ("fail", "error") for status in runs)
    skipped = f", {runs.count('skip')} skipped" if "skip" in runs else ""
    good = all(file.status in ("pass", "skip") for file in every)
    return f"{'Success' if good else 'Failure'}! {runs.count('pass')} passed, {failed} failed{skipped}."


def run_json(path: str, run: RunResult, sources: Mapping[str, SourceFile]) -> dict[str, Any]:
    """Return the event of a finished run."""
    return {
        "type": "test_run",
        "file": path,
        "run": run.name,
        "status": run.status,
        "seconds": round(run.seconds, 3),
        "diagnostics": [diagnostic_json(d, sources) for d in run.diagnostics],
    }


def file_json(file: FileResult) -> dict[str, Any]:
    """Return the event of a finished file."""
    return {
        "type": "test_file",
        "file": file.path,
        "status": file.status,
        "diagnostics": [diagnostic_json(d, file.sources) for d in file.diagnostics],
    }


def summary_json(files: Iterable[FileResult]) -> dict[str, Any]:
    """Return the last event."""
    every = list(files)
    runs = [run.status for file in every for run in file.runs]
    status = next((s for s in ORDER if s in {file.status for file in every}), "pass")
    return {"type": "test_summary", "status": status, **{name: runs.count(name) for name in ORDER}}


def junit(files: Iterable[FileResult]) -> str:
    """Return JUnit XML, one suite a file, one case a run; what CI systems show as test results."""
    root = ElementTree.Element("testsuites")
    for file in files:
        statuses = [run.status for run in file.runs]
        suite = ElementTree.SubElement(
            root, "testsuite", name=file.path, tests=str(len(statuses)), failures=str(statuses.count("fail")),
            errors=str(statuses.count("error") + any(d.is_error for d in file.diagnostics)), skipped=str(statuses.count("skip")),
            time=f"{sum(run.seconds for run in file.runs):.3f}",
        )  # fmt: skip
        for run in file.runs:
            case = ElementTree.SubElement(
                suite, "testcase", name=run.name, classname=file.path, time=f"{run.seconds:.3f}"
            )
            _verdict(case, run.status, run.diagnostics, file.sources)
        if file.diagnostics:
            case = ElementTree.SubElement(suite, "testcase", name="(file)", classname=file.path, time="0.000")
            _verdict(case, "error", file.diagnostics, file.sources)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _verdict(
    case: ElementTree.Element, status: str, diagnostics: tuple[Diagnostic, ...], sources: Mapping[str, SourceFile]
) -> None:
    if status == "skip":
        ElementTree.SubElement(case, "skipped")
    elif status in ("fail", "error"):
        first = next((d for d in diagnostics if d.is_error), None)
        tag = "failure" if status == "fail" else "error"
        element = ElementTree.SubElement(case, tag, message=safe_text(first.summary if first else status))
        element.text = diagnostics_text(diagnostics, sources, Style())
