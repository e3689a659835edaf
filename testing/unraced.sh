# shellcheck shell=bash disable=SC2034 # run-tests.sh and install-deps.sh read these
# The packages whose tests run without the race detector, as regular expressions; run-tests.sh says why.
single='reconcile|fsm|testing/sim'
drivers='testing/(attack|browser|clusterkit|docs|e2e|localcluster)'
containers='testing/compose'
