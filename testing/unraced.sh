# shellcheck shell=bash disable=SC2034 # run-tests.sh and install-deps.sh read these
# The packages whose tests make test runs without the race detector, as regular expressions; run-tests.sh says why.
single='reconcile|fsm|testing/sim'
libraries='cmd/rollcall|internal/(config|daemon|demo|livekit)'
rigs='testing/(bench|chaos|deploy/.*|fakes/.*|fuzzall|harness/.*|house|mutants)'
drivers='testing/(attack|browser|clusterkit|docs|e2e|localcluster)'
containers='testing/compose'
