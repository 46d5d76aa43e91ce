"""Records what `terraform fmt` makes of the cases: python fmt_oracle.py"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RECORDED = HERE / "fmt_recorded.json"


def cases() -> list[str]:
    """Return every source text of the corpus."""
    return [text.strip("\n") + "\n" for text in (HERE / "fmt_cases.txt").read_text().split("\n---\n")]


def ask(terraform: str, text: str) -> str | None:
    """Return what `terraform fmt` makes of a text, None where it refuses it."""
    environment = {"TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1", "HOME": "/tmp"}
    done = subprocess.run(
        [terraform, "fmt", "-"], input=text, text=True, capture_output=True, env=environment, timeout=30, check=False
    )
    return done.stdout if done.returncode == 0 else None


def main() -> None:
    """Record every case."""
    terraform = shutil.which("terraform")
    if terraform is None:
        sys.exit("terraform is not installed")
    answers = {text: ask(terraform, text) for text in cases()}
    RECORDED.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
