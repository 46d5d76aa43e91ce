"""The blocks about the project as a whole: mlplan, provider, moved, removed, import."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mlplan import __version__
from mlplan.config.addresses import Address, parse_address
from mlplan.config.blocks import NAME
from mlplan.config.imports import read_imports
from mlplan.config.module import Module
from mlplan.config.program import Backend, Import, ProviderConfig, Removed, Rename
from mlplan.config.scopes import ModuleScope, Surroundings
from mlplan.config.strict import (
    article,
    expression,
    literal_bool,
    literal_text,
    only,
    plain_text,
    problem,
    required,
    single,
)
from mlplan.lang.diagnostic import Diagnostic
from mlplan.lang.reference import as_traversal
from mlplan.lang.syntax import Block, Expr, Literal, ObjectExpr


@dataclass
class Settings:
    """What those blocks say. problems: what is wrong with them."""

    backend: Backend | None = None
    encryption: Block | None = None
    providers: dict[str, ProviderConfig] = field(default_factory=dict)
    moved: list[Rename] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)


def read_settings(modules: Iterable[Surroundings], scope: ModuleScope) -> Settings:
    """Read the blocks of all modules; those of a module called several times are told once. scope: the root's."""
    found = Settings()
    seen: set[int] = set()
    for around in modules:
        module = around.node.module
        first = id(module) not in seen
        seen.add(id(module))
        if around.parent is None:
            _project(module, found)
            found.imports += [i for block in module.imports for i in read_imports(block, scope, found.problems)]
        elif first:
            _child(module, found.problems)
        problems: list[Diagnostic] = []
        found.moved += [m for b in module.moved if (m := _moved(b, around, problems)) is not None]
        found.removed += [r for b in module.removed if (r := _removed(b, around, problems)) is not None]
        found.problems += problems if first else []
    return found


def _project(module: Module, found: Settings) -> None:
    types: dict[str, str] = {}
    for block in module.settings:
        types |= _mlplan(block, found)
    found.providers = {name: ProviderConfig(name, type_, None) for name, type_ in types.items()}
    named: set[str] = set()
    for block in module.providers:
        local = block.labels[0]
        alias = literal_text(block, "alias", found.problems)
        if alias is not None and not NAME.fullmatch(alias):
            detail = f'"{alias}" is no alias: it takes letters, digits, _ and -, and begins with a letter or _.'
            found.problems.append(problem("invalid-name", "This cannot be a name", detail, block.header_span))
        name = local if alias is None else f"{local}.{alias}"
        if name in named:
            detail = f'provider "{local}" is declared twice{f" with alias {alias}" if alias else ""}. Give one an alias of its own.'
            found.problems.append(problem("duplicate-block", "Something is declared twice", detail, block.header_span))
        named.add(name)
        found.providers[name] = ProviderConfig(name, types.get(local, local), block)


def _mlplan(block: Block, found: Settings) -> dict[str, str]:
    found.problems += only(block, ("required_version",), ("required_providers", "backend", "encryption"))
    found.problems += _required_version(block)
    types: dict[str, str] = {}
    for inner in block.body.blocks:
        if inner.type == "backend":
            if len(inner.labels) != 1:
                detail = 'A backend takes one label, its type, as in backend "local" {}.'
                found.problems.append(
                    problem("wrong-labels", "A block has the wrong labels", detail, inner.header_span)
                )
            elif found.backend is not None:
                detail = "A project has one backend."
                found.problems.append(problem("block-repeated", "A block is repeated", detail, inner.header_span))
            else:
                found.backend = Backend(inner.labels[0], inner)
        elif inner.type == "encryption":
            found.encryption = inner
        elif inner.type == "required_providers":
            types |= _required_providers(inner, found.problems)
    return types


def _child(module: Module, problems: list[Diagnostic]) -> None:
    for block in module.settings:
        problems += only(block, ("required_version",), ("required_providers", "backend", "encryption"))
        problems += _required_version(block)
        for inner in block.body.blocks:
            if inner.type in ("backend", "encryption"):
                detail = f"Only the root module chooses how the state is kept; this {inner.type} block is not used."
                problems.append(
                    replace(
                        problem("ignored-in-module", "This block is not used in a module", detail, inner.header_span),
                        severity="warning",
                    )
                )
    for block in module.providers:
        detail = (
            "A module takes its providers from its caller, so that it can be called several times: declare this one in "
            "the root module, and hand it over with providers = { … }."
        )
        problems.append(problem("provider-in-module", "A provider is declared in a module", detail, block.header_span))
    for block in module.imports:
        detail = "import blocks stand in the root module; their addresses may lead into modules."
        problems.append(problem("import-in-module", "An import stands in a module", detail, block.header_span))


def _required_version(block: Block) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    text = literal_text(block, "required_version", found)
    if text is None:
        return found
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    span = block.body.attributes["required_version"].expr.span
    try:
        # Terraform's "~> 1.2" lets the last part rise, as Python's "~= 1.2" does; a bare or single "=" version is exact.
        parts = [part.strip().replace("~>", "~=") for part in text.split(",")]
        allowed = SpecifierSet(
            ",".join(f"=={p.lstrip('= ')}" if p[:1].isdigit() or p.startswith("= ") else p for p in parts)
        )
    except InvalidSpecifier:
        detail = f'"{text}" is no version constraint. Write it like "~> 0.1" or ">= 0.1, < 0.3".'
        return [problem("invalid-version", "A version constraint cannot be read", detail, span)]
    if __version__ in allowed:
        return found
    detail = f"These files want mlplan {text}; this is {__version__}."
    return [problem("wrong-version", "Another version of mlplan is wanted", detail, span)]


def _required_providers(block: Block, problems: list[Diagnostic]) -> dict[str, str]:
    found = {}
    for name, attribute in block.body.attributes.items():
        source = name
        if isinstance(attribute.expr, ObjectExpr):
            pairs = {i.key.value: i.value for i in attribute.expr.items if isinstance(i.key, Literal)}
            given = plain_text(pairs.get("source"))
            source = given.rpartition("/")[2] if given else name
        elif plain_text(attribute.expr) is None:
            detail = f'{name} must be an object, as in {name} = {{ source = "mlplan/{name}" }}, or a version in quotes.'
            problems.append(problem("wrong-type", "A value has the wrong type", detail, attribute.expr.span))
        found[name] = source
    return found


def _address(expr: Expr | None) -> Address | None:
    traversal = as_traversal(expr) if expr is not None else None
    return parse_address(str(traversal)) if traversal is not None else None


def _moved(block: Block, around: Surroundings, problems: list[Diagnostic]) -> Rename | None:
    problems += only(block, ("from", "to"))
    source, target = (_address(expression(block.body.attributes, name)) for name in ("from", "to"))
    why = None
    if source is None or target is None:
        why = "moved needs from and to, both addresses without quotes, as in from = model.old and to = model.new."
    elif source.rest or target.rest:
        why = "moved names whole blocks, modules or instances; what is inside them moves along."
    elif bool(source.kind) != bool(target.kind):
        why = f"{source} and {target} are a module and a block; one cannot become the other."
    elif source.kind != target.kind:
        why = f"{source} is {article(source.kind)}, and {target} {article(target.kind)}; one cannot become the other."
    elif source == target:
        why = f"from and to are both {source}."
    elif source.kind and source.kind not in around.shared.schemas:
        why = f'there is no kind "{source.kind}".'
    if why is not None:
        problems.append(problem("invalid-moved", "This moved block cannot be used", why, block.header_span))
        return None
    return Rename(f"{around.prefix}{source}", f"{around.prefix}{target}", block.header_span)


def _removed(block: Block, around: Surroundings, problems: list[Diagnostic]) -> Removed | None:
    problems += only(block, ("from",), ("lifecycle",))
    source = _address(expression(block.body.attributes, "from"))
    lifecycle, repeated = single(block, "lifecycle")
    problems += repeated
    destroy = True
    if lifecycle is not None:
        problems += [*only(lifecycle, ("destroy",)), *required(lifecycle, "destroy")]
        destroy = literal_bool(lifecycle, "destroy", True, problems)
    if source is None or source.rest or source.key is not None:
        detail = "removed needs from, the address of a block or module without key and quotes, as in from = model.old."
        problems.append(problem("invalid-removed", "This removed block cannot be used", detail, block.header_span))
        return None
    return Removed(f"{around.prefix}{source}", destroy, block.header_span)
