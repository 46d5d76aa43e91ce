"""The language as JSON Schema, for editors and for programs that write files: made from the schemas that the kinds declare.

A document is one file as JSON: blocks by type, then by label; arguments as values, or as text with an expression in `${ }`.
"""

from __future__ import annotations

from typing import Any

from mlplan import __version__
from mlplan.app.compose import schemas
from mlplan.config.module import LABELLED
from mlplan.spi.schema import Argument, ArgumentType, BlockSchema, NestedBlock

DRAFT = "https://json-schema.org/draft/2020-12/schema"
EXPRESSION = {"$ref": "#/$defs/expression"}
NUMERIC = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"

_PRIMITIVE: dict[str, dict[str, Any]] = {
    "string": {"type": ["string", "number", "boolean"]},
    "provider": {"type": "string"},
    "number": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": NUMERIC}]},
    "integer": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^-?[0-9]+$"}]},
    "bool": {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]},
    "any": {},
    "duration": {"type": ["string", "number"], "examples": ["90s", "30m", "7d"]},
    "size": {"type": ["string", "integer"], "examples": ["1Gi", "200MiB"]},
    "rate": {"type": ["string", "number"], "examples": ["50/s", "4/month"]},
    "fraction": {"type": ["string", "number"], "examples": [0.05, "5%"]},
}
_META: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "variable": (("type", "default", "description", "sensitive", "nullable", "ephemeral"), ("validation",)),
    "output": (("value", "description", "sensitive", "ephemeral", "depends_on"), ("precondition",)),
    "moved": (("from", "to"), ()),
    "removed": (("from",), ("lifecycle",)),
    "check": ((), ("assert",)),
    "mlplan": (("required_version",), ("required_providers", "backend", "encryption")),
}
"""The arguments and blocks of meta blocks; those that are not named here (locals, module, provider, import) are open."""
OPEN = ("locals", "module", "provider", "import")


def language_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file."""
    blocks: dict[str, Any] = {name: _labelled(f"#/$defs/{name}") for name in schemas()}
    blocks |= {name: _meta(name) for name in (*_META, *OPEN)}
    definitions = {name: _noun(schema) for name, schema in schemas().items()}
    definitions["expression"] = {
        "description": "Text that holds an expression or a directive of the language.",
        "type": "string",
        "pattern": r"[$%]\{",
    }
    return {
        "$schema": DRAFT,
        "title": f"Files of mlplan {__version__}",
        "type": "object",
        "properties": blocks,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _noun(schema: BlockSchema) -> dict[str, Any]:
    made = _block(schema)
    lists = {"anyOf": [{"type": "array"}, EXPRESSION]}
    made["properties"] |= {
        "count": _argument(Argument(ArgumentType("integer"), "How many instances.")),
        "for_each": {"description": "An instance for each of these."},
        "depends_on": {**lists, "description": "What has to be done before, beyond what is referred to."},
        "provider": {"type": "string", "description": "Which provider does it."},
        "lifecycle": {"type": "object", "description": "Conditions, and protection against removal."},
    }
    return made


def _block(schema: BlockSchema) -> dict[str, Any]:
    properties = {name: _argument(argument) for name, argument in schema.arguments.items()}
    properties |= {name: _nested(nested) for name, nested in schema.blocks.items()}
    if schema.blocks:
        properties["dynamic"] = {"type": "object", "description": "Blocks made from a collection."}
    made: dict[str, Any] = {"type": "object", "description": schema.description, "properties": properties}
    made["additionalProperties"] = _type(schema.open_arguments) if schema.open_arguments is not None else False
    required = [name for name, argument in schema.arguments.items() if argument.required]
    required += [name for name, nested in schema.blocks.items() if nested.least]
    if required:
        # A dynamic block may bring what is missing.
        made["anyOf"] = (
            [{"required": required}, {"required": ["dynamic"]}] if schema.blocks else [{"required": required}]
        )
    return made


def _nested(nested: NestedBlock) -> dict[str, Any]:
    inner = _block(nested.schema)
    if nested.labels:
        return {"type": "object", "additionalProperties": inner, "description": nested.schema.description}
    return inner if nested.most == 1 else {"anyOf": [inner, {"type": "array", "items": inner}]}


def _argument(argument: Argument) -> dict[str, Any]:
    made = {"enum": list(argument.choices)} if argument.choices else _type(argument.type)
    words = argument.description + (" Sensitive." if argument.sensitive else "")
    return {"anyOf": [made, EXPRESSION, {"type": "null"}], "description": words}


def _type(type_: ArgumentType) -> dict[str, Any]:
    if type_.semantic == "reference":
        return EXPRESSION
    if type_.semantic == "list":
        return {"type": "array", "items": _value(type_.of)}
    if type_.semantic == "map":
        return {"type": "object", "additionalProperties": _value(type_.of)}
    if type_.semantic == "object":
        fields = {name: _argument(argument) for name, argument in type_.fields.items()}
        required = [name for name, argument in type_.fields.items() if argument.required]
        made: dict[str, Any] = {"type": "object", "properties": fields, "additionalProperties": False}
        return {**made, "required": required} if required else made
    return _PRIMITIVE[type_.semantic]


def _value(type_: ArgumentType | None) -> dict[str, Any]:
    return {"anyOf": [_type(type_), EXPRESSION, {"type": "null"}]} if type_ is not None else {}


def _labelled(target: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"$ref": target}}


def _meta(name: str) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "object"}
    if name in _META:
        arguments, blocks = _META[name]
        inner |= {"properties": {word: {} for word in (*arguments, *blocks)}, "additionalProperties": False}
    if name in LABELLED:
        return {"type": "object", "additionalProperties": inner}
    return {"anyOf": [inner, {"type": "array", "items": inner}]}
