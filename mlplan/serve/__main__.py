"""`python -m mlplan.serve --artifact DIR --model NAME --version v3 --endpoint NAME [--log-dir DIR]`.

Serve one sealed model.
"""

from __future__ import annotations

import logging
import os
import sys

for _name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
):
    # before numpy loads: more threads a process than it has work for gave a p99 of a second on two cores
    os.environ.setdefault(_name, "1")


def main() -> int:
    """Read the command line and serve; return the exit code."""
    from mlplan.serve.settings import read_settings

    settings = read_settings(sys.argv[1:], os.environ)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a client's bad bytes must not fill the log
    from mlplan.serve.server import run

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
