"""What monitors ask for: breaches that have an answer, and whether cool-down and budget allow it. Read by the other kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlplan.config.addresses import key_text, short_name
from mlplan.config.quantities import duration_text
from mlplan.engine.kind import View
from mlplan.engine.types import Desired


@dataclass(frozen=True)
class Answer:
    """One breach and its answer. text: the breach in words. allowed: by cool-down and budget; why_not says which."""

    monitor: str
    watch: str
    do: str
    model: str
    deployment: str
    text: str
    allowed: bool
    budget: str

    def to_json(self) -> dict[str, Any]:
        """Return what the record of model or deployment keeps, to count budgets by."""
        return {"monitor": self.monitor, "watch": self.watch, "text": self.text}


def answers(view: View, do: str) -> list[Answer]:
    """Return the answers of kind `do` that standing breaches ask for."""
    found = []
    for address, seen in view.observations.items():
        desired = view.desired.get(address)
        if desired is None or desired.kind != "monitor" or not seen.attributes:
            continue
        for watch, state in (seen.attributes.get("watches") or {}).items():
            rule = (desired.arguments.get("on_breach") or {}).get(watch)
            if state["breached"] and rule and rule["do"] == do:
                found.append(_answer(desired, watch, rule, str(state["message"]), view))
    return found


def _answer(desired: Desired, watch: str, rule: Mapping[str, Any], text: str, view: View) -> Answer:
    model, deployment = str(desired.arguments["model"].address), deployment_of(desired)
    past = [
        float(entry["at"])
        for address, kept in ((model, "retrains"), (deployment, "roll_backs"))
        for entry in _kept(view, address, kept)
        if entry["monitor"] == desired.address and entry["watch"] == watch
    ]
    allowed, budget = within(rule, past, view.now)
    return Answer(desired.address, watch, rule["do"], model, deployment, text, allowed, budget)


def _kept(view: View, address: str, name: str) -> list[Mapping[str, Any]]:
    """Return the answers that the record of an address remembers."""
    record = view.record(address)
    return list(record.attributes.get(name) or ()) if record else []


def within(rule: Mapping[str, Any], past: list[float], now: float) -> tuple[bool, str]:
    """Return whether cool-down and budget of an `on_breach` allow one more answer now, and both in words."""
    cooldown = float(rule.get("cooldown") or 0.0)
    waited = now - max(past) if past else None
    cool = waited is None or waited >= cooldown
    words = "cool-down over" if cool else f"cool-down: {cooldown - (waited or 0):.0f} s left"
    rate = rule.get("at_most")
    if rate is None:
        return cool, words
    used = sum(1 for at in past if now - at < rate.per)
    return cool and used < rate.count, f"{words}, {used} of {rate.count:g} used"


def deployment_of(desired: Desired) -> str:
    """Return the address of the deployment that a monitor watches."""
    model: str = desired.arguments["model"].address
    return f"{model}.deployment{key_text(short_name(desired.arguments['environment'].address, model))}"


def data_to_refresh(view: View) -> set[str]:
    """Return the contracts whose new data an unattended run may take: an allowed answer is to retrain, or a model is too old."""
    models = [view.desired.get(answer.model) for answer in answers(view, "retrain") if answer.allowed]
    models += [desired for desired in view.desired.values() if desired.kind == "model" and too_old(desired, view)]
    found: set[str] = set()
    for model in models:
        if model is not None:
            found |= {reference.address for reference in model.arguments["train"]["data"].values()}
            if model.arguments.get("evaluate"):
                found.add(model.arguments["evaluate"]["data"].address)
    return found


def too_old(model: Desired, view: View) -> str | None:
    """Return in words that the accepted version of a model is older than its `train.max_age`; None when it is not."""
    record = view.record(model.address)
    longest = (model.arguments.get("train") or {}).get("max_age")
    trained = record.attributes.get("trained_at") if record else None
    if not isinstance(longest, int | float) or not isinstance(trained, str):
        return None
    age = view.now - datetime.fromisoformat(trained).timestamp()
    if age <= longest:
        return None
    return f"v{record.attributes['version'] if record else '?'} is {duration_text(round(age))} old, at most {duration_text(longest)} is allowed"
