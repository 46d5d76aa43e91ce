"""Literals, names, tuples, objects, parentheses and calls."""

from __future__ import annotations

from mlplan.lang.call import call_function
from mlplan.lang.diagnostic import suggestion
from mlplan.lang.evaluator import Evaluator, rule
from mlplan.lang.rules.access import SPLAT
from mlplan.lang.syntax import Call, Literal, ObjectExpr, Parens, ScopeRef, TupleExpr
from mlplan.lang.types import ANY
from mlplan.lang.values import Unknown, Value, bare, secret

rule(Call)(call_function)


@rule(Literal)
def literal(evaluator: Evaluator, expr: Literal) -> Value:
    """Return a number, bool, null or fixed text."""
    return expr.value


@rule(Parens)
def parens(evaluator: Evaluator, expr: Parens) -> Value:
    """Return what stands in parentheses."""
    return evaluator.eval(expr.inner)


@rule(ScopeRef)
def reference(evaluator: Evaluator, expr: ScopeRef) -> Value:
    """Return what a name stands for."""
    try:
        return evaluator.scope.lookup(expr.name)
    except KeyError:
        hint = suggestion(expr.name, (name for name in evaluator.scope.names() if name != SPLAT))
        detail = f'There is nothing named "{expr.name}" here.'
        raise evaluator.fail(expr, "unknown-reference", "Unknown reference", detail, hint=hint) from None


@rule(TupleExpr)
def tuple_(evaluator: Evaluator, expr: TupleExpr) -> Value:
    """Return [a, b]."""
    evaluator.budget.produce(8 * len(expr.items))
    return tuple(map(evaluator.eval, expr.items))


@rule(ObjectExpr)
def object_(evaluator: Evaluator, expr: ObjectExpr) -> Value:
    """Return { a = 1 }; an unknown key makes the whole unknown, a secret key makes it secret."""
    done: dict[str, Value] = {}
    tainted = False
    unknown: Unknown | None = None
    for item in expr.items:
        key, taint = bare(evaluator.eval(item.key))
        value = evaluator.eval(item.value)
        tainted = tainted or taint
        if isinstance(key, Unknown):
            unknown = key
            continue
        done[evaluator.key_text(item.key, key, "object")] = value
    evaluator.budget.produce(64 * len(done))
    result: Value = Unknown(ANY, unknown.origin) if unknown is not None else {k: done[k] for k in sorted(done)}
    return secret(result) if tainted else result
