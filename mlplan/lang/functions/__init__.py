"""The function library: Terraform's functions, by the same names and with the same results, one file a family."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mlplan.lang.functions.registry import Function


@cache
def standard_functions() -> Mapping[str, Function]:
    """Return every function by name."""
    from mlplan.lang.functions import (
        charsets,
        collection,
        conversion,
        csv,
        datetime,
        encoding,
        filesystem,
        hash,
        maps,
        network,
        numeric,
        string,
        yaml,
    )

    families = (
        string,
        collection,
        numeric,
        encoding,
        charsets,
        csv,
        hash,
        maps,
        datetime,
        network,
        conversion,
        filesystem,
        yaml,
    )
    return {function.name: function for family in families for function in family.FUNCTIONS}


@cache
def console_functions() -> Mapping[str, Function]:
    """Return every function by name, and those that only `console` has."""
    from mlplan.lang.functions import inspect

    return {**standard_functions(), **{function.name: function for function in inspect.FUNCTIONS}}
