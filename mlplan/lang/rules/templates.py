"""Strings with interpolations and directives."""

from __future__ import annotations

from collections.abc import Sequence

from mlplan.lang.convert import ConversionError, convert
from mlplan.lang.evaluator import Evaluator, rule
from mlplan.lang.rules.loops import bindings, check_iterable
from mlplan.lang.syntax import Expr, Template, TemplateFor, TemplateIf, TemplatePart, Text
from mlplan.lang.types import STRING
from mlplan.lang.values import Unknown, Value, bare, is_null, normal, secret


@rule(Template)
def template(evaluator: Evaluator, expr: Template) -> Value:
    """Return a string, or the bare value of "${a}"."""
    if expr.wraps:
        part = expr.parts[0]
        assert not isinstance(part, (Text, TemplateIf, TemplateFor))
        return evaluator.eval(part)
    text = _Text(evaluator, expr)
    text.add(evaluator, expr.parts)
    return text.finish()


class _Text:
    """Collects the text of a template, and what is unknown or secret about it."""

    def __init__(self, evaluator: Evaluator, expr: Template) -> None:
        self.expr = expr
        self.budget = evaluator.budget
        self.pieces: list[str] = []
        self.taint = False
        self.unknown: Unknown | None = None

    def add(self, evaluator: Evaluator, parts: Sequence[TemplatePart]) -> None:
        """Add the text of parts, in a scope."""
        for part in parts:
            if isinstance(part, Text):
                self.write(part.value)
            elif isinstance(part, TemplateIf):
                test, taint = evaluator.condition(self.expr, part.condition, "The condition of this directive")
                self.taint = self.taint or taint
                if isinstance(test, Unknown):
                    self.unknown = test
                else:
                    self.add(evaluator, part.then if test else part.otherwise)
            elif isinstance(part, TemplateFor):
                self.add_for(evaluator, part)
            else:
                self.add_value(evaluator, part)

    def add_for(self, evaluator: Evaluator, part: TemplateFor) -> None:
        """Add the text of a %{for} directive."""
        collection, taint = bare(evaluator.eval(part.collection))
        self.taint = self.taint or taint
        if isinstance(collection, Unknown):
            check_iterable(evaluator, part, collection)
            self.unknown = collection
            return
        for names in bindings(evaluator, part, collection):
            self.budget.step()
            self.add(evaluator.inside(names), part.body)

    def add_value(self, evaluator: Evaluator, part: Expr) -> None:
        """Add the value of an interpolation."""
        value, taint = bare(evaluator.eval(part))
        self.taint = self.taint or taint
        if isinstance(value, str):
            self.write(value)
            return
        if isinstance(value, Unknown):
            self.unknown = value
            return
        if is_null(value):
            detail = "The expression result is null. Cannot include a null value in a string template."
            raise evaluator.fail(part, "invalid-template-value", "Invalid template interpolation value", detail)
        try:
            text = convert(value, STRING)
        except ConversionError as error:
            detail = f"Cannot include the given value in a string template: {error}."
            raise evaluator.fail(
                part, "invalid-template-value", "Invalid template interpolation value", detail
            ) from None
        assert isinstance(text, str)
        self.write(text)

    def write(self, text: str) -> None:
        """Add text."""
        self.budget.produce(len(text))
        self.pieces.append(text)

    def finish(self) -> Value:
        """Return the text as a whole."""
        result: Value = normal("".join(self.pieces))
        if self.unknown is not None:
            result = Unknown(STRING, self.unknown.origin)
        return secret(result) if self.taint else result
