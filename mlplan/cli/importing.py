"""The command import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mlplan.app.untrusted import refuse_foreign
from mlplan.cli import completing
from mlplan.cli.applying import Manner, apply_plan
from mlplan.cli.catalogue import add
from mlplan.cli.options import (
    Chdir,
    Json,
    LockTimeout,
    NoColor,
    Parallelism,
    Var,
    VarFile,
    Workspace,
    project,
    seconds,
    settings,
)
from mlplan.engine.kind import Options


def register(application: typer.Typer) -> None:
    """Add the command."""
    add(
        application, import_, name="import",
        examples="""
        mlplan import model.fraud sha256:1f0c9d2e#v17
        mlplan import model.fraud models:/fraud/3
        mlplan import model.fraud mlflow:/srv/mlflow/mlruns#models:/fraud@champion
        mlplan import 'model.fraud.deployment["production"]' http://127.0.0.1:8080
        """,
    )  # fmt: skip


def import_(
    address: Annotated[
        str, typer.Argument(help="What takes it over, as the files declare it.", autocompletion=completing.addresses)
    ],
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Of a model: a digest, a path, or a model of an MLflow store. Of a deployment: the name or URL of its endpoint."
        ),
    ],
    chdir: Chdir = Path(), var: Var = [], var_file: VarFile = [], workspace: Workspace = "",  # noqa: B006
    lock_timeout: LockTimeout = "0s", parallelism: Parallelism = 10, json: Json = False, no_color: NoColor = False,
) -> int:  # fmt: skip
    """Take over what exists already: a model trained elsewhere, or an endpoint that runs. An `import` block does it with a plan."""
    refuse_foreign(os.environ, "import")
    opened = project(settings(chdir, var, var_file, workspace, no_color))
    options = Options(imports={address: identity}, parallelism=parallelism)
    return apply_plan(opened, options, None, Manner("import", True, seconds(lock_timeout), json))
