"""JUnit XML of evidence: counts, hostile text."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.report.junit import junit


def test_each_verdict_has_its_element() -> None:
    found = [
        Evidence("a", "q1", Verdict.PASS), Evidence("a", "q2", Verdict.FAIL, message="no"), Evidence("a", "q3", Verdict.INCONCLUSIVE),
        Evidence("a", "q4", Verdict.ERROR), Evidence("a", "q5", Verdict.FAIL, severity="warn", message="hm"),
    ]  # fmt: skip
    suite = Xml.fromstring(junit(found, "checks").split("\n", 1)[1])[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    assert [child.tag for case in suite for child in case] == ["failure", "skipped", "error", "system-out"]


def test_control_characters_and_markup_stay_text() -> None:
    found = [Evidence("a\x00", "<b>&", Verdict.FAIL, message="\x1b[31m]]></failure>")]
    case = Xml.fromstring(junit(found, "x").split("\n", 1)[1])[0][0]
    assert case.get("name") == "<b>&"
    assert "]]></failure>" in str(case[0].text)
