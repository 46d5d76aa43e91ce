"""Renames: a `moved` block gives a record another address without touching anything in the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mlplan.config.addresses import Address, parse_address, short_name
from mlplan.config.consistency import has_key
from mlplan.config.program import Program, Rename
from mlplan.lang.diagnostic import Diagnostic
from mlplan.ledger.records import State
from mlplan.ledger.renaming import renamed_record


@dataclass(frozen=True)
class _Rule:
    """A moved block. whole: neither end has a key, so that instances keep theirs."""

    source: Address
    target: Address
    whole: bool


def moved_addresses(program: Program, state: State) -> dict[str, str]:
    """Return old address -> new address for every record that a `moved` block renames, and for those below it.

    A block that gets or loses `count` moves between `x` and `x[0]` by itself. A move to an address that has a record of
    its own is not carried out.
    """
    return _possible(_wanted(program, state), state)


def unresolved_moves(program: Program, state: State, moves: Mapping[str, str]) -> list[Diagnostic]:
    """Return a warning when moves cannot be carried out, because something has their address already."""
    if not program.moved:
        return []
    stuck = {old: new for old, new in _wanted(program, state).items() if old not in moves}
    if not stuck:
        return []
    lines = "".join(f"\n    {old} could not move to {new}" for old, new in stuck.items())
    detail = (
        "Records could not get the addresses that moved blocks give them, because other records have these addresses:"
        f"{lines}\nWhat is at an old address that the files do not declare any more is planned to be removed. Forget what is in the "
        "way (mlplan state rm), or give it another address (mlplan state mv)."
    )
    span = next((block.span for block in program.moved if any(under(old, block.source) for old in stuck)), None)
    return [Diagnostic("unresolved-moves", "Unresolved address changes", detail, "warning", span)]


def _wanted(program: Program, state: State) -> dict[str, str]:
    """Return where every record would go."""
    rules = dict(map(_rule, program.moved))
    declared = {instance.address for instance in program.instances}
    moves: dict[str, str] = {}
    for text in state.records:
        if not rules and text in declared:
            continue
        address = parse_address(text)
        if address is None:
            continue
        moved = _counted(_followed(address, rules), declared)
        if moved != address:
            moves[text] = str(moved)
    for text in state.records if moves else ():
        child = _child_move(text, state, moves)
        if child is not None:
            moves[text] = child
    return moves


def renamed(state: State, moves: Mapping[str, str]) -> State:
    """Return the state with records under their new addresses; names and tokens of what they stand for stay."""
    records = (renamed_record(record, moves) for record in state.records.values())
    return replace(state, records={record.address: record for record in records})


def under(address: str, other: str) -> bool:
    """Tell whether `address` is `other`, an instance of it, or something inside it."""
    return address.startswith(other) and address[len(other) : len(other) + 1] in ("", ".", "[")


def _rule(block: Rename) -> tuple[str, _Rule]:
    source, target = parse_address(block.source), parse_address(block.target)
    assert source is not None
    assert target is not None
    return block.source, _Rule(source, target, not has_key(source) and not has_key(target))


def _followed(address: Address, rules: Mapping[str, _Rule]) -> Address:
    """Return where an address ends up when it goes through all rules, each at most once."""
    used: set[str] = set()
    while len(used) < len(rules):
        for text, exact in _prefixes(address):
            rule = rules.get(text)
            if rule is not None and text not in used and (exact or rule.whole):
                used.add(text)
                address = _applied(address, rule)
                break
        else:
            return address
    return address


def _prefixes(address: Address) -> Iterator[tuple[str, bool]]:
    """Yield what a rule for an address may name: the instance, its block, its modules from inside out; whether as it stands."""
    instance = replace(address, rest=())
    yield str(instance), True
    if address.key is not None:
        yield str(replace(instance, key=None)), False
    for depth in range(len(address.modules), 0, -1):
        modules = address.modules[:depth]
        yield str(Address(modules)), True
        if modules[-1][1] is not None:
            yield str(Address((*modules[:-1], (modules[-1][0], None)))), False


def _applied(address: Address, rule: _Rule) -> Address:
    target = rule.target
    if target.kind:
        key = address.key if rule.whole else target.key
        return replace(target, key=key, rest=address.rest)
    depth = len(rule.source.modules)
    name, key = target.modules[-1]
    last = (name, address.modules[depth - 1][1] if rule.whole else key)
    return replace(address, modules=(*target.modules[:-1], last, *address.modules[depth:]))


def _counted(address: Address, declared: set[str]) -> Address:
    """Return an address with or without `[0]`, as the files have it."""
    if address.key not in (None, 0) or str(replace(address, rest=())) in declared:
        return address
    other = replace(address, key=0 if address.key is None else None)
    return other if str(replace(other, rest=())) in declared else address


def _child_move(text: str, state: State, moves: Mapping[str, str]) -> str | None:
    """Return where a child goes whose key is the name of something that moved: it is keyed by the new name."""
    address = parse_address(text)
    if address is None or len(address.rest) != 1:
        return None
    noun, key = address.rest[0]
    before = str(replace(address, rest=()))
    after = parse_address(moves.get(text, text))
    assert after is not None
    for dependency in state.records[text].dependencies:
        if dependency != before and short_name(dependency, before) == key:
            name = short_name(moves.get(dependency, dependency), str(replace(after, rest=())))
            return str(replace(after, rest=((noun, name),))) if name != key else None
    return None


def _possible(moves: Mapping[str, str], state: State) -> dict[str, str]:
    """Return the moves to addresses that are free, or become free by another move. What is below stays with what it belongs to."""
    possible = dict(moves)
    while True:
        targets: dict[str, str] = {}
        for old, new in possible.items():
            targets.setdefault(new, old)
        blocked = [
            old for old, new in possible.items()
            if targets[new] != old
            or (new in state.records and new not in possible)
            or any(above in moves and above not in possible for above in _above(old))
        ]  # fmt: skip
        if not blocked:
            return possible
        for old in blocked:
            del possible[old]


def _above(address: str) -> Iterator[str]:
    """Yield what a computed child belongs to."""
    parsed = parse_address(address)
    if parsed is not None and parsed.rest:
        yield str(replace(parsed, rest=()))
