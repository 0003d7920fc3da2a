#!/bin/sh
# Renews requirements.lock from the ranges in pyproject.toml: one version of each package, with the hashes of all its files.
# In: uv in .venv; options of `uv pip compile` (--upgrade; --upgrade-package NAME). Out: requirements.lock.
# Always: without an option, what is locked and still in range stays; nothing in the file names a package index.
set -eu
cd "$(dirname "$0")/.."
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
cp requirements.lock "$lock"
.venv/bin/uv pip compile --quiet pyproject.toml --group dev --all-extras --universal --python-version 3.11 --fork-strategy fewest \
    --generate-hashes --no-header --no-annotate --output-file "$lock" "$@"
{
    cat <<'END'
# Exact versions of everything in .venv, with the hashes of all files of each: what holdfast runs on, what it is worked on
# with, and what those need. `make lock` renews it from the ranges in pyproject.toml; the next `make` installs what changed.
END
    cat "$lock"
} >requirements.lock
echo 'wrote requirements.lock'
