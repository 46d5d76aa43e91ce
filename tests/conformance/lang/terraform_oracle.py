"""Asks the real `terraform console`. Also the script that records its answers: python terraform_oracle.py"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def cases() -> list[str]:
    """Return every expression of the corpus."""
    files = [HERE / "expressions.txt", *sorted((HERE / "corpus").glob("*.txt"))]
    lines = [line for file in files for line in file.read_text().split("\n")]
    single = [line for line in lines if line and not line.startswith("#")]
    multiple = [text.strip("\n") for text in (HERE / "multiline.txt").read_text().split("\n---\n")]
    return list(dict.fromkeys(single + multiple))


def find_terraform() -> str | None:
    """Return the program, if it is installed."""
    return shutil.which("terraform")


def ask(terraform: str, expression: str) -> dict[str, str]:
    """Return {"answer": text} or {"error": summary, "detail": text} as Terraform gives it, in a folder with the test files."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(HERE / "files", folder, dirs_exist_ok=True)
        typed = expression
        if "\n" in expression:
            Path(folder, "main.tf").write_text(f"locals {{\n  x = {expression}\n}}\n")
            typed = "local.x"
        environment = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME")},
            "TF_CLI_CONFIG_FILE": "/dev/null",
            "GOMAXPROCS": "1",
            "CHECKPOINT_DISABLE": "1",
            "TF_DATA_DIR": str(Path(folder, ".terraform")),
        }
        done = subprocess.run(
            [terraform, "console", "-no-color"],
            input=f"{typed}\n".encode(), capture_output=True, cwd=folder, env=environment, timeout=30, check=False,
        )  # fmt: skip
    text = _COLOUR.sub("", done.stderr.decode())
    errors = re.search(r"Error: ([^\n]+)\n(.*)", text, re.DOTALL)
    if errors is None:
        return {"answer": done.stdout.decode().removesuffix("\n")}
    detail = re.sub(r"\s+", " ", re.sub(r"(?s).*?\n\n", "", errors.group(2).strip("\n"), count=1)).strip()
    return {"error": errors.group(1).strip(), "detail": detail.partition(" goroutine ")[0]}


def main() -> None:
    """Record the answer to every case that has none; with --again, to all."""
    terraform = find_terraform()
    if terraform is None:
        sys.exit("terraform is not installed")
    known = {} if "--again" in sys.argv else json.loads(RECORDED.read_text())
    every = cases()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda case: known.get(case) or ask(terraform, case), every))
    RECORDED.write_text(json.dumps(dict(zip(every, answers, strict=True)), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
