#!/bin/sh
# Makes a virtual environment with the packages of requirements.lock, each file checked against its hashes, and no others.
# In: the directory of the environment; PYTHON (default python3). Out: the environment.
# Always: uv, which installs all of them in seconds, is one of them: pip fetches it first, by the hashes of the same file.
set -eu
env=$1
"${PYTHON:-python3}" -m venv "$env"
sed -n '/^uv==/,/[^\\]$/p' requirements.lock >"$env/uv.txt"
"$env/bin/pip" install --quiet --no-deps --require-hashes --requirement "$env/uv.txt"
"$env/bin/uv" pip sync --quiet --python "$env/bin/python" --require-hashes requirements.lock
