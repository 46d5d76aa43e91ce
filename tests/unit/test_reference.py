"""docs/reference is what the commands, schemas, functions and codes say now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "tools" / "reference.py"


def test_the_reference_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages = module.pages()
    assert {"cli.md", "blocks.md", "functions.md", "diagnostics.md", "metrics.md", "language.schema.json"} == set(pages)
    for name, text in pages.items():
        assert (module.FOLDER / name).read_text() == text, f"{name} is not up to date; run: make docs"
