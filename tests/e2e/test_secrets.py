"""Canaries: forty secrets through every input channel of real runs; none in any byte that is written or printed."""

from __future__ import annotations

import base64
import gzip
import html
import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import zstandard

from mlplan.cli.main import run
from tests.world.small_project import write_project

KEY = "ab" * 32
INPUTS = {"main.mlplan.hcl", "train.py", "secrets.tfvars", "rows.csv"}


def canaries() -> list[str]:
    """Return forty secrets as people have them: words, tokens, URLs, JSON, several lines, other alphabets."""
    chance = random.Random(40)
    shapes = [
        "hunter-{}", "ghp_{}AbC", 'q"uo\\te{}', "sp ace {}", "p{}&a=b%c", "postgres://me:{}@db/x", '{{"token": "{}"}}',
        "-----BEGIN KEY-----\n{}{}\n-----END KEY-----", "schlüssel-{}-ключ", "<b>{}</b>",
    ]  # fmt: skip
    return [shape.replace("{}", f"{chance.getrandbits(64):016x}") for _ in range(4) for shape in shapes]


def spellings(secret: str) -> dict[str, bytes]:
    """Return a secret in eight encodings."""
    data = secret.encode()
    return {
        "plain": data, "base64": base64.b64encode(data).rstrip(b"=")[:-1], "hex": data.hex().encode(),
        "url": quote(secret, safe="").encode(), "json": json.dumps(secret)[1:-1].encode(),
        "utf-16": secret.encode("utf-16-le"), "reversed": secret[::-1].encode(), "html": html.escape(secret).encode(),
    }  # fmt: skip


PRINTS = """\
import base64, html, json, os, sys
from urllib.parse import quote
names = sorted(name for name in os.environ if name.startswith("CANARY_"))
assert len(names) >= 30, names
for name in names:
    secret = os.environ[name]
    data = secret.encode()
    print("given:", secret, "repr", repr(secret), file=sys.stderr)
    print(json.dumps({name: secret}), quote(secret, safe=""), html.escape(secret), secret[::-1], data.hex())
    print(base64.b64encode(data).decode(), base64.b64encode(b"user:" + data + b"!").decode())
    sys.stdout.flush()
    sys.stdout.buffer.write(secret.encode("utf-16-le") + b"\\n")
"""


class Site:
    """A project into which the canaries flow; `told` collects what commands print."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.told, self._capfd = folder, b"", capfd
        self.secrets = canaries()
        variables, environment, files, stray = (self.secrets[n : n + 10] for n in (0, 10, 20, 30))
        lines = []
        for number, secret in enumerate(variables):
            lines.append(f"    CANARY_V{number} = var.secret_{number}")
            if number % 2:
                monkeypatch.setenv(f"MLPLAN_VAR_secret_{number}", secret)
        for number, secret in enumerate(environment):
            monkeypatch.setenv(f"SOURCE_{number}", secret)
            lines.append(f'    CANARY_E{number} = "env:SOURCE_{number}"')
        (folder / "hidden").mkdir(parents=True)
        for number, secret in enumerate(files):
            (folder / "hidden" / f"{number}.txt").write_text(secret + "\n", encoding="utf-8")
            lines.append(f'    CANARY_F{number} = "file:hidden/{number}.txt"')
        # What merely surrounds the command: other programs' secrets.
        for number, secret in enumerate(stray[:9]):
            monkeypatch.setenv(
                ["AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "GITHUB_TOKEN"][number % 3] + f"_{number // 3}", secret
            )
        monkeypatch.setenv("STATE_KEY", KEY)
        train = "    secrets = {\n" + "\n".join(lines) + "\n    }"
        write_project(folder, train=train, more=PRINTS)
        path = folder / "main.mlplan.hcl"
        declared = "".join(f'variable "secret_{n}" {{\n  type = string\n  sensitive = true\n}}\n' for n in range(10))
        shown = "".join(
            f'output "o{n}" {{\n  sensitive = true\n  value = "x${{var.secret_{n}}}"\n}}\n' for n in range(10)
        )
        path.write_text(path.read_text() + declared + shown)
        given = [f"secret_{n} = {json.dumps(s, ensure_ascii=False)}" for n, s in enumerate(variables) if not n % 2]
        (folder / "secrets.tfvars").write_text(
            "\n".join(given).replace("%{", "%%{").replace("${", "$${") + "\n", encoding="utf-8"
        )

    def run(self, *words: str) -> int:
        """Run one command in the project."""
        code = run([f"-chdir={self.folder}", *words])
        told = self._capfd.readouterr()
        self.told += (told.out + told.err).encode("utf-8", "surrogateescape")
        return code

    def with_variables(self, *words: str) -> int:
        """Run one command that takes variables."""
        return self.run(*words, "-var-file", str(self.folder / "secrets.tfvars"))

    def hits(self) -> list[str]:
        """Return where a canary is, in which encoding."""
        needles = [(n, how, text) for n, s in enumerate(self.secrets) for how, text in spellings(s).items()]
        needles += [(99, "the key", KEY.encode()), (99, "the key", bytes.fromhex(KEY))]
        found = []
        for name, data in [("(printed)", self.told), *self.written()]:
            found += [f"{name}: canary {n} as {how}" for n, how, text in needles if text in data]
        return found

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file that mlplan wrote, compressed ones opened too, and its name."""
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file() or path.name in INPUTS or path.parent.name == "hidden":
                continue
            data = path.read_bytes()
            yield str(path), str(path).encode() + data
            if path.suffix == ".zst":
                yield str(path), zstandard.ZstdDecompressor().stream_reader(data).read()
            if data[:2] == b"\x1f\x8b":
                yield str(path), gzip.decompress(data)
            for start in (at for at in range(len(data) - 2) if data[at : at + 2] in (b"\x78\x9c", b"\x78\xda")):
                try:
                    yield str(path), zlib.decompressobj().decompress(data[start:])
                except zlib.error:
                    continue


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Site:
    return Site(tmp_path / "project", monkeypatch, capfd)


def test_no_canary_in_any_byte(site: Site) -> None:
    saved = str(site.folder / "saved.plan")
    assert site.with_variables("init") == 0
    assert site.with_variables("plan", "-out", saved) == 0
    assert site.with_variables("plan", "-json") == 0
    assert site.run("comment", saved) == 0
    assert site.with_variables("apply", "-auto-approve", "-json") == 0
    assert b"400 rows" in site.told
    log = b"".join(path.read_bytes() for path in site.folder.rglob("log*") if path.is_file())
    assert log.count(b"(secret)") > 30 * 5, "the script printed them, and they were masked"
    assert site.with_variables("state", "pull") == 0
    assert site.with_variables("state", "show", "model.toy") == 0
    assert site.with_variables("history") == 0
    assert site.with_variables("explain", "model.toy") == 0
    # A change that fails, with a traceback that holds every secret.
    script = site.folder / "train.py"
    script.write_text(
        script.read_text().replace(
            "model = Log", 'raise SystemExit(" ".join(os.environ[n] for n in names))\nmodel = Log'
        )
    )
    assert site.with_variables("apply", "-auto-approve") == 1
    assert site.hits() == []


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("    params = { token = var.secret_0 }", "secret-not-here"),
        ("    params = { token = { deep = [\"a${var.secret_0}\"] } }", "secret-not-here"),
        ("    seed = length(var.secret_0)", "secret-not-here"),
        ("    seed = var.secret_0", "secret"),
        ('    secrets = { A = "MISSING" }', "secret-missing"),
        ('    secrets = { A = "env:NOT_SET" }', "secret-missing"),
        ('    secrets = { A = "file:hidden/none.txt" }', "secret-missing"),
        ('    secrets = { A = "hidden/none:x" }', "secret-missing"),
    ],
)  # fmt: skip
def test_mistakes_around_secrets_show_none(site: Site, where: str, code: str) -> None:
    path = site.folder / "main.mlplan.hcl"
    text = path.read_text()
    begin, end = text.index("    secrets = {"), text.index("  evaluate {")
    path.write_text(text[:begin] + where + "\n  }\n" + text[end:])
    assert site.with_variables("init") in (0, 1)
    site.with_variables("apply", "-auto-approve")
    assert code.encode() in site.told, site.told.decode()
    assert site.hits() == []


def test_conditions_and_outputs_show_none(site: Site) -> None:
    path = site.folder / "main.mlplan.hcl"
    path.write_text(
        path.read_text()
        + """
output "open" {
  value = "see ${var.secret_1}"
}
check "c" {
  assert {
    condition     = var.secret_2 == "other"
    error_message = "it is ${var.secret_2}"
  }
}
locals {
  wrong = tonumber(var.secret_3)
}
output "wrong" {
  sensitive = true
  value     = local.wrong
}
"""
    )
    site.with_variables("validate")
    site.with_variables("init")
    assert site.with_variables("plan") == 1
    assert b"sensitive" in site.told
    assert site.hits() == []
