"""Modules: addresses, inputs, outputs, instances, dependencies, limits."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from mlplan.app.compose import Settings
from mlplan.app.modules import install
from mlplan.config.lock import read_lock

CHILD = """
    variable "name" {
      type = string
    }
    variable "more" {
      type    = object({ a = number, b = optional(string, "none") })
      default = { a = 1 }
    }
    environment "this" {
      description = "${var.name} ${var.more.b}"
    }
    output "text" {
      value = upper(environment.this.description)
    }
    output "env" {
      value = environment.this
    }
"""


def test_instances_of_modules_have_addresses_inputs_and_outputs(project: Any, descriptions: Any) -> None:
    project.write(CHILD, "modules/env/env.mlplan.hcl")
    project.write("""
        module "each" {
          source   = "./modules/env"
          for_each = { us = "b1", eu = "b2" }
          name     = each.key
          more     = { a = 2, b = each.value }
        }
        module "count" {
          source = "./modules/env"
          count  = 2
          name   = "n${count.index}"
        }
        environment "all" {
          description  = join(",", [for k, m in module.each : m.text], module.count[*].text)
          promote_from = module.each["us"].env
        }
    """)
    program = project.load()
    assert project.problems == []
    assert descriptions(program) == {
        'module.each["eu"].environment.this': "eu b2",
        'module.each["us"].environment.this': "us b1",
        "module.count[0].environment.this": "n0 none",
        "module.count[1].environment.this": "n1 none",
        "environment.all": "EU B2,US B1,N0 NONE,N1 NONE",
    }
    last = program.instances[-1]
    assert last.address == "environment.all"
    assert set(last.dependencies) == set(descriptions(program)) - {"environment.all"}


def test_a_static_key_depends_on_that_instance_alone(project: Any) -> None:
    project.write(CHILD, "m/env.mlplan.hcl")
    project.write("""
        module "each" {
          source   = "./m"
          for_each = toset(["us", "eu"])
          name     = each.key
        }
        environment "one" {
          description = module.each["us"].text
        }
    """)
    one = project.load().instances[-1]
    assert one.dependencies == ('module.each["us"].environment.this',)


def test_depends_on_of_a_call_reaches_everything_inside(project: Any) -> None:
    project.write('module "inner" {\n  source = "./inner"\n}', "m/m.mlplan.hcl")
    project.write('environment "deep" {}', "m/inner/i.mlplan.hcl")
    project.write("""
        environment "first" {}
        module "m" {
          source     = "./m"
          depends_on = [environment.first]
        }
        environment "last" {
          depends_on = [module.m]
        }
    """)
    by_address = {i.address: i for i in project.load().instances}
    assert by_address["module.m.module.inner.environment.deep"].dependencies == ("environment.first",)
    assert by_address["environment.last"].dependencies == ("module.m.module.inner.environment.deep",)


def test_providers_are_handed_over(project: Any) -> None:
    project.write('environment "e" {\n  provider = local\n}', "m/m.mlplan.hcl")
    project.write("""
        provider "local" {
          alias = "eu"
        }
        module "m" {
          source    = "./m"
          providers = { local = local.eu }
        }
    """)
    assert [i.provider for i in project.load().instances] == ["local.eu"]
    assert project.problems == []


def test_a_module_that_contains_itself_is_told_at_once(project: Any) -> None:
    project.write('module "m" {\n  source = "../m"\n}', "m/m.mlplan.hcl")
    project.write('module "m" {\n  source = "./m"\n}')
    assert project.codes() == ["module-cycle"]


def test_what_a_module_gets_wrong_is_told_where_it_stands(project: Any) -> None:
    project.write(CHILD, "m/m.mlplan.hcl")
    project.write("""
        module "a" {
          source = "./m"
          nam    = "x"
          more   = { a = "no number" }
        }
        environment "e" {
          description = module.a.txt
        }
    """)
    codes = project.codes()
    assert sorted(codes) == ["missing-argument", "unknown-argument", "unknown-reference", "wrong-type"]
    assert {d.hint for d in project.problems if d.hint} == {'Did you mean "name"?', 'Did you mean "module.a.text"?'}


def test_git_modules_are_pinned_and_stay_at_their_commit(project: Any, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    project.root = tmp_path / "project"
    project.root.mkdir()
    (repository / "sub").mkdir(parents=True)

    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=repository, check=True, capture_output=True)

    def commit(text: str) -> None:
        (repository / "sub" / "m.mlplan.hcl").write_text(f'environment "g" {{\n  description = "{text}"\n}}\n')
        git("add", "-A")
        git("commit", "-qm", text)

    git("init", "-q")
    commit("one")
    project.write(f'module "a" {{\n  source = "git::file://{repository}//sub"\n}}')
    program_path = project.root / "mlplan.lock.hcl"
    assert [m.new for m in install(Settings(project.root))] == [True]
    pinned = read_lock(program_path)[0].modules
    commit("two")
    assert install(Settings(project.root)) == ()
    project.load()
    assert project.problems == []
    assert [m.new for m in install(Settings(project.root), upgrade=True)] == [True]
    assert read_lock(program_path)[0].modules != pinned
