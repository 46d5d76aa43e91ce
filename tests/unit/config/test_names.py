"""Variables, chains, rings, instances, and that one mistake is told once."""

from __future__ import annotations

import json
from typing import Any


def test_later_sources_of_a_variable_win(project: Any, descriptions: Any) -> None:
    project.write('variable "v" {\n  default = "0"\n}\nenvironment "e" {\n  description = var.v\n}')
    steps = []
    environment = {"MLPLAN_VAR_v": "1"}

    def now(**options: Any) -> None:
        steps.append(descriptions(project.load(**options))["environment.e"])

    now(environment=environment)
    project.write('v = "2"', "mlplan.vars.hcl")
    now(environment=environment)
    project.write('v = "3"', "b.auto.vars.hcl")
    now(environment=environment)
    project.write(json.dumps({"v": "4"}), "c.auto.vars.json")
    now(environment=environment)
    project.write('v = "5"', "x.hcl")
    now(environment=environment, files=(project.root / "x.hcl",))
    now(environment=environment, files=(project.root / "x.hcl",), v="6")
    assert steps == ["1", "2", "3", "4", "5", "6"]


def test_text_of_a_variable_is_read_as_its_type_asks(project: Any, descriptions: Any) -> None:
    project.write("""
        variable "n" {
          type = number
        }
        variable "l" {
          type = list(string)
        }
        variable "s" {
          type = string
        }
        environment "e" {
          description = "${var.n + 1} ${join("-", var.l)} ${var.s}"
        }
    """)
    program = project.load(n="4", l='["a", "b"]', s='["raw"]')
    assert descriptions(program) == {"environment.e": '5 a-b ["raw"]'}
    assert project.codes(n="4", l="[", s="x") == ["invalid-variable-text"]


def test_long_chains_need_no_deep_stack(project: Any, descriptions: Any) -> None:
    lines = ['environment "base" {}', 'environment "e0" {\n  description = "${environment.base.ready}"\n}']
    lines += [
        f'environment "e{i}" {{\n  description = substr(environment.e{i - 1}.description, 0, 9)\n}}'
        for i in range(1, 400)
    ]
    project.write("\n".join(lines))
    program = project.load()
    last = next(i for i in program.instances if i.address == "environment.e399")
    arguments, problems = program.decode(last, lambda a: {"ready": True} if a == "environment.base" else None)
    assert problems == []
    assert arguments["description"] == "true"


def test_a_ring_shows_the_line_of_each_edge_and_the_rest_is_still_looked_at(project: Any) -> None:
    project.write("""
        locals {
          a = local.b
          b = local.c
          c = local.a
        }
        environment "e" {
          description = local.a
        }
        environment "f" {
          promote_from = environment.missing
        }
    """)
    assert sorted(project.codes()) == ["dependency-cycle", "unknown-reference"]
    detail = next(d.detail for d in project.problems if d.code == "dependency-cycle")
    assert "main.mlplan.hcl:3  local.a needs local.b:  a = local.b" in detail
    assert detail.count("needs local.") == 3


def test_keys_that_cannot_be_addresses_are_refused(project: Any) -> None:
    for value, words in (
        ("environment.x.ready", "known after apply of environment.x"),
        ("null", "null"),
        ('["a"]', "toset"),
        ("toset([1])", "strings"),
        ('sensitive(toset(["a"]))', "sensitive"),
        ("{ a = 1 }", ""),
    ):
        project.write(f'environment "x" {{}}\nenvironment "e" {{\n  for_each = {value}\n}}')
        codes = project.codes()
        assert codes == (["invalid-for-each"] if words else []), value
        assert not words or words in project.problems[0].detail or "known" in project.problems[0].detail


def test_children_named_by_environments_of_other_modules() -> None:
    from mlplan.config.addresses import parse_address, short_name

    model = "module.a.model.m"
    assert short_name("environment.dev", model) == "dev"
    assert short_name("module.a.environment.dev", model) == "dev"
    assert short_name('environment.region["us"]', model) == "region.us"
    assert short_name('module.b["x.y"].environment.dev', model) == "b.x.y/dev"
    for text in ('module.b["x.\\"y"].environment.dev', 'a.b[3].deployment["k"]', "module.a.module.b"):
        assert str(parse_address(text)) == text
    assert parse_address("a..b") is None
    assert parse_address("a") is None
