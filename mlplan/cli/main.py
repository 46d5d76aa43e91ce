"""The entry point: exit codes, and errors turned into diagnostics."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    if list(arguments) in (["version"], ["--version"], ["-version"], ["-v"]):
        # Answered before anything else is imported: scripts ask it often.
        from mlplan import __version__

        sys.stdout.write(f"mlplan {__version__}\n")
        return 0
    from mlplan.cli.errors import guarded

    return guarded(lambda: _typer(arguments))


def _typer(arguments: Sequence[str]) -> int:
    import typer

    from mlplan.cli.commands import application
    from mlplan.cli.quick import lighten
    from mlplan.cli.words import Vocabulary, command_word, normal

    lighten()
    # typer carries its own copy of click, so the base of its usage errors is found by way of one that it exports.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        command = typer.main.get_command(application(command_word(_completed() or arguments)))
        words = normal(arguments, Vocabulary.of(command))
        code = command.main(words, standalone_mode=False, prog_name="mlplan")
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        return 1
    except usage_error as error:
        error.show(sys.stderr)
        return 1
    return int(code) if isinstance(code, int) else 0


def _completed() -> list[str]:
    """Return the words that a shell asks to complete, without the program's name; none outside of a completion."""
    if "_MLPLAN_COMPLETE" not in os.environ:
        return []
    return (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()[1:]


if __name__ == "__main__":
    main()
