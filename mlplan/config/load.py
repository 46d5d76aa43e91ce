"""Files of a folder to a `Program`: read, parse, sort, resolve variables, expand. All mistakes of a run are reported together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlplan import __version__
from mlplan.config.expand import expand
from mlplan.config.module import Module, collect, unknown_arguments
from mlplan.config.program import Backend, Program, ProviderConfig, Removed, Rename
from mlplan.config.scopes import ModuleScope, Surroundings
from mlplan.config.variables import given_values, resolve
from mlplan.lang.diagnostic import Diagnostic, has_errors
from mlplan.lang.parse import parse
from mlplan.lang.reference import as_traversal
from mlplan.lang.source import SourceFile
from mlplan.lang.syntax import Block, Body, Literal, ObjectExpr
from mlplan.lang.values import Value, holds_secret, to_python
from mlplan.spi.schema import BlockSchema

MOST_BYTES = 2 * 1024 * 1024
MOST_TREE = 16 * 1024 * 1024


def load(
    root: Path, *, schemas: Mapping[str, BlockSchema], variables: Mapping[str, str], variable_files: Sequence[Path],
    environment: Mapping[str, str], workspace: str = "default",
) -> tuple[Program | None, list[Diagnostic]]:  # fmt: skip
    """Return the program of a folder, None when errors stand in the way, and all diagnostics."""
    sources, problems = _read(root)
    if not sources and not problems:
        detail = f"{root} has no *.mlplan.hcl file. Write one, or name another folder with --chdir."
        return None, [Diagnostic("no-files", "There is nothing to plan", detail)]
    bodies: list[Body] = []
    for source in sources.values():
        body, wrong = parse(source)
        problems += wrong
        bodies.append(body)
    module, wrong = collect(bodies, schemas)
    problems += wrong
    given, wrong = given_values(root, variable_files, environment, variables, sources)
    problems += wrong
    values, wrong = resolve(module, given, root)
    problems += wrong
    around = Surroundings(root, workspace, values, module.locals, schemas)
    if has_errors(problems):
        return None, problems
    instances, wrong = expand(module, around, sources)
    settings, more = _settings(module, around)
    problems += [*wrong, *more]
    if has_errors(problems):
        return None, problems
    backend, encryption, providers, moved, removed = settings
    program = Program(
        root, sources, _digest(sources, values), module, schemas, instances, providers, backend, moved, removed,
        ModuleScope(around, lambda _: None), encryption,
    )  # fmt: skip
    return program, problems


def _read(root: Path) -> tuple[dict[str, SourceFile], list[Diagnostic]]:
    sources: dict[str, SourceFile] = {}
    problems: list[Diagnostic] = []
    total = 0
    for path in sorted(root.glob("*.mlplan.hcl")):
        try:
            if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
                raise OSError(0, "it leads out of the project or is no file")
            size = path.stat().st_size
            total += size
            if size > MOST_BYTES or total > MOST_TREE:
                raise OSError(0, "it is too large (2 MiB a file, 16 MiB together)")
            sources[path.name] = SourceFile(path.name, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            problems.append(_unreadable(path.name, f"it is not UTF-8 (byte {error.start})"))
        except OSError as error:
            problems.append(_unreadable(path.name, error.strerror or str(error)))
    return sources, problems


def _unreadable(name: str, why: str) -> Diagnostic:
    return Diagnostic("file-unreadable", "A file cannot be read", f"{name}: {why}.")


_Settings = tuple[Backend | None, Block | None, dict[str, ProviderConfig], tuple[Rename, ...], tuple[Removed, ...]]


def _settings(module: Module, around: Surroundings) -> tuple[_Settings, list[Diagnostic]]:
    problems: list[Diagnostic] = []
    backend: Backend | None = None
    encryption: Block | None = None
    types: dict[str, str] = {}
    for block in module.settings:
        problems += unknown_arguments(block, ("required_version",), ("required_providers", "backend", "encryption"))
        problems += _required_version(block)
        for inner in block.body.blocks:
            if inner.type == "backend" and len(inner.labels) == 1:
                backend = Backend(inner.labels[0], inner)
            elif inner.type == "backend":
                detail = 'A backend takes one label, its type, as in backend "local" {}.'
                problems.append(
                    Diagnostic("wrong-labels", "A block has the wrong labels", detail, span=inner.header_span)
                )
            elif inner.type == "encryption":
                encryption = inner
            elif inner.type == "required_providers":
                types |= _required_providers(inner)
    providers: dict[str, ProviderConfig] = {name: ProviderConfig(name, type_, None) for name, type_ in types.items()}
    for block in module.providers:
        local = block.labels[0]
        alias = block.body.attributes.get("alias")
        name = f"{local}.{alias.expr.value}" if alias is not None and isinstance(alias.expr, Literal) else local
        providers[name] = ProviderConfig(name, types.get(local, local), block)
    moved = [m for b in module.moved if (m := _moved(b, problems)) is not None]
    removed = [r for b in module.removed if (r := _removed(b, problems)) is not None]
    return (backend, encryption, providers, tuple(moved), tuple(removed)), problems


def _required_version(block: Block) -> list[Diagnostic]:
    attribute = block.body.attributes.get("required_version")
    if attribute is None:
        return []
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = str(attribute.expr.value) if isinstance(attribute.expr, Literal) else ""
    try:
        # Terraform's "~> 1.2" lets the last part rise, as Python's "~= 1.2" does.
        allowed = SpecifierSet(text.replace("~>", "~="))
    except InvalidSpecifier:
        detail = f'"{text}" is no version constraint. Write it like "~> 0.1" or ">= 0.1, < 0.3".'
        return [Diagnostic("invalid-version", "A version constraint cannot be read", detail, span=attribute.expr.span)]
    if __version__ in allowed:
        return []
    detail = f"These files want mlplan {text}; this is {__version__}."
    return [Diagnostic("wrong-version", "Another version of mlplan is wanted", detail, span=attribute.expr.span)]


def _required_providers(block: Block) -> dict[str, str]:
    found = {}
    for name, attribute in block.body.attributes.items():
        source = name
        if isinstance(attribute.expr, ObjectExpr):
            for item in attribute.expr.items:
                if isinstance(item.key, Literal) and item.key.value == "source" and isinstance(item.value, Literal):
                    source = str(item.value.value).rpartition("/")[2]
        found[name] = source
    return found


def _moved(block: Block, problems: list[Diagnostic]) -> Rename | None:
    problems += unknown_arguments(block, ("from", "to"), ())
    ends = [as_traversal(block.body.attributes[n].expr) if n in block.body.attributes else None for n in ("from", "to")]
    if None in ends:
        detail = "moved needs from and to, both addresses, as in from = model.old and to = model.new."
        problems.append(Diagnostic("invalid-moved", "This moved block is incomplete", detail, span=block.header_span))
        return None
    return Rename(str(ends[0]), str(ends[1]), block.header_span)


def _removed(block: Block, problems: list[Diagnostic]) -> Removed | None:
    source = as_traversal(block.body.attributes["from"].expr) if "from" in block.body.attributes else None
    if source is None:
        detail = "removed needs from, an address, as in from = model.old."
        problems.append(
            Diagnostic("invalid-removed", "This removed block is incomplete", detail, span=block.header_span)
        )
        return None
    destroy = True
    for inner in block.body.blocks:
        attribute = inner.body.attributes.get("destroy")
        if inner.type == "lifecycle" and attribute is not None and isinstance(attribute.expr, Literal):
            destroy = attribute.expr.value is not False
    return Removed(str(source), destroy, block.header_span)


def _digest(sources: Mapping[str, SourceFile], values: Mapping[str, Value]) -> str:
    """Return the digest of files and variable values; a secret counts by its name alone, so that no digest tells it."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path}\0{len(sources[path].text)}\0{sources[path].text}\n".encode("utf-8", "surrogatepass"))
    for name in sorted(values):
        shown = "(sensitive)" if holds_secret(values[name]) else repr(to_python(values[name]))
        digest.update(f"var {name}={shown}\n".encode("utf-8", "surrogatepass"))
    return f"sha256:{digest.hexdigest()}"
