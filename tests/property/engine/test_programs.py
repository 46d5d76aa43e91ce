"""Random programs: whatever is declared, changed and interrupted, applying it makes the next plan empty."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mlplan.engine.types import Outcome, Result, Step
from tests.world.bench import Bench

NAMES = [f"t{i}" for i in range(7)]


@dataclass(frozen=True)
class Declared:
    """One thing of a random program: needs are names that come before it, so that there is no ring."""

    name: str
    size: int
    colour: str
    needs: tuple[str, ...]
    slots: tuple[str, ...]

    def text(self) -> str:
        lines = [f"  size = {self.size}", f'  colour = "{self.colour}"']
        if self.needs:
            lines.append(f"  on = thing.{self.needs[0]}")
            lines.append('  text = "' + " ".join(f"${{thing.{n}.identity}}" for n in self.needs) + '"')
        shelf = ""
        if self.slots:
            names = ", ".join(f'"{s}"' for s in self.slots)
            shelf = f'shelf "{self.name}" {{\n  on = thing.{self.name}\n  slots = [{names}]\n}}\n'
        return f'thing "{self.name}" {{\n' + "\n".join(lines) + "\n}\n" + shelf


@st.composite
def programs(draw: st.DrawFn) -> tuple[Declared, ...]:
    chosen = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6).map(sorted))
    made = []
    for index, name in enumerate(chosen):
        needs = draw(st.lists(st.sampled_from(chosen[:index]), unique=True, max_size=2)) if index else []
        slots = draw(st.sampled_from([(), (), ("x",), ("x", "y")]))
        made.append(
            Declared(name, draw(st.integers(1, 3)), draw(st.sampled_from(["red", "blue"])), tuple(needs), slots)
        )
    return tuple(made)


def text_of(program: tuple[Declared, ...]) -> str:
    return "\n".join(d.text() for d in program) or 'variable "unused" {\n  default = 1\n}\n'


def failing(step: Step, context: object) -> Outcome:
    return Outcome(Result.FAILED, "it broke")


@settings(max_examples=30, deadline=None)
@given(
    versions=st.lists(st.tuples(programs(), st.lists(st.sampled_from(NAMES), max_size=2)), min_size=1, max_size=4),
    parallelism=st.integers(1, 4),
)
def test_apply_then_plan_is_empty(versions: list[tuple[tuple[Declared, ...], list[str]]], parallelism: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for program, broken in versions:
            bench.write(text_of(program))
            bench.toys.hooks = {
                f"thing.{n}#{a}": failing for n in broken for a in ("make", "change", "replace", "remove")
            }
            first = bench.apply(parallelism=parallelism)
            touched = set(bench.toys.done)
            for step, outcome in first.outcomes.items():
                assert (outcome.result is Result.SKIPPED) == (step not in touched)
            bench.toys.hooks.clear()
            bench.toys.done.clear()
            bench.apply(parallelism=parallelism)
            plan = bench.plan()
            assert plan.is_empty, plan.steps
            wanted = {f"thing.{d.name}" for d in program} | {f"shelf.{d.name}" for d in program if d.slots}
            wanted |= {f'shelf.{d.name}.slot["{s}"]' for d in program for s in d.slots}
            assert set(bench.state.records) == wanted
            assert len(bench.toys.things) == len(wanted), "something was orphaned, or lost"
            assert bench.state.operations == {}
            bench.toys.done.clear()
        bench.apply(destroy=True)
        assert bench.state.records == {}
        assert bench.toys.things == {}
