"""Plots as SVG for a page and as signs for a terminal. Every plot says in text what it shows, and none needs colour.

Takes what evidence keeps under `bars`: labels, and the shares of the reference and of the current rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeGuard

from mlplan.report.safe import one_line, pad
from mlplan.report.style import Style

Bars = Mapping[str, Any]
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 640.0, 180.0, 48.0, 20.0, 46.0, 12.0
_RISING = " ▁▂▃▄▅▆▇█"
_RISING_ASCII = " .:-=+*#@"
_MOST_LINES = 8
_LINE = 24


def is_bars(value: Any) -> TypeGuard[Bars]:
    """Tell whether a value from a state or plan can be drawn: equal numbers of labels and of shares between 0 and 1."""
    if not isinstance(value, Mapping):
        return False
    labels, sides = value.get("labels"), [value.get("reference"), value.get("current")]
    if not isinstance(labels, Sequence) or not labels or not all(isinstance(s, Sequence) for s in sides):
        return False
    shares = [share for side in sides for share in side or ()]
    same = all(len(side or ()) == len(labels) for side in sides)
    return same and all(isinstance(s, int | float) and not isinstance(s, bool) and 0 <= s <= 1 for s in shares)


def bars_svg(bars: Bars, name: str) -> str:
    """Return two distributions side by side: the reference as outlines, the current rows filled."""
    labels, top = [one_line(label, 60) for label in bars["labels"]], _round_up(_most(bars))
    slot = (WIDTH - LEFT - RIGHT) / len(labels)
    height = HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="xMidYMid meet">',
        f"<title>{escape(bars_words(bars, name))}</title>",
    ]
    for part in (0.0, 0.5, 1.0):
        y = TOP + height * (1 - part)
        parts.append(f'<line class="rule" x1="{LEFT:.0f}" x2="{WIDTH:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{100 * top * part:.3g} %</text>')
    for index, label in enumerate(labels):
        x = LEFT + index * slot
        for side, offset in (("reference", 0.1), ("current", 0.5)):
            share = float(bars[side][index])
            tall = height * share / top
            parts.append(
                f'<rect class="{side}" x="{x + offset * slot:.1f}" y="{TOP + height - tall:.1f}" width="{0.38 * slot:.1f}" '
                f'height="{tall:.1f}"><title>{escape(label)}: {side} {share:.2%}</title></rect>'
            )
    parts += _ticks(bars, labels, slot, TOP + height)
    return "".join([*parts, "</svg>"])


def _ticks(bars: Bars, labels: Sequence[str], slot: float, base: float) -> list[str]:
    """Return what stands below the bars: the ends of ranges, or names; of all when they have room, else of every n-th."""
    edges = bars.get("edges") or ()
    inside = [i for i, label in enumerate(labels) if label not in ("below", "above", "missing")]
    if bars.get("type") == "numeric" and len(edges) == len(inside) + 1:
        every = max(1, -(-60 // max(int(slot), 1)))
        places = [(LEFT + (inside[0] + k) * slot, f"{edges[k]:.3g}") for k in range(0, len(edges), every)]
        places += [(LEFT + (i + 0.5) * slot, label) for i, label in enumerate(labels) if label == "missing"]
        kind = "values, in ranges of about equal share of the reference"
        found = [
            f'<text x="{x:.1f}" y="{base + 16:.1f}" text-anchor="middle">{escape(word)}</text>' for x, word in places
        ]
        return [*found, f'<text class="dim" x="{LEFT:.0f}" y="{base + 34:.1f}">{kind}</text>']
    longest = max(len(label) for label in labels) * 6.2
    every = max(1, -(-int(longest) // max(int(slot), 1)))
    room = int(slot * every / 6.2)
    found = []
    for index in range(0, len(labels), every):
        shown = one_line(labels[index], max(room, 4))
        found.append(
            f'<text x="{LEFT + (index + 0.5) * slot:.1f}" y="{base + 16:.1f}" text-anchor="middle">{escape(shown)}</text>'
        )
    return found


def bars_words(bars: Bars, name: str) -> str:
    """Return in words what a plot shows: the three bars that moved most."""
    moved = sorted(
        zip(bars["labels"], bars["reference"], bars["current"], strict=True), key=lambda bar: -abs(bar[2] - bar[1])
    )
    told = "; ".join(f"{one_line(label, 60)} from {before:.1%} to {now:.1%}" for label, before, now in moved[:3])
    return f"Distribution of {one_line(name, 80)}, reference and current: {told}"


def interval_svg(rows: Sequence[tuple[str, float, tuple[float, float] | None]], limit: float | None, name: str) -> str:
    """Return estimates with their intervals, one a line, and the limit as a dashed line. rows: (label, estimate, interval)."""
    values = [v for _, estimate, interval in rows for v in (estimate, *(interval or ()))]
    values += [limit] if limit is not None else []
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) or 1.0
    low, high = low - 0.08 * spread, high + 0.08 * spread
    label_width, line = 150.0, 24.0
    tall = line * len(rows) + 26

    def x(value: float) -> float:
        return float(label_width + (WIDTH - label_width - 20) * (value - low) / (high - low))

    words = "; ".join(f"{one_line(label, 60)} {estimate:.4g}" for label, estimate, _ in rows)
    parts = [
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH:.0f} {tall:.0f}">',
        f"<title>{escape(one_line(name, 80))}: {escape(words)}</title>",
    ]
    if limit is not None:
        parts.append(f'<line class="limit" x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="4" y2="{tall - 20:.0f}"/>')
        parts.append(f'<text x="{x(limit):.1f}" y="{tall - 6:.0f}" text-anchor="middle">limit {limit:.4g}</text>')
    for index, (label, estimate, interval) in enumerate(rows):
        y = line * index + 16
        parts.append(f'<text x="0" y="{y + 4:.0f}">{escape(one_line(label, 24))}</text>')
        if interval is not None:
            ends = f'x1="{x(interval[0]):.1f}" x2="{x(interval[1]):.1f}"'
            parts.append(f'<line class="interval" {ends} y1="{y:.0f}" y2="{y:.0f}"/>')
        parts.append(f'<circle class="estimate" cx="{x(estimate):.1f}" cy="{y:.0f}" r="4"/>')
    return "".join([*parts, "</svg>"])


def histogram_lines(bars: Bars, style: Style) -> list[str]:
    """Return a small histogram for a terminal: a row of signs each for numbers, a line a category otherwise."""
    most = _most(bars)
    if bars.get("type") == "numeric":
        signs = _RISING_ASCII if style.ascii else _RISING
        rows = {
            word: "".join(_sign(share / most, signs) for share in bars[side])
            for word, side in (("reference", "reference"), ("now", "current"))
        }
        edges = bars.get("edges") or ()
        span = f"{edges[0]:.4g} to {edges[-1]:.4g}" if edges else ""
        return [f"{word:<9} |{row}| {span if word == 'reference' else ''}".rstrip() for word, row in rows.items()]
    lines = []
    ranked = sorted(range(len(bars["labels"])), key=lambda i: -abs(bars["current"][i] - bars["reference"][i]))
    names = [one_line(bars["labels"][i], 16) for i in ranked[:_MOST_LINES]]
    for index, label in zip(ranked, names, strict=False):
        before, now = bars["reference"][index], bars["current"][index]
        lines.append(
            f"{pad(label, 16)} {before:>6.1%} {_bar(before / most, style)} → {now:>6.1%} {_bar(now / most, style)}"
        )
    if len(ranked) > _MOST_LINES:
        lines.append(f"and {len(ranked) - _MOST_LINES} more")
    return [style.plain(line.rstrip()) for line in lines]


def _sign(part: float, signs: str) -> str:
    """Return a sign as high as a part of the highest; nothing only for nothing."""
    return signs[0] if part <= 0 else signs[max(1, min(len(signs) - 1, round(part * (len(signs) - 1))))]


def _bar(part: float, style: Style) -> str:
    size = round(part * _LINE / 2)
    return pad(("#" if style.ascii else "█") * max(size, 1 if part > 0 else 0), _LINE // 2)


def _most(bars: Bars) -> float:
    return max((*bars["reference"], *bars["current"])) or 1.0


def _round_up(share: float) -> float:
    """Return the next share that reads well on an axis."""
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    return next((step for step in steps if share <= step), 1.0)
