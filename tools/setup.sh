#!/bin/sh
# Makes .venv with everything that demo and tests need: by uv when it is there, by venv and pip otherwise.
# MLPLAN_EXTRAS: names of optional dependencies, with commas; .ci/run asks for all of them.
set -eu
python="${1:-python3}"
extras="${MLPLAN_EXTRAS:-local,examples,dev,s3,postgres,services,lsp}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "mlplan needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Try: make demo PYTHON=python3.12" >&2
  exit 1
}
if command -v uv >/dev/null 2>&1; then
  # shellcheck disable=SC2046  # one word an extra
  uv sync --locked --quiet --python "$python" $(printf -- '--extra %s ' $(echo "$extras" | tr ',' ' '))
else
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
fi
