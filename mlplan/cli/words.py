"""Arguments as Terraform's users write them, turned into those that click reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class Vocabulary:
    """The long options of the commands at hand, without dashes. flags take no value; switches can be switched off by --no-NAME."""

    options: frozenset[str]
    flags: frozenset[str]
    switches: frozenset[str]

    @classmethod
    def of(cls, command: Any) -> Vocabulary:
        """Return the vocabulary of a click command and of all commands inside it."""
        options: set[str] = {"help", "chdir"}
        flags: set[str] = {"help"}
        switches: set[str] = set()
        for parameter in _parameters(command):
            on, off = _long(parameter.opts), _long(parameter.secondary_opts)
            options |= {*on, *off}
            if getattr(parameter, "is_flag", False):
                flags |= {*on, *off}
                switches |= {name for name in on if f"no-{name}" in off}
        return cls(frozenset(options), frozenset(flags), frozenset(switches))


def command_word(arguments: Sequence[str]) -> str:
    """Return the first word that names a command, skipping a global -chdir and its value."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word.lstrip("-") == "chdir" and word.startswith("-"):
            skip = True
        elif not word.startswith("-"):
            return word
    return ""


def normal(arguments: Sequence[str], known: Vocabulary) -> list[str]:
    """Return arguments with Terraform's single dash doubled.

    `-out x` becomes `--out x`, and so does `-oout`, for a message that says what was meant. Values of options, and what follows
    `--`, are left alone.
    """
    words: list[str] = []
    for index, word in enumerate(arguments):
        if word == "--":
            words += arguments[index:]
            break
        before = words[-1].removeprefix("--") if words and words[-1].startswith("--") else ""
        if before in known.options - known.flags:
            words.append(word)
            continue
        name = word[1:].partition("=")[0]
        single = word.startswith("-") and not word.startswith("--")
        if single and len(name) > 1 and get_close_matches(name, known.options, 1, 0.7):
            word = "-" + word
        words += _flag(word, known)
    return words


def _flag(word: str, known: Vocabulary) -> list[str]:
    """Return `--refresh=false` as `--no-refresh`, `--json=true` as `--json`: in Terraform flags may have a value, in click not."""
    name, equals, value = word.removeprefix("--").partition("=")
    if not equals or not word.startswith("--") or name not in known.flags or value not in ("true", "false"):
        return [word]
    if value == "true":
        return [f"--{name}"]
    return [f"--no-{name}"] if name in known.switches else []


def _parameters(command: Any) -> Iterator[Any]:
    yield from command.params
    for inner in getattr(command, "commands", {}).values():
        yield from _parameters(inner)


def _long(names: Iterable[str]) -> list[str]:
    return [name.removeprefix("--") for name in names if name.startswith("--")]
