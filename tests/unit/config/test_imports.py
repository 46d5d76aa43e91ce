"""Import blocks: keys, for_each, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

ENVIRONMENTS = """
    environment "one" {}
    environment "some" {
      for_each = toset(["eu", "us"])
    }
"""


def test_one_block_may_import_many(project: Any) -> None:
    project.write(
        ENVIRONMENTS
        + """
        variable "ids" {
          default = { eu = "id-eu", us = "id-us" }
        }
        import {
          for_each = var.ids
          to       = environment.some[each.key]
          id       = "prefix/${each.value}"
        }
        import {
          to = environment.one
          id = "x"
        }
        """
    )
    program = project.load()
    assert not project.problems
    assert [(i.target, i.id) for i in program.imports] == [
        ('environment.some["eu"]', "prefix/id-eu"),
        ('environment.some["us"]', "prefix/id-us"),
        ("environment.one", "x"),
    ]


@pytest.mark.parametrize(
    ("block", "code", "words"),
    [
        ('to = environment.two\nid = "x"', "invalid-import", "is not declared"),
        ('to = "environment.one"\nid = "x"', "invalid-import", "without quotes"),
        ('to = environment.some[count.index]\nid = "x"', "unknown-reference", ""),
        ('to = environment.one.a.b\nid = "x"', "invalid-import", "must be the address"),
        ('to = environment.one\nid = ""', "invalid-import", "The id must be text"),
        ("to = environment.one\nid = null", "invalid-import", "The id must be text"),
        ('to = environment.one\nid = sensitive("x")', "invalid-import", "must not be sensitive"),
        ('for_each = ["a"]\nto = environment.one\nid = "x"', "invalid-for-each", "toset"),
        ("to = environment.one", "missing-argument", "id"),
        ('to = environment.one\nid = "x"\nprovider = local', "unknown-argument", "provider"),
        ('for_each = toset(["a", "b"])\nto = environment.one\nid = each.key', "invalid-import", "imported twice"),
    ],
)
def test_what_is_wrong_is_said(project: Any, block: str, code: str, words: str) -> None:
    project.write(ENVIRONMENTS + "    import {\n" + block + "\n    }\n")
    project.load()
    assert code in [d.code for d in project.problems], project.problems
    assert any(words in d.detail for d in project.problems if d.code == code)
