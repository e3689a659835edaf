#!/usr/bin/env bash
# Runs a command in the background and others one after the other beside it, for make check: testing/alongside.sh BACKGROUND COMMAND...
# It prints the background command's output at the end, so that the outputs do not mix. It fails if any of them failed.
set -uo pipefail

out=$(mktemp)
trap 'rm -f "$out"' EXIT
bash -c "$1" >"$out" 2>&1 &
background=$!
failed=0
for command in "${@:2}"; do bash -c "$command" || failed=1; done
wait "$background" || failed=1
cat "$out"
exit $failed
