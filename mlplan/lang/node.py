"""Makes frozen classes out of tuples. A large project has half a million syntax nodes and places; nothing in Python is made faster."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def node(cls: type[_T]) -> type[_T]:
    """Return the class as a named tuple with its methods. To type checkers it is a frozen dataclass: its recursion stays cheap."""
    names = list(cls.__annotations__)
    defaults = [cls.__dict__[name] for name in names if name in cls.__dict__]
    base = namedtuple(cls.__name__, names, defaults=defaults)  # type: ignore[misc]
    inside = {key: value for key, value in cls.__dict__.items() if key not in (*names, "__dict__", "__weakref__")}
    return type(cls.__name__, (base,), {**inside, "__slots__": ()})


def changed(given: _T, **fields: Any) -> _T:
    """Return a copy of a node with some fields changed."""
    return given._replace(**fields)  # type: ignore[attr-defined,no-any-return]
