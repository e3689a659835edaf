//go:build !race

package reconcile

const mostEvents = 5
