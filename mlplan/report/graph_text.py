"""A graph of addresses as DOT, Mermaid or SVG. What it shows is decided elsewhere; here is only how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlplan.engine.types import Action
from mlplan.report.graph_drawing import drawing
from mlplan.report.safe import one_line

SIGNS = {
    Action.ADD: "+",
    Action.CHANGE: "~",
    Action.RETRAIN: "-/+",
    Action.REPLACE: "-/+",
    Action.REMOVE: "-",
    Action.FORGET: "x",
    Action.MOVE: ">",
    Action.IMPORT: "<-",
    Action.KEEP: "",
}
FILLS = {
    Action.ADD: "#d9f2d9",
    Action.CHANGE: "#fff3cd",
    Action.RETRAIN: "#ead9f2",
    Action.REPLACE: "#ead9f2",
    Action.REMOVE: "#f8d7da",
    Action.FORGET: "#e2e3e5",
    Action.MOVE: "#d6eef8",
    Action.IMPORT: "#d6eef8",
    Action.KEEP: "#ffffff",
}


@dataclass(frozen=True)
class Graph:
    """Addresses with what happens to them (KEEP in a graph of the files alone), and for each what it needs."""

    actions: Mapping[str, Action]
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Return (address, what it needs) pairs, in order of addresses."""
        return [
            (node, needed) for node in self.actions for needed in self.needs.get(node, ()) if needed in self.actions
        ]

    def label(self, address: str) -> str:
        """Return the text of a node: the sign says what the colour says."""
        return one_line(f"{SIGNS[self.actions[address]]} {address}".strip(), 200)


def dot(graph: Graph) -> str:
    """Return the graph for Graphviz, as `terraform graph` draws it: an arrow points at what is needed."""
    lines = ["digraph G {", '  rankdir = "RL";', '  node [shape = rect, style = filled, fontname = "sans-serif"];']
    lines += [
        f'  {_quoted(a)} [label = {_quoted(graph.label(a))}, fillcolor = "{FILLS[graph.actions[a]]}"];'
        for a in graph.actions
    ]
    lines += [f"  {_quoted(node)} -> {_quoted(needed)};" for node, needed in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, which pull requests and wikis draw; arrows show the way of the work."""
    names = {address: f"n{index}" for index, address in enumerate(graph.actions)}
    lines = ["flowchart LR"]
    lines += [f'  {names[a]}["{_entities(graph.label(a))}"]' for a in graph.actions]
    lines += [f"  {names[needed]} --> {names[node]}" for node, needed in graph.edges]
    lines += [
        f"  style {names[a]} fill:{FILLS[action]}" for a, action in graph.actions.items() if action is not Action.KEEP
    ]
    return "\n".join(lines) + "\n"


def svg(graph: Graph) -> str:
    """Return the graph as a drawing of its own, the way of the work from left to right."""
    labels = {address: graph.label(address) for address in graph.actions}
    return drawing(labels, {a: FILLS[action] for a, action in graph.actions.items()}, graph.edges)


FORMATS: Mapping[str, Callable[[Graph], str]] = {"dot": dot, "mermaid": mermaid, "svg": svg}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entities(text: str) -> str:
    # Mermaid reads #name; inside quotes; anything else could end the label or be taken for markup.
    return "".join(c if c.isalnum() or c in " ._-+~/>" else f"#{ord(c)};" for c in text)
