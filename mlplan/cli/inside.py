"""The program inside the sandbox of `plan --untrusted`: takes limits on itself, then plans without providers.

Called as: python -I -m mlplan.cli.inside REQUEST, a JSON object; the base revision's files come as JSON on stdin.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

MEMORY = 2 * 1024**3
"""Units: bytes of address space."""
CPU_SECONDS = 60
FILE_BYTES = 64 * 1024 * 1024
BASE = "/tmp/base"  # noqa: S108  (in the memory of the sandbox)


def main() -> None:
    """Plan and exit."""
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 256),
    ):  # fmt: skip
        resource.setrlimit(what, (limit, limit))
    request = json.loads(sys.argv[1])
    before = json.loads(sys.stdin.read() or "null")
    from mlplan.cli.errors import guarded

    sys.exit(guarded(lambda: _plan(request, before)))


def _plan(request: dict[str, Any], before: dict[str, str] | None) -> int:
    from mlplan.app import run as use_cases
    from mlplan.app.compose import Settings, open_project
    from mlplan.cli import errors, terminal
    from mlplan.cli.applying import show_plan
    from mlplan.engine.kind import Options
    from mlplan.lang.diagnostic import Diagnostic

    strangers: Any = _NoProviders()
    root = Path.cwd()
    terminal.choose(True, root)
    files = tuple(root / name for name in request["var_files"])
    settings = Settings(root, request["variables"], files, {}, request["workspace"])
    project = replace(open_project(settings, isolated=True), providers=strangers)
    if not _readable(project):
        project = replace(
            open_project(replace(settings, workspace="without-state"), isolated=True), providers=strangers
        )
        project.ledger.initialise()
        detail = "There is no state that can be read without credentials, so the plan shows everything as new."
        errors.show((Diagnostic("untrusted-without-state", "This plan knows no state", detail, "warning"),))
    if before is None:
        detail = (
            "No base revision is known, so gates and all other rules of this plan are those of the strange files themselves. "
            "Name the branch that they are to come into with --base."
        )
        errors.show((Diagnostic("untrusted-without-base", "This plan is made under strange rules", detail, "warning"),))
    else:
        project = replace(project, program=_under_base(project, before, settings))
    made = use_cases.plan(project, Options(refresh=False, targets=tuple(request["targets"])))
    show_plan(made, project, request["json"], request["compact"])
    return use_cases.plan_exit_code(made, request["detailed_exitcode"])


def _under_base(project: Any, before: dict[str, str], settings: Any) -> Any:
    """Return the head's program under the rules of the base's files; say which rules the head changes. Raises: DiagnosticError."""
    from mlplan.app.base_rules import base_program, under_rules_of
    from mlplan.app.policy import policy_changes
    from mlplan.cli import errors

    folder = Path(BASE)
    for name, text in before.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    files = tuple(folder / path.relative_to(settings.root) for path in settings.variable_files)
    base = base_program(folder, replace(settings, root=folder, variable_files=files))
    program, changed = under_rules_of(base, project.program)
    sources = project.program.sources
    rules = {name: text for name, text in before.items() if name in base.sources and "/" not in name}
    told = policy_changes(rules, {name: s.text for name, s in sources.items() if "/" not in name})
    known = {d.address for d in told}
    errors.show((*told, *(d for d in changed if d.address not in known)), sources)
    return program


def _readable(project: Any) -> bool:
    from mlplan.spi.store import StoreError

    try:
        if project.ledger.exists():
            project.ledger.open_read()
            return True
    except StoreError:
        pass  # encrypted, or of a store elsewhere: told by the caller
    return False


class _NoProviders:
    """Providers that can do nothing: no capability, so that nothing is asked of the world."""

    def get(self, name: str | None) -> _NoProvider:
        """Return one."""
        return _NoProvider()


class _NoProvider:
    """A provider without capabilities."""

    def check(self) -> None:
        """Say nothing against being used in a plan."""


if __name__ == "__main__":
    main()
