#!/bin/sh
# Renews requirements.lock: installs the ranges of pyproject.toml into an empty environment and writes down what came.
set -eu
cd "$(dirname "$0")/.."
env=$(mktemp -d)
trap 'rm -rf "$env"' EXIT
"${PYTHON:-python3}" -m venv "$env"
"$env/bin/pip" install --upgrade pip
"$env/bin/python" - >"$env/wanted" <<'END'
import tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
print("\n".join(project["project"]["dependencies"] + project["dependency-groups"]["dev"]))
END
"$env/bin/pip" install -r "$env/wanted"
{
    sed -n '/^#/p' requirements.lock
    "$env/bin/pip" freeze --all | grep -v '^setuptools=='
} >"$env/lock"
cp "$env/lock" requirements.lock
echo 'wrote requirements.lock'
