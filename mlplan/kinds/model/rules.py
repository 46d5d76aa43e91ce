"""The part of a recipe that the rules of its contracts are: what a model learned from, unless something that it uses broke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplan.engine.kind import View
from mlplan.engine.types import Desired
from mlplan.kinds.data_contract.evolution import rule_changes, used_columns
from mlplan.kinds.data_contract.reading import contract_of, unknown_in
from mlplan.ledger.records import Record


def schemas(desired: Desired, record: Record | None, view: View) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digests of the rules by the names of `train.data`, and what broke since the accepted version, in words.

    Rules that only became wider, or changed where the accepted version does not look, keep the digest that it was trained
    under: the same recipe, and nothing to train.
    """
    prior: Mapping[str, Any] = record.attributes if record else {}
    known: Mapping[str, str] = (prior.get("recipe_parts") or {}).get("schema") or {}
    version: Mapping[str, Any] = (prior.get("versions") or {}).get(str(prior.get("version"))) or {}
    learned: Mapping[str, str] = version.get("contracts") or {}
    found: dict[str, str] = {}
    broken: dict[str, str] = {}
    if (
        prior.get("recipe_parts") and not known
    ):  # trained by a program that did not keep rules: there is nothing to compare
        return {}, {}
    for name, reference in desired.arguments["train"]["data"].items():
        contract = view.desired.get(reference.address)
        if contract is None or unknown_in(contract.arguments):
            continue
        now: str = contract_of(contract).digest()
        planned = view.changes.get(reference.address)
        refused = planned is not None and planned.planned.get("contract") not in (None, now)
        if name in known and (refused or name not in learned):
            found[name] = known[name]  # rules that the data does not keep are no rules to learn by
            continue
        if name not in known:
            found[name] = now
            continue
        changed = rule_changes(contract, learned[name], view) if learned[name] != now else []
        hurting = [c for c in changed or () if record is not None and c.hurts(used_columns(record))]
        found[name] = now if hurting else known[name]
        if hurting:
            more = f"; and {len(hurting) - 3} more" if len(hurting) > 3 else ""
            broken[name] = "; ".join(map(str, hurting[:3])) + more
    return found, broken
