"""The provider kit over the local provider; and what it started outlives the process that asked for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplan.spi.provider_kit import CHECKS, Kit, Stage, finish, send
from mlplan_local import LocalProvider

pytestmark = pytest.mark.envoy


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(lambda: LocalProvider({}, tmp_path), tmp_path / "jobs")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_local_provider(check: Callable[[Kit], None], kit: Kit, tmp_path: Path) -> None:
    check(kit)
    left = [p for p in (tmp_path / ".mlplan" / "local").rglob("*") if p.is_file() and "locks" not in p.parts]
    assert left == [], "what was removed left files"


CALLER = """
import sys
from pathlib import Path
from mlplan.spi.provider_kit import Kit, Stage
from mlplan.spi.capabilities import FULL_WEIGHT
from mlplan_local import LocalProvider
root = Path(sys.argv[1])
kit = Kit(lambda: LocalProvider({}, root), root / "jobs")
stage = Stage(kit.open())
stage.start(kit.unit("v1"))
stage.provider.ensure_endpoint(kit.endpoint())
stage.provider.set_weights("kit-end", {"kit-v1": FULL_WEIGHT})
stage.provider.start_job(kit.job("outlives", "import time; time.sleep(1); print('done')"))
"""


def test_it_outlives_its_caller(kit: Kit, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CALLER, str(tmp_path)], check=True, timeout=120)
    stage = Stage(kit.open(), ["kit-v1"])
    try:
        assert stage.until("kit-v1", "ready").version == "v1"
        assert send(stage.provider.inspect_endpoint("kit-end").url, 1) == [(200, "v1")]
        job = kit.job("outlives", "import time; time.sleep(1); print('done')")
        status = finish(stage.provider, job, stage.provider.inspect_job(job, {}))
        assert (status.state, status.tail[-1]) == ("succeeded", "done")
    finally:
        stage.close()
