"""What can be wrong between blocks: inputs nobody takes, providers nobody declares, moves that contradict each other or the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlplan.config.addresses import Address, parse_address
from mlplan.config.program import Instance, ProviderConfig, Removed, Rename
from mlplan.config.scopes import Surroundings
from mlplan.config.strict import known_words, problem
from mlplan.config.tree import Node
from mlplan.lang.diagnostic import Diagnostic, suggestion


def unknown_inputs(top: Node) -> list[Diagnostic]:
    """Return an error for every argument of a module call that the module has no variable for."""
    found: list[Diagnostic] = []
    seen: set[int] = set()
    for node in top.walk():
        if node.call is None or id(node.call) in seen:
            continue
        seen.add(id(node.call))
        for name, span in node.call.input_spans.items():
            if name not in node.module.variables:
                found.append(known_words("argument", name, node.module.variables, f'module "{node.call.name}"', span))
    return found


def unknown_providers(instances: Iterable[Instance], providers: Mapping[str, ProviderConfig]) -> list[Diagnostic]:
    """Return an error for every block whose provider has an alias that no provider block declares."""
    found: dict[int, Diagnostic] = {}
    for instance in instances:
        name = instance.provider
        if name is None or name in providers or "." not in name:
            continue
        expr = instance.resource.meta("provider")
        detail = f'There is no provider "{name}". An alias is declared in a block: provider "{name.partition(".")[0]}" {{ alias = … }}.'
        found[id(instance.resource)] = problem(
            "unknown-provider", "There is no such provider", detail, expr.span if expr else instance.span,
            suggestion(name, providers),
        )  # fmt: skip
    return list(found.values())


class Declared:
    """What is declared, for blocks that speak of addresses."""

    def __init__(self, modules: Iterable[Surroundings], instances: Iterable[Instance]) -> None:
        self.modules = {around.address for around in modules}
        self.instances = {instance.address for instance in instances}
        self.blocks = {f"{i.around.prefix}{i.resource.address}" for i in instances}
        self.calls = {
            str(Address((*a.modules[:-1], (a.modules[-1][0], None)))) for m in self.modules if (a := parse_address(m))
        }

    def holds(self, address: Address, exact: bool) -> bool:
        """Tell whether a block, call or instance is declared. exact: an address without key means the instance without key."""
        text = str(address)
        if not address.kind:
            return text in self.modules or (not exact and text in self.calls)
        return text in self.instances or (not exact and text in self.blocks)


def check_moves(moved: Iterable[Rename], removed: Iterable[Removed], declared: Declared) -> list[Diagnostic]:
    """Return contradictions among moved and removed blocks, and with what is declared."""
    found: list[Diagnostic] = []
    by_source: dict[str, Rename] = {}
    by_target: dict[str, Rename] = {}
    for move in moved:
        source, target = parse_address(move.source), parse_address(move.target)
        assert source is not None
        assert target is not None
        exact = has_key(source) or has_key(target)
        if declared.holds(source, exact):
            detail = (
                f"{move.source} is still declared, so nothing can have moved away from it. Take the moved block out, "
                f"or rename the block to {move.target}."
            )
            found.append(_moved(detail, move))
        for known, address, words in ((by_source, move.source, "from"), (by_target, move.target, "to")):
            if address in known and known[address] != move:
                detail = f"Two moved blocks have {words} = {address}; only one can be meant."
                found.append(_moved(detail, move))
            known[address] = move
    for move in by_source.values():
        seen = [move.source]
        following: Rename | None = move
        while following is not None and following.target not in seen:
            seen.append(following.target)
            following = by_source.get(following.target)
        if following is not None and following.target == move.source and min(seen) == move.source:
            found.append(_moved(f"These lead in a ring: {' -> '.join([*seen, move.source])}.", move))
    for item in removed:
        gone = parse_address(item.address)
        if gone is not None and declared.holds(gone, exact=False):
            detail = f"{item.address} is still declared. Take its block out, or the removed block."
            found.append(problem("invalid-removed", "This removed block cannot be used", detail, item.span))
    return found


def has_key(address: Address) -> bool:
    """Tell whether the last part of an address has a key, so that it means an instance."""
    return (address.key if address.kind else address.modules[-1][1]) is not None


def _moved(detail: str, move: Rename) -> Diagnostic:
    return problem("invalid-moved", "This moved block cannot be used", detail, move.span)
