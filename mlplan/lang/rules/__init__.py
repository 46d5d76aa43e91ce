"""What each kind of expression means, one file a family. `install` makes the evaluator know them all."""

from __future__ import annotations


def install() -> None:
    """Register every rule."""
    from mlplan.lang.rules import access, conditional, constructors, loops, operations, templates

    del access, conditional, constructors, loops, operations, templates
