package httpapi

import (
	"context"
	"testing"
	"time"
)

// TestIdleActionsHaveEnded also where the time for waiting is over: a slow client must not be told of as a running action.
func TestIdleActionsHaveEnded(t *testing.T) {
	a := newActions(1, time.Minute)
	if _, err := a.do(t.Context(), func(context.Context) (any, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if err := newActions(1, time.Minute).wait(over); err != nil {
			t.Fatal(err)
		}
	}
	a.stop()
	if err := a.wait(t.Context()); err != nil {
		t.Error(err)
	}
}
