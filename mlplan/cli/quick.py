"""Reads simple arguments without pydantic: typer takes it for every option, and importing it costs more than planning a small project.

Texts, paths, their lists and whole numbers are converted here; whatever has more to it is left to typer. With a typer that works in
another way nothing is done, and nothing breaks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


_SIMPLE: dict[Any, Any] = {str: str, Path: Path, list[str]: str, list[Path]: Path, int: int, bool: _flag}
_CHECKED = (
    "parser",
    "click_type",
    "exists",
    "file_okay",
    "dir_okay",
    "writable",
    "resolve_path",
    "allow_dash",
    "path_type",
)
_USUAL = {"file_okay": True, "dir_okay": True}


def lighten() -> None:
    """Give simple parameters of all commands, their --help as well, a quick conversion. Doing it again changes nothing."""
    from typer import core

    parameter: Any = getattr(core, "_TyperParameter", None)
    usual = getattr(parameter, "get_runtime_param", None)
    if usual is None or usual.__module__ == __name__:
        return

    def get_runtime_param(self: Any) -> Any:
        if self._runtime_param is None and _is_simple(self.type_descriptor):
            self._runtime_param = _Quick(self, self.type_descriptor.annotation, self.type_descriptor.parameter_info)
        return usual(self)

    parameter.get_runtime_param = get_runtime_param


def _is_simple(descriptor: Any) -> bool:
    info = descriptor.parameter_info
    unusual = any(getattr(info, name, None) not in (None, _USUAL.get(name, False)) for name in _CHECKED)
    try:
        return descriptor.annotation in _SIMPLE and not unusual
    except TypeError:  # an annotation that cannot be hashed is not simple
        return False


class _Quick:
    """Converts one parameter's value; what does not convert goes to typer, for its message."""

    def __init__(self, parameter: Any, annotation: Any, info: Any) -> None:
        self._descriptor = parameter.type_descriptor
        self._convert = _SIMPLE[annotation]
        self._many = annotation not in (str, Path, int, bool)
        self._least, self._most = getattr(info, "min", None), getattr(info, "max", None)

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value in the type of its parameter."""
        if value is None:
            return () if self._many else None
        if self._many:
            return [self._convert(item) for item in value]
        try:
            found = self._convert(value)
        except ValueError:
            return self._slow(value, param, ctx)
        if self._convert is int and not self._fits(found):
            return self._slow(value, param, ctx)
        return found

    def _fits(self, number: int) -> bool:
        return (self._least is None or number >= self._least) and (self._most is None or number <= self._most)

    def _slow(self, value: Any, param: Any, ctx: Any) -> Any:
        from typer._coercion import build_runtime_param

        return build_runtime_param(self._descriptor).coerce(value, param=param, ctx=ctx)
