// Package eventually waits in tests for what takes a while.
package eventually

import (
	"errors"
	"testing"
	"time"
)

// Patience is more than anything takes on a slow machine.
const Patience = 30 * time.Second

var errNotYet = errors.New("it does not hold")

// Nil calls try until it returns nil. After the time within, it fails the test with the last error.
func Nil(t testing.TB, within time.Duration, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
	}
}

// True calls ok until it returns true, and fails the test after Patience.
func True(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Nil(t, Patience, what, func() error {
		if ok() {
			return nil
		}
		return errNotYet
	})
}
