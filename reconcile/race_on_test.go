//go:build race

package reconcile

// mostEvents bounds the histories that are tried in every order; the race detector is some ten times slower.
const mostEvents = 4
