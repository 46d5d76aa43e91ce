"""The rules of a base revision over the files of a head: gates, tests and evaluation of models, contracts, environments, monitors.

A plan of a stranger's files is judged by the rules of the branch that they want to come into. The rules are evaluated with the base's own
variables and locals, so that no value that a rule takes from elsewhere can be changed by the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mlplan.app.compose import Settings, schemas
from mlplan.app.policy import WHOLE
from mlplan.config.load import load
from mlplan.config.program import Instance, Program
from mlplan.config.scopes import Computed
from mlplan.engine.plain import plain
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, has_errors
from mlplan.lang.values import Unknown
from mlplan.spi.schema import Reference

OF_MODELS = ("gate", "test", "evaluate")
Rules = Mapping[str, Mapping[str, Any]]
"""Arguments that are rules, by address."""


@dataclass(frozen=True)
class Ruled(Program):
    """A program whose rules are those of another one, at every address that both have."""

    rules: Rules = field(default_factory=dict)

    def decode(self, instance: Instance, computed: Computed) -> tuple[dict[str, Any], list[Diagnostic]]:
        """Return the arguments of an instance, its rules those of the base."""
        arguments, problems = super().decode(instance, computed)
        return {**arguments, **self.rules.get(instance.address, {})}, problems


def base_program(folder: Path, settings: Settings) -> Program:
    """Return the program of the base's files. Raises: DiagnosticError (base-unreadable): without rules nothing is planned."""
    program, found = load(
        folder, schemas=schemas(), variables=settings.variables, variable_files=settings.variable_files,
        environment={}, workspace=settings.workspace,
    )  # fmt: skip
    if program is None or has_errors(found):
        raise DiagnosticError(_unreadable(d.detail or d.summary for d in found if d.is_error))
    return program


def under_rules_of(base: Program, head: Program) -> tuple[Program, list[Diagnostic]]:
    """Return the head's program under the base's rules, and a warning for each rule whose value the head changes.

    Raises: DiagnosticError (base-unreadable).
    """
    wanted, problems = rules_of(base)
    if problems:
        raise DiagnosticError(_unreadable(problems))
    own, _ = rules_of(head)  # what is wrong in the head is told when it is planned
    declared = {instance.address for instance in head.instances}
    used, told = {}, []
    for address, rules in wanted.items():
        if address not in declared:
            continue
        missing = sorted({ref.address for ref in _references(rules)} - declared)
        if missing:
            raise DiagnosticError(
                _unreadable([f"{address} is judged by {', '.join(missing)}, which this head does not declare."])
            )
        used[address] = rules
        told += [_changed(address, name) for name in _differences(rules, own.get(address, {}))]
    given = {f.name: getattr(head, f.name) for f in fields(head)}
    return Ruled(**given, rules=used), told


def rules_of(program: Program) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the rules of a program, and why some cannot be told."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    evaluation = program.evaluation(lambda _: None)
    for instance in program.instances:
        if instance.kind not in WHOLE and instance.kind != "model":
            continue
        arguments, wrong = program.decode(instance, evaluation)
        if has_errors(wrong):
            problems += [d.detail or d.summary for d in wrong if d.is_error]
            continue
        rules = arguments if instance.kind in WHOLE else {name: arguments.get(name) for name in OF_MODELS}
        unknown = [name for name, value in rules.items() if _unknown(value)]
        if unknown:
            problems.append(f"{instance.address}: {', '.join(unknown)} is known only after apply.")
            continue
        found[instance.address] = dict(rules)
    return found, problems


def _differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rules whose values differ, as an address goes on: ".gate.good", or ".port"."""
    for name in dict.fromkeys([*base, *head]):
        mine, other = plain(base.get(name)), plain(head.get(name))
        if mine == other:
            continue
        if name in ("gate", "test") and isinstance(mine, dict):
            others = other if isinstance(other, dict) else {}
            yield from (
                f".{name}.{label}" for label in dict.fromkeys([*mine, *others]) if mine.get(label) != others.get(label)
            )
        else:
            yield f".{name}"


def _changed(address: str, name: str) -> Diagnostic:
    detail = (
        f"This head changes what {address}{name} asks for, compared with its base. This plan is made under the base's rule. Rules decide "
        "what may go live: review this before anything else."
    )
    return Diagnostic("policy-changed", "A rule is changed", detail, "warning", address=f"{address}{name}")


def _unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_unknown, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_unknown, value))
    return isinstance(value, Unknown)


def _references(value: Any) -> Iterator[Reference]:
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)


def _unreadable(why: Iterable[str]) -> Diagnostic:
    reasons = "".join(f"\n    {line}" for line in list(dict.fromkeys(why))[:10])
    detail = f"A plan of strange files is made under the rules of the base revision, and these cannot be told:{reasons}\nNothing was planned."
    return Diagnostic("base-unreadable", "The rules of the base cannot be told", detail)
