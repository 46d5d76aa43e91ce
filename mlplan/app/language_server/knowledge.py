"""What can be said about a project's files at a place: completions, hovers, definitions. Knows text and schemas, no protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlplan.app.compose import schemas
from mlplan.app.language_server.place import Place
from mlplan.config.module import META
from mlplan.lang.functions import standard_functions
from mlplan.lang.functions.registry import Function
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Block
from mlplan.spi.schema import Argument, BlockSchema

META_WORDS: Mapping[str, str] = {
    "mlplan": "Settings of the project: required_version, required_providers, backend.",
    "provider": "Settings of a provider; alias gives it a second name.",
    "variable": "An input: type, default, description, validation, sensitive.",
    "locals": "Names for values that blocks share.",
    "output": "A value that apply prints and other projects read.",
    "module": "Files of another folder, with inputs.",
    "moved": "Says that an address was renamed: from, to. Nothing is trained again.",
    "removed": "Says that an address left the files: from; lifecycle { destroy = false } forgets it only.",
    "import": "Takes over something that exists already.",
    "check": "Assertions that warn and stop nothing.",
}
META_ARGUMENTS: Mapping[str, str] = {
    "count": "How many instances.",
    "for_each": "An instance for each of these.",
    "depends_on": "What has to be done before, beyond what is referred to.",
    "provider": "Which provider does it.",
}
INSIDE_META: Mapping[str, tuple[str, ...]] = {
    "variable": ("type", "default", "description", "sensitive", "nullable", "ephemeral", "validation"),
    "output": ("value", "description", "sensitive", "depends_on", "precondition"),
    "mlplan": ("required_version", "required_providers", "backend"),
    "moved": ("from", "to"),
    "removed": ("from", "lifecycle"),
    "check": ("assert",),
    "lifecycle": ("prevent_destroy", "ignore_changes", "replace_triggered_by", "precondition", "postcondition"),
    "import": ("to", "id", "for_each"),
    "validation": ("condition", "error_message"),
    "precondition": ("condition", "error_message"),
    "postcondition": ("condition", "error_message"),
    "assert": ("condition", "error_message"),
}


@dataclass(frozen=True)
class Suggestion:
    """One completion. sort: block, argument, value, function or reference. text: what is written, $0 where the cursor goes."""

    label: str
    sort: str
    detail: str = ""
    text: str = ""


@dataclass
class Knowledge:
    """The declared names of a project. declared: dotted name -> where it stands."""

    declared: dict[str, Span] = field(default_factory=dict)
    nouns: Mapping[str, BlockSchema] = field(default_factory=schemas)
    functions: Mapping[str, Function] = field(default_factory=standard_functions)

    @staticmethod
    def of(sources: Iterable[SourceFile]) -> Knowledge:
        """Return what files declare; what cannot be read in them is left out."""
        made = Knowledge()
        for source in sources:
            body, _ = parse(source)
            for block in body.blocks:
                made._declare(block)
        return made

    def _declare(self, block: Block) -> None:
        if block.type == "locals":
            self.declared |= {f"local.{name}": a.name_span for name, a in block.body.attributes.items()}
        elif len(block.labels) == 1:
            word = {"variable": "var"}.get(block.type, block.type)
            name = f"{word}.{block.labels[0]}"
            self.declared[name] = block.header_span
            schema = self.nouns.get(block.type)
            inner = [b for b in block.body.blocks if schema is not None and b.type in schema.blocks and b.labels]
            self.declared |= {f"{name}.{b.type}.{b.labels[0]}": b.header_span for b in inner}

    def definition(self, word: str) -> Span | None:
        """Return where the longest declared beginning of a reference stands."""
        parts = word.replace("[", ".").split(".")
        for size in range(len(parts), 1, -1):
            span = self.declared.get(".".join(parts[:size]))
            if span is not None:
                return span
        return None

    def complete(self, place: Place) -> list[Suggestion]:
        """Return what could be written at a place."""
        argument = self._argument(place)
        if place.argument is None and not place.quoted:
            return self._names(place)
        if place.quoted:
            return [Suggestion(choice, "value") for choice in argument.choices] if argument is not None else []
        found = [Suggestion(f'"{choice}"', "value") for choice in (argument.choices if argument is not None else ())]
        if argument is not None and argument.type.semantic == "bool":
            found += [Suggestion("true", "value"), Suggestion("false", "value")]
        head, dot, _ = place.prefix.rpartition(".")
        if dot:
            return self._members(head)
        roots = dict.fromkeys(
            name.partition(".")[0] for name in self.declared if not name.startswith(("output.", "check."))
        )
        found += [Suggestion(root, "reference", "", f"{root}.") for root in (*roots, "path", "each", "count")]
        found += [
            Suggestion(name, "function", signature(function), f"{name}($0)")
            for name, function in self.functions.items()
        ]
        return found

    def _names(self, place: Place) -> list[Suggestion]:
        if not place.blocks:
            nouns = [
                Suggestion(name, "block", schema.description, f'{name} "$1" {{\n  $0\n}}')
                for name, schema in self.nouns.items()
            ]
            return nouns + [Suggestion(word, "block", META_WORDS.get(word, ""), f"{word} ") for word in META]
        schema = self._schema(place.blocks)
        if schema is None:
            return [Suggestion(word, "argument", "", f"{word} ") for word in INSIDE_META.get(place.blocks[-1], ())]
        found = [
            Suggestion(name, "argument", f"{argument.type.text()}. {argument.description}", f"{name} = $0")
            for name, argument in schema.arguments.items()
        ]
        for name, nested in schema.blocks.items():
            label = ' "$1"' if nested.labels else ""
            found.append(Suggestion(name, "block", nested.schema.description, f"{name}{label} {{\n  $0\n}}"))
        if len(place.blocks) == 1:
            found += [Suggestion(name, "argument", words, f"{name} = $0") for name, words in META_ARGUMENTS.items()]
            found.append(Suggestion("lifecycle", "block", "Conditions and protection.", "lifecycle {\n  $0\n}"))
        return found

    def _members(self, head: str) -> list[Suggestion]:
        """Return what may follow a dot."""
        depth = head.count(".") + 1
        names = dict.fromkeys(
            name.split(".")[depth] for name in self.declared if name.startswith(head + ".") and name.count(".") >= depth
        )
        found = [Suggestion(name, "reference") for name in names]
        if head in ("path", "each", "count"):
            members = {"path": ("root", "module", "cwd"), "each": ("key", "value"), "count": ("index",)}[head]
            return [Suggestion(member, "reference") for member in members]
        schema = self.nouns.get(head.partition(".")[0])
        if schema is not None and depth == 2:
            found += [Suggestion(name, "reference", words) for name, words in schema.computed.items()]
            found += [Suggestion(name, "reference", a.description) for name, a in schema.arguments.items()]
            found += [Suggestion(name, "reference", b.schema.description) for name, b in schema.blocks.items()]
        return list({s.label: s for s in found}.values())

    def hover(self, place: Place, word: str) -> str | None:
        """Return Markdown about the word at a place."""
        if place.argument is not None or place.quoted:
            if word in self.functions:
                return f"```\n{signature(self.functions[word])}\n```"
            return self._about_reference(word)
        if not place.blocks:
            if word in self.nouns:
                return f"**{word}**: {self.nouns[word].description}"
            return f"**{word}**: {META_WORDS[word]}" if word in META_WORDS else None
        schema = self._schema(place.blocks)
        if schema is not None and word in schema.arguments:
            return about(word, schema.arguments[word])
        if schema is not None and word in schema.blocks:
            return f"**{word}**: {schema.blocks[word].schema.description}"
        if len(place.blocks) == 1 and word in META_ARGUMENTS:
            return f"**{word}**: {META_ARGUMENTS[word]}"
        return None

    def _about_reference(self, word: str) -> str | None:
        parts = word.split(".")
        schema = self.nouns.get(parts[0])
        if schema is None:
            return f"`{word}`" if word in self.declared else None
        if len(parts) > 2:
            if parts[2] in schema.computed:
                return f"**{parts[2]}** (known after apply): {schema.computed[parts[2]]}"
            if parts[2] in schema.arguments:
                return about(parts[2], schema.arguments[parts[2]])
        return f"**{parts[0]}**: {schema.description}"

    def _schema(self, blocks: tuple[str, ...]) -> BlockSchema | None:
        schema = self.nouns.get(blocks[0]) if blocks else None
        for name in blocks[1:]:
            if schema is None or name not in schema.blocks:
                return None
            schema = schema.blocks[name].schema
        return schema

    def _argument(self, place: Place) -> Argument | None:
        schema = self._schema(place.blocks)
        return schema.arguments.get(place.argument or "") if schema is not None else None


def about(name: str, argument: Argument) -> str:
    """Return Markdown about an argument."""
    lines = [
        f"**{name}** ({argument.type.text()}{', required' if argument.required else ''})",
        "",
        argument.description,
    ]
    if argument.choices:
        lines += ["", "One of " + ", ".join(f"`{choice}`" for choice in argument.choices) + "."]
    return "\n".join(lines)


def signature(function: Function) -> str:
    """Return a function with its parameters and its result."""
    parameters = [f"{p.name}: {p.type}" for p in function.parameters]
    if function.rest is not None:
        parameters.append(f"{function.rest.name}: {function.rest.type}...")
    return f"{function.name}({', '.join(parameters)}) -> {function.result}"
