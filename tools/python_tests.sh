#!/bin/sh
# Runs Python tests; the few that fail beside others are tried once more by themselves, and named in the end.
# Many tests run real servers and processes, and two busy cores can make one of those late. A fault fails twice.
# The slowest are named, too. In: pytest's arguments; FAILED_TESTS, the file for the names of those that failed. Out: exit status 0 if each passed.
AT_MOST=3
failed=${FAILED_TESTS:?a file}
rm -f "$failed"
FAILED_TESTS=$failed .venv/bin/pytest -q --durations=30 --durations-min=5 "$@"
status=$?
[ "$status" -eq 1 ] && [ -s "$failed" ] && [ "$(wc -l <"$failed")" -le "$AT_MOST" ] || exit "$status"
printf '==> Once more, alone:\n'
sed 's/^/    /' "$failed"
.venv/bin/pytest -q "@$failed" || exit
printf '    passed alone, after failing beside others: please find out why\n'
