"""`validate`: every mistake in the files at once, without state, data or world."""

from __future__ import annotations

from mlplan.app.compose import Settings, kinds, schemas
from mlplan.config.load import load
from mlplan.engine.graph import in_order
from mlplan.engine.types import Desired
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.diagnostic import in_order as sorted_diagnostics


def validate(settings: Settings) -> tuple[Diagnostic, ...]:
    """Return all diagnostics of the files, by place."""
    program, found = load(
        settings.root,
        schemas=schemas(),
        variables=settings.variables,
        variable_files=settings.variable_files,
        environment=settings.environment,
        workspace=settings.workspace,
    )
    if program is None:
        return tuple(sorted_diagnostics(found))
    every = kinds()
    found = list(found)
    for instance in program.instances:
        arguments, problems = program.decode(instance, lambda _: None)
        found += problems
        if not any(d.is_error for d in problems):
            desired = Desired(
                instance.address,
                instance.kind,
                instance.name,
                arguments,
                tuple(instance.dependencies),
                span=instance.span,
            )
            found += [d.at(instance.span, instance.address) for d in every[instance.kind].check(desired)]
    try:
        in_order({i.address: i.dependencies for i in program.instances})
    except DiagnosticError as error:
        found += error.diagnostics
    _, problems = program.outputs(lambda _: None)
    return tuple(sorted_diagnostics([*found, *problems]))
