"""Files of a project to a `Program`: read, parse, sort, resolve variables, expand. All mistakes of a run are reported together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlplan.config import consistency
from mlplan.config.expand import Expander
from mlplan.config.imports import check_imports
from mlplan.config.lifecycle import check_lifecycles
from mlplan.config.lock import read_lock
from mlplan.config.names import read_names
from mlplan.config.program import Program
from mlplan.config.scopes import Evaluation, ModuleScope, Shared, Surroundings
from mlplan.config.settings import read_settings
from mlplan.config.tree import TreeReader
from mlplan.config.variables import given_values, resolve
from mlplan.lang.collector import collector_at_rest
from mlplan.lang.diagnostic import Diagnostic, has_errors
from mlplan.lang.source import SourceFile
from mlplan.lang.values import Value, holds_secret, to_python
from mlplan.spi.schema import BlockSchema

LOCK_FILE = "mlplan.lock.hcl"


def load(
    root: Path, *, schemas: Mapping[str, BlockSchema], variables: Mapping[str, str], variable_files: Sequence[Path],
    environment: Mapping[str, str], workspace: str = "default", lenient: bool = False,
) -> tuple[Program | None, list[Diagnostic]]:  # fmt: skip
    """Return the program of a folder and all diagnostics.

    The program is None when the files cannot be made sense of. With errors it may still be there, so that the rest can be
    looked at: what has a mistake is unknown in it. It must not be planned. lenient: variables need no values, and a folder no files.
    """
    with collector_at_rest():
        return _load(root, schemas, variables, variable_files, environment, workspace, lenient)


def _load(
    root: Path, schemas: Mapping[str, BlockSchema], variables: Mapping[str, str], variable_files: Sequence[Path],
    environment: Mapping[str, str], workspace: str, lenient: bool,
) -> tuple[Program | None, list[Diagnostic]]:  # fmt: skip
    lock, problems = read_lock(root / LOCK_FILE)
    reader = TreeReader(root, tuple(schemas), lock.modules)
    top = reader.read()
    problems += reader.problems
    sources = reader.files.sources
    if top is None and lenient:
        return None, problems
    if top is None:
        detail = f"{root} has no *.mlplan.hcl file. Write one, or name another folder with --chdir."
        return None, [*problems, Diagnostic("no-files", "There is nothing to plan", detail)]
    given, wrong = given_values(root, variable_files, environment, variables, sources)
    problems += wrong
    if reader.broken or has_errors(wrong):
        return None, problems
    values, wrong = resolve(top.module, given, root, lenient=lenient)
    problems += wrong
    names = read_names(top, frozenset(schemas), sources)
    problems += names.problems
    shared = Shared(root, workspace, schemas)
    around = Surroundings(shared, top, "", variables=values)
    expander = Expander(around, names)
    expander.run()
    modules = [module for same in expander.modules.values() for module in same]
    scope = ModuleScope(around, Evaluation(lambda _: None))
    settings = read_settings(modules, scope)
    declared = consistency.Declared(modules, expander.instances)
    problems += [
        *expander.problems,
        *settings.problems,
        *consistency.unknown_inputs(top),
        *consistency.unknown_providers(expander.instances, settings.providers),
        *consistency.check_moves(settings.moved, settings.removed, declared),
        *check_imports(settings.imports, declared),
        *check_lifecycles(expander.instances, schemas),
    ]
    program = Program(
        root, sources, _digest(sources, values), top.module, schemas, tuple(expander.instances), settings.providers,
        settings.backend, tuple(settings.moved), tuple(settings.removed), scope, tuple(settings.imports), tuple(modules),
        settings.encryption, expander.output_needs(),
    )  # fmt: skip
    return program, _without_echoes([*problems, *program.variable_problems()], names.problems)


def _without_echoes(problems: list[Diagnostic], causes: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return problems without those that only repeat an undeclared name in the words of the evaluator."""
    return without_echoes(problems, {(d.span.path, d.span.start) for d in causes if d.span is not None}, causes)


def without_echoes(
    problems: list[Diagnostic], places: set[tuple[str, int]], causes: Sequence[Diagnostic] = ()
) -> list[Diagnostic]:
    """Return problems without those at a place whose cause is told already."""
    told = {id(cause) for cause in causes}
    return [
        d for d in problems
        if id(d) in told or d.span is None or (d.span.path, d.span.start) not in places
        or d.code not in ("unsupported-attribute", "unknown-reference", "invalid-index")
    ]  # fmt: skip


def _digest(sources: Mapping[str, SourceFile], values: Mapping[str, Value]) -> str:
    """Return the digest of files and variable values; a secret counts by its name alone, so that no digest tells it."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path}\0{len(sources[path].text)}\0{sources[path].text}\n".encode("utf-8", "surrogatepass"))
    for name in sorted(values):
        shown = "(sensitive)" if holds_secret(values[name]) else repr(to_python(values[name]))
        digest.update(f"var {name}={shown}\n".encode("utf-8", "surrogatepass"))
    return f"sha256:{digest.hexdigest()}"
