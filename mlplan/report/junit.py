"""Evidence as JUnit XML, which continuous integration shows as tests: one case a check. Inconclusive is skipped, not passed."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.safe import safe_text


def junit(found: Iterable[Evidence], suite: str) -> str:
    """Return one test suite with a case for each piece of evidence. A failure that only warns passes, with its message."""
    evidence = list(found)
    root = Xml.Element("testsuites")
    counts = {"tests": len(evidence), "failures": 0, "errors": 0, "skipped": 0}
    element = Xml.SubElement(root, "testsuite", name=safe_text(suite))
    for item in evidence:
        case = Xml.SubElement(element, "testcase", classname=safe_text(item.subject), name=safe_text(item.question))
        message = safe_text(item.message or item.question)
        if item.severity == "warn" and item.verdict in (Verdict.FAIL, Verdict.ERROR):
            Xml.SubElement(case, "system-out").text = f"warning: {message}"
        elif item.verdict is Verdict.FAIL:
            counts["failures"] += 1
            Xml.SubElement(case, "failure", message=message, type="check").text = message
        elif item.verdict is Verdict.ERROR:
            counts["errors"] += 1
            Xml.SubElement(case, "error", message=message, type="check").text = message
        elif item.verdict is Verdict.INCONCLUSIVE:
            counts["skipped"] += 1
            Xml.SubElement(case, "skipped", message=message)
    for name, count in counts.items():
        element.set(name, str(count))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"
