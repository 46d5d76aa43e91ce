"""Coverage-guided fuzzing of parser and evaluator, for a bounded time; writes docs/fuzzing.md.

    python tools/fuzz.py                    five minutes
    python tools/fuzz.py --seconds 60       one minute

A finding is a text that ends in anything but an answer or diagnostics, or takes longer than ten seconds. Findings are kept
in .fuzz/findings, the corpus in .fuzz/corpus.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "tests" / "conformance" / "lang"
WORK = ROOT / ".fuzz"
LONGEST = 10
"""Seconds one text may take."""


def target() -> None:
    """Be the fuzzed process: libFuzzer takes over and exits."""
    import atheris

    with atheris.instrument_imports(include=["mlplan.lang"]):
        from mlplan.lang.console import answer
        from mlplan.lang.fmt import format_text
        from mlplan.lang.parse import parse
        from mlplan.lang.scope import Scope
        from mlplan.lang.source import SourceFile

    def one(data: bytes) -> None:
        text = data[1:].decode("utf-8", "surrogateescape" if data[:1] == b"!" else "replace")
        said, problems = answer(text, Scope())
        if (said is None) != bool(problems):
            raise AssertionError("neither an answer nor diagnostics")
        _, problems = parse(SourceFile("x.mlplan.hcl", text))
        if not problems and format_text(format_text(text)) != format_text(text):
            raise AssertionError("formatting is not stable")

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


def main() -> int:
    """Run the campaign and write what came of it."""
    if len(sys.argv) > 1 and sys.argv[1].startswith("-artifact_prefix"):
        target()
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300)
    seconds = parser.parse_args().seconds
    corpus, findings = WORK / "corpus", WORK / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate((SEEDS / "expressions.txt").read_text().splitlines()):
        (corpus / f"seed-{number}").write_text(" " + line)
    command = [
        sys.executable, str(Path(__file__).resolve()), f"-artifact_prefix={findings}/", f"-max_total_time={seconds}",
        f"-timeout={LONGEST}", "-rss_limit_mb=2048", "-max_len=512", "-print_final_stats=1", str(corpus),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 300, check=False)
    executed = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    found = sorted(path.name for path in findings.iterdir())
    if executed is None or not covered:
        sys.stderr.write(done.stderr[-4000:])
        return 1
    report(int(executed[1]), int(covered[-1]), seconds, found)
    if found:
        sys.stderr.write(done.stderr[-4000:])
    return 1 if found else 0


def report(executed: int, covered: int, seconds: int, found: list[str]) -> None:
    """Write docs/fuzzing.md."""
    text = f"""# Fuzzing

Parser, evaluator and formatter under atheris (libFuzzer), seeded with the corpus of expressions. A finding is a text that ends in anything
but an answer or diagnostics, whose formatting is not stable, or that takes longer than {LONGEST} s. `make fuzz` runs it again.

| when | seconds | texts | edges covered | findings |
|---|---:|---:|---:|---:|
| {datetime.now(UTC):%Y-%m-%d} | {seconds} | {executed:,} | {covered:,} | {len(found)} |
"""
    (ROOT / "docs" / "fuzzing.md").write_text(text, encoding="utf-8")
    print(f"{executed:,} texts in {seconds} s, {covered:,} edges, findings: {', '.join(found) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
