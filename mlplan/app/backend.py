"""Where the state was when this project was last initialised, and what to do when the files say another place now.

What is remembered lies in the project's own folder and holds no secret: a sensitive argument is kept as the expression that
leads to it, and as a keyed digest to tell whether it changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplan.config.program import Program
from mlplan.engine.planfile import project_key
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.evaluate import evaluate
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile
from mlplan.lang.values import Secret, bare_deep, to_python
from mlplan.spi.store import StoreFactory

FILE = "backend.json"
OLD = "MLPLAN_OLD_BACKEND_"
"""Beginning of the environment variables that give sensitive arguments of the place before, when nothing leads to them."""
_LEADS = re.compile(r'"(env|file|aws-sm|k8s-secret):[^"]*"')


@dataclass(frozen=True)
class Place:
    """A backend with its arguments. hidden: sensitive ones, to (expression or None, keyed digest). compared: the arguments
    that say where the state is; others may change freely."""

    type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    compared: tuple[str, ...] = ()

    def same(self, other: Place) -> bool:
        """Tell whether both are one place."""
        names = {*self.compared, *other.compared}
        macs = {n: m for n, (_, m) in self.hidden.items() if n in names}
        others = {n: m for n, (_, m) in other.hidden.items() if n in names}
        shown = {n: v for n, v in self.arguments.items() if n in names and v is not None}
        return (self.type, shown, macs) == (
            other.type, {n: v for n, v in other.arguments.items() if n in names and v is not None}, others
        )  # fmt: skip

    def __str__(self) -> str:
        shown = [f"{name} = {value}" for name, value in self.arguments.items() if name in self.compared and value]
        return f"{self.type} ({', '.join(shown)})" if shown else self.type


def place_of(program: Program, name: str, factory: StoreFactory, values: Mapping[str, Any], root: Path) -> Place:
    """Return the place that the files name now. values: the decoded arguments."""
    known = {key: value for key, value in values.items() if value is not None}
    hidden = {k: (_expression(program, k), _mac(root, v)) for k, v in known.items() if isinstance(v, Secret)}
    shown = {key: value for key, value in known.items() if key not in hidden}
    compared = tuple(getattr(factory, "place", tuple(factory.schema.arguments)))
    return Place(name, shown, hidden, compared)


def _mac(root: Path, value: Secret) -> str:
    key = project_key(root / ".mlplan")
    return hmac.new(key, b"mlplan backend\0" + str(value.value).encode(), hashlib.sha256).hexdigest()


def _expression(program: Program, name: str) -> str | None:
    """Return the text of an argument's expression if it leads to a value elsewhere, and does not hold one itself."""
    attribute = program.backend.block.body.attributes.get(name) if program.backend is not None else None
    if attribute is None:
        return None
    span = attribute.expr.span
    source = program.sources.get(span.path)
    text = source.text[span.start : span.end] if source is not None else ""
    return text if _LEADS.fullmatch(text) or re.fullmatch(r"(var|local)\.\w+", text) else None


def remembered(root: Path) -> Place | None:
    """Return the place that was remembered, None when there is none. Raises: DiagnosticError when it cannot be read."""
    path = root / ".mlplan" / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        hidden = {name: (entry["expression"], str(entry["digest"])) for name, entry in document["hidden"].items()}
        return Place(str(document["type"]), dict(document["arguments"]), hidden, tuple(document["compared"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"{path}: {error}. It only says where the state was; write it anew with:\n    mlplan init -reconfigure"
        raise DiagnosticError(Diagnostic("backend-unknown", "The remembered backend cannot be read", detail)) from error


def remember(root: Path, place: Place) -> None:
    """Write the place down, in one piece."""
    path = root / ".mlplan" / FILE
    document = {
        "type": place.type, "arguments": dict(place.arguments), "compared": list(place.compared),
        "hidden": {name: {"expression": text, "digest": mac} for name, (text, mac) in place.hidden.items()},
    }  # fmt: skip
    temporary = path.with_name(f"{FILE}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
    temporary.replace(path)


def changed(before: Place, now: Place) -> DiagnosticError:
    """Return the refusal to work on another place than the state was in."""
    detail = (
        f"The state was kept in {before}; the files now say {now}. Move it, with its history and its locks respected:\n"
        "    mlplan init -migrate-state\nor use what is in the new place, leaving the old one as it is:\n"
        "    mlplan init -reconfigure"
    )
    return DiagnosticError(Diagnostic("backend-changed", "The backend has changed", detail))


def arguments_of(place: Place, program: Program, environment: Mapping[str, str], root: Path) -> dict[str, Any]:
    """Return the arguments of a remembered place, sensitive ones found again. Raises: DiagnosticError (backend-secret)."""
    found = dict(place.arguments)
    for name, (text, mac) in place.hidden.items():
        given = environment.get(OLD + name.upper())
        if given is not None:
            found[name] = Secret(given)
        elif text is not None:
            found[name] = Secret(_evaluated(program, text))
        else:
            detail = (
                f'"{name}" of the {place.type} backend before was written out in the files and is remembered nowhere. Give it '
                f"once more for the move:\n    {OLD}{name.upper()}=… mlplan init -migrate-state"
            )
            raise DiagnosticError(Diagnostic("backend-secret", "A secret of the old backend is needed", detail))
        if given is None and not hmac.compare_digest(_mac(root, found[name]), mac):
            detail = f'{text} does not lead to the "{name}" of before any more. Give it in {OLD}{name.upper()}.'
            raise DiagnosticError(Diagnostic("backend-secret", "A secret of the old backend is needed", detail))
    return found


def _evaluated(program: Program, text: str) -> Any:
    body, problems = parse(SourceFile("(remembered)", f"value = {text}\n"))
    if problems:
        raise DiagnosticError(*problems)
    value, _ = bare_deep(evaluate(body.attributes["value"].expr, program.scope.inside(None, lambda _: None)))
    return to_python(value)
