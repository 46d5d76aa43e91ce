"""The entry point: arguments as Terraform's users write them, exit codes, signals, and errors turned into diagnostics."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

FLAGS_WITH_ONE_DASH = frozenset(
    {
        "auto-approve", "chdir", "check", "compact", "destroy", "detailed-exitcode", "diff", "exclude", "help", "json",
        "lock-timeout", "markdown", "no-color", "no-wait", "out", "parallelism", "reason", "refresh", "replace", "raw",
        "target", "unattended", "var", "var-file", "version", "who", "workspace", "at",
    }
)  # fmt: skip


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    words = double_dashes(arguments)
    if words[:1] in (["version"], ["--version"]):
        # Answered before anything else is imported: scripts ask it often.
        from mlplan import __version__

        sys.stdout.write(f"mlplan {__version__}\n")
        return 0
    from mlplan.cli.errors import guarded

    return guarded(lambda: _typer(words))


def _typer(words: list[str]) -> int:
    import typer

    from mlplan.cli.commands import application

    # typer carries its own copy of click, so the base of its usage errors is found by way of one that it exports.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        code = application(words, standalone_mode=False, prog_name="mlplan")
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        return 1
    except usage_error as error:
        error.show(sys.stderr)
        return 1
    return int(code) if isinstance(code, int) else 0


def double_dashes(arguments: Sequence[str]) -> list[str]:
    """Return arguments with Terraform's single dash doubled: `-out x` becomes `--out x`. What follows `--` is left alone."""
    words: list[str] = []
    for index, word in enumerate(arguments):
        if word == "--":
            return [*words, *arguments[index:]]
        name = word[1:].partition("=")[0]
        if word.startswith("-") and not word.startswith("--") and name in FLAGS_WITH_ONE_DASH:
            word = "-" + word
        # Terraform writes -var=a=b and -refresh=false; click wants a separate word for values of flags.
        if word.startswith("--refresh="):
            word = "--no-refresh" if word.endswith("false") else "--refresh"
        words.append(word)
    return words


def environment() -> dict[str, str]:
    """Return the process environment; one place, so that tests can hand in another."""
    return dict(os.environ)


if __name__ == "__main__":
    main()
