"""The blocks of one module, sorted by what they are. Reads syntax; evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlplan.config import blocks
from mlplan.config.blocks import Call, Check, Output, Resource, Variable
from mlplan.config.strict import known_words, problem
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.source import Span
from mlplan.lang.syntax import Attribute, Block, Body

META = ("mlplan", "provider", "variable", "locals", "output", "module", "moved", "removed", "import", "check")
LABELLED = frozenset({"provider", "variable", "output", "module", "check"})


class Module:
    """The blocks of one folder by kind and name, each kind in written order."""

    def __init__(self) -> None:
        self.variables: dict[str, Variable] = {}
        self.locals: dict[str, Attribute] = {}
        self.outputs: dict[str, Output] = {}
        self.resources: dict[str, Resource] = {}
        self.calls: dict[str, Call] = {}
        self.checks: dict[str, Check] = {}
        self.settings: list[Block] = []
        self.providers: list[Block] = []
        self.moved: list[Block] = []
        self.removed: list[Block] = []
        self.imports: list[Block] = []

    def names(self, kind: str) -> Mapping[str, None]:
        """Return the names of the blocks of a noun, in their order; the same mapping each time, so that no look-up copies it."""
        return self._by_kind().get(kind, {})

    def _by_kind(self) -> dict[str, dict[str, None]]:
        found: dict[str, dict[str, None]] | None = self.__dict__.get("_names")
        if found is None:
            found = {}
            for resource in self.resources.values():
                found.setdefault(resource.kind, {})[resource.name] = None
            self.__dict__["_names"] = found
        return found


def collect(bodies: Iterable[Body], kinds: Iterable[str]) -> tuple[Module, list[Diagnostic]]:
    """Sort the blocks of all files of a module; report unknown, misplaced and repeated ones."""
    module, found = Module(), []
    nouns = tuple(kinds)
    for body in bodies:
        for name, attribute in body.attributes.items():
            detail = f'"{name}" stands outside of any block. Values that blocks share go into locals {{ {name} = … }}.'
            found.append(problem("unexpected-argument", "An argument cannot stand here", detail, attribute.name_span))
        for block in body.blocks:
            found += _place(module, block, nouns)
    return module, found


def _place(module: Module, block: Block, nouns: tuple[str, ...]) -> list[Diagnostic]:
    kind = block.type
    if kind not in META and kind not in nouns:
        return [known_words("block", kind, (*nouns, *META), "A project", block.type_span)]
    wanted = 1 if kind in nouns or kind in LABELLED else 0
    if len(block.labels) != wanted:
        words = "one label, its name" if wanted else "no label"
        detail = f'"{kind}" takes {words}; here are {len(block.labels)}.'
        return [problem("wrong-labels", "A block has the wrong labels", detail, block.header_span)]
    if wanted and not blocks.NAME.fullmatch(block.labels[0]):
        detail = f'"{block.labels[0]}" is no name: it takes letters, digits, _ and -, and begins with a letter or _.'
        return [problem("invalid-name", "This cannot be a name", detail, block.label_spans[0])]
    if kind in nouns:
        resource = Resource(kind, block.labels[0], block)
        return _once(module.resources, resource.address, resource, block)
    if kind in _READERS:
        read, into = _READERS[kind]
        item, found = read(block)
        return list(found) + (_once(getattr(module, into), block.labels[0], item, block) if item is not None else [])
    if kind == "locals":
        found = [problem_in for b in block.body.blocks for problem_in in _no_blocks_in_locals(b)]
        for attribute in block.body.attributes.values():
            found += _once(module.locals, attribute.name, attribute, block, attribute.name_span)
        return found
    into = {"mlplan": "settings", "provider": "providers", "import": "imports"}.get(kind, kind)
    getattr(module, into).append(block)
    return []


_READERS: dict[str, tuple[Any, str]] = {
    "variable": (blocks.variable, "variables"),
    "output": (blocks.output, "outputs"),
    "module": (blocks.call, "calls"),
    "check": (blocks.check, "checks"),
}


def _no_blocks_in_locals(block: Block) -> list[Diagnostic]:
    return [known_words("block", block.type, (), '"locals"', block.type_span)]


def _once(known: dict[str, Any], name: str, item: object, block: Block, span: Span | None = None) -> list[Diagnostic]:
    if name in known:
        first = known[name]
        where = first.name_span.path if isinstance(first, Attribute) else first.span.path
        what = f"local.{name}" if block.type == "locals" else f"{block.type} {name}"
        detail = f'"{what}" is declared twice; the first time in {where}. Names must differ within a folder.'
        return [problem("duplicate-block", "Something is declared twice", detail, span or block.header_span)]
    known[name] = item
    return []
