"""The cache of trees gives back exactly what was parsed, and nothing that is damaged, foreign or of another text."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplan.lang.grammar import ShapeCache
from mlplan.lang.parse import parse
from mlplan.lang.source import SourceFile
from mlplan.lang.treecache import TreeCache

TEXT = (
    """
block "label" "other" {
  number = 1.5
  text   = "a ${upper(var.x)} %{ if true }y%{ else }n%{ endif } %{ for k, v in {} }${k}%{ endfor }"
  list   = [for i, x in [1, 2] : x if x != null]
  map    = { for k, v in var.m : k => v... }
  splat  = var.a[*].b[0].c.*.d
  other  = true ? -(1 + 2) : !false
  call   = max(1, [2, 3]...)
  object = { a = null, (b) = 2, "c" = <<-EOT
    heredoc ${1}
    EOT
  }
  inner {}
}
"""
    * 5
)


@pytest.fixture
def cache(tmp_path: Path) -> ShapeCache:
    return ShapeCache(tmp_path / "shapes.json")


def test_cached_tree_equals_the_parsed_one(cache: ShapeCache) -> None:
    first, problems = parse(SourceFile("a.hcl", TEXT), cache)
    assert not problems
    again = cache.trees.get("a.hcl", TEXT)
    assert again == first
    assert [type(b) for b in again.blocks] == [type(b) for b in first.blocks]
    assert repr(again) == repr(first)


def test_places_follow_the_path_that_is_asked_for(cache: ShapeCache) -> None:
    parse(SourceFile("a.hcl", TEXT), cache)
    moved = cache.trees.get("b.hcl", TEXT)
    assert moved is not None
    assert moved.blocks[0].span.path == "b.hcl"


def test_other_text_is_unknown(cache: ShapeCache) -> None:
    parse(SourceFile("a.hcl", TEXT), cache)
    assert cache.trees.get("a.hcl", TEXT + "\n") is None


def test_text_with_problems_is_not_kept(cache: ShapeCache) -> None:
    broken = TEXT + "x = \n"
    assert parse(SourceFile("a.hcl", broken), cache)[1]
    assert cache.trees.get("a.hcl", broken) is None
    assert parse(SourceFile("a.hcl", broken), cache)[1]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:40], lambda b: b[:-1], lambda b: b[:50] + b"x" + b[51:], lambda b: b""]
)
def test_damaged_files_are_not_there(cache: ShapeCache, damage) -> None:  # type: ignore[no-untyped-def]
    parse(SourceFile("a.hcl", TEXT), cache)
    assert cache.trees.folder is not None
    (file,) = cache.trees.folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert cache.trees.get("a.hcl", TEXT) is None
    body, problems = parse(SourceFile("a.hcl", TEXT), cache)
    assert len(body.blocks) == 5
    assert not problems


def test_files_are_private_and_those_others_can_write_are_not_read(cache: ShapeCache) -> None:
    parse(SourceFile("a.hcl", TEXT), cache)
    assert cache.trees.folder is not None
    (file,) = cache.trees.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert cache.trees.folder.stat().st_mode & 0o777 == 0o700
    file.chmod(0o666)
    assert cache.trees.get("a.hcl", TEXT) is None


def test_without_folder_nothing_is_kept() -> None:
    cache = TreeCache(None)
    body, _ = parse(SourceFile("a.hcl", TEXT), ShapeCache())
    cache.put(TEXT, body)
    assert cache.get("a.hcl", TEXT) is None
