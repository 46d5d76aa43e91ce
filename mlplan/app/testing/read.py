"""Test files to values: variables, mocks, overrides and runs. Reads syntax; evaluates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlplan.lang.diagnostic import Diagnostic, suggestion
from mlplan.lang.parse import parse
from mlplan.lang.reference import as_traversal
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Block, Body, Expr, Literal, ScopeRef, Traversal, TupleExpr

SUFFIX = ".test.hcl"
COMMANDS = ("plan", "apply")
MODES = ("normal", "refresh-only")


@dataclass(frozen=True)
class Override:
    """An `override_resource` block: the computed attributes of one address."""

    target: str
    values: Expr
    during_plan: bool = False


@dataclass(frozen=True)
class TestRun:
    """A `run` block."""

    name: str
    span: Span
    command: str = "apply"
    variables: Mapping[str, Expr] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    refresh: bool = True
    refresh_only: bool = False
    asserts: tuple[Block, ...] = ()
    expected: tuple[Traversal, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True)
class TestFile:
    """A test file. mocked: providers that are not really used; defaults: computed attributes of mocked nouns, by noun."""

    path: str
    source: SourceFile
    variables: Mapping[str, Expr] = field(default_factory=dict)
    mocked: frozenset[str] = frozenset()
    defaults: Mapping[str, Expr] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    runs: tuple[TestRun, ...] = ()


def find(root: Path, folder: str = "tests") -> list[Path]:
    """Return the test files of a project: in its own folder and in the one for tests."""
    return sorted([*root.glob(f"*{SUFFIX}"), *(root / folder).glob(f"*{SUFFIX}")])


def read(path: Path, root: Path) -> tuple[TestFile, list[Diagnostic]]:
    """Return a test file, and what is wrong with it."""
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    try:
        source = SourceFile(shown, path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        detail = f"{shown}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}."
        return TestFile(shown, SourceFile(shown, "")), [Diagnostic("file-unreadable", "A file cannot be read", detail)]
    body, problems = parse(source)
    reader = _Reader(list(problems))
    return reader.file(shown, source, body), reader.problems


class _Reader:
    """Reads blocks, collecting problems."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        self.problems = problems

    def file(self, path: str, source: SourceFile, body: Body) -> TestFile:
        variables: dict[str, Expr] = {}
        mocked: set[str] = set()
        defaults: dict[str, Expr] = {}
        overrides: list[Override] = []
        runs: dict[str, TestRun] = {}
        blocks = {"variables": 0, "mock_provider": 1, "override_resource": 0, "run": 1}
        self._known(body, (), blocks, "A test file")
        for block in (b for b in body.blocks if b.type in blocks and len(b.labels) == blocks[b.type]):
            if block.type == "variables":
                variables |= {name: a.expr for name, a in block.body.attributes.items()}
            elif block.type == "mock_provider":
                alias = self._text(block.body, "alias")
                mocked.add(block.labels[0] + (f".{alias}" if alias else ""))
                self._mock(block, defaults, overrides)
            elif block.type == "override_resource":
                overrides += self._override(block)
            elif block.labels[0] in runs:
                detail = f'run "{block.labels[0]}" stands twice in this file.'
                self._problem("duplicate-block", "Something is declared twice", detail, block.header_span)
            else:
                runs[block.labels[0]] = self._run(block)
        return TestFile(path, source, variables, frozenset(mocked), defaults, tuple(overrides), tuple(runs.values()))

    def _mock(self, block: Block, defaults: dict[str, Expr], overrides: list[Override]) -> None:
        inner = {"mock_resource": 1, "override_resource": 0}
        self._known(block.body, ("alias",), inner, "mock_provider")
        for part in block.body.blocks:
            if part.type == "override_resource":
                overrides += self._override(part)
            elif part.type == "mock_resource" and len(part.labels) == 1:
                self._known(part.body, ("defaults",), {}, "mock_resource")
                if "defaults" in part.body.attributes:
                    defaults[part.labels[0]] = part.body.attributes["defaults"].expr

    def _override(self, block: Block) -> list[Override]:
        self._known(block.body, ("target", "values", "override_during"), {}, "override_resource")
        attributes = block.body.attributes
        target = as_traversal(attributes["target"].expr) if "target" in attributes else None
        if target is None or "values" not in attributes:
            detail = "override_resource needs target, an address, and values, its computed attributes."
            self._problem("missing-argument", "A required argument is missing", detail, block.header_span)
            return []
        during = attributes.get("override_during")
        return [
            Override(
                address_of(target),
                attributes["values"].expr,
                during is not None and _word(during.expr) == "plan",
            )
        ]

    def _run(self, block: Block) -> TestRun:
        body = block.body
        blocks = {"variables": 0, "plan_options": 0, "assert": 0, "override_resource": 0}
        self._known(body, ("command", "expect_failures"), blocks, "run")
        command = self._choice(body, "command", COMMANDS, "apply")
        options = next((b.body for b in body.blocks if b.type == "plan_options"), None)
        targets: tuple[str, ...] = ()
        replaced: tuple[str, ...] = ()
        refresh, mode = True, "normal"
        if options is not None:
            self._known(options, ("target", "replace", "refresh", "mode"), {}, "plan_options")
            targets = tuple(address_of(t) for t in self._addresses(options, "target"))
            replaced = tuple(address_of(t) for t in self._addresses(options, "replace"))
            given = options.attributes.get("refresh")
            refresh = given is None or getattr(given.expr, "value", True) is not False
            mode = self._choice(options, "mode", MODES, "normal")
        asserts = tuple(b for b in body.blocks if b.type == "assert")
        for inner in asserts:
            self._known(inner.body, ("condition", "error_message"), {}, "assert")
            for name in ("condition", "error_message"):
                if name not in inner.body.attributes:
                    detail = f'assert needs "{name}".'
                    self._problem("missing-argument", "A required argument is missing", detail, inner.header_span)
        variables = {n: a.expr for b in body.blocks if b.type == "variables" for n, a in b.body.attributes.items()}
        return TestRun(
            block.labels[0], block.header_span, command, variables, targets, replaced, refresh, mode == "refresh-only",
            asserts, tuple(self._addresses(body, "expect_failures")),
            tuple(o for b in body.blocks if b.type == "override_resource" for o in self._override(b)),
        )  # fmt: skip

    def _addresses(self, body: Body, name: str) -> list[Traversal]:
        attribute = body.attributes.get(name)
        if attribute is None:
            return []
        items = attribute.expr.items if isinstance(attribute.expr, TupleExpr) else (attribute.expr,)
        found = [(item, as_traversal(item)) for item in items]
        for item, traversal in found:
            if traversal is None:
                detail = f"{name} lists addresses without quotes, as in [var.region, model.fraud]."
                self._problem("invalid-argument", "An argument cannot be read", detail, item.span)
        return [traversal for _, traversal in found if traversal is not None]

    def _choice(self, body: Body, name: str, choices: tuple[str, ...], default: str) -> str:
        attribute = body.attributes.get(name)
        if attribute is None:
            return default
        word = _word(attribute.expr)
        if word not in choices:
            detail = f"{name} can be {' or '.join(choices)}."
            self._problem(
                "invalid-choice",
                "A value is not among the choices",
                detail,
                attribute.expr.span,
                suggestion(word, choices),
            )
            return default
        return word

    def _text(self, body: Body, name: str) -> str:
        attribute = body.attributes.get(name)
        return _word(attribute.expr) if attribute is not None else ""

    def _known(self, body: Body, arguments: tuple[str, ...], blocks: Mapping[str, int], what: str) -> None:
        for name, attribute in body.attributes.items():
            if name not in arguments:
                detail = f'{what} has no argument "{name}". It has {", ".join(arguments) or "none"}.'
                hint = suggestion(name, (*arguments, *blocks))
                self._problem("unknown-argument", "There is no such argument", detail, attribute.name_span, hint)
        for block in body.blocks:
            if block.type not in blocks:
                detail = f'{what} has no block "{block.type}". It has {", ".join(blocks) or "none"}.'
                hint = suggestion(block.type, (*blocks, *arguments))
                self._problem("unknown-block", "There is no such block", detail, block.type_span, hint)
            elif len(block.labels) != blocks[block.type]:
                detail = f'"{block.type}" takes {"one label" if blocks[block.type] else "no label"}; here are {len(block.labels)}.'
                self._problem("wrong-labels", "A block has the wrong labels", detail, block.header_span)

    def _problem(self, code: str, summary: str, detail: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Diagnostic(code, summary, detail, span=span, hint=hint))


def address_of(traversal: Traversal) -> str:
    """Return a reference as an address: model.fraud["eu"]."""
    text = traversal.root
    for step in traversal.steps:
        key = getattr(step, "key", None)
        if key is None:
            text += f".{getattr(step, 'name', '')}"
        else:
            text += f'["{key}"]' if isinstance(key, str) else f"[{key}]"
    return text


def _word(expr: Expr) -> str:
    """Return a bare word or a plain text."""
    if isinstance(expr, ScopeRef):
        return expr.name
    return str(expr.value) if isinstance(expr, Literal) else ""
