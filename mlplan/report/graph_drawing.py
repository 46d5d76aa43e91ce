"""A layered drawing of a graph as SVG: columns by depth, arrows around what they pass. Knows labels and colours, no actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

CHARACTER, PADDING, HEIGHT, GAP, ROW, LANE = 7.2, 20.0, 30.0, 70.0, 46.0, 16.0
Knot = tuple[str, str, int]
"""Where an arrow passes a column: (node, what it needs, column)."""


def drawing(labels: Mapping[str, str], fills: Mapping[str, str], edges: Sequence[tuple[str, str]]) -> str:
    """Return an SVG document. edges: (node, what it needs); arrows go from the second to the first."""
    needs: dict[str, list[str]] = {node: [] for node in labels}
    for node, needed in edges:
        needs[node].append(needed)
    columns = _columns(needs)
    widths = [max((len(labels[a]) for a in c if isinstance(a, str)), default=0) * CHARACTER + PADDING for c in columns]
    place, size = _places(columns, widths)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" width="{size[0]:.0f}" '
        f'height="{size[1]:.0f}" font-family="monospace" font-size="12">',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>',
    ]
    column_of = {item: index for index, column in enumerate(columns) for item in column}
    for node, needed in edges:
        passed = [place[(node, needed, c)] for c in range(column_of[needed] + 1, column_of[node])]
        lines.append(_arrow([place[needed], *passed, place[node]]))
    for address, label in labels.items():
        x, y, width = place[address]
        lines.append(
            f'<g><title>{escape(address)}</title><rect x="{x:.0f}" y="{y - HEIGHT / 2:.0f}" width="{width:.0f}" height="{HEIGHT:.0f}" '
            f'rx="4" fill="{fills[address]}" stroke="#666"/><text x="{x + PADDING / 2:.0f}" y="{y + 4:.0f}">{escape(label)}</text></g>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _columns(needs: Mapping[str, Sequence[str]]) -> list[list[str | Knot]]:
    """Return nodes and knots by their longest way from what needs nothing; inside a column near what they need."""
    depth = _depths(needs)
    columns: list[list[str | Knot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node, wanted in needs.items():
        columns[depth[node]].append(node)
        for needed in wanted:
            for index in range(depth[needed] + 1, depth[node]):
                columns[index].append((node, needed, index))
    row: dict[str | Knot, float] = {}

    def wish(item: str | Knot) -> float:
        if isinstance(item, tuple):
            node, needed, index = item
            return row.get((node, needed, index - 1), row.get(needed, 0.0))
        found = [row.get((item, n, depth[item] - 1), row.get(n, 0.0)) for n in needs[item]]
        return sum(found) / len(found) if found else 0.0

    for column in columns:
        column.sort(key=wish)
        row |= {item: index - (len(column) - 1) / 2 for index, item in enumerate(column)}
    return columns


def _depths(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    depth: dict[str, int] = {}
    stack = list(needs)
    while stack:
        node = stack[-1]
        waiting = [needed for needed in needs[node] if needed not in depth]
        if node in depth or not waiting:
            stack.pop()
            depth.setdefault(node, max((depth[n] + 1 for n in needs[node]), default=0))
        else:
            stack += waiting
    return depth


def _places(
    columns: Sequence[Sequence[str | Knot]], widths: Sequence[float]
) -> tuple[dict[str | Knot, tuple[float, float, float]], tuple[float, float]]:
    """Return (left, middle, width) of every item, and the size of the whole."""
    heights = [sum(ROW if isinstance(item, str) else LANE for item in column) for column in columns]
    tallest = max(heights, default=0.0)
    place: dict[str | Knot, tuple[float, float, float]] = {}
    left = PADDING
    for column, width, height in zip(columns, widths, heights, strict=True):
        top = PADDING + (tallest - height) / 2
        for item in column:
            step = ROW if isinstance(item, str) else LANE
            place[item] = (left, top + step / 2, width)
            top += step
        left += width + GAP
    return place, (max(left - GAP + PADDING, 2 * PADDING), tallest + 2 * PADDING)


def _arrow(stops: Sequence[tuple[float, float, float]]) -> str:
    x, y, width = stops[0]
    x += width
    path = f"M{x:.0f} {y:.0f}"
    for left, middle, width in stops[1:]:
        bend = (x + left) / 2
        path += f"C{bend:.0f} {y:.0f} {bend:.0f} {middle:.0f} {left:.0f} {middle:.0f}"
        if (left, middle, width) != stops[-1]:
            path += f"H{left + width:.0f}"
        x, y = left + width, middle
    return f'<path d="{path}" fill="none" stroke="#666" marker-end="url(#to)"/>'
