// Package chart tests the Helm chart in deploy/helm/rollcall.
//
// A plain go test takes seconds and needs no Helm. It checks the chart's values, their table and their schema against each other,
// and what Helm made of the chart for the values in testdata, which testdata also holds: rollcall accepts the arguments and
// variables of the pods, and the pods have what a cluster needs.
//
// With DEPLOY=1 the package also builds Helm and a strict decoder of Kubernetes' types, both from testing/deploy/helm. It renders the chart,
// compares that with testdata, and starts the pods of three.values.yaml as containers. DEPLOY=1 go test -update rewrites testdata.
package chart
