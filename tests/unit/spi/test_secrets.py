"""References to secrets: what they lead to, and that no message repeats a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplan.lang.hidden import hide
from mlplan.lang.values import Secret
from mlplan.spi.secrets import SecretError, is_reference, resolve


def test_forms(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("of a file\nsecond line\r\n")
    assert resolve("env:NAME", tmp_path, {"NAME": "of the environment"}) == "of the environment"
    assert resolve("file:s.txt", tmp_path) == "of a file\nsecond line"
    assert resolve(f"file:{tmp_path}/s.txt", Path("/elsewhere")) == "of a file\nsecond line"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:NOT_SET", "NOT_SET is not set"),
        ("file:none.txt", "No such file"),
        ("file:.", "directory"),
        ("hunter2", "it is no reference"),
        ("hunter2:hunter2", "no reference in a known form"),
        ("", "it is no reference"),
    ],
)
def test_mistakes(reference: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=why) as told:
        resolve(reference, tmp_path, {})
    assert "hunter2" not in str(told.value)


def test_a_file_that_is_no_text_or_too_large(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SecretError, match="not UTF-8"):
        resolve("file:b", tmp_path)
    (tmp_path / "big").write_bytes(b"a" * (1024 * 1024 + 1))
    with pytest.raises(SecretError, match="larger than 1 MiB"):
        resolve("file:big", tmp_path)


def test_what_is_a_reference() -> None:
    assert [is_reference(text) for text in ("env:A", "file:a", "aws-sm:a", "http://a", "p:w", "")] == [True] * 3 + [
        False
    ] * 3


def test_secrets_manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import boto3
    from moto import mock_aws

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("secretsmanager").create_secret(Name="prod/x", SecretString='{"token": "t-0815-t"}')
        assert resolve("aws-sm:prod/x", tmp_path) == '{"token": "t-0815-t"}'
        assert resolve("aws-sm:prod/x#token", tmp_path) == "t-0815-t"
        with pytest.raises(SecretError, match="it has no key other"):
            resolve("aws-sm:prod/x#other", tmp_path)
        with pytest.raises(SecretError, match="ResourceNotFound"):
            resolve("aws-sm:none", tmp_path)


def test_what_was_secret_is_hidden_by_every_sink(tmp_path: Path) -> None:
    from mlplan.report.safe import safe_text

    Secret("of-a-value-4711")
    Secret({"deep": ("in-a-tuple-4711",)})
    resolve("env:X", tmp_path, {"X": 'with "quotes" 4711\nand-a-second-line'})
    told = 'got of-a-value-4711, in-a-tuple-4711, "with \\"quotes\\" 4711", and-a-second-line'
    assert safe_text(told) == 'got (sensitive), (sensitive), "(sensitive)", (sensitive)'
    Secret("short")
    assert hide("a short word stays") == "a short word stays"
