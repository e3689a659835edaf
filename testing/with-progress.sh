#!/usr/bin/env bash
# Runs a build and prints every few seconds that it is still running.
#   with-progress.sh WHAT COMMAND…
set -euo pipefail

what=$1
shift
command -v "$1" >/dev/null || { echo "$1 is not on the PATH: rollcall needs Go 1.26, see https://go.dev/dl" >&2; exit 1; }
echo "$what"
"$@" &
build=$!
(
	while sleep 5; do echo "  … still building, ${SECONDS} s"; done
) &
ticker=$!
trap 'kill "$ticker" 2>/dev/null || true; wait "$ticker" 2>/dev/null || true' EXIT
wait "$build"
