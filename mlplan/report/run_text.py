"""How a run ended, for people: what did not get done and why, what is left, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from mlplan.engine.types import Outcome, Plan, Result, Step
from mlplan.report.safe import one_line, pad
from mlplan.report.style import Style

SIGNS = {
    Result.DONE: ("ok", "green"),
    Result.UNCHANGED: ("ok", "dim"),
    Result.REFUSED: ("NO", "red"),
    Result.ROLLED_BACK: ("<-", "red"),
    Result.WAITING: ("..", "yellow"),
    Result.FAILED: ("!!", "red"),
    Result.SKIPPED: ("--", "dim"),
}
"""The sign of a result: said in letters, so that colour is not needed."""

GOOD = (Result.DONE, Result.UNCHANGED)
ORDER = (Result.FAILED, Result.ROLLED_BACK, Result.REFUSED, Result.WAITING, Result.SKIPPED)
MOST = 40
"""Lines of what did not get done; with more, the rest is counted."""


def run_text(plan: Plan, outcomes: Mapping[str, Outcome], cancelled: bool, style: Style, command: str) -> str:
    """Return the end of a run; empty when there was nothing to do."""
    if not outcomes:
        return ""
    steps = {step.id: step for step in plan.steps}
    results = [outcome.result for outcome in outcomes.values()]
    counted = ", ".join(f"{results.count(result)} {result}" for result in Result if result in results)
    lines = [""]
    unfinished = sorted(
        ((steps[step], outcome) for step, outcome in outcomes.items() if outcome.result not in GOOD),
        key=lambda pair: ORDER.index(pair[1].result),
    )
    if unfinished:
        lines += [style.paint("Not done", "bold"), ""]
        lines += [_line(step, outcome, style) for step, outcome in unfinished[:MOST]]
        if len(unfinished) > MOST:
            lines.append(f"     and {len(unfinished) - MOST} more")
        lines.append("")
    lines.append(f"{command.capitalize()}: {counted}.")
    if unfinished:
        lines.append(_left(plan, outcomes, cancelled, command))
    return style.plain("\n".join(lines)) + "\n"


def _line(step: Step, outcome: Outcome, style: Style) -> str:
    sign, colour = SIGNS[outcome.result]
    what = f"{step.address} ({step.action})"
    room = max(style.width - len(what) - 8, 30)
    return f"  {style.paint(sign, colour, 'bold')} {pad(one_line(what, 200), 30)} {one_line(outcome.summary, room)}"


def _left(plan: Plan, outcomes: Mapping[str, Outcome], cancelled: bool, command: str) -> str:
    addresses = list(dict.fromkeys(s.address for s in plan.steps if outcomes[s.id].result not in GOOD))
    shown = ", ".join(addresses[:8]) + (f" and {len(addresses) - 8} more" if len(addresses) > 8 else "")
    results = {outcome.result for outcome in outcomes.values()}
    if cancelled:
        what = "The run was interrupted; what is done is kept"
    elif Result.FAILED in results:
        what = "Mend what failed; what is done is kept and not repeated"
    elif Result.ROLLED_BACK in results:
        what = "The version before serves; the rejected one is remembered and not tried again"
    elif Result.REFUSED in results:
        what = "What is live was not touched"
    else:
        what = "It goes on from here as soon as the evidence allows"
    return f"Left: {one_line(shown, 400)}. {what}. Next: mlplan {'plan' if Result.REFUSED in results else command}"
