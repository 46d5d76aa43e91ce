"""The keys of a project: what its `encryption` block says, resolved. The block is in the files, the keys never are.

The block takes literals alone, so that a saved plan can be opened before anything else is evaluated.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile, Span
from mlplan.lang.syntax import Block, Expr, Literal, TupleExpr
from mlplan.ledger.keys import Key, Keyring, plain_key
from mlplan.spi.schema import BOOL, STRING, Argument, BlockSchema, list_of
from mlplan.spi.secrets import SecretError, resolve

SCHEMA = BlockSchema(
    description="Encryption of state, journal, saved plans and rescue files, with AES-256-GCM.",
    arguments={
        "key": Argument(STRING, 'Where the key is: "env:NAME", "file:PATH", or "aws-kms:KEY".', required=True),
        "previous_keys": Argument(list_of(STRING), "Keys of before, for what they wrote.", default=()),
        "enforced": Argument(BOOL, "Refuse to read what is not encrypted.", default=False),
    },
)
_REFERENCE = re.compile(r"([a-z][a-z0-9-]{1,30}):(.+)")


def find_block(root: Path) -> Block | None:
    """Return the encryption block of the files in a folder, without evaluating anything. Raises: DiagnosticError."""
    for path in sorted(root.glob("*.mlplan.hcl")):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # loading the project will say what is wrong with it
        if "encryption" not in text:
            continue
        body, _ = parse(SourceFile(path.name, text))
        for block in body.blocks:
            for inner in block.body.blocks if block.type == "mlplan" else ():
                if inner.type == "encryption":
                    return inner
    return None


def keyring(block: Block | None, root: Path, environment: Mapping[str, str]) -> Keyring | None:
    """Return the keys of an encryption block, None without one. Raises: DiagnosticError (encryption-invalid, encryption-key)."""
    if block is None:
        return None
    values = {name: _literal(attribute.expr, name) for name, attribute in block.body.attributes.items()}
    unknown = sorted({*values, *(inner.type for inner in block.body.blocks)} - set(SCHEMA.arguments))
    if unknown:
        raise _invalid(f"It has no {unknown[0]}; it takes {', '.join(SCHEMA.arguments)}.", block.header_span)
    key, previous, enforced = values.get("key"), values.get("previous_keys", ()), values.get("enforced", False)
    if not isinstance(key, str):
        raise _invalid('It needs key, which says where the key is: key = "env:MLPLAN_STATE_KEY".', block.header_span)
    if not isinstance(previous, tuple) or not all(isinstance(item, str) for item in previous):
        raise _invalid("previous_keys is a list of strings.", block.header_span)
    if not isinstance(enforced, bool):
        raise _invalid("enforced is true or false.", block.header_span)
    span = block.body.attributes["key"].expr.span
    return Keyring(
        _key(key, root, environment, span),
        [_key(str(item), root, environment, span) for item in previous],
        enforced=enforced,
    )


def _literal(expr: Expr, name: str) -> object:
    if isinstance(expr, Literal):
        return expr.value
    if isinstance(expr, TupleExpr):
        return tuple(_literal(item, name) for item in expr.items)
    detail = f"{name} must be written out: a saved plan is opened before variables are known. Keys never stand in files anyway."
    raise _invalid(detail, expr.span)


def _key(text: str, root: Path, environment: Mapping[str, str], span: Span) -> Key:
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise _refused("The key stands in the files themselves. Say where it is, as in env:MLPLAN_STATE_KEY", span)
    services = {point.name: point for point in importlib.metadata.entry_points(group="mlplan.keys")}
    if match[1] in services:
        made: Key = services[match[1]].load()(match[2])
        return made
    try:
        return plain_key(resolve(text, root, environment))
    except SecretError as error:
        raise _refused(str(error), span) from error
    except ValueError as error:
        raise _refused(f"{text}: {error}", span) from error


def _invalid(detail: str, span: Span) -> DiagnosticError:
    return DiagnosticError(Diagnostic("encryption-invalid", "An encryption block cannot be read", detail, span=span))


def _refused(why: str, span: Span) -> DiagnosticError:
    detail = f"{why}. Make a key with:\n    openssl rand -hex 32"
    return DiagnosticError(Diagnostic("encryption-key", "The encryption key cannot be used", detail, span=span))
