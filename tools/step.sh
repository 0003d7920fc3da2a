#!/bin/sh
# Runs one step of a Makefile target: says what it does, runs it, says how long it took.
# In: a title, then the command. QUIET=1 shows the command's output only if it fails. STEPS names a file that gets the time too.
# Out: the command's output and exit status.
title=$1
shift
# Of make -j a command would take that it shares make's job slots, and finds none.
unset MAKEFLAGS MFLAGS
printf '==> %s\n' "$title"
start=$(date +%s)
if [ -n "${QUIET:-}" ]; then
    said=$(mktemp)
    "$@" >"$said" 2>&1
    status=$?
    [ "$status" -eq 0 ] || cat "$said" >&2
    rm -f "$said"
else
    "$@"
    status=$?
fi
took=$(( $(date +%s) - start ))
if [ "$status" -eq 0 ]; then
    printf '    done in %d s\n' "$took"
else
    printf '    FAILED after %d s (exit status %d): %s\n' "$took" "$status" "$title" >&2
fi
if [ -n "${STEPS:-}" ]; then
    printf '%5d s  %s\n' "$took" "$title" >>"$STEPS"
fi
exit "$status"
