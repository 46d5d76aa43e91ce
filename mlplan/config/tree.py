"""The tree of modules as it is written: each call once, whatever its count or for_each. Reads files; evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlplan.config.blocks import Call
from mlplan.config.files import Files
from mlplan.config.module import Module, collect
from mlplan.config.module_sources import (
    GitSource,
    LocalSource,
    SourceError,
    invalid,
    not_installed,
    package_folder,
    parse_source,
)
from mlplan.config.strict import problem
from mlplan.lang.diagnostic import Diagnostic, has_errors
from mlplan.lang.parse import parse
from mlplan.lang.syntax import Body

MOST_DEPTH = 32
MOST_CALLS = 5_000

Path_ = tuple[str, ...]


@dataclass
class Node:
    """A module at one place of the tree. path: names of the calls that lead here; the root's is empty.

    boundary: the folder that relative sources inside it must not leave: the project's, or the fetched repository's.
    """

    path: Path_
    module: Module
    folder: Path
    boundary: Path
    call: Call | None = None
    parent: Node | None = None
    children: dict[str, Node] = field(default_factory=dict)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below, callers first."""
        queue = [self]
        for node in queue:  # grows while it is walked
            yield node
            queue.extend(node.children.values())


class TreeReader:
    """Reads a project's modules, each folder once. missing, fetched: git sources that are not here, and that are."""

    def __init__(self, root: Path, kinds: tuple[str, ...], commits: Mapping[str, str]) -> None:
        self.files = Files(root)
        self.problems: list[Diagnostic] = []
        self.broken = False
        self.missing: dict[str, GitSource] = {}
        self.fetched: dict[str, GitSource] = {}
        self._root = root
        self._kinds = kinds
        self._commits = commits
        self._modules: dict[Path, Module | None] = {}
        self._count = 0

    def read(self) -> Node | None:
        """Return the root with everything below it, None when there are no files; see `problems` and `broken`."""
        module = self._module(self._root)
        if module is None:
            return None
        top = Node((), module, self._root, self._root)
        for node in top.walk():
            for call in node.module.calls.values():
                self._enter(node, call)
        return top

    def _module(self, folder: Path) -> Module | None:
        key = folder.resolve()
        if key not in self._modules:
            sources, problems = self.files.folder(folder)
            bodies: list[Body] = []
            for source in sources:
                body, wrong = parse(source)
                problems += wrong
                bodies.append(body)
            self.broken = self.broken or has_errors(problems)
            module, wrong = collect(bodies, self._kinds)
            self.problems += [*problems, *wrong]
            self._modules[key] = module if sources or problems else None
        return self._modules[key]

    def _enter(self, node: Node, call: Call) -> None:
        try:
            found = parse_source(call.source)
        except SourceError as error:
            self._refuse(invalid(f'module "{call.name}": {error}.'), call)
            return
        place = self._local(node, found) if isinstance(found, LocalSource) else self._fetched(found)
        if isinstance(place, Diagnostic):
            self._refuse(place, call)
            return
        folder, boundary = place
        refused = self._limits(node, call, folder)
        if refused is not None:
            self._refuse(refused, call)
            return
        module = self._module(folder)
        if module is None:
            detail = f'module "{call.name}": {self.files.shown(folder)} has no *.mlplan.hcl file.'
            self._refuse(Diagnostic("module-not-found", "There is no such module", detail), call)
            return
        node.children[call.name] = Node((*node.path, call.name), module, folder, boundary, call, node)

    def _local(self, node: Node, source: LocalSource) -> tuple[Path, Path] | Diagnostic:
        folder = (node.folder / source.path).resolve()
        if not folder.is_relative_to(node.boundary.resolve()):
            detail = (
                f'"{source.path}" leads out of {"the project" if node.boundary == self._root else "its repository"}. '
                "A module lies inside, or comes from a git repository, so that the project means the same everywhere."
            )
            return Diagnostic("module-outside", "A module lies outside of the project", detail)
        inside = self._root / folder.relative_to(self._root.resolve())
        return inside, node.boundary

    def _fetched(self, source: GitSource) -> tuple[Path, Path] | Diagnostic:
        commit = self._commits.get(source.text)
        package = package_folder(self._root, source, commit) if commit else None
        if package is None or not package.is_dir():
            self.missing[source.text] = source
            return not_installed(source)
        self.fetched[source.text] = source
        folder = package / source.inside if source.inside else package
        if not folder.resolve().is_relative_to(package.resolve()):
            return invalid(f'"{source.text}" leads out of its repository.')
        return folder, package

    def _limits(self, node: Node, call: Call, folder: Path) -> Diagnostic | None:
        above: Node | None = node
        while above is not None:
            if above.folder.resolve() == folder.resolve():
                ring = " -> ".join(
                    [
                        ".".join(("module", *above.path)) if above.path else "the root",
                        *node.path[len(above.path) :],
                        call.name,
                    ]
                )
                detail = f'module "{call.name}" is in a folder that already leads here ({ring}), so it would contain itself without end.'
                return Diagnostic("module-cycle", "A module contains itself", detail)
            above = above.parent
        self._count += 1
        if len(node.path) >= MOST_DEPTH or self._count > MOST_CALLS:
            detail = f"Modules may be nested {MOST_DEPTH} deep and called {MOST_CALLS:,} times in one project."
            return Diagnostic("too-many-modules", "Too many modules", detail)
        return None

    def _refuse(self, diagnostic: Diagnostic, call: Call) -> None:
        if diagnostic.code == "too-many-modules" and any(d.code == "too-many-modules" for d in self.problems):
            return
        self.problems.append(problem(diagnostic.code, diagnostic.summary, diagnostic.detail, call.source_span))
