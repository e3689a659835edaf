#!/usr/bin/env bash
# Runs the tests of packages, for make test: testing/run-tests.sh [pattern...], by default ./...
#
# RACE=1, which make check-long sets, turns the race detector on in all tests and in the nodes that the suites start, but not in the test
# files that are built without it (comments at their top say why; their tests run in a separate step). Without RACE=1 it is also off where
# nothing runs concurrently; in the simulations, which take ten times as long with it; in the suites that drive real processes; in the tests
# of the rigs; and in packages that are built with LiveKit's libraries, because compiling those once more takes longer than their tests.
# make lint runs go vet, so go test does not.
#
# Most tests spend their time waiting for timeouts and elections, so more of them run at once than there are cores.
set -euo pipefail
cd "$(dirname "$0")/.."

all=$(go list "${@:-./...}")
of() { grep -E "/($1)\$" <<<"$all" || true; }
run() { # flags... -- packages...: does nothing without packages
  local flags=()
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  if [ $# -gt 0 ]; then go test -vet=off -timeout 20m "${flags[@]}" "$@"; fi
}

unraced() { grep -rl --include='*_test.go' '^//go:build !race' "$1"; }

# shellcheck source=testing/unraced.sh
source testing/unraced.sh
failed=0 cgo=0 race=()
raced=$(of internal/redisstore; grep -vE "/($single|$libraries|$rigs|$drivers|$containers|internal/redisstore)\$" <<<"$all" || true) # the longest first
plain=$(of "$single|$libraries|$rigs|$drivers")
if [ "${RACE:-}" = 1 ]; then
  cgo=1 race=(-race)
elif [ -n "$plain" ]; then
  echo "without the race detector, which make check-long turns on: $(sed 's|.*/rollcall/||' <<<"$plain" | paste -sd ' ')"
fi
beside=$(mktemp)
trap 'rm -f "$beside"' EXIT
# shellcheck disable=SC2046,SC2086 # one word per package
{
  # The output of these comes at the end, so that it does not mix with that of the others.
  (CGO_ENABLED=$cgo run "${race[@]}" -p 1 -parallel 3 -- $(of "$single|$libraries|$rigs")) >"$beside" 2>&1 &
  CGO_ENABLED=1 run -race -p 3 -parallel 6 -- $raced || failed=1
  for dir in $(unraced . | xargs -n 1 dirname | sort -u); do
    if [ "${RACE:-}" != 1 ] && ! grep -q "/${dir#./}\$" <<<"$raced"; then continue; fi # they run with the others of their package
    names=$(unraced "$dir" | xargs sed -n 's/^func \(Test[^(]*\)(.*/\1/p' | paste -sd '|')
    run -run "^($names)\$" -- $(of "${dir#./}") || failed=1
  done
  wait $! || failed=1
  cat "$beside"
  CGO_ENABLED=$cgo run "${race[@]}" -p 2 -parallel 3 -- $(of "$drivers") || failed=1
  # Containers create networks, and a browser aborts its requests when the machine's networks change. So these suites run one after the other.
  run -- $(of "$containers") || failed=1
}
exit $failed
