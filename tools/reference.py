"""Writes docs/reference from the commands, the schemas of blocks, the functions, the metrics and the codes of diagnostics: `make docs`.

`python tools/reference.py --check` writes nothing and exits 1 when a page is not what it would be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py (make docs). Change the source, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """Return every page by file name."""
    from mlplan.app.language_schema import language_schema
    from mlplan.report.json_text import dumps

    made = {
        "cli.md": _cli(),
        "blocks.md": _blocks(),
        "functions.md": _functions(),
        "diagnostics.md": _diagnostics(),
        "metrics.md": _metrics(),
    }
    return {
        **{name: NOTE + text for name, text in made.items()},
        "language.schema.json": dumps(language_schema()) + "\n",
    }


def _cli() -> str:
    import typer

    from mlplan.cli.commands import application

    command: Any = typer.main.get_command(application())
    lines = [
        "# Commands",
        "",
        *_paragraphs(command.help),
        "",
        "Exit codes when several apply: the most serious wins, in the order 1, 4, 3, 6, 5, 2.",
    ]
    for words, inner in _commands("mlplan", command):
        lines += ["", f"## {words}", "", *_paragraphs(inner.help)]
        arguments = [p for p in inner.params if p.param_type_name == "argument"]
        options = [p for p in inner.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
        if arguments:
            lines += ["", "| argument | |", "|---|---|"]
            lines += [
                f"| `{p.name.strip('_').upper()}`{'' if p.required else ' (optional)'} | {_cell(p.help)} |"
                for p in arguments
            ]
        lines += ["", "| option | | default |", "|---|---|---|"]
        for option in sorted(options, key=lambda o: o.opts[0]):
            names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
            more = f" Environment: `{option.envvar}`." if option.envvar else ""
            lines.append(f"| {names} | {_cell(option.help)}{more} | {_default(option)} |")
        examples = (inner.epilog or "").partition("Examples:\n")[2]
        if examples:
            lines += ["", "```", *(line.strip() for line in examples.splitlines()), "```"]
    return "\n".join(lines) + "\n"


def _commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from _commands(f"{words} {name}", inner)
        else:
            yield f"{words} {name}", inner


def _default(option: Any) -> str:
    value = option.default
    if value in (None, "", [], (), False) or callable(value) or str(value) == ".":
        return ""
    return "on" if value is True else f"`{value}`"


def _paragraphs(text: str) -> list[str]:
    """Return help text as Markdown: what click keeps as it is becomes a code block."""
    import inspect

    lines: list[str] = []
    for part in inspect.cleandoc(text).split("\n\n"):
        if part.startswith("\b"):
            head, *rest = part.removeprefix("\b").strip("\n").splitlines()
            lines += [head, "", "```", *rest, "```"]
        else:
            lines += [" ".join(part.split())]
        lines.append("")
    return lines[:-1]


def _blocks() -> str:
    from mlplan.app.compose import schemas

    lines = [
        "# Blocks", "",
        "The four nouns. Every noun also takes `count`, `for_each`, `depends_on`, `provider` and a `lifecycle` block; blocks inside may be",
        "written `dynamic`. How types are written: durations as `\"90s\"`, `\"30m\"`, `\"7d\"`; sizes as `\"1Gi\"`, `\"200MiB\"`; rates as",
        "`\"50/s\"`, `\"4/month\"`; fractions as `0.05` or `\"5%\"`. For programs: [language.schema.json](language.schema.json).",
    ]  # fmt: skip
    for name, schema in schemas().items():
        lines += ["", f"## {name}", "", schema.description, *_schema(name, schema)]
        if schema.computed:
            lines += ["", f"Known after apply, read as `{name}.NAME.…`:", "", "| attribute | |", "|---|---|"]
            lines += [f"| `{attribute}` | {_cell(words)} |" for attribute, words in schema.computed.items()]
    return "\n".join(lines) + "\n"


def _schema(path: str, schema: Any) -> list[str]:
    lines = []
    if schema.arguments:
        lines += ["", "| argument | type | | default |", "|---|---|---|---|"]
    for name, argument in schema.arguments.items():
        lines += _argument(name, argument)
    if schema.open_arguments is not None:
        lines += ["", f"Any further argument: {schema.open_arguments.text()}."]
    for name, nested in schema.blocks.items():
        label = ' "NAME"' if nested.labels else ""
        count = "required, " if nested.least else ""
        count += "once" if nested.most == 1 else "any number"
        lines += ["", f"### {path} › {name}{label}", "", f"{nested.schema.description} ({count})"]
        lines += _schema(f"{path} › {name}", nested.schema)
    return lines


def _argument(name: str, argument: Any) -> Iterator[str]:
    words = argument.description + (
        f" One of {', '.join(f'`{c}`' for c in argument.choices)}." if argument.choices else ""
    )
    default = (
        "required"
        if argument.required
        else ""
        if argument.default is False or argument.default in (None, "", (), {})
        else f"`{argument.default}`"
    )
    secret = " (sensitive)" if argument.sensitive else ""
    yield f"| `{name}` | {argument.type.text()}{secret} | {_cell(words)} | {default} |"
    fields = argument.type.fields or (argument.type.of.fields if argument.type.of is not None else {})
    for field, inner in fields.items():
        yield from _argument(f"{name}.{field}", inner)


def _functions() -> str:
    from mlplan.lang.functions import standard_functions

    lines = [
        "# Functions", "",
        "By the names, parameters and results of Terraform's. `mlplan console` tries them out, and has `type(value)` besides.", "",
        "| function | result |", "|---|---|",
    ]  # fmt: skip
    for name, function in sorted(standard_functions().items()):
        parameters = [f"{p.name}: {p.type}" for p in function.parameters]
        if function.rest is not None:
            parameters.append(f"{function.rest.name}: {function.rest.type}…")
        lines.append(f"| `{name}({', '.join(parameters)})` | {function.result} |")
    return "\n".join(lines) + "\n"


def _diagnostics() -> str:
    from mlplan.lang.codes import all_codes

    lines = [
        "# Diagnostics", "",
        "Every message has a stable code, shown in brackets and as `code` in JSON. What is wrong in a certain case stands in its detail.", "",
        "| code | summary |", "|---|---|",
    ]  # fmt: skip
    lines += [f"| `{name}` | {'; '.join(map(_cell, code.summaries))} |" for name, code in sorted(all_codes().items())]
    return "\n".join(lines) + "\n"


def _metrics() -> str:
    from mlplan.judge.registry import ALIASES, METRICS

    lines = [
        "# Metrics of gates", "",
        "Values equal scikit-learn's. Each comes with an interval, and gates are judged by the interval.", "",
        "Among several classes `precision`, `recall` and `f1` are averaged over the classes, and `roc_auc` is each class against the rest.", "",
        "| metric | | better | needs | tasks | also called |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, metric in METRICS.items():
        others = ", ".join(f"`{other}`" for other, of in ALIASES.items() if of == name)
        better = "higher" if metric.greater_is_better else "lower"
        tasks = ", ".join(metric.tasks)
        lines.append(f"| `{name}` | {metric.description} | {better} | {metric.needs} | {tasks} | {others} |")
    return "\n".join(lines) + "\n"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> None:
    """Write the pages, or check them."""
    made = pages()
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in made.items() if _present(name) != text]
        sys.exit(f"not up to date: {', '.join(stale)}; run: make docs" if stale else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        if _present(name) != text:
            (FOLDER / name).write_text(text, encoding="utf-8")
            sys.stdout.write(f"{FOLDER / name}\n")


def _present(name: str) -> str | None:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    main()
