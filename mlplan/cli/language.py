"""Commands for editors: schema and language-server."""

from __future__ import annotations

import sys

import typer

from mlplan.cli.catalogue import add
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError


def register(application: typer.Typer) -> None:
    """Add the commands."""
    add(application, schema, examples="mlplan schema > mlplan.schema.json")
    add(application, language_server, "language-server", examples="mlplan language-server")


def schema() -> int:
    """Print the JSON Schema of the language: every block, argument and type, with descriptions."""
    from mlplan.app.language_schema import language_schema
    from mlplan.report.json_text import dumps

    sys.stdout.write(dumps(language_schema()) + "\n")
    return 0


def language_server() -> int:
    """Serve an editor over stdin and stdout by the Language Server Protocol: diagnostics, completion, hover, definitions."""
    try:
        from mlplan.app.language_server.server import serve
    except ImportError as error:
        detail = f'The language server needs a package that is missing ({error.name}). Install it:\n    pip install "mlplan[lsp]"'
        raise DiagnosticError(Diagnostic("missing-extra", "A plug-in lacks a package", detail)) from error
    serve()
    return 0
