"""Graphs: what is drawn, and that names from files cannot break out of the text."""

from __future__ import annotations

import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from mlplan.app.graph import _reduced
from mlplan.engine.types import Action
from mlplan.report.graph_text import FORMATS, Graph, dot, mermaid, svg

NASTY = 'model.m["a\\"]; <b>&"]'
GRAPH = Graph(
    {"data.d": Action.KEEP, "model.m": Action.RETRAIN, NASTY: Action.ADD, "monitor.w": Action.KEEP},
    {"model.m": ("data.d",), NASTY: ("model.m",), "monitor.w": (NASTY, "data.d", "gone.x")},
)


def test_arrows_that_others_imply_are_left_out() -> None:
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("a", "b", "b", "c", "elsewhere")}
    made = _reduced(dict.fromkeys(needs, Action.KEEP), needs)
    assert made.edges == [("b", "a"), ("c", "b")]


def test_svg_is_one_wellformed_drawing_with_every_node_and_arrow() -> None:
    root = ElementTree.fromstring(svg(GRAPH))
    space = "{http://www.w3.org/2000/svg}"
    assert [t.text for t in root.iter(space + "title")] == ["data.d", "model.m", NASTY, "monitor.w"]
    assert len([p for p in root.iter(space + "path") if p.get("marker-end")]) == 4
    assert "-/+ model.m" in [t.text for t in root.iter(space + "text")]
    boxes = [(float(r.get("x", 0)), float(r.get("y", 0))) for r in root.iter(space + "rect")]
    assert len(set(boxes)) == 4


def test_mermaid_keeps_names_inside_their_labels() -> None:
    lines = mermaid(GRAPH).splitlines()
    assert lines[0] == "flowchart LR"
    label = next(line for line in lines if line.startswith("  n2["))
    assert label.count('"') == 2
    assert "<" not in label
    assert "  n0 --> n1" in lines


def test_dot_is_read_by_graphviz() -> None:
    program = shutil.which("dot")
    if program is None:
        pytest.skip("needs Graphviz (apt-get install graphviz)")
    done = subprocess.run(
        [program, "-Tplain"], input=dot(GRAPH), text=True, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("node ") for line in done.stdout.splitlines()) >= 4
    assert sum(line.startswith("edge ") for line in done.stdout.splitlines()) == 4


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_graph_is_drawn_too(name: str) -> None:
    assert FORMATS[name](Graph({})).endswith("\n")
