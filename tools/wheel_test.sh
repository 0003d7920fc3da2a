#!/bin/sh
# Installs dist/*.whl into an empty virtual environment, away from the sources, and runs the demo from it.
set -eu
lock=$PWD/requirements.lock
wheel=$(ls "$PWD"/dist/*.whl)
env=$(mktemp -d)
trap 'rm -rf "$env"' EXIT
"${PYTHON:-python3}" -m venv "$env"
"$env/bin/pip" install --constraint "$lock" "$wheel"
cd "$env"
unset VIRTUAL_ENV PYTHONPATH
"$env/bin/holdfast" --version
"$env/bin/holdfast" demo --exit
