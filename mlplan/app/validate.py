"""`validate`: every mistake in the files at once, without state, data or world."""

from __future__ import annotations

from typing import cast

from mlplan.app.compose import DEFAULT_STORE, Settings, kinds, plug_in, schemas
from mlplan.config.load import load
from mlplan.config.program import Program
from mlplan.config.variables import NOT_GIVEN
from mlplan.engine.triggers import without_effects
from mlplan.engine.types import Desired
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.diagnostic import in_order as sorted_diagnostics
from mlplan.spi.capabilities import ProviderFactory
from mlplan.spi.store import StoreFactory


def validate(settings: Settings) -> tuple[Diagnostic, ...]:
    """Return all diagnostics of the files, by place. Values of variables are not needed; what needs them is not looked at."""
    program, found = load(
        settings.root,
        schemas=schemas(),
        variables=settings.variables,
        variable_files=settings.variable_files,
        environment=settings.environment,
        workspace=settings.workspace,
        lenient=True,
    )
    if program is None:
        return tuple(sorted_diagnostics(found))
    told = {(d.span.path, d.span.start) for d in found if d.span is not None and d.is_error}
    more = [*_instances(program), *_plug_ins(program), *program.outputs(lambda _: None)[1]]
    more += [*program.postconditions(lambda _: None), *program.checks(lambda _: None)]
    # What was told while loading makes the same expression fail again.
    fresh = [d for d in more if d.span is None or (d.span.path, d.span.start) not in told]
    return tuple(sorted_diagnostics([d for d in (*found, *fresh) if NOT_GIVEN not in d.detail]))


def _instances(program: Program) -> list[Diagnostic]:
    every = kinds()
    found: list[Diagnostic] = []
    evaluation = program.evaluation(lambda _: None)
    told: set[tuple[str, int, str, str]] = set()
    for instance in program.instances:
        arguments, problems = program.decode(instance, evaluation)
        if not any(d.is_error for d in problems):
            desired = Desired(
                instance.address,
                instance.kind,
                instance.name,
                arguments,
                tuple(instance.dependencies),
                span=instance.span,
            )
            problems = [d.at(instance.span, instance.address) for d in every[instance.kind].check(desired)]
            problems += without_effects(instance, every[instance.kind])
        for diagnostic in problems:
            # Instances of one block have the same mistake; once is enough.
            place = diagnostic.span or instance.span
            key = (place.path, place.start, diagnostic.code, diagnostic.detail)
            if instance.key is None or key not in told:
                found.append(diagnostic)
            told.add(key)
    return found


def _plug_ins(program: Program) -> list[Diagnostic]:
    """Return what is wrong with the settings of backend and providers, and with names of plug-ins that are not installed."""
    found: list[Diagnostic] = []
    backend = program.backend
    try:
        store = cast(
            "StoreFactory", plug_in("mlplan.stores", backend.type if backend else DEFAULT_STORE, "state store")
        )
        found += program.backend_settings(store.schema)[1]
    except DiagnosticError as error:
        found += [d.at(backend.block.header_span if backend else None) for d in error.diagnostics]
    used = {i.provider: i for i in program.instances if i.provider is not None}
    for name in dict.fromkeys([*program.providers, *used]):
        config = program.providers.get(name)
        expr = used[name].resource.meta("provider") if name in used else None
        place = expr.span if expr is not None else None
        if config is not None and config.block is not None:
            place = config.block.header_span
        try:
            type_ = config.type if config is not None else name.partition(".")[0]
            factory = cast("ProviderFactory", plug_in("mlplan.providers", type_, "provider"))
        except DiagnosticError as error:
            found += [d.at(place) for d in error.diagnostics if d.code != "missing-extra"]
            continue
        if config is not None:
            found += program.provider_settings(config, factory.schema)[1]
    return found
