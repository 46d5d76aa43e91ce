"""The entry point: arguments as Terraform's users write them, exit codes, signals, and errors turned into diagnostics."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

# Every long option there is, so that words that only look like one (the value of --reason, say) are left alone.
LONG_OPTIONS = frozenset(
    {
        "at", "auto-approve", "chdir", "check", "compact", "destroy", "detailed-exitcode", "diff", "exclude", "help", "json",
        "install-completion", "lock-timeout", "markdown", "no-color", "no-refresh", "no-wait", "out", "parallelism", "raw",
        "reason", "refresh", "replace", "show-completion", "target", "unattended", "var", "var-file", "version", "who",
        "workspace",
    }
)  # fmt: skip


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    words = normal(arguments)
    if words in (["version"], ["--version"], ["-v"]):
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
        code = application(words)(words, standalone_mode=False, prog_name="mlplan")
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        return 1
    except usage_error as error:
        error.show(sys.stderr)
        return 1
    return int(code) if isinstance(code, int) else 0


def normal(arguments: Sequence[str]) -> list[str]:
    """Return arguments with Terraform's single dash doubled and its global -chdir moved behind the command.

    `-out x` becomes `--out x`. What follows `--` is left alone.
    """
    words: list[str] = []
    for index, word in enumerate(arguments):
        if word == "--":
            words += arguments[index:]
            break
        name = word[1:].partition("=")[0]
        if word.startswith("-") and not word.startswith("--") and name in LONG_OPTIONS:
            word = "-" + word
        # Terraform writes -refresh=false; click wants a flag of its own for it.
        if word.startswith("--refresh="):
            word = "--no-refresh" if word.endswith("false") else "--refresh"
        words.append(word)
    if words and words[0].partition("=")[0] == "--chdir":
        size = 1 if "=" in words[0] else 2
        words = [*words[size : size + 1], *words[:size], *words[size + 1 :]]
    return words


if __name__ == "__main__":
    main()
