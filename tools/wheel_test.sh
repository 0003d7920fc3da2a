#!/bin/sh
# Installs dist/*.whl into an empty virtual environment, away from the sources, and runs the demo from it. What the wheel
# needs is installed in the versions of requirements.lock, each file checked against its hashes.
set -eu
lock=$PWD/requirements.lock
uv=$PWD/.venv/bin/uv
wheel=$(ls "$PWD"/dist/*.whl)
env=$(mktemp -d)
trap 'rm -rf "$env"' EXIT
"${PYTHON:-python3}" -m venv "$env"
"$uv" pip install --quiet --python "$env/bin/python" --constraint "$lock" "$wheel"
cd "$env"
unset VIRTUAL_ENV PYTHONPATH
"$env/bin/holdfast" --version
"$env/bin/holdfast" demo --exit
