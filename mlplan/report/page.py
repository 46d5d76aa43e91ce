"""A self-contained HTML page: no script, nothing from elsewhere, light and dark by the reader's setting. Text goes in escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mlplan.report.safe import one_line, safe_text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2026; --dim: #59616d; --paper: #fff; --line: #c9ced6; --soft: #f3f5f8;
  --good: #1a6b34; --bad: #a4161a; --open: #7a4d00; --fill: #2457a6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --dim: #a3acb9; --paper: #14171c; --line: #3b424d; --soft: #1e232b;
  --good: #7bd698; --bad: #ff9c94; --open: #f0c26a; --fill: #8ab4f8; } }
body { margin: 0 auto; max-width: 68rem; padding: 1rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; overflow-wrap: anywhere; }
a { color: var(--fill); } code, .mono { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
.dim { color: var(--dim); } .scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); } thead th { background: var(--soft); } td.number { text-align: right; white-space: nowrap; }
.verdict { font-weight: 600; white-space: nowrap; } .pass { color: var(--good); } .fail, .error { color: var(--bad); }
.inconclusive { color: var(--open); }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0; }
svg { max-width: 100%; height: auto; } svg text { font: 11px ui-monospace, monospace; fill: var(--ink); } svg text.dim { fill: var(--dim); }
.plot .rule { stroke: var(--line); } .plot .reference { fill: none; stroke: var(--ink); stroke-width: 1.2; }
.plot .current { fill: var(--fill); } .plot .interval { stroke: var(--ink); stroke-width: 2; } .plot .estimate { fill: var(--fill); }
.plot .limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 4; }
.graph { background: #fff; color: #000; padding: .5rem; border: 1px solid var(--line); } .graph svg text { fill: #000; }
.key span { display: inline-block; width: .9rem; height: .7rem; margin: 0 .35rem 0 1rem; border: 1.5px solid var(--ink); }
.key span.filled { background: var(--fill); border-color: var(--fill); }
details { margin: .4rem 0; } summary { cursor: pointer; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 1rem; }
@media print { body { max-width: none; } details { display: block; } }
"""
_SIGNS = {"pass": "✓ pass", "fail": "✗ fail", "inconclusive": "? inconclusive", "error": "! error"}


def page(title: str, lead: Iterable[str], sections: Sequence[tuple[str, str, str]]) -> str:
    """Return a page. lead: HTML of the paragraphs below the heading. sections: (id, heading, HTML)."""
    name = text(title)
    links = "".join(f'<li><a href="#{anchor}">{text(heading)}</a></li>' for anchor, heading, _ in sections)
    body = "".join(
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{text(heading)}</h2>{html}</section>'
        for anchor, heading, html in sections
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f'<title>{name}</title><style>{_STYLE}</style></head>\n<body><a class="skip" href="#main">To the content</a>'
        f"<header><h1>{name}</h1>{''.join(lead)}</header>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav><main id="main">{body}</main></body></html>\n'
    )


def text(value: object, most: int = 600) -> str:
    """Return text for HTML: on one line, harmless, escaped."""
    return escape(one_line(value, most))


def block(value: object) -> str:
    """Return text of several lines for HTML."""
    return f"<pre>{escape(safe_text(value))}</pre>"


def code(value: object, most: int = 300) -> str:
    """Return text as code."""
    return f"<code>{text(value, most)}</code>"


def verdict(value: str, severity: str = "block") -> str:
    """Return a verdict with a sign, so that colour is no more than a help."""
    warns = ", warning" if severity == "warn" and value != "pass" else ""
    return f'<span class="verdict {escape(value)}">{escape(_SIGNS.get(value, value))}{warns}</span>'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are HTML. caption: what it is, for those who hear it."""
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    shown = f'<caption class="dim">{text(caption)}</caption>' if caption else ""
    return f'<div class="scroll"><table>{shown}<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'


def folded(summary: str, html: str) -> str:
    """Return what is shown when it is asked for."""
    return f"<details><summary>{text(summary)}</summary>{html}</details>"
