"""What a function is: its parameters, how arguments reach it, and how it says no.

The evaluator converts arguments to the parameters' types, refuses null where it is not taken, passes unknown and secret
through, and turns `FunctionError` into a diagnostic. So an implementation sees plain known values, unless it asks for more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlplan.lang.types import ANY, Type
from mlplan.lang.values import Value

if TYPE_CHECKING:
    pass


class FunctionError(Exception):
    """A function refuses. argument: number of the argument that is to blame, None when it is the call as a whole.

    at: number of the argument to point at, when Terraform blames the call and one argument is the reason all the same.
    """

    def __init__(self, message: str, argument: int | None = None, *, at: int | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.at = argument if at is None else at


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. null: null is taken. marked: taint and unknown are left in for the function to handle. shallow: they are
    left in where they are inside the argument, and taken off the argument itself."""

    name: str
    type: Type = ANY
    null: bool = False
    marked: bool = False
    shallow: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language. result: its type, when a call cannot be computed yet.

    scoped: the implementation takes the scope first. lazy: it takes the scope and the argument expressions, unevaluated.
    """

    name: str
    implementation: Callable[..., Value]
    parameters: tuple[Parameter, ...] = ()
    rest: Parameter | None = None
    result: Type = ANY
    scoped: bool = False
    lazy: bool = False


@dataclass(slots=True)
class Family:
    """Collects the functions of one file through a decorator."""

    functions: list[Function] = field(default_factory=list)

    def add(
        self,
        *parameters: Parameter | tuple[str, Type],
        rest: Parameter | tuple[str, Type] | None = None,
        result: Type = ANY,
        name: str | None = None,
        scoped: bool = False,
        lazy: bool = False,
    ) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
        """Register the decorated implementation under its own name without underscores at the end, or `name`."""

        def register(implementation: Callable[..., Value]) -> Callable[..., Value]:
            function = Function(
                name or implementation.__name__.strip("_"),
                implementation,
                tuple(map(_parameter, parameters)),
                None if rest is None else _parameter(rest),
                result,
                scoped,
                lazy,
            )
            self.functions.append(function)
            return implementation

        return register


def _parameter(given: Parameter | tuple[str, Type]) -> Parameter:
    return given if isinstance(given, Parameter) else Parameter(*given)


Arguments = Sequence[Any]
