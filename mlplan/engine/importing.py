"""Which `import` blocks, or which `mlplan import`, have something to do in a plan."""

from __future__ import annotations

from collections.abc import Mapping

from mlplan.config.program import Program
from mlplan.config.strict import article
from mlplan.engine.kind import Adopts, Kind, View
from mlplan.engine.types import Desired
from mlplan.lang.diagnostic import Diagnostic, suggestion


def wanted_imports(
    program: Program,
    desired: Mapping[str, Desired],
    kinds: Mapping[str, Kind],
    view: View,
    found: dict[Diagnostic, None],
) -> dict[str, str]:
    """Return address -> id of what this plan takes over; what is wrong goes to `found`.

    A block whose address has a record did its work in an earlier apply, and may stay in the files. With the command, which is given
    once, that is an error.
    """
    wanted: dict[str, str] = {}
    for item in () if view.options.destroy else program.imports:
        if item.target not in view.state.records and item.target not in view.options.imports:
            problem = _problem(item.target, desired, kinds)
            if problem is not None:
                found[problem.at(item.span)] = None
            elif not view.options.imports:
                wanted[item.target] = item.id
    for address, identity in view.options.imports.items():
        problem = _problem(address, desired, kinds)
        if problem is None and address in view.state.records:
            detail = (
                f"{address} is in the state. An import would let it forget what it manages now; when that is meant, let it "
                f"forget first:\n    mlplan state rm '{address}'"
            )
            problem = Diagnostic("already-managed", "This address manages something already", detail, address=address)
        if problem is None and not identity.strip():
            detail = "The id is empty; it says where the thing is that is to be imported."
            problem = Diagnostic("cannot-import", "This cannot be imported", detail, address=address)
        if problem is not None:
            found[problem] = None
        else:
            wanted[address] = identity
    return wanted


def _problem(address: str, desired: Mapping[str, Desired], kinds: Mapping[str, Kind]) -> Diagnostic | None:
    one = desired.get(address)
    if one is None:
        detail = (
            f"{address} is not declared. Write its block first (for a deployment: deploy_to of its model); the import then "
            "gives it what is there."
        )
        hint = suggestion(address, desired)
        return Diagnostic("unknown-import-target", "Nothing in the files has this address", detail, hint=hint)
    if not isinstance(kinds[one.kind], Adopts):
        able = ", ".join(f"{name}s" for name, kind in kinds.items() if isinstance(kind, Adopts))
        detail = (
            f"{address} is {article(one.kind)}: it stands for what the files say and what mlplan measures, and nothing of it exists "
            f"elsewhere. Declare it and apply. What can be imported: {able}."
        )
        return Diagnostic("cannot-import", "This cannot be imported", detail, address=address)
    return None
