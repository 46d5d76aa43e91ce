"""The HTML report of a state, with a plan when there is one: what would change, what is there, on what evidence, what moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlplan.engine.types import Change, Plan
from mlplan.ledger.evidence import Evidence, Verdict
from mlplan.ledger.records import Happening, Record, State
from mlplan.report.change_text import evidence_text
from mlplan.report.graph_drawing import drawing
from mlplan.report.markdown import headline
from mlplan.report.page import code, folded, page, table, text, verdict
from mlplan.report.plan_text import groups, summary
from mlplan.report.plots import bars_svg, interval_svg, is_bars
from mlplan.report.value_text import value_text

MOST_PLOTS, MOST_ROWS, MOST_HISTORY, MOST_NODES, MOST_VERSIONS = 60, 400, 200, 150, 20
_ORDER = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 3}
_FILLS = {
    "data_contract": "#dbe9f9",
    "model": "#f8e6cf",
    "deployment": "#dff2df",
    "monitor": "#f3ddf0",
    "environment": "#eceff2",
}
Section = tuple[str, str, str]


def html_report(name: str, state: State, plan: Plan | None, now: float) -> str:
    """Return the page. name: of the project. now: seconds since the epoch; nothing else of this moment goes in."""
    evidence = _evidence(state, plan)
    lead = [f'<p class="dim">Made {_moment(now)} from serial {state.serial}, lineage {code(state.lineage)}.</p>']
    if plan is not None:
        lead.insert(0, f"<p><strong>{text(headline(plan))}</strong></p>")
    sections: list[Section | None] = [
        _plan(plan), _state(state), _drift(evidence), _checks(evidence), _models(state), _rollouts(state), _lineage(state),
        _history(state.history),
    ]  # fmt: skip
    return page(f"mlplan: {name}", lead, [section for section in sections if section is not None])


def _evidence(state: State, plan: Plan | None) -> list[Evidence]:
    """Return the evidence that records rest on, and that of the plan, each once; what did not pass comes first."""
    found = {d: state.evidence[d] for r in state.records.values() for d in r.evidence if d in state.evidence}
    newest: dict[tuple[str, str], Evidence] = {}
    fresh = [e for c in plan.changes for e in (*c.blocked, *c.evidence)] if plan is not None else []
    for item in (*found.values(), *fresh):
        newest[item.subject, item.question] = item
    return sorted(newest.values(), key=lambda e: (_ORDER[e.verdict], e.subject))


def _plan(plan: Plan | None) -> Section | None:
    if plan is None:
        return None
    moved, edited, held = groups(plan)
    changes = list({c.address: c for c in (*moved, *edited, *held)}.values())
    rows = [(code(c.address), text(_action(c)), _because(c)) for c in changes[:MOST_ROWS]]
    html = f"<p>{text(summary(plan), 2000)}</p>"
    html += table("What would change", ("what", "action", "because"), rows) if rows else "<p>Nothing to apply.</p>"
    for problem in plan.diagnostics:
        html += f"<p><strong>{text(problem.summary)}</strong>: {text(problem.detail, 1000)}</p>"
    return "plan", "Plan", html


def _action(change: Change) -> str:
    if change.breach and not change.steps:
        return "breach"
    return "held" if change.held else "says no" if change.blocked else str(change.action)


def _because(change: Change) -> str:
    told = [r.text for r in change.reasons] or [t for t in (change.breach, change.held) if t]
    told += [evidence_text(e) for e in change.blocked]
    html = "<br>".join(text(t) for t in told)
    fields = [
        f"{text(f.name, 80)}: {code(value_text(f.before), 80)} → {code(value_text(f.after), 80)}" for f in change.fields
    ]
    fields += [f"{text(label, 40)}: {text(note)}" for label, note in change.notes]
    fields += [f"gate: {text(question)}" for question in change.questions]
    fields += [f"step: {text(step.summary)}" for step in change.steps]
    return html + (folded(f"{len(fields)} details", "<br>".join(fields)) if fields else "")


def _state(state: State) -> Section:
    rows = [
        (code(r.address), text(_verdict_word(r)), text(_facts(r), 300)) for r in list(state.records.values())[:MOST_ROWS]
    ]  # fmt: skip
    html = (
        table("What is recorded", ("address", "verdict", "facts"), rows) if rows else "<p>Nothing was applied yet.</p>"
    )
    return "state", "State", html


def _verdict_word(record: Record) -> str:
    return str(record.attributes.get("verdict") or ("tainted" if record.status == "tainted" else record.status))


def _facts(record: Record) -> str:
    a: Mapping[str, Any] = record.attributes
    live: Mapping[str, Any] = a.get("live") or {}
    facts = {
        "data_contract": [f"{a.get('rows') or 0:,} rows", f"snapshot {_short(a.get('snapshot'))}", f"owner {a.get('owner') or '-'}"],
        "model": [f"v{a.get('version')}" if a.get("version") else "no version", f"recipe {_short(a.get('recipe'))}", _seconds(a)],
        "deployment": [f"live {live.get('version') or 'nothing'}", f"before {a.get('previous') or '-'}", str(a.get("url") or "")],
    }  # fmt: skip
    return ", ".join(fact for fact in facts.get(record.kind, []) if fact)


def _seconds(attributes: Mapping[str, Any]) -> str:
    seconds = attributes.get("seconds") or []
    return f"trained in {sum(seconds) / len(seconds):.0f} s" if seconds else ""


def _short(digest: Any) -> str:
    return str(digest or "-").removeprefix("sha256:")[:12]


def _drift(evidence: Sequence[Evidence]) -> Section | None:
    drawn = [e for e in evidence if is_bars(e.details.get("bars"))]
    told = [e for e in evidence if e.method == "classifier" and e.verdict is not Verdict.PASS]
    if not drawn and not told:
        return None
    html = '<p class="key">Outlines <span></span>are the reference, filled bars <span class="filled"></span>the current rows.</p>'
    html += "".join(
        f"<h3>{code(e.subject)}</h3><p>{verdict(e.verdict, e.severity)} {text(evidence_text(e))}</p>" for e in told
    )
    for item in drawn[:MOST_PLOTS]:
        bars: Mapping[str, Any] = item.details["bars"]
        column = str(item.details.get("column") or item.subject)
        rows = [
            (text(label, 80), f"{before:.2%}", f"{now:.2%}")
            for label, before, now in zip(bars["labels"], bars["reference"], bars["current"], strict=True)
        ]
        html += (
            f"<h3>{code(item.subject)}</h3><p>{verdict(item.verdict, item.severity)} {text(evidence_text(item))}</p>"
        )
        html += bars_svg(bars, column) + folded("as a table", table("", (column, "reference", "current"), rows))
    if len(drawn) > MOST_PLOTS:
        html += f"<p>{len(drawn) - MOST_PLOTS} more columns are not drawn.</p>"
    return "drift", "Drift", html


def _checks(evidence: Sequence[Evidence]) -> Section | None:
    if not evidence:
        return None
    rows = [_evidence_row(e) for e in evidence[:MOST_ROWS]]
    passed = sum(e.verdict is Verdict.PASS for e in evidence)
    html = f"<p>{passed:,} of {len(evidence):,} pass.</p>"
    html += table(
        "Checks, gates and watches: what did not pass comes first",
        ("subject", "verdict", "asked", "measured", "interval", "limit", "n", "what it says"), rows,
    )  # fmt: skip
    if len(evidence) > MOST_ROWS:
        html += f"<p>{len(evidence) - MOST_ROWS:,} more are left out; <code>mlplan evidence</code> has all.</p>"
    return "evidence", "Evidence", html


def _evidence_row(e: Evidence) -> tuple[str, ...]:
    interval = "" if e.interval is None else f"[{_number(e.interval[0])}, {_number(e.interval[1])}]"
    measured = "" if e.estimate is None else _number(e.estimate)
    limit = "" if e.limit is None else _number(e.limit)
    n = "" if e.n is None else f"{e.n:,}"
    return (
        code(e.subject, 200), verdict(e.verdict, e.severity), text(e.question, 200), measured, interval, limit, n, text(e.message),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _models(state: State) -> Section | None:
    html = ""
    for record in state.records.values():
        versions: Mapping[str, Any] = record.attributes.get("versions") or {} if record.kind == "model" else {}
        newest = list(versions.items())[-MOST_VERSIONS:]
        names = dict.fromkeys(m for _, v in newest for m in (v.get("metrics") or {}))
        for metric in names:
            rows = [
                (f"v{number}", float(found["estimate"]), _interval(found.get("interval")))
                for number, v in newest
                if (found := (v.get("metrics") or {}).get(metric)) and isinstance(found.get("estimate"), int | float)
            ]
            if rows:
                title = f"{metric} of {record.address}"
                html += f"<h3>{code(title)}</h3>" + interval_svg(rows, None, title)
        for key, entry in (record.attributes.get("rejected") or {}).items():
            label = f"v{entry['version']}" if "version" in entry else _short(key)
            html += f"<p>{code(record.address)} {text(label)} was rejected: {text(entry.get('reason'))}</p>"
    return ("models", "Metrics by version", html) if html else None


def _interval(value: Any) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if isinstance(value, list | tuple) and len(value) == 2 else None


def _rollouts(state: State) -> Section | None:
    html = ""
    for record in state.records.values():
        if record.kind != "deployment":
            continue
        a: Mapping[str, Any] = record.attributes
        live: Mapping[str, Any] = a.get("live") or {}
        since = _moment(float(live["since"])) if live.get("since") else "-"
        html += (
            f"<h3>{code(record.address)}</h3><p>Live: {text(live.get('version') or 'nothing')} since {since}; traffic "
        )
        html += f"{code(value_text(a.get('traffic') or {}), 200)}; step {text(a.get('step') or '-')}.</p>"
        lines = [h for h in state.history if h.address == record.address][-MOST_VERSIONS:]
        if lines:
            html += table("What happened here", ("when", "what", "outcome", "in words"), map(_line, reversed(lines)))
    return ("rollouts", "Rollouts", html) if html else None


def _lineage(state: State) -> Section | None:
    records = list(state.records.values())[:MOST_NODES]
    known = {r.address for r in records}
    if not records:
        return None
    edges = [(r.address, d) for r in records for d in r.dependencies if d in known]
    labels = {r.address: _label(r) for r in records}
    fills = {r.address: _FILLS.get(r.kind, "#ffffff") for r in records}
    html = f'<div class="scroll graph">{drawing(labels, fills, edges)}</div>'
    return "lineage", "Where it comes from", html


def _label(record: Record) -> str:
    a: Mapping[str, Any] = record.attributes
    more = {
        "data_contract": _short(a.get("snapshot")), "model": f"v{a.get('version')} {_short(a.get('artifact'))}",
        "deployment": str((a.get("live") or {}).get("version") or "nothing live"),
    }  # fmt: skip
    return " ".join(f"{record.address} {more.get(record.kind, '')}".split())[:80]


def _history(history: Iterable[Happening]) -> Section | None:
    lines = list(history)[-MOST_HISTORY:]
    if not lines:
        return None
    rows = [
        (_moment(h.at), code(h.address or "-"), *map(text, (h.action, h.outcome, h.summary, h.who)))
        for h in reversed(lines)
    ]
    html = table("The newest first", ("when", "address", "what", "outcome", "in words", "who"), rows)
    return "history", "History", html


def _line(h: Happening) -> tuple[str, ...]:
    return (_moment(h.at), text(h.action), text(h.outcome), text(h.summary))


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")
    return f'<time datetime="{moment.replace(" ", "T")}">{moment[:19]} UTC</time>'
