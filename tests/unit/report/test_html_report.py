"""The HTML report and its plots: complete, harmless, nothing from elsewhere, readable without colour."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from mlplan.judge.bars import MOST_BARS, bars
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.profile import ColumnProfile
from mlplan.ledger.records import Happening, Record, State
from mlplan.report.html_report import html_report
from mlplan.report.plots import bars_svg, histogram_lines, interval_svg, is_bars
from mlplan.report.style import Style

EVIL = '</script><script>alert(1)</script><img src="http://evil.example/x">\x1b[31m\u202e"\'&'


def numeric(values: Any, edges: Any, nulls: int = 0) -> ColumnProfile:
    inside = np.histogram(values, edges)[0]
    below, above = int((values < edges[0]).sum()), int((values > edges[-1]).sum())
    counts = (below, *map(int, inside), above)
    return ColumnProfile("x", "numeric", len(values) + nulls, nulls, counts, tuple(edges))


def drawn(kind: str = "numeric") -> dict[str, Any]:
    random = np.random.default_rng(0)
    if kind == "numeric":
        before, now = random.normal(size=5_000), random.normal(0.7, 1, 2_000)
        edges = np.quantile(before, np.linspace(0, 1, 101))
        return bars(numeric(before, edges), numeric(now, edges, nulls=200))
    names = (EVIL, "others", "b", "")
    left = ColumnProfile("k", "categorical", 100, 0, (50, 30, 10, 10, 0), (), names)
    return bars(left, ColumnProfile("k", "categorical", 50, 0, (5, 30, 5, 5, 5), (), names))


def test_shares_of_all_bars_are_all_rows() -> None:
    for kind in ("numeric", "categorical"):
        found = drawn(kind)
        assert is_bars(found)
        assert len(found["labels"]) == len(found["reference"]) == len(found["current"]) <= MOST_BARS + 3
        assert sum(found["reference"]) == pytest.approx(1, abs=1e-4)
        assert sum(found["current"]) == pytest.approx(1, abs=1e-4)
    assert drawn()["labels"][-1] == "missing"
    assert set(drawn("categorical")["labels"]) >= {'"others"', "others", '""'}, (
        "a category named as the rest is told apart"
    )


@pytest.mark.parametrize(
    "wrong", [None, {}, {"labels": [], "reference": [], "current": []}, {"labels": ["a"], "reference": [2], "current": [0]},
              {"labels": ["a"], "reference": ["x"], "current": [0]}, {"labels": ["a", "b"], "reference": [1], "current": [1]}],
)  # fmt: skip
def test_what_cannot_be_drawn_is_not_drawn(wrong: Any) -> None:
    assert not is_bars(wrong)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_plot_is_well_formed_and_says_what_it_shows(kind: str) -> None:
    root = ElementTree.fromstring(bars_svg(drawn(kind), EVIL))
    assert root.attrib["role"] == "img"
    title = root.find("title")
    assert title is not None
    assert "reference and current" in str(title.text)
    rectangles = root.findall("rect")
    assert len(rectangles) == 2 * len(drawn(kind)["labels"])
    assert all(float(r.attrib["height"]) >= 0 and float(r.attrib["y"]) >= 0 for r in rectangles)
    assert {r.attrib["class"] for r in rectangles} == {"reference", "current"}


def test_intervals_keep_inside_the_drawing() -> None:
    root = ElementTree.fromstring(interval_svg([("v1", 0.7, (0.6, 0.8)), ("v2", 0.9, None)], 0.65, "roc_auc"))
    places = [float(c.attrib["cx"]) for c in root.findall("circle")]
    assert places == sorted(places)
    assert all(0 < x < 640 for x in places)
    ElementTree.fromstring(interval_svg([("v1", 0.0, None)], None, "all the same"))


def test_terminal_histograms() -> None:
    lines = histogram_lines(drawn(), Style())
    assert [line[:9].strip() for line in lines] == ["reference", "now"]
    assert all(
        line.isascii()
        for kind in ("numeric", "categorical")
        for line in histogram_lines(drawn(kind), Style(ascii=True))
    )
    assert not any("\x1b" in line for line in histogram_lines(drawn("categorical"), Style()))


class Page(HTMLParser):
    """Collects tags, what they refer to, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "line", "rect", "circle", "br", "path"):
            self.open.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("rect", "line", "circle", "path"):
            return
        assert self.open.pop() == tag


def state() -> State:
    drift = Evidence(
        "data_contract.d.drift.r.x", f"PSI of {EVIL} ≤ 0.2", Verdict.FAIL, "psi", 1.2, (1.0, 1.4), n=2_000, limit=0.2,
        details={"column": "x", "bars": drawn("categorical")}, message=EVIL,
    )  # fmt: skip
    gate = Evidence("model.m.gate.g", "roc_auc >= 0.7", Verdict.PASS, "delong", 0.8, (0.7, 0.9), n=100, limit=0.7)
    metrics = {"roc_auc": {"estimate": 0.8, "interval": [0.7, 0.9]}}
    versions = {"1": {"metrics": metrics, "artifact": "sha256:aa"}, "2": {"metrics": {"roc_auc": {"estimate": None}}}}
    rejected = {"sha256:bb": {"version": 3, "reason": EVIL}}
    records = [
        Record("data_contract.d", "data_contract", {"rows": 5, "snapshot": "sha256:cc"}, evidence=(drift.digest(),)),
        Record(
            "model.m", "model", {"version": 1, "versions": versions, "rejected": rejected, "seconds": [3]},
            evidence=(gate.digest(),), dependencies=("data_contract.d",),
        ),
        Record(
            'model.m.deployment["p"]', "deployment", {"live": {"version": "v1", "since": 5.0}, "traffic": {"v1": 100}},
            dependencies=("model.m",),
        ),
    ]  # fmt: skip
    history = (Happening(10.0, 'model.m.deployment["p"]', "rollout", EVIL, "done", who=EVIL),)
    return State(
        "lineage",
        records={r.address: r for r in records},
        evidence={e.digest(): e for e in (drift, gate)},
        history=history,
    )


def test_the_page_is_whole_harmless_and_loads_nothing() -> None:
    html = html_report(EVIL, state(), None, 1_000_000.0)
    found = Page(html)
    assert not found.open
    assert not {"script", "img", "iframe", "link", "object"} & set(found.tags)
    assert all(link.startswith("#") for link in found.links)
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "default-src 'none'" in html
    for anchor in ("state", "drift", "evidence", "models", "rollouts", "lineage", "history"):
        assert f'id="{anchor}"' in html
    assert "✗ fail" in html, "no verdict by colour alone"
    assert html == html_report(EVIL, state(), None, 1_000_000.0)


def test_nothing_applied_yet() -> None:
    assert "Nothing was applied yet." in html_report("p", State("lineage"), None, 0.0)
