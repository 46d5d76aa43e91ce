"""A whole apply (data, training, packaging, gates, canary) that is really killed at a few named moments; tools/fault.py tries many.

Runs as a process of its own: it forks after it has imported what every run needs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from pathlib import Path
from tests.world.apply_crash import Stage, after
stage = Stage(Path(sys.argv[1]))
names = stage.moments(stage.second)
assert {"start_job:after", "set_weights:after", "remove_unit:after", "append:before", "swap_head:after"} <= set(names), names
for fate, moment in (("kill", "start_job:after"), ("reboot", "set_weights:after"), ("kill", "swap_head:before")):
    problem = after(stage, stage.second, names.index(moment), fate)
    assert not problem, (fate, moment, problem)
print("converged")
"""


@pytest.mark.slow
def test_after_a_death_the_second_run_converges_and_the_third_plan_is_empty(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout.endswith("converged\n"), done.stdout[-3000:] + done.stderr[-3000:]
