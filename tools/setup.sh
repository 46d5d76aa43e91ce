#!/bin/sh
# Makes .venv with everything that demo and tests need: by uv when it is there, by venv and pip otherwise.
set -eu
python="${1:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "mlplan needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Try: make demo PYTHON=python3.12" >&2
  exit 1
}
if command -v uv >/dev/null 2>&1; then
  uv sync --locked --quiet --python "$python" --extra local --extra examples --extra dev
else
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[local,examples,dev]'
fi
