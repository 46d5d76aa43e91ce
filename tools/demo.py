"""The tour of `make demo`: seven steps on real flights, each a real run of the `mlplan` command, each claim checked.

    python tools/demo.py                    in .demo/, under five minutes on two cores
    python tools/demo.py --until 3          only the first three steps, then destroy

Exits with 1 and says what was expected when a step does not do what it says. In any case it ends what it started.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.load import Load, LoadResult
from tools.tour import (
    REPOSITORY,
    Finished,
    Tour,
    UnexpectedError,
    bodies_of,
    count_by_version,
    expect,
    listens,
    remove_tree,
    table,
)

RATE = 150.0
"""Requests a second while a canary runs: at 10 % the candidate then sees 15 a second."""
CALM = 30.0
"""Requests a second while a model is trained and judged, which then has the processors for itself."""
PRODUCTION = 'model.flights.deployment["production"]'


@dataclass
class Story:
    """The tour and what its steps hand on. urls: every endpoint seen, to look for it after destroy."""

    tour: Tour
    rate: float = RATE
    url: str = ""
    urls: set[str] = field(default_factory=set)
    live: str = ""
    lost: int = 0
    sent: int = 0

    def predict(self) -> str:
        """Ask production for one flight; return the version that answered, which header and body must agree on."""
        answer, headers = self.tour.ask(self.url + "/predict", self.requests(5)[0])
        version = headers.get("x-mlplan-model-version", "")
        expect(answer.get("version") == version and version, "the version in header and body", (answer, version))
        expect(len(answer.get("predictions", ())) == 1, "one prediction", answer)
        return version

    def expect_live(self, version: str) -> None:
        """Expect production to answer with `version`."""
        seen = self.predict()
        expect(seen == version, f"{version} is live in production", f"{seen} answers")
        self.live = version

    def expect_no_changes(self) -> Finished:
        """Expect the plan to be empty."""
        done = self.tour.mlplan("plan", "--detailed-exitcode", code=0)
        done.says("No changes")
        return done

    def requests(self, month: int) -> list[bytes]:
        """Return request bodies with real rows of a month, made when first asked for."""
        path = self.tour.root / "requests" / f"2013-{month:02d}.jsonl"
        if not path.exists():
            where = str(path.relative_to(self.tour.root))
            self.tour.run("python", "prepare.py", "--requests", "4000", "--month", str(month), "--out", where)
        return bodies_of(path)

    def load(self, month: int, rate: float = CALM) -> Load:
        """Return a load on production with real rows of a month, to be used in `with`."""
        bodies = self.requests(month)
        self.tour.say(f"\n# Users of month {month}: {rate:.0f} requests a second to {self.url}/predict from here on")
        return Load(self.url + "/predict", bodies, rate)

    def apply_under(self, load: Load, *options: str, code: int = 0) -> Finished:
        """Apply while users ask: few of them while a model is trained and judged, many while production shifts traffic."""

        def watch(line: str) -> None:
            if ": train v" in line:
                load.rate = CALM
            elif f"{PRODUCTION}: shift traffic" in line and load.rate != self.rate:
                load.rate = self.rate
                self.tour.say(f"# {self.rate:.0f} requests a second from here on")

        return self.tour.mlplan("apply", *options, code=code, watch=watch)

    def expect_none_lost(self, load: Load) -> LoadResult:
        """Expect every request of a load to have got an answer."""
        result = load.result
        if result is None:
            raise UnexpectedError("expected: a load that ran to its end\n    seen: it broke off")
        self.sent, self.lost = self.sent + result.sent, self.lost + result.lost
        p95 = result.latency.get("p95", float("nan"))
        self.tour.say(
            f"\n# {result.sent:,} requests, {result.lost} lost, p95 {p95:.0f} ms; {count_by_version(result.versions)}"
        )
        expect(result.lost == 0, "no request is lost", f"{result.lost} of {result.sent}: {list(result.problems)}")
        return result


def first_versions(story: Story) -> str:
    """From nothing to production: plan does nothing, apply does everything."""
    tour = story.tour
    tour.run("python", "prepare.py", "--months", "1-4")
    tour.mlplan("init")
    plan = tour.mlplan("plan")
    plan.says("to add", "data_contract.flights", "model.flights", PRODUCTION, "monitor.flights_live")
    expect(not tour.processes(), "a plan starts nothing", tour.processes())
    expect(not list(tour.root.glob(".mlplan/artifacts/*/*")), "a plan trains nothing", "artifacts")
    tour.mlplan("plan", "--detailed-exitcode", code=2)
    apply = tour.mlplan("apply", "--auto-approve")
    apply.says("ranks_well", "fair_by_carrier", "smoke test")
    story.url = output(tour, "scoring_url")
    expect(re.fullmatch(r"http://127\.0\.0\.1:\d+", story.url), "the address of production", story.url)
    story.urls.add(story.url)
    story.expect_live("v1")
    return "v1 trained, judged, and live in dev, staging and production"


def nothing_to_do(story: Story) -> str:
    """The second plan is empty; a prediction says which version made it."""
    story.expect_no_changes()
    story.expect_live("v1")
    return "no changes, exit 0; v1 answers"


def new_month(story: Story) -> str:
    """May arrives: retrained because of its data, compared with live, and given traffic step by step under load."""
    tour = story.tour
    tour.run("python", "prepare.py", "--add", "5")
    plan = tour.mlplan("plan")
    plan.says("new snapshot", "train.data", "no worse than live")
    with story.load(5) as load:
        apply = story.apply_under(load, "--auto-approve")
    result = story.expect_none_lost(load)
    expect_canary(apply, "v2", (10, 50, 100))
    expect(set(result.codes) == {"200"}, "only answers 200", dict(result.codes))
    expect(min(result.answers_of("v1"), result.answers_of("v2")) > 0, "answers of both versions", result.versions)
    story.expect_live("v2")
    story.expect_no_changes()
    return f"v2 promoted by canary; {result.sent:,} requests, 0 lost"


def worse_model(story: Story) -> str:
    """Three trees instead of sixty: the gates say no, exit 3, and nobody notices."""
    tour = story.tour
    tour.edit("main.mlplan.hcl", "max_iter       = 60", "max_iter       = 3")
    tour.mlplan("plan").says("max_iter 60 -> 3")
    apply = tour.mlplan("apply", "--auto-approve", code=3)
    apply.says("ranks_well", "no_worse_than_live")
    story.expect_live("v2")
    story.expect_no_changes().says("held")
    tour.edit("main.mlplan.hcl", "max_iter       = 3", "max_iter       = 60")
    story.expect_no_changes()
    return "gates refused v3, exit 3; v2 untouched"


def bad_in_service(story: Story) -> str:
    """Binned weather ranks as well and passes every gate, but fails on requests without a barometer reading."""
    tour = story.tour
    tour.edit("main.mlplan.hcl", 'weather        = "raw"', 'weather        = "binned"')
    tour.mlplan("plan").says("weather raw -> binned")
    with story.load(5) as load:
        apply = story.apply_under(load, "--auto-approve", code=4)
    apply.says("rolled back")
    result = story.expect_none_lost(load)
    failed = {
        version: sum(n for code, n in codes.items() if code != "200") for version, codes in result.versions.items()
    }
    expect(failed.get("v4", 0) > 0 and not failed.get("v2"), "errors of v4 and of no other version", failed)
    story.expect_live("v2")
    plan = story.expect_no_changes()
    plan.line("held", "v4")
    tour.edit("main.mlplan.hcl", 'weather        = "binned"', 'weather        = "raw"')
    tour.mlplan("apply", "--auto-approve")
    story.expect_live("v2")
    story.expect_no_changes()
    return f"v4 rolled back by itself after {failed['v4']:,} errors, exit 4; v2 live, v4 held"


def drifted_month(story: Story) -> str:
    """Summer: production is asked other things than it was trained on. The monitor sees it, the nightly run answers."""
    tour = story.tour
    tour.run("python", "prepare.py", "--add", "6-8")
    tour.mlplan("apply", "--unattended").says("attended apply")
    story.expect_live("v2")
    with story.load(8, story.rate) as load:
        time.sleep(14)  # a window of the monitor
        plan = tour.mlplan("plan")
        plan.line("! monitor.flights_live")
        plan.says("inputs: wind_speed PSI", "retrain", "0 of 4 used")
        apply = story.apply_under(load, "--unattended")
    result = story.expect_none_lost(load)
    expect_canary(apply, "v5", (10, 50, 100))
    story.expect_live("v5")
    story.expect_no_changes()
    return f"breach on wind_speed, retrained unattended, v5 live; {result.sent:,} requests, 0 lost"


def nothing_left(story: Story) -> str:
    """Destroy: no process, port or file outside the project's own folders is left."""
    tour = story.tour
    tour.mlplan("destroy", "--auto-approve")
    expect(not tour.processes(), "no process of the project", tour.processes())
    open_ports = [url for url in story.urls if listens(url)]
    expect(not open_ports, "no port of the project", open_ports)
    left = [str(path) for path in tour.temporary.rglob("*")]
    expect(not left, f"nothing in {tour.temporary}", left[:10])
    tour.mlplan("plan").says("to add")
    return "no process, port or temporary file is left"


STEPS: tuple[tuple[str, Callable[[Story], str]], ...] = (
    ("init, plan, apply: from nothing to production", first_versions),
    ("plan again: no changes", nothing_to_do),
    ("a new month arrives", new_month),
    ("a change that makes the model worse", worse_model),
    ("a version that passes the gates and fails in service", bad_in_service),
    ("a drifted month", drifted_month),
    ("destroy", nothing_left),
)


def output(tour: Tour, name: str) -> str:
    """Return the value of an output."""
    return tour.mlplan("output", "--raw", name).text.strip()


def expect_canary(apply: Finished, version: str, steps: tuple[int, ...]) -> None:
    """Expect the candidate's weights in production, in their order."""
    lines = [line for line in apply.text.splitlines() if "production" in line and "traffic" in line]
    seen = [int(float(found[1])) for line in lines if (found := re.search(rf"\b{version} ([\d.]+) %", line))]
    rising = list(dict.fromkeys(weight for weight in seen if weight))
    expect(rising == list(steps), f"traffic of {version} in steps {steps}", rising or lines[-5:])


def tell(story: Story, until: int) -> list[tuple[str, str, str]]:
    """Run the steps, and destroy always; return a row a step: title, seconds, what came of it."""
    rows = []
    for number, (title, step) in enumerate(STEPS, 1):
        if number > until and step is not nothing_left:
            continue
        story.tour.say(f"\n{'=' * 100}\n{number}. {title}\n   {(step.__doc__ or '').strip()}\n{'=' * 100}")
        began = time.monotonic()
        said = step(story)
        seconds = time.monotonic() - began
        rows.append((f"{number}. {title}", f"{seconds:.0f} s", said))
        story.tour.say(f"\n# {said} ({seconds:.0f} s)")
    return rows


def main(argv: list[str] | None = None) -> int:
    """Tell the story; 0 when every step did what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".demo", help="scratch folder; emptied first")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--until", type=int, default=len(STEPS), help="last step before destroy")
    parser.add_argument("--quiet", action="store_true", help="only the summary")
    arguments = parser.parse_args(argv)
    story = Story(Tour(arguments.folder.resolve(), arguments.quiet), arguments.rate)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a time limit sends must not leave servers behind
    try:
        story.tour.prepare(REPOSITORY / "examples" / "flights")
        rows = tell(story, arguments.until)
    except UnexpectedError as error:
        print(f"\nThe tour failed.\n{error}\nLook at what is left in {story.tour.root}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    finally:
        story.tour.end_processes()
    print("\n" + "\n".join(table([("step", "time", "what happened"), *rows])))
    print(f"\n{story.sent:,} requests, {story.lost} lost. {time.monotonic() - began:.0f} s in all.")
    remove_tree(story.tour.scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
